"""The report: one file, nothing loaded from elsewhere, with every section, and numbers that are those of the tables."""
import os
import re
import shutil
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np

from knockout_figures import curves, kinds, lines, page
from knockout_figures.cube import Cube
from knockout_figures.report import write_report

FOLDER = Path(os.environ["KO_CUBE_FOLDER"])
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Reader(HTMLParser):
    """Checks that elements nest, and keeps tables, links to elsewhere, ids and texts."""

    def __init__(self):
        super().__init__()
        self.open, self.tables, self.elsewhere, self.ids, self.wrong = [], {}, [], [], []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        for name in ("src", "href"):
            if name in attrs and not attrs[name].startswith(("data:", "#")):
                self.elsewhere.append(attrs[name])
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "table":
            self.table = self.tables[attrs["id"]] = []
        elif tag == "tr":
            self.table.append([])
        elif tag in ("td", "th"):
            self.table[-1].append("")
            self.value = attrs.get("data-value")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)
        if tag == "td" and self.value is not None:
            self.table[-1][-1] = float(self.value)

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.table[-1][-1] += data


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="ko-report."))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.cube = Cube(FOLDER / "small.h5")
        cls.addClassCleanup(cls.cube.file.close)
        settings = kinds.Settings()
        drawn = kinds.flow(cls.cube, cls.cube.models, cls.cube.routes[:4], "all", 5, settings)
        paths = lines.save(drawn.figure, cls.folder, "flow", ["png"])
        path = write_report(cls.cube, cls.folder / "report.html", [("flow", drawn.title, paths, drawn.table)], settings)
        cls.source = path.read_text(encoding="utf-8")
        cls.page = Reader()
        cls.page.feed(cls.source)
        cls.page.close()

    def test_is_one_well_formed_file(self):
        self.assertEqual(self.page.elsewhere, [])
        self.assertEqual((self.page.open, self.page.wrong), ([], []))
        self.assertEqual(len(self.page.ids), len(set(self.page.ids)))
        for word in ("http://", "https://", "@import", "url(", "fetch(", "XMLHttpRequest"):
            self.assertNotIn(word, re.sub(r"data:image/png;base64,[^\"]*", "", self.source))
        self.assertEqual(self.source.count("<img "), 1)

    def test_has_every_section(self):
        for name in ("figures", "curves", "controls", "pairs", "margins", "hits", "relations", "gaps", "provenance"):
            self.assertIn(name, self.page.ids)
            self.assertIn(f'<a href="#{name}">', self.source)

    def test_every_window_is_that_of_the_curves(self):
        cube = self.cube
        table = curves.curves(cube, cube.models, cube.routes, cube.features, cube.sizes, "change", kinds.Settings().interval)
        rows = self.page.tables["windows"][1:]
        self.assertEqual(len(rows), len(table))
        self.assertEqual([r[:3] for r in rows], table[["model", "route", "feature_class"]].values.tolist())
        np.testing.assert_allclose([r[6] for r in rows], table.value, rtol=1e-8)
        np.testing.assert_allclose([r[9] for r in rows], table.n)

    def test_controls_stand_beside_effects(self):
        rows = self.page.tables["effects"]
        value, control, effect = (rows[0].index(k) for k in ("value", "control", "effect"))
        self.assertGreater(len(rows), 6)
        for row in rows[1:]:
            self.assertAlmostEqual(row[value] - row[control], row[effect], places=6)  # no prompt lacks its control here

    def test_margins_failures_and_provenance(self):
        self.assertGreater(len(self.page.tables["margin"]), 10)
        skipped = self.page.tables["skipped"][1:]
        self.assertEqual([r[:3] for r in skipped], [[m, "absent", "subject not found in the prompt"] for m in self.cube.models])
        self.assertEqual(skipped[0][3], "Nowhere <&>")  # escaped on the page
        attributes = dict(self.page.tables["attributes"][1:])
        self.assertEqual(set(attributes) | {"spec"}, set(self.cube.file.attrs))
        self.assertEqual(attributes["plan_hash"], self.cube.file.attrs["plan_hash"].decode())
        models = self.page.tables["models"]
        self.assertEqual([row[models[0].index("fingerprint")] for row in models[1:]], self.cube.text("fingerprint"))
        self.assertTrue(all(len(row[models[0].index("content_hash")]) == 32 for row in models[1:]))
        self.assertEqual(len(self.page.tables["runs"]), 2)
        self.assertIn("random-like:subject:1", self.page.text)  # the spec

    def test_a_hybrid_has_its_interactions_and_mixers(self):
        self.assertNotIn("interaction", self.page.ids)  # no model of this cube is a hybrid
        with Cube(FOLDER / "hybrid.h5") as cube:
            settings = kinds.Settings()
            found = Reader()
            found.feed(write_report(cube, self.folder / "hybrid.html", [], settings).read_text(encoding="utf-8"))
            table = curves.interactions(cube, cube.models, cube.routes, cube.sizes, "change", settings.interval)
            levels = Reader()
            levels.feed(write_report(cube, self.folder / "levels.html", [], kinds.Settings(metric="hit")).read_text(encoding="utf-8"))
        self.assertIn("interaction", found.ids)
        head, *rows = found.tables["interactions"]
        self.assertEqual(len(rows), len(table.groupby(["route", "window_size"])))
        for row in rows:
            of = table[(table.route == row[head.index("route")]) & (table.window_size == row[head.index("layers")])]
            far = of.loc[of.value.abs().idxmax()]
            self.assertAlmostEqual(row[head.index("interaction")], far.value, places=6)
            self.assertEqual(row[head.index("start")], far.window_start)
        self.assertEqual([row[1:] for row in found.tables["mixers"][1:]],
                         [["attention", 4, "3, 5, 7, 11"], ["ssm", 8, "0, 2, 4, 5, 6, 8, 9, 10"]])
        self.assertNotIn("interactions", levels.tables)  # a share of hits is no effect
        self.assertIn("mixers", levels.tables)

    def test_heads_and_components_have_sections(self):
        self.assertFalse({"heads", "components"} & set(self.page.ids))
        pages = {}
        for name in ("heads", "components"):
            with Cube(FOLDER / f"{name}.h5") as cube:
                pages[name] = Reader()
                pages[name].feed(write_report(cube, self.folder / f"{name}.html", [], kinds.Settings()).read_text(encoding="utf-8"))
                if name == "heads":
                    classes = curves.head_parts(cube.features)["head", ""]
                    table = curves.strongest(curves.heads(cube, "hybrid", "attention@last", classes, 1, "change", kinds.Settings().interval))
                else:
                    peaks = curves.peaks(curves.curves(cube, cube.models, cube.routes, ["all"], [1], "change", kinds.Settings().interval), ["route"])
        head, *rows = pages["heads"].tables["heads-table"]
        mine = [r for r in rows if r[1] == "attention@last" and r[2].startswith("head:") and r[3] == 1]
        self.assertEqual(len(mine), 20)
        self.assertEqual([(r[2], r[4]) for r in mine], list(zip(table.feature_class[:20], table.window_start[:20])))
        np.testing.assert_allclose([r[head.index("p, Holm")] for r in mine], table.p_holm[:20])
        self.assertEqual({r[head.index("of")] for r in mine}, {24})
        self.assertNotIn("head:1", {row[2] for row in pages["heads"].tables["hit"]})
        self.assertFalse([row for row in pages["heads"].tables["differences"] if "head" in str(row)])
        head, *rows = pages["components"].tables["components-table"]
        self.assertEqual([(r[1], r[2]) for r in rows[:2]], [("attention", "last"), ("attention", "subject")])
        np.testing.assert_allclose([r[6] for r in rows], peaks.value)
        for found in pages.values():
            self.assertEqual((found.open, found.wrong, len(found.ids)), ([], [], len(set(found.ids))))

    def test_failed_cells_are_counted(self):
        copy = self.folder / "failed.h5"
        shutil.copy(FOLDER / "small.h5", copy)
        with h5py.File(copy, "r+") as f:
            f["status"][0, 0, 0, 0, 1] = 4
            f["reason_code"][0, 0] = 102
        with Cube(copy) as cube:
            found = Reader()
            found.feed(write_report(cube, self.folder / "failed.html", [], kinds.Settings()).read_text())
        self.assertIn("1 unit pending or failed", found.text)
        self.assertIn("the distribution over the vocabulary is not finite", [row[2] for row in found.tables["skipped"]])
        states = found.tables["states"]
        self.assertEqual(states[1][states[0].index("failed")], 1)

    def test_cells_are_escaped_and_sort_as_numbers(self):
        text = page.table("t", ["a<b", "n"], [["<script>", 1234.5], ["", float("nan")], [None, -2]])
        self.assertNotIn("<script>", text)
        self.assertIn('data-value="1234.5">1,234<', text)
        self.assertIn('<td class="number"></td>', text)
        self.assertIn('data-value="-2">−2<', text)


if __name__ == "__main__":
    unittest.main()
