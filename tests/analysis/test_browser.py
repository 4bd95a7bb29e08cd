"""The report in headless Chromium: no message in its console, and a click on a column's title sorts the table."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from html import unescape
from pathlib import Path

from knockout_figures import kinds, lines
from knockout_figures.cube import Cube
from knockout_figures.report import write_report

# Run in a copy of the page: clicks titles of the table of all windows and writes what its columns then hold.
CLICKS = """
<script>
const titles = [...document.querySelectorAll("#windows th")];
const column = (k) => [...document.querySelectorAll("#windows tbody tr")].map((r) => r.cells[k].dataset.value ?? r.cells[k].textContent);
const at = (word) => titles.findIndex((t) => t.textContent.startsWith(word));
const seen = { before: column(at("change")), rows: column(0).length };
const click = (word) => titles[at(word)].querySelector("button").click();
click("change"); seen.ascending = column(at("change")); seen.mark = titles[at("change")].getAttribute("aria-sort");
click("change"); seen.descending = column(at("change"));
click("route"); seen.routes = column(at("route")); seen.marks = titles.filter((t) => t.hasAttribute("aria-sort")).length;
click("low"); seen.low = column(at("low"));
const note = document.createElement("pre"); note.id = "seen"; note.textContent = JSON.stringify(seen); document.body.append(note);
</script>
"""


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="ko-browser."))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        with Cube(Path(os.environ["KO_CUBE_FOLDER"]) / "small.h5") as cube:
            drawn = kinds.flow(cube, cube.models, cube.routes[:4], "all", 5, kinds.Settings())
            paths = lines.save(drawn.figure, cls.folder, "flow", ["png"])
            cls.report = write_report(cube, cls.folder / "report.html", [("flow", drawn.title, paths, drawn.table)], kinds.Settings())

    def dump(self, path):
        """The page's document after its scripts ran, and what its console said."""
        command = [os.environ["KO_CHROMIUM"], "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   f"--user-data-dir={self.folder / 'profile'}", "--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=20000",
                   "--dump-dom", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertIn("</html>", done.stdout)
        return done.stdout, re.findall(r".*CONSOLE.*", done.stderr)

    def test_opens_without_a_message(self):
        document, console = self.dump(self.report)
        self.assertEqual(console, [])
        self.assertIn('id="provenance"', document)

    def test_an_error_would_be_seen(self):
        wrong = self.folder / "wrong.html"
        wrong.write_text(self.report.read_text().replace("</body>", "<script>nothing.there();</script></body>"))
        self.assertRegex(" ".join(self.dump(wrong)[1]), "nothing is not defined")

    def test_sorts_by_a_click(self):
        copy = self.folder / "clicked.html"
        copy.write_text(self.report.read_text().replace("</body>", CLICKS + "</body>"))
        document, console = self.dump(copy)
        self.assertEqual(console, [])
        seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', document, re.S)[1]))
        values = [float(v) for v in seen["before"]]
        self.assertGreater(seen["rows"], 200)
        self.assertNotEqual(values, sorted(values))
        self.assertEqual([float(v) for v in seen["ascending"]], sorted(values))
        self.assertEqual([float(v) for v in seen["descending"]], sorted(values, reverse=True))
        self.assertEqual((seen["mark"], seen["marks"]), ("ascending", 1))
        self.assertEqual(seen["routes"], sorted(seen["routes"], key=str.casefold))
        low = [v for v in seen["low"] if v]
        self.assertEqual([float(v) for v in low], sorted(map(float, low)))
        self.assertEqual(seen["low"][:len(low)], low)  # empty cells last


if __name__ == "__main__":
    unittest.main()
