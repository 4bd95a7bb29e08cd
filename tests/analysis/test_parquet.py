"""analysis/parquet_to_jsonl.py on Parquet files that this test writes."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pyarrow
import pyarrow.parquet

PROGRAM = Path(__file__).resolve().parents[2] / "analysis" / "parquet_to_jsonl.py"
ROWS = [
    {"question": "What is A's job?", "obj": "é", "metadata": json.dumps({"subject": "A"}), "task": {"name": "ioi"}},
    {"question": "B?", "obj": "o", "metadata": json.dumps({"subject": "B"}), "task": {"name": "other"}},
]


class Conversion(unittest.TestCase):
    def convert(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
            return subprocess.run([sys.executable, PROGRAM, path, *arguments], capture_output=True, text=True)

    def test_columns_are_renamed_and_rows_are_chosen(self):
        rename = "question=prompt,metadata.subject=subject,obj=target"
        done = self.convert("--rename", rename)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([[row[k] for k in ("prompt", "subject", "target")] for row in rows],
                         [["What is A's job?", "A", "é"], ["B?", "B", "o"]])
        chosen = self.convert("--rename", rename, "--where", "task.name=ioi").stdout.splitlines()
        self.assertEqual(chosen, done.stdout.splitlines()[:1])

    def test_a_missing_column_is_named(self):
        done = self.convert("--rename", "answer=target")
        self.assertEqual(done.returncode, 1)
        self.assertIn("rows.parquet: no column answer; there are question, obj, metadata, task", done.stderr)


if __name__ == "__main__":
    unittest.main()
