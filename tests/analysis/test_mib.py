"""analysis/mib_to_jsonl.py on rows with the columns of MIB's tasks, and the program on what it writes."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "analysis" / "mib_to_jsonl.py"
MCQA = {"prompt": "Question: A banana is yellow. What color is a banana?\nA. green\nB. yellow\nC. red\nAnswer: ",
        "choices": {"label": ["A", "B", "C"], "text": ["green", "yellow", "red"]}, "answerKey": 1}
IOI = {"prompt": "Then, Henry and Phil had fun at the harbor. Henry gave a basket to", "choices": ["Phil", "Henry"], "answerKey": 0}
ARITHMETIC = {"prompt": "Q: How much is 19 plus 24? A: ", "label": "43", "random_counterfactual": {"label": "31"}}
RAVEL = {"template": "city: %s", "prompt": "Rome is in Italy. People in Lima speak Quechua. People in Lima speak", "entity": "Lima",
         "attribute": "Language", "Continent": "South America", "Country": "Peru", "Language": "Spanish, Quechua"}


class Mib(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "rows.jsonl"

    def tearDown(self):
        self.folder.cleanup()

    def convert(self, *rows, more=()):
        self.file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return subprocess.run([sys.executable, str(PROGRAM), str(self.file), *more], capture_output=True, text=True)

    def test_rows_become_facts(self):
        done = self.convert(MCQA, IOI, ARITHMETIC, RAVEL)
        self.assertEqual(done.stderr, "")
        mcqa, ioi, arithmetic, ravel = map(json.loads, done.stdout.splitlines())
        self.assertEqual((mcqa["target"], mcqa["options"], mcqa["subject"]), ("B", ["A", "B", "C"], "yellow"))
        self.assertEqual([mcqa["prompt"][b:e] for b, e in mcqa["spans"].values()], ["green", "yellow", "red"])
        self.assertGreater(mcqa["spans"]["option2"][0], mcqa["prompt"].index("\nB."))  # not the one in the question
        self.assertTrue(mcqa["prompt"].endswith("Answer:"))
        self.assertEqual((ioi["target"], ioi["foil"], ioi["subject"]), ("Phil", "Henry", "Henry"))
        self.assertEqual((arithmetic["target"], arithmetic["foil"], arithmetic["subject"]), ("43", "31", "19"))
        self.assertEqual((ravel["targets"], ravel["subject"], ravel["relation"]), (["Spanish", "Quechua"], "Lima", "Language"))
        self.assertEqual(ravel["spans"], {"entity": [RAVEL["prompt"].rindex("Lima"), RAVEL["prompt"].rindex("Lima") + 4]})
        self.assertNotIn("target", ravel)

    def test_rows_without_a_value_are_counted(self):
        for empty in (None, "", " , "):
            done = self.convert({**RAVEL, "Language": empty}, RAVEL)
            self.assertEqual(done.stderr, "mib_to_jsonl.py: rows without a value of their attribute, which are left out: 1\n")
            self.assertEqual([json.loads(line)["id"] for line in done.stdout.splitlines()], ["0"])

    def test_wrong_rows_are_named(self):
        for row, text in (({**MCQA, "answerKey": 3}, "answerKey is 3, expected a number from 0 to 2"),
                          ({**MCQA, "answerKey": "B"}, "answerKey is 'B'"),
                          ({"prompt": "a"}, "neither choices nor label nor entity and attribute; there are prompt"),
                          ({**RAVEL, "attribute": "Anthem"}, "no column Anthem, which `attribute` names; there are template"),
                          ({"text": "a"}, "no column prompt; there are text"),
                          ({**IOI, "prompt": "nobody gave a basket to"}, "the subject 'Henry' is not in the prompt")):
            done = self.convert(IOI, row)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertIn(f"{self.file}: row 1: {text}", done.stderr)
            self.assertEqual(done.stdout, "")

    @unittest.skipUnless("KNOCKOUT" in os.environ, "the program is not built")
    def test_the_program_reads_them(self):
        facts = Path(self.folder.name) / "facts.jsonl"
        self.convert(MCQA, IOI, RAVEL, more=("-o", str(facts)))
        spec = Path(self.folder.name) / "spec.yaml"
        model = Path(__file__).resolve().parents[2] / "jobs" / "models" / "gpt2-facts"
        spec.write_text(f"models: [{model}]\nprompts: {{file: {facts}}}\nroutes: ['last<-option2', 'last<-subject']\n"
                        "windows: {sizes: [1], starts: [0]}\n")
        done = subprocess.run([os.environ["KNOCKOUT"], "plan", str(spec)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
