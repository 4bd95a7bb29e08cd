"""The notebook analysis/first-sweep.ipynb runs from above to below, and its cells show what they say."""
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SOURCES = Path(os.environ["KO_SOURCE_DIR"])
os.environ["KNOCKOUT_PROGRAM"] = os.environ["KNOCKOUT"]


class Notebook(unittest.TestCase):
    def test_it_runs(self):
        folder = tempfile.mkdtemp(prefix="ko-notebook.")
        self.addCleanup(shutil.rmtree, folder)
        notebook = nbformat.read(SOURCES / "analysis" / "first-sweep.ipynb", as_version=4)
        self.assertEqual([c.source for c in notebook.cells if c.cell_type == "code" and c.outputs], [], "it is kept without outputs")
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
        shown = {}
        for cell in notebook.cells:
            if cell.cell_type == "code":
                for output in cell.outputs:
                    shown.setdefault(cell.source.split("\n")[-1], {}).update(output.get("data", {}))
        self.assertIn("2,640", shown["cube"]["text/html"])
        pictures = [source for source, data in shown.items() if "image/png" in data]
        self.assertEqual(pictures, ["knockout.figures.flow(cube)", "knockout.figures.heads(heads)"])
        self.assertIn("first_layer", next(data["text/html"] for source, data in shown.items() if source.startswith("heads.heads()")))
        self.assertEqual(sorted(p.name for p in Path(folder).glob("*.h5") if "evaluation" not in p.name), ["first.h5", "heads.h5"])


if __name__ == "__main__":
    unittest.main()
