"""What the figures show: the numbers of `knockout show`, the right panels, curves, labels, colours and limits."""
import contextlib
import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import venv
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.collections import LineCollection

from knockout_figures import cli, components, curves, everything, heads, kinds, lines, maps, palette, paper, scatter, stats
from knockout_figures.cube import LEAST_SPAN, METRICS, Cube, CubeError

FOLDER = Path(os.environ["KO_CUBE_FOLDER"])
CUBE = FOLDER / "small.h5"
HYBRID, HEADS, COMPONENTS = FOLDER / "hybrid.h5", FOLDER / "heads.h5", FOLDER / "components.h5"
ROUTES = ["last<-subject", "last<-relation", "last<-last", "last<-first"]
MODELS = ["mamba-2.8b", "mamba2-2.7b", "gpt2-xl", "falcon-mamba-7b"]
USUAL = kinds.Settings()


def panels(figure):
    """The axes of a figure that have a title, in order."""
    return [axis for axis in figure.axes if axis.get_title()]


def named_lines(axis):
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def legend_of(figure):
    return next([t.get_text() for t in axis.get_legend().get_texts()] for axis in figure.axes if axis.get_legend())


class WithCube(unittest.TestCase):
    def setUp(self):
        self.cube = Cube(CUBE)
        self.addCleanup(self.cube.file.close)
        self.addCleanup(lines.plt.close, "all")


class Numbers(WithCube):
    def compare_with_show(self, metric):
        path = FOLDER / f"show-{metric}.csv"
        if not path.exists():
            self.skipTest(f"`knockout show` has no metric {metric}")
        with_intervals = "--interval" in (FOLDER / "show-help.txt").read_text()
        cube = self.cube
        table = curves.curves(cube, cube.models, cube.routes, cube.features, cube.sizes, metric, USUAL.interval)
        key = ["model", "route", "feature_class", "window_size", "window_start"]
        drawn = {tuple(map(str, k)): row for k, row in zip(table[key].values.tolist(), table.itertuples())}
        self.assertEqual(len(drawn), len(table))
        shown = 0
        with open(path, newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                if row["n"] == "0":
                    continue
                mine = drawn.pop(tuple(row[k] for k in key))
                for name in ["value", "depth"] + ["low", "high"] * with_intervals:
                    a, b = getattr(mine, name), float(row[name] or "nan")
                    if np.isnan(b):
                        self.assertTrue(np.isnan(a), (row, name))
                    else:
                        self.assertLessEqual(abs(a - b), 1e-6 * abs(b) + 1e-8, (row, name, a))  # NaN fails
                self.assertEqual(mine.n, int(row["n"]))
                shown += 1
        self.assertGreater(shown, 200)
        self.assertEqual(drawn, {})

    def rows_of(self, name):
        """The windows of a table that `knockout show` printed, with numbers as numbers."""
        if not (FOLDER / f"show-{name}.csv").exists():
            self.skipTest(f"`knockout show` prints no {name}")
        table = pd.read_csv(FOLDER / f"show-{name}.csv")
        return table[table.n > 0]

    def assert_close(self, mine, shown):
        np.testing.assert_allclose(np.asarray(mine, float), np.asarray(shown, float), rtol=1e-6, atol=1e-8)

    def test_bootstrap_is_that_of_show(self):
        cube = self.cube
        table = curves.curves(cube, cube.models, cube.routes, cube.features, cube.sizes, "change", stats.Interval("bootstrap", 500, 3))
        shown = self.rows_of("bootstrap")
        both = table.merge(shown, on=["model", "route", "feature_class", "window_size", "window_start"], suffixes=("", "_shown"))
        self.assertEqual((len(both), len(table)), (len(shown), len(shown)))
        for name in ("value", "low", "high", "n"):
            self.assert_close(both[name], both[f"{name}_shown"])

    def test_effects_against_controls_are_those_of_show(self):
        cube = self.cube
        table = curves.controlled(cube, cube.models, cube.routes, cube.features, cube.sizes, "change", USUAL.interval)
        shown = self.rows_of("minus-control")
        shown = shown.assign(matched=np.where(shown.minus.str.contains("random-like"), "route", "class"))
        both = table.merge(shown, on=["model", "route", "feature_class", "window_size", "window_start", "matched"], suffixes=("", "_shown"))
        self.assertEqual((len(both), len(table)), (len(shown), len(shown)))
        self.assertEqual(set(both.matched), {"route", "class"})
        for name, other in (("effect", "value_shown"), ("effect_low", "low_shown"), ("effect_high", "high_shown"), ("effect_n", "n_shown"),
                            ("p", "p_shown"), ("p_holm", "p_holm_shown")):
            self.assert_close(both[name], both[other])

    def test_differences_of_routes_are_those_of_show(self):
        shown = self.rows_of("minus-first")
        self.assertEqual(set(shown.model), set(MODELS))
        for (model, size), rows in shown.groupby(["model", "window_size"]):
            one, other = ((model, route, "all", size) for route in ("last<-subject", "last<-first"))
            mine = curves.paired_curves(self.cube, one, other, "change", USUAL.interval)
            self.assertEqual(mine.window_start.tolist(), rows.window_start.tolist())
            for name in ("value", "low", "high", "n", "p", "p_holm"):
                self.assert_close(mine[name], rows[name])

    def test_no_selection_of_prompts_is_lost(self):
        only = {m: np.arange(len(self.cube.prompts)) < 4 for m in MODELS}
        table = curves.curves(self.cube, MODELS, ROUTES[:1], ["all"], [5], "change", USUAL.interval, only)
        values = self.cube.values("change", MODELS[0], ROUTES[0], "all", 5)
        np.testing.assert_allclose(table[table.model == MODELS[0]].value, np.nanmean(values.values[:4], axis=0), rtol=1e-12)

    def test_what_is_not_flagged_done_has_no_value(self):
        m, f, s = MODELS.index("gpt2-xl"), self.cube.features.index("all"), self.cube.sizes.index(5)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "live.h5"
            shutil.copyfile(CUBE, path)
            with h5py.File(path, "r+") as file:
                file["status"][m, 0] = 1  # as between the values and the flags of a commit
                file["heat_status"][m, 0, 0, f, 2, 0] = 1
            with Cube(path) as cube:
                for metric in ("change", "hit", "kl"):
                    values = cube.values(metric, "gpt2-xl", ROUTES[0], "all", 5).values
                    whole = self.cube.values(metric, "gpt2-xl", ROUTES[0], "all", 5).values
                    self.assertTrue(np.isnan(values[0]).all())
                    np.testing.assert_array_equal(values[1:], whole[1:])
                prompt, route, size = cube.heat_prompts[0], cube.heat_routes[0], cube.sizes[0]
                self.assertTrue(np.isnan(cube.heat("gpt2-xl", prompt, route, "all", size).values[2]).all())
                self.assertFalse(np.isnan(self.cube.heat("gpt2-xl", prompt, route, "all", size).values[2]).any())

    def test_windows_of_another_style_have_the_layers_that_the_cube_stores(self):
        """A cube whose windows leave five layers out: the first and the last layer, the depth and the title are read, not computed."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "outside.h5"
            shutil.copyfile(CUBE, path)
            with h5py.File(path, "r+") as file:
                starts, sizes = file["window_start"][:], file["window_size"][:]
                layer = np.arange(int(file["n_layers"][:].max()))
                inside = [[(layer >= k) & (layer < k + size) for k in starts] for size in sizes]
                file.attrs["windows_style"] = np.bytes_(b"outside")
                file.create_dataset("window_layer", data=np.tile(~np.array(inside), (len(MODELS), 1, 1, 1)).astype(np.uint8))
                file["depth"][...] = np.linspace(0, 100, len(starts))
            with Cube(path) as cube:
                values = cube.values("change", "gpt2-xl", ROUTES[0], "all", 5)
                start, last = values.window_start.values, len(layer) - 1
                np.testing.assert_array_equal(values.first_layer, np.where(start == 0, 5, 0))
                np.testing.assert_array_equal(values.last_layer, np.where(start + 5 > last, start - 1, last))
                np.testing.assert_allclose(values.depth, np.linspace(0, 100, len(starts))[np.searchsorted(starts, start)], rtol=1e-6)
                self.assertEqual(cube.window_layers("gpt2-xl", 5, [1]).nonzero()[1].tolist(), [0, *layer[6:]])
                np.testing.assert_array_equal(values.centre, start + 2)  # of the layers that it leaves out
                self.assertIn("window without 5 layers", kinds.flow(cube, ["gpt2-xl"], ROUTES, "all", 5, kinds.Settings()).title)

    def test_centred_windows_lie_at_the_layer_around_which_they_are(self):
        """As Geva et al. draw theirs: a curve for each block of tokens, with a point for each of the 12 layers, also where the window is cut."""
        with Cube(CUBE.with_name("centred.h5")) as cube:
            drawn = kinds.flow(cube, ["gpt2-xl"], cube.routes, "all", 5, kinds.Settings(x="centre"))
            (axis,) = panels(drawn.figure)
            found = named_lines(axis)
            names = ["last ← subject", "last ← relation", "only last ← subject, diagonal"]
            self.assertCountEqual(found, names)
            change = 100 * np.expm1(cube.file["logprob"][0, :, :, 0, 0, :] - cube.file["clean_logprob"][0][:, None, None])  # [prompt, route, layer]
            for k, line in enumerate(map(found.get, names)):
                self.assertEqual(line.get_xdata().tolist(), [*range(12)])
                np.testing.assert_allclose(line.get_ydata(), np.nanmean(change[:, k], axis=0), rtol=1e-4, atol=1e-4)
            self.assertEqual(axis.get_xlabel(), "centre of the window, layer")
            self.assertTrue((axis.get_xticks() % 1 == 0).all())
            first, last = cube.window("gpt2-xl", 5, [0, 5, 11])
            self.assertEqual((first.tolist(), last.tolist()), ([0, 3, 9], [2, 7, 11]))
            at = named_lines(panels(kinds.flow(cube, ["gpt2-xl"], cube.routes, "all", 5, kinds.Settings(x="last")).figure)[0])
            self.assertEqual(at["last ← subject"].get_xdata().tolist(), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 11])

    def test_windows_lie_at_their_true_layers(self):
        """A cube whose windows count every other layer of 24, as `windows.over` of a hybrid."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "over.h5"
            shutil.copyfile(CUBE, path)
            with h5py.File(path, "r+") as file:
                file["n_layers"][:] = 24
                file.attrs["windows_over"] = np.bytes_(b"attention")
                file.create_dataset("counted_layer", data=np.tile(2 * np.arange(12, dtype=np.int32), (len(MODELS), 1)))
            with Cube(path) as cube:
                values = cube.values("change", "gpt2-xl", ROUTES[0], "all", 5)
                first = 2 * values.window_start.values
                np.testing.assert_array_equal(values.first_layer, first)
                np.testing.assert_array_equal(values.last_layer, first + 8)
                np.testing.assert_allclose(values.depth, 100 * first / (24 - 9))
                table = curves.curves(cube, ["gpt2-xl"], ROUTES[:1], ["all"], [5], "change", USUAL.interval)
                np.testing.assert_array_equal(lines.positions(table, "layer"), first)
                np.testing.assert_array_equal(lines.positions(table, "centre"), first + 4)
                np.testing.assert_allclose(lines.positions(table, "depth"), values.depth)
                drawn = kinds.flow(cube, ["gpt2-xl"], ROUTES, "all", 5, kinds.Settings(x="layer"))
                self.assertIn("window of 5 layers with attention", drawn.title)
                self.assertEqual(named_lines(panels(drawn.figure)[0])["last ← subject"].get_xdata().tolist(), first.tolist())
                maps.heatmaps(cube, ["gpt2-xl"], ["18566"], "last<-each", "all", [5], kinds.Settings(x="centre"))
                self.assertEqual(cube.heat("gpt2-xl", "18566", "last<-each", "all", 5).last_layer.values.tolist(), (first + 8).tolist())
        first, last = self.cube.window("gpt2-xl", 5, [0, 3])
        self.assertEqual((first.tolist(), last.tolist(), self.cube.over), ([0, 3], [4, 7], "layers"))

    def test_arrays_say_what_they_are_in_plots_of_xarray(self):
        curve = ("gpt2-xl", ROUTES[0], "all", 5)
        for metric, (what, unit) in METRICS.items():
            values = self.cube.values(metric, *curve)
            self.assertEqual((values.name, values.attrs), (metric, {"long_name": what, "units": unit}))
        values.mean("prompt", keep_attrs=True).plot(x="depth")
        axis = lines.plt.gca()
        self.assertIn(what, axis.get_ylabel().replace("\n", " "))
        self.assertEqual(axis.get_xlabel().replace("\n", " "), "start of the window [% of its range]")
        after = self.cube.probability(*curve)
        self.assertEqual((after.name, after.attrs["units"]), ("prob", "1"))
        values.attrs["units"] = "changed"
        self.assertNotIn("changed", [v for c in values.coords.values() for v in c.attrs.values()])
        self.assertEqual(self.cube.heat("gpt2-xl", "18566", "last<-each", "all", 5).attrs["units"], "1")

    def test_margin_is_answer_minus_foil(self):
        f = self.cube.file
        values = self.cube.values("margin", "gpt2-xl", ROUTES[0], "all", 5)
        m, c, s = self.cube.models.index("gpt2-xl"), self.cube.features.index("all"), self.cube.sizes.index(5)
        expected = f["logprob"][m, :, 0, c, s, :].astype(float) - f["foil_logprob"][m, :, 0, c, s, :].astype(float)
        np.testing.assert_array_equal(values.values, expected[:, np.isfinite(expected).any(axis=0)])
        self.assertEqual(int(np.isnan(values.values).any(axis=1).sum()), 1)  # one prompt has no foil

    def test_effect_is_value_minus_mean_over_seeds(self):
        table = curves.controlled(self.cube, ["gpt2-xl"], ROUTES, ["all"], [5], "change", USUAL.interval)
        self.assertEqual(set(table.route), {"last<-subject"})
        self.assertEqual(set(table.seeds), {2})
        self.assertEqual(set(table.matched), {"route"})
        own = self.cube.values("change", "gpt2-xl", "last<-subject", "all", 5).values
        controls = [self.cube.values("change", "gpt2-xl", f"last<-random-like:subject:{k}", "all", 5).values for k in (0, 1)]
        both = own - np.mean(controls, axis=0)
        np.testing.assert_allclose(table.effect, np.nanmean(both, axis=0), rtol=1e-12)
        np.testing.assert_allclose(table.effect_n, (~np.isnan(both)).sum(axis=0))
        np.testing.assert_allclose(table.p_holm, stats.holm(table.p.values))

    def test_class_controls_are_random_thirds(self):
        table = curves.controlled(self.cube, ["mamba2-2.7b"], ROUTES, self.cube.features, [5], "change", USUAL.interval)
        self.assertEqual(set(zip(table.feature_class, table.matched)),
                         {("all", "route"), ("slow-third", "class"), ("fast-third", "class")})

    def test_paired_routes_and_refusals(self):
        one, other = ("gpt2-xl", "last<-subject", "all", 5), ("gpt2-xl", "last<-first", "all", 5)
        table = curves.paired_curves(self.cube, one, other, "change", USUAL.interval)
        both = self.cube.values("change", *one).values - self.cube.values("change", *other).values
        np.testing.assert_allclose(table.value, np.nanmean(both, axis=0), rtol=1e-12)
        with self.assertRaisesRegex(CubeError, "5 and of 9 layers"):
            curves.paired_curves(self.cube, one, other[:3] + (9,), "change", USUAL.interval)
        # Models of unequal depth share the windows that lie at the same layers.
        short = curves.paired_curves(self.cube, one, ("falcon-mamba-7b",) + one[1:], "change", USUAL.interval)
        self.assertEqual(short.window_start.tolist(), [0, 1, 2, 3])


for _metric in METRICS:
    setattr(Numbers, f"test_{_metric.replace('-', '_')}_is_that_of_show", lambda self, m=_metric: self.compare_with_show(m))


class Mixers(unittest.TestCase):
    """The cube of a hybrid: attention in the layers 3, 5, 7 and 11, an SSM in the others and in 5, no mixer in 1."""

    def setUp(self):
        self.cube = Cube(HYBRID)
        self.addCleanup(self.cube.file.close)
        self.addCleanup(lines.plt.close, "all")

    def draw(self, routes=ROUTES[:1], size=3, **settings):
        return kinds.mixers(self.cube, self.cube.models, routes, size, kinds.Settings(**settings))

    def test_interactions_are_those_of_show(self):
        for name, metric, interval in (("change", "change", USUAL.interval), ("logprob", "logprob", USUAL.interval),
                                       ("kl", "kl", USUAL.interval), ("bootstrap", "change", stats.Interval("bootstrap", 500, 3))):
            path = FOLDER / f"show-interaction-{name}.csv"
            shown = pd.read_csv(path)
            mine = curves.interactions(self.cube, self.cube.models, self.cube.routes, self.cube.sizes, metric, interval)
            key = ["model", "route", "feature_class", "window_size", "window_start", "minus", "metric", "n", "first_layer", "last_layer"]
            self.assertEqual(mine[key].values.tolist(), shown[key].values.tolist())
            self.assertGreater(len(shown), 15)
            for column in ("value", "low", "high", "p", "p_holm", "depth"):
                np.testing.assert_allclose(mine[column], shown[column], rtol=1e-6, atol=1e-8, err_msg=f"{name} {column}")

    def test_windows_without_one_kind_have_no_interaction(self):
        found = curves.interactions(self.cube, self.cube.models, ROUTES[:1], [1, 3], "change", USUAL.interval)
        self.assertEqual(found[found.window_size == 1].window_start.tolist(), [5])
        self.assertEqual(found[found.window_size == 3].window_start.tolist(), [1, 2, 3, 4, 5, 6, 7, 9])
        self.assertLess(found.n.min(), found.n.max())  # one prompt has no edge in some windows

    def test_figure_has_effects_interaction_rings_and_strips(self):
        drawn = self.draw()
        (axis,) = panels(drawn.figure)
        named = named_lines(axis)
        self.assertEqual(set(named), {"all", "attention", "ssm", "all − attention − ssm"})
        table = drawn.table
        for name, feature in (("attention", "attention"), ("all − attention − ssm", "interaction")):
            np.testing.assert_allclose(named[name].get_ydata(), table[table.feature_class == feature].value)
        self.assertEqual(set(table.feature_class), {"all", "attention", "ssm", "interaction"})
        self.assertIn("rings", " ".join(t.get_text() for a in drawn.figure.axes for t in a.texts))
        self.assertIn("Attention and SSM of last ← subject in a window of 3 layers", drawn.title)
        drawn.figure.canvas.draw()

    def strips_of(self, drawn):
        """The layers that each strip marks, by their middles on the x axis, from above to below."""
        (axis,) = panels(drawn.figure)
        strips = [c for c in axis.collections if c.get_label() == "_strip"]
        return [[float(np.mean(segment[:, 0])) for segment in strip.get_segments()] for strip in strips]

    def test_strips_mark_the_layers_of_each_kind(self):
        self.assertEqual({k: np.flatnonzero(v).tolist() for k, v in self.cube.mixers("hybrid").items()},
                         {"attention": [3, 5, 7, 11], "ssm": [0, 2, 4, 5, 6, 8, 9, 10]})
        self.assertEqual(self.strips_of(self.draw(x="layer")), [[3, 5, 7, 11], [0, 2, 4, 5, 6, 8, 9, 10]])
        by_depth = self.strips_of(self.draw(x="depth"))
        np.testing.assert_allclose(by_depth[0], [100 * (layer + 0.5) / 12 for layer in (3, 5, 7, 11)])
        (axis,) = panels(self.draw(x="centre").figure)
        self.assertLessEqual(axis.get_xlim()[0], -0.5)
        self.assertGreaterEqual(axis.get_xlim()[1], 11.5)

    def test_rings_are_the_significant_interactions(self):
        drawn = self.draw(routes=ROUTES[:2])
        both = drawn.table[drawn.table.feature_class == "interaction"]
        rings = sum(len(line.get_xdata()) for axis in panels(drawn.figure) for line in axis.lines if line.get_label() == "_marked")
        self.assertEqual(rings, int((both.p_holm < 0.05).sum()))
        self.assertEqual(len(panels(drawn.figure)), 2)

    def test_a_level_is_no_effect_and_a_pure_model_has_none(self):
        with self.assertRaisesRegex(CubeError, "hit is no effect"):
            self.draw(metric="hit")
        with Cube(CUBE) as cube:
            self.assertFalse(curves.has_interaction(cube, "gpt2-xl", ROUTES[0], 5))
            self.assertEqual(list(cube.mixers("gpt2-xl")), ["attention"])
            wanted = everything.Wanted(cube.models, cube.routes, cube.features, cube.sizes, [], [], kinds=("mixers",))
            self.assertEqual(list(everything.plan(cube, wanted)), [])

    def test_an_older_cube_says_nothing_of_mixers(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "old.h5"
            shutil.copyfile(HYBRID, path)
            with h5py.File(path, "r+") as file:
                del file["layer_mixers"]
            with Cube(path) as cube:
                self.assertEqual(cube.mixers("hybrid"), {})
                drawn = kinds.mixers(cube, cube.models, ROUTES[:1], 3, USUAL)
                self.assertEqual(self.strips_of(drawn), [])


class Heads(unittest.TestCase):
    """The cube of a sweep over heads: 6 attention heads in the layers 1, 4, 7 and 10, 4 SSM heads in the others and in 4."""

    def setUp(self):
        self.cube = Cube(HEADS)
        self.addCleanup(self.cube.file.close)
        self.addCleanup(lines.plt.close, "all")

    def classes(self, kind="head"):
        return curves.head_parts(self.cube.features)[kind, ""]

    def draw(self, route="attention@last", kind="head", size=1, **settings):
        return heads.heads(self.cube, "hybrid", route, self.classes(kind), size, kinds.Settings(**settings))

    def changes(self, route, kind="head", size=1):
        """[head, prompt, start]: the change in percent, by hand."""
        f = self.cube.file
        where = [self.cube.features.index(c) for c in self.classes(kind)]
        values = f["logprob"][0].astype(float) - f["clean_logprob"][0].astype(float)[:, None, None, None, None]
        return 100 * np.expm1(values[:, self.cube.routes.index(route), where, self.cube.sizes.index(size)]).transpose(1, 0, 2)

    def test_heads_are_grouped_by_kind_and_what_replaces_them(self):
        labels = ["all", "head:10", "head:2", "head:0~mean", "ssm-head:1", "head:0~resample:7", "head:1~mean", "slow-third"]
        self.assertEqual(curves.head_parts(labels), {("head", ""): ["head:2", "head:10"], ("head", "~mean"): ["head:0~mean", "head:1~mean"],
                                                     ("ssm-head", ""): ["ssm-head:1"], ("head", "~resample:7"): ["head:0~resample:7"]})
        self.assertEqual([len(self.classes(kind)) for kind in ("head", "ssm-head")], [6, 4])

    def test_values_are_numpys_and_p_is_corrected_over_the_map(self):
        for route, kind in (("attention@last", "head"), ("last<-subject", "head"), ("ssm@last", "ssm-head")):
            values = self.changes(route, kind)
            table = curves.heads(self.cube, "hybrid", route, self.classes(kind), 1, "change", USUAL.interval)
            layers = np.flatnonzero(np.isfinite(values).any(axis=(0, 1)))
            self.assertEqual(layers.tolist(), {"head": [1, 4, 7, 10], "ssm-head": [0, 2, 3, 4, 5, 6, 8, 9, 11]}[kind])
            self.assertEqual(len(table), len(values) * len(layers))
            p = []
            for row in table.itertuples():
                x = values[row.head, :, row.window_start]
                x = x[np.isfinite(x)]
                error = x.std(ddof=1) / len(x) ** 0.5
                np.testing.assert_allclose([row.value, row.n], [x.mean(), len(x)], rtol=1e-12)
                np.testing.assert_allclose(row.high, x.mean() + stats.t_quantile(len(x) - 1) * error, rtol=1e-9)
                p.append(stats.two_sided_p(x.mean() / error, len(x) - 1))
            np.testing.assert_allclose(table.p, p, rtol=1e-9)
            order = np.argsort(p)
            adjusted = np.minimum(1, np.maximum.accumulate(np.array(p)[order] * np.arange(len(p), 0, -1)))
            np.testing.assert_allclose(table.p_holm.values[order], adjusted, rtol=1e-12)

    def test_the_strongest_are_those_of_show(self):
        for metric in ("change", "logprob", "kl"):
            shown = pd.read_csv(FOLDER / f"show-strongest-{metric}.csv")
            mine = curves.heads(self.cube, "hybrid", "attention@last", self.classes(), 1, metric, USUAL.interval)
            self.assertEqual((set(shown.cells), set(shown.tests)), ({len(mine)}, {int(mine.p.notna().sum())}))
            mine = curves.strongest(mine)
            self.assertEqual(mine[["target", "source", "feature_class", "window_start", "n"]].values.tolist(),
                             shown[["target", "source", "feature_class", "window_start", "n"]].values.tolist())
            for column in ("value", "low", "high", "p", "p_holm"):
                np.testing.assert_allclose(mine[column], shown[column], rtol=1e-6, atol=1e-8, err_msg=f"{metric} {column}")

    def test_the_map_has_a_square_a_head_and_a_list_of_the_strongest(self):
        drawn = self.draw()
        squares, beside = drawn.figure.axes[:2]
        expected = np.nanmean(self.changes("attention@last")[:, :, [1, 4, 7, 10]], axis=1).T
        mesh = squares.collections[0]
        np.testing.assert_allclose(mesh.get_array().reshape(4, 6), expected, rtol=1e-12)
        limit = np.abs(expected).max()
        np.testing.assert_allclose((mesh.norm.vmin, mesh.norm.vmax), (-limit, limit))
        self.assertEqual(mesh.cmap.name, "RdBu")
        self.assertEqual([t.get_text() for t in squares.get_yticklabels()], ["1", "4", "7", "10"])
        self.assertEqual([t.get_text() for t in squares.get_xticklabels()], [str(k) for k in range(6)])
        self.assertEqual((squares.get_xlabel(), squares.get_ylabel()), ("head", "layer"))
        order = np.argsort(-np.abs(expected), axis=None)[:6]
        layers, numbers = np.array([1, 4, 7, 10])[order // 6], order % 6
        self.assertEqual([t.get_text() for t in beside.get_yticklabels()], [f"layer {a}, head {b}" for a, b in zip(layers, numbers)])
        frames = {(round(p.get_x() + 0.5), round(p.get_y() + 0.5)) for p in squares.patches}
        self.assertEqual(frames, {(b, a) for a, b in zip(order // 6, order % 6)})
        self.assertEqual([t.get_text() for t in beside.texts], ["p, Holm"] + ["1.000"] * 6)
        self.assertEqual(beside.lines[-1].get_markerfacecolor(), "white")  # none is significant
        texts = " ".join(t.get_text() for a in drawn.figure.axes for t in a.texts)
        self.assertIn("Holm over all 24 squares of the map", texts)
        self.assertRegex(drawn.title, "^hybrid: one attention head at a time left out at the tokens “last”, in a window of 1 layer .n.=.12.$")
        self.assertIn("edges last ← subject removed in one SSM head at a time", self.draw("last<-subject", "ssm-head").title)

    def test_significant_heads_are_filled(self):
        drawn = self.draw()
        listed = curves.strongest(drawn.table, 6).assign(p_holm=[0.01, 0.2, np.nan, 0.0004, 0.049, 0.05])
        figure, axis = lines.plt.subplots()
        heads.draw_list(axis, listed, USUAL)
        filled, open_ = ([line for line in axis.lines if line.get_label() == name][0] for name in ("significant", "not"))
        self.assertEqual((filled.get_ydata().tolist(), open_.get_ydata().tolist()), ([0, 3, 4], [1, 2, 5]))
        np.testing.assert_allclose(filled.get_xdata(), listed.value.values[[0, 3, 4]])
        self.assertEqual([t.get_text() for t in axis.texts[1:]], ["0.010", "0.200", "–", "< 0.001", "0.049", "0.050"])

    def test_kl_is_red_where_much_is_lost_and_small_effects_stay_pale(self):
        self.assertEqual(self.draw(metric="kl").figure.axes[0].collections[0].cmap.name, "RdBu_r")
        small = self.draw("last<-subject")  # at most 0.01 %
        self.assertEqual(small.figure.axes[0].collections[0].norm.vmax, LEAST_SPAN["change"] / 10)
        self.assertTrue(self.draw(metric="median").table.p.isna().all())
        with self.assertRaisesRegex(CubeError, "hit is no effect"):
            self.draw(metric="hit")
        with self.assertRaisesRegex(CubeError, "no cell of it is done"):
            self.draw("mlp@last")

    def test_longer_windows_and_missing_heads(self):
        drawn = self.draw(size=3)
        self.assertEqual(drawn.figure.axes[0].get_ylabel(), "layers of the window")
        self.assertEqual(drawn.figure.axes[0].get_yticklabels()[0].get_text(), "0–2")
        some = heads.heads(self.cube, "hybrid", "attention@last", ["head:2", "head:5"], 1, USUAL)
        windows, numbers, cells = heads.cells_of(some.table)
        self.assertEqual((numbers.tolist(), windows.window_start.tolist()), ([0, 1, 2, 3, 4, 5], [1, 4, 7, 10]))
        self.assertEqual(np.isfinite(cells).any(axis=0).tolist(), [False, False, True, False, False, True])
        self.assertIn("grey: no such head", " ".join(t.get_text() for a in some.figure.axes for t in a.texts))

    def test_large_maps_number_some_rows(self):
        self.assertEqual([heads.every(n) for n in (12, 18, 32, 40, 80, 128)], [1, 1, 2, 4, 8, 8])

    def test_heads_are_in_no_other_figure_unless_asked_for(self):
        def planned(features, **more):
            wanted = everything.Wanted(self.cube.models, self.cube.routes, features, self.cube.sizes, [], [], most=99, **more)
            return list(everything.plan(self.cube, wanted))
        plan = planned(self.cube.features)
        self.assertEqual(sum(kind == "heads" for kind, _, _ in plan), 8)  # attention@last, ssm@last, and both on last<-subject; two sizes
        self.assertFalse(any("head" in stem for kind, stem, _ in plan if kind != "heads"))
        self.assertEqual([stem for kind, stem, _ in plan if kind == "flow"],
                         ["-all-w1", "-all-w3", "-components-at-last-all-w1", "-components-at-last-all-w3"])
        self.assertIn("flow", {kind for kind, _, _ in planned(["head:3"], asked_features=True)})


class Components(unittest.TestCase):
    """The cube of a sweep over attention, SSM and MLP at five token sets, and at one token of two prompts."""

    def setUp(self):
        self.cube = Cube(COMPONENTS)
        self.addCleanup(self.cube.file.close)
        self.addCleanup(lines.plt.close, "all")

    def test_prompts_have_a_map_a_kind_with_one_scale(self):
        drawn = components.of_prompt(self.cube, ["hybrid"], "18566", self.cube.heat_routes, "all", 1, USUAL)
        axes = panels(drawn.figure)
        self.assertEqual([a.get_title() for a in axes], ["attention", "SSM", "MLP"])
        f = self.cube.file
        n = int(f["heat_n_tokens"][0, 0])
        held = f["heat_prob"][0, 0, :, 0, :n, 0, :].astype(float) - float(f["heat_clean_prob"][0, 0])
        limit = np.nanmax(np.abs(held))
        for k, axis in enumerate(axes):
            mesh = axis.collections[0]
            np.testing.assert_allclose(np.ma.filled(mesh.get_array(), np.nan).reshape(n, 12), held[k], atol=1e-12)
            np.testing.assert_allclose((mesh.norm.vmin, mesh.norm.vmax), (-limit, limit))
            self.assertEqual((axis.get_xlabel(), axis.get_xlim()), ("layer", (-0.5, 11.5)))
        labels = axes[0].get_yticklabels()
        self.assertEqual([t.get_text() for t in labels][:2], ["Afghanistan*", "is"])
        self.assertIn("“Afghanistan is a country", drawn.figure._suptitle.get_text())
        self.assertEqual(len(drawn.table), int(np.isfinite(held).sum()))
        narrow = components.of_prompt(self.cube, ["hybrid"], "18566", self.cube.heat_routes, "all", 1, kinds.Settings(heat_limit=0.1))
        self.assertEqual(panels(narrow.figure)[0].collections[0].norm.vmax, 0.1)
        some = components.of_prompt(self.cube, ["hybrid"], "2720", ["mlp@each"], "all", 1, kinds.Settings(x="centre"))
        self.assertEqual([a.get_title() for a in panels(some.figure)], ["MLP"])

    def test_means_have_a_row_a_set_in_the_order_of_the_prompt(self):
        drawn = components.over_prompts(self.cube, ["hybrid"], self.cube.routes, "all", 1, USUAL)
        axes = panels(drawn.figure)
        sets = ["first", "subject", "subject-last", "relation", "last"]
        self.assertEqual([t.get_text() for t in axes[0].get_yticklabels()], sets)
        f = self.cube.file
        change = 100 * np.expm1(f["logprob"][0, :, :, 0, 0].astype(float) - f["clean_logprob"][0].astype(float)[:, None, None])
        with np.testing.suppress_warnings() as quiet:
            quiet.filter(RuntimeWarning)
            means = np.nanmean(change, axis=0)
        limit = np.nanmax(np.abs(means))
        for axis, kind in zip(axes, ("attention", "ssm", "mlp")):
            expected = means[[self.cube.routes.index(f"{kind}@{s}") for s in sets]]
            mesh = axis.collections[0]
            np.testing.assert_allclose(np.ma.filled(mesh.get_array(), np.nan).reshape(5, 12), expected, rtol=1e-9)
            np.testing.assert_allclose((mesh.norm.vmin, mesh.norm.vmax), (-limit, limit))
        self.assertTrue(drawn.title.endswith("hybrid (n\u00a0=\u00a012): mean over prompts"))
        with self.assertRaisesRegex(CubeError, "margin is no effect"):
            components.over_prompts(self.cube, ["hybrid"], self.cube.routes, "all", 1, kinds.Settings(metric="margin"))
        with self.assertRaisesRegex(CubeError, "no cell of it is done"):
            components.over_prompts(self.cube, [], self.cube.routes, "all", 1, USUAL)

    def test_layers_without_the_kind_are_grey_and_not_stretched(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gaps.h5"
            shutil.copyfile(COMPONENTS, path)
            with h5py.File(path, "r+") as file:
                file["heat_prob"][0, 0, 0, 0, :, 0, :9] = np.nan
                file["heat_prob"][0, 0, 0, 0, :, 0, 10] = np.nan
            with Cube(path) as cube:
                drawn = components.of_prompt(cube, ["hybrid"], "18566", cube.heat_routes, "all", 1, USUAL)
                mesh = panels(drawn.figure)[0].collections[0]
                cells = np.ma.filled(mesh.get_array(), np.nan).reshape(-1, 12)
                self.assertEqual(np.flatnonzero(np.isfinite(cells).any(axis=0)).tolist(), [9, 11])

    def test_several_models_are_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "two.h5"
            with h5py.File(COMPONENTS) as one, h5py.File(path, "w") as two:
                two.attrs.update(one.attrs)
                for name, d in one.items():
                    by_model = name != "model" and d.ndim and d.shape[0] == 1 and len(d.dims[0]) and d.dims[0][0].name == "/model"
                    value = ["hybrid", "second"] if name == "model" else np.concatenate([d[()], d[()]]) if by_model else d[()]
                    two.create_dataset(name, data=value, dtype=d.dtype)
                two["heat_status"][1, :, 1] = 0  # it has no SSM
            with Cube(path) as cube:
                drawn = components.of_prompt(cube, cube.models, "18566", cube.heat_routes, "all", 1, USUAL)
        titles = [a.get_title() for a in panels(drawn.figure)]
        self.assertEqual(titles, ["hybrid, attention  (p = 0.93)", "hybrid, SSM  (p = 0.93)", "hybrid, MLP  (p = 0.93)",
                                  "second, attention  (p = 0.93)", "second, SSM: not in the cube", "second, MLP  (p = 0.93)"])

    def test_sets_and_kinds_have_an_order(self):
        routes = ["mlp@last", "conv@subject", "attention@odd", "ssm@first", "last<-subject", "mlp@before"]
        self.assertEqual(components.kinds_of(routes), ["attention", "ssm", "conv", "mlp"])
        self.assertEqual(components.sets_of(routes), ["first", "subject", "last", "odd", "before"])

    def test_everything_is_planned_once(self):
        wanted = everything.Wanted(self.cube.models, self.cube.routes, self.cube.features, self.cube.sizes, self.cube.heat_routes,
                                   self.cube.heat_prompts, most=99)
        plan = [(kind, stem) for kind, stem, _ in everything.plan(self.cube, wanted)]
        self.assertEqual([stem for kind, stem in plan if kind == "components"], ["-components-mean", "-components-prompt-18566", "-components-prompt-2720"])
        self.assertEqual({kind for kind, _ in plan}, {"flow", "hits", "components"})
        self.assertEqual(sum(kind == "flow" for kind, _ in plan), 5)  # a figure a token set


class Flow(WithCube):
    def test_a_panel_a_model_and_a_curve_a_route(self):
        drawn = kinds.flow(self.cube, MODELS, ROUTES, "all", 5, USUAL)
        axes = panels(drawn.figure)
        self.assertEqual([a.get_title().split()[0] for a in axes], MODELS)
        names = [palette.route_name(r) for r in ROUTES]
        self.assertEqual(legend_of(drawn.figure), names)
        for axis, (model, rows) in zip(axes, drawn.table.groupby("model", sort=False)):
            found = named_lines(axis)
            self.assertEqual(list(found)[::-1], names)  # the first is drawn last, above the others
            self.assertRegex(axis.get_title(), r"\(n = \d+(–\d+)?\)")
            for route, curve in rows.groupby("route", sort=False):
                line = found[palette.route_name(route)]
                np.testing.assert_array_equal(line.get_xdata(), curve.depth)
                np.testing.assert_array_equal(line.get_ydata(), curve.value)
            self.assertEqual(len(axis.collections), 4)  # the intervals
            vertices = axis.collections[-1].get_paths()[0].vertices[:, 1]
            first = rows[rows.route == ROUTES[0]]
            np.testing.assert_allclose([vertices.min(), vertices.max()], [first.low.min(), first.high.max()])
            self.assertEqual(len({(line.get_color(), line.get_marker()) for line in found.values()}), 4)
            self.assertEqual(len({line.get_marker() for line in found.values()}), 4)  # print in grey
        self.assertIn("window of 5 layers", drawn.figure._suptitle.get_text())
        self.assertEqual(axes[0].get_ylabel(), "change of the answer's probability")
        self.assertEqual(axes[-1].get_xlabel(), lines.X_AXES["depth"])

    def test_x_axes(self):
        for x, first in (("depth", 0.0), ("layer", 0), ("centre", 2.0)):
            drawn = kinds.flow(self.cube, ["gpt2-xl"], ROUTES, "all", 5, kinds.Settings(x=x))
            axis = panels(drawn.figure)[0]
            at = named_lines(axis)["last ← subject"].get_xdata()
            self.assertEqual(at[0], first)
            self.assertEqual(at[-1], {"depth": 100, "layer": 7, "centre": 9}[x])
            self.assertEqual(axis.get_xlabel(), lines.X_AXES[x])

    def test_hits_have_the_clean_level(self):
        drawn = kinds.flow(self.cube, ["gpt2-xl"], ROUTES, "all", 5, kinds.Settings(metric="hit"))
        axis = panels(drawn.figure)[0]
        level = axis.lines[0].get_ydata()[0]
        np.testing.assert_allclose(level, 100 * np.mean(self.cube.file["clean_target_rank"][2] == 1))
        self.assertTrue((drawn.table.low >= -1e-9).all() and (drawn.table.high <= 100 + 1e-9).all())
        self.assertLessEqual(axis.get_ylim()[1], 104)

    def test_relations(self):
        drawn = kinds.relations(self.cube, ["gpt2-xl"], ROUTES[0], "all", 5, USUAL)
        self.assertEqual(set(legend_of(drawn.figure)), set(self.cube.relations()))

    def test_nothing_there_is_an_error(self):
        with self.assertRaisesRegex(CubeError, "no cell of it is done"):
            kinds.flow(self.cube, ["gpt2-xl"], ROUTES, "slow-third", 5, USUAL)


class Axes(unittest.TestCase):
    """Cubes whose curves are flat: nothing is lost anywhere."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="ko-flat."))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.path = cls.folder / "flat.h5"
        shutil.copy(CUBE, cls.path)
        with h5py.File(cls.path, "r+") as f:
            for name in ("logprob", "foil_logprob", "prob", "target_rank", "kl"):
                held = f[name][:]
                clean = np.float32(0) if name == "kl" else 1 if name == "target_rank" else f["clean_" + name][:].reshape(held.shape[:2] + (1,) * 4)
                missing = held < 1 if name == "target_rank" else np.isnan(held)
                f[name][...] = np.where(missing, held, np.broadcast_to(clean, held.shape))

    def setUp(self):
        self.cube = Cube(self.path)
        self.addCleanup(self.cube.file.close)
        self.addCleanup(lines.plt.close, "all")

    def check(self, drawn, metric, span):
        for axis in panels(drawn.figure):
            low, high = axis.get_ylim()
            self.assertGreaterEqual(high - low, span, metric)
            labels = [axis.yaxis.get_major_formatter()(y) for y in axis.get_yticks() if low <= y <= high]
            self.assertGreaterEqual(len(labels), 3, metric)
            self.assertEqual(len(set(labels)), len(labels), (metric, labels))
            for line in axis.lines:
                if not line.get_label().startswith("_"):
                    self.assertTrue(((line.get_ydata() >= low) & (line.get_ydata() <= high)).all(), metric)

    def test_no_axis_collapses_whatever_kind_and_metric(self):
        flat = ["mamba-2.8b", "gpt2-xl"]
        for metric in METRICS:
            settings = kinds.Settings(metric=metric)
            for drawn in (kinds.flow(self.cube, flat, ROUTES, "all", 5, settings), kinds.windows(self.cube, flat, ROUTES, "all", [1, 9], settings),
                          kinds.features(self.cube, flat, ROUTES[:1], ["all", "slow-third"], 5, settings),
                          kinds.relations(self.cube, flat, ROUTES[0], "all", 5, settings), kinds.controls(self.cube, flat, ROUTES, ["all"], 5, settings),
                          kinds.selections(self.cube, flat, ROUTES, "all", 5, settings)):
                self.check(drawn, metric, min(LEAST_SPAN[metric], 20) if "control" in drawn.table else LEAST_SPAN[metric])
                lines.plt.close("all")

    def test_hits_have_the_whole_axis_and_bars_that_can_be_told_apart(self):
        drawn = kinds.flow(self.cube, ["gpt2-xl"], ROUTES, "all", 5, kinds.Settings(metric="hit"))
        axis, = panels(drawn.figure)
        np.testing.assert_allclose(axis.get_ylim(), (-3, 103))
        bars = [c for c in axis.collections if isinstance(c, LineCollection)]
        self.assertEqual(len(bars), 4)
        self.assertEqual(len(bars), len(axis.collections))  # and no band
        x = [bar.get_transform().transform(bar.get_segments()[0])[0][0] for bar in bars]
        self.assertEqual(len({round(v, 1) for v in x}), 4)  # beside each other
        for bar, (_, rows) in zip(bars[::-1], drawn.table.groupby("route", sort=False)):
            np.testing.assert_allclose([s[:, 1] for s in bar.get_segments()], rows[["low", "high"]])

    def test_one_window_has_an_axis_with_its_layer(self):
        for x, size in (("layer", 9), ("centre", 9), ("layer", 5)):
            some = self.cube.values("change", "gpt2-xl", ROUTES[0], "all", size).window_start.values[:1]
            self.cube.values = lambda *key, start=some: Cube.values(self.cube, *key).sel(window_start=start)
            drawn = kinds.flow(self.cube, ["gpt2-xl"], ROUTES, "all", size, kinds.Settings(x=x))
            axis, = panels(drawn.figure)
            self.assertEqual(np.diff(axis.get_xlim())[0], 1)
            del self.cube.values

    def test_a_panel_that_has_less_does_not_narrow_the_others(self):
        drawn = kinds.windows(self.cube, ["gpt2-xl", "falcon-mamba-7b"], ROUTES, "all", [1, 9], kinds.Settings(x="centre"))
        for axis in panels(drawn.figure):
            left, right = axis.get_xlim()
            for line in named_lines(axis).values():
                self.assertTrue(((line.get_xdata() > left) & (line.get_xdata() < right)).all())

    def test_how_much_of_the_intervals_is_hidden(self):
        def panel(*intervals):
            tables = [pd.DataFrame({"window_start": [0], "value": [0.0], "low": [low], "high": [high]}) for low, high in intervals]
            return lines.Panel("", [lines.Curve("", None, t) for t in tables])

        for intervals, share in (([(0, 1)] * 4, 0.75), ([(0, 1), (1, 2)], 0), ([(0, 4), (1, 2)], 0.2), ([(5, 5)], 0),
                                 ([(0, 2), (1, 3), (np.nan, np.nan)], 0.25), ([], 0)):
            self.assertAlmostEqual(lines.hidden_share(panel(*intervals)), share)


class OtherCurves(WithCube):
    def test_features(self):
        classes = ["all", "slow-third", "fast-third", "not-fast-third"]
        drawn = kinds.features(self.cube, MODELS[:2], ROUTES[:1], classes, 5, USUAL)
        self.assertEqual(legend_of(drawn.figure), classes[:3] + ["not-fast-third (released code: context-dependent)"])
        self.assertEqual([len(named_lines(a)) for a in panels(drawn.figure)], [4, 4])
        grid = kinds.features(self.cube, MODELS[:2], ROUTES, classes, 5, USUAL)
        self.assertEqual(len(panels(grid.figure)), 8)

    def test_windows(self):
        drawn = kinds.windows(self.cube, ["gpt2-xl"], ROUTES, "all", [1, 5, 9], USUAL)
        self.assertEqual([a.get_title().split("  (")[0] for a in panels(drawn.figure)],
                         ["window of 1 layer", "window of 5 layers", "window of 9 layers"])
        self.assertEqual([len(named_lines(a)["last ← first"].get_xdata()) for a in panels(drawn.figure)], [12, 8, 4])
        many = kinds.windows(self.cube, ["gpt2-xl", "falcon-mamba-7b"], ROUTES, "all", [1, 5, 9], USUAL)
        titles = [a.get_title() for a in panels(many.figure)]
        self.assertEqual(len(titles), 6)
        self.assertEqual(titles[-1], "falcon-mamba-7b, 9 layers: larger than the model or not planned")

    def test_controls_beside_effects(self):
        drawn = kinds.controls(self.cube, ["gpt2-xl"], ROUTES, ["all"], 5, USUAL)
        panel, = panels(drawn.figure)
        lines = named_lines(panel)
        self.assertEqual(set(lines), {"knockout", "its matched random control", "effect: knockout − control"})
        for name, column in (("knockout", "value"), ("its matched random control", "control"), ("effect: knockout − control", "effect")):
            np.testing.assert_array_equal(lines[name].get_ydata(), drawn.table[column])
        self.assertIn("all, against random positions", panel.get_title())
        rings = [line for line in panel.lines if line.get_label() == "_marked"]
        marked = drawn.table[drawn.table.p_holm < 0.05]
        self.assertGreater(len(marked), 0)
        np.testing.assert_array_equal(rings[0].get_xdata(), marked.depth)

    def test_legend_and_notes_lie_within_the_figure(self):
        table = pd.DataFrame({"window_start": [0, 1], "value": 0.0, "low": -1.0, "high": 1.0, "depth": [0.0, 100.0], "n": 3})
        looks = palette.named_looks([f"a curve of a long name, {k}" for k in range(5)])
        narrow = lines.draw_panels([lines.Panel("one", [lines.Curve(name, look, table) for name, look in looks.items()])], lines.Layout(
            "a title", "change", width=3.3, notes=["rings: paired t-test against the control, p < 5 % after Holm's correction over the windows"]))
        for figure in (narrow, kinds.controls(self.cube, ["gpt2-xl"], ROUTES, ["all"], 5, USUAL).figure,
                       kinds.flow(self.cube, MODELS[:3], ROUTES, "all", 5, kinds.Settings(metric="hit")).figure):
            figure.canvas.draw()
            below = next(a for a in figure.axes if a.get_legend())
            self.assertGreater(len(below.texts) + len(below.get_legend().get_texts()), 1)
            for part in (below.get_legend(), *below.texts):
                box = part.get_window_extent()
                self.assertGreaterEqual(box.x0, 0, part)
                self.assertLessEqual(box.x1, figure.bbox.width, part)

    def test_selections(self):
        drawn = kinds.selections(self.cube, MODELS[:2], ROUTES, "all", 5, USUAL)
        selected = self.cube.selected_prompts()
        for name, rows in drawn.table.groupby("selection", sort=False):
            self.assertRegex(name, "correct by (all models|each model)")
        first = drawn.table[(drawn.table.selection == "prompts correct by all models") & (drawn.table.route == "last<-relation")]
        self.assertEqual(first.n.max(), selected[0][0].sum())
        self.assertEqual(len(panels(drawn.figure)), 2 * drawn.table.selection.nunique())

    def test_scatter(self):
        drawn = scatter.scatter(self.cube, MODELS[:2], "last<-last", "all", 5, USUAL)
        axis = panels(drawn.figure)[0]
        rows = drawn.table[drawn.table.model == MODELS[0]]
        np.testing.assert_array_equal(axis.collections[0].get_offsets(), rows[["before", "after"]])
        f, r = self.cube.file, self.cube.routes.index("last<-last")
        late = f["prob"][0, :, r, 0, self.cube.sizes.index(5), 6:8].astype(float)  # starts 0 ... 7; 100 * 6 / 7 and 100 * 7 / 7 %
        np.testing.assert_allclose(rows.after, late.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(rows.before, f["clean_prob"][0], rtol=1e-7)
        self.assertEqual(axis.get_xlim(), axis.get_ylim())


class Heatmaps(WithCube):
    def test_colours_tokens_and_subject(self):
        drawn = maps.heatmaps(self.cube, ["mamba-2.8b", "gpt2-xl"], ["18566"], "last<-each", "all", [5], USUAL)
        axes = panels(drawn.figure)
        self.assertEqual([a.get_title().split()[0] for a in axes], ["mamba-2.8b", "gpt2-xl"])
        f = self.cube.file
        for axis, m in zip(axes, (0, 2)):
            mesh = axis.collections[0]
            self.assertEqual((mesh.norm.vmin, mesh.norm.vmax, mesh.cmap.name), (-1, 1, "RdBu"))
            n = f["heat_n_tokens"][m, 0]
            expected = f["heat_prob"][m, 0, 0, 0, :n, self.cube.sizes.index(5), :8].astype(float) - f["heat_clean_prob"][m, 0].astype(float)
            np.testing.assert_allclose(np.ma.filled(mesh.get_array(), np.nan).reshape(n, 8), expected, atol=1e-12)
            labels = axis.get_yticklabels()
            begin, end = f["heat_subject_begin"][m, 0], f["heat_subject_end"][m, 0]
            self.assertEqual([k for k, t in enumerate(labels) if t.get_text().endswith("*")], list(range(begin, end)))
            self.assertEqual([k for k, t in enumerate(labels) if t.get_fontweight() == "bold"], list(range(begin, end)))
            text = " ".join(t.get_text().rstrip("*") for t in labels)
            self.assertEqual(text.replace(" ", ""), f["heat_prompt_text"].asstr()[0].replace(" ", ""))
            self.assertGreater(axis.get_ylim()[0], axis.get_ylim()[1])  # the first token above

    def test_one_limit_for_all_panels(self):
        drawn = maps.heatmaps(self.cube, MODELS, ["18566", "2720"], "last<-each", "all", [1, 5], kinds.Settings(heat_limit=0.25))
        limits = {(c.norm.vmin, c.norm.vmax) for a in panels(drawn.figure) for c in a.collections}
        self.assertEqual(limits, {(-0.25, 0.25)})
        self.assertEqual(len(panels(drawn.figure)), 16)

    def test_token_names(self):
        for piece, name in (("Ġthe", "the"), ("▁été", "été"), ("Ã©", "é"), ("<0xF0>", "<0xF0>"), ("Ċ", "⏎"), ("Ġ", "␣"), ("ðŁ", "ðŁ"),
                            ("$x$", r"\$x\$")):
            self.assertEqual(palette.token_name(piece), name)


class Paper(WithCube):
    def test_every_figure_draws_or_is_refused_by_name(self):
        warnings = []
        sizes = {"heatmaps": [5], "windows": [1, 5, 9]}
        drawn = {}
        for name, figure in paper.FIGURES.items():
            try:
                drawn[name] = [(stem, len(panels(d.figure))) for stem, d in
                               paper.draw(self.cube, name, USUAL, warnings.append, sizes.get(figure.kind, [5]))]
                lines.plt.close("all")
            except CubeError as e:
                self.assertTrue(str(e).startswith(f"{name}: "), e)
        self.assertEqual(set(paper.FIGURES) - set(drawn), {"fig08", "fig09"})  # their models are not in this cube
        self.assertEqual([stem for stem, _ in drawn["sharma"]], ["sharma", "sharma-heatmaps"])
        self.assertEqual({name: drawn[name][0][1] for name in ("fig01", "fig13", "fig10", "fig16", "fig20")},
                         {"fig01": 4, "fig13": 3, "fig10": 3, "fig16": 6, "fig20": 2})
        self.assertIn("fig13: models mamba-130m, mamba-1.4b, mamba2-130m, mamba2-1.3b, gpt2-medium, gpt2-large, llama-3.2-1b, llama-3.2-3b, "
                      "llama-3-8b, mistral-7b-v0.1, mistral-7b-v0.3: not in the cube and left out", warnings)

    def test_the_table_is_complete(self):
        self.assertEqual(list(paper.FIGURES), [f"fig{k:02d}" for k in range(1, 21)] + ["sharma", "released-classes"])
        everyone = {m for f in paper.FIGURES.values() for m in f.models}
        self.assertEqual(len(everyone), 17)
        self.assertEqual({len(paper.FIGURES[k].models) for k in ("fig13", "fig15", "fig12")}, {14, 7, 8})
        self.assertEqual(len(paper.FIGURES["fig16"].models + paper.FIGURES["fig17"].models), 17)
        for name in ("fig1", "1", "FIG01"):
            self.assertEqual(paper.named(name)[0], "fig01")
        with self.assertRaisesRegex(CubeError, "no figure fig21"):
            paper.named("fig21")


class Style(unittest.TestCase):
    def test_colours_differ_in_grey_or_marker_and_in_hue(self):
        looks = palette.MANY
        self.assertEqual(len({c for c, _ in looks}), len(looks))
        self.assertEqual(len({m for _, m in looks}), len(looks))

    def test_colours_differ_for_colour_blind_readers(self):
        """Distances in RGB after Vienot's projections of protanopia and deuteranopia (Vienot, Brettel & Mollon 1999)."""
        kept = {"protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
                "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])}
        for chosen in (palette.SOURCES, {k: palette.CLASSES[k] for k in ("all", "slow-third", "fast-third")}):
            rgb = np.array([colors.to_rgb(c) for c, _ in chosen.values()]) ** 2.2
            for name, projection in kept.items():
                seen = np.clip(rgb @ projection.T, 0, 1) ** (1 / 2.2)
                distance = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 9 * np.eye(len(seen))
                self.assertGreater(distance.min(), 0.2, (name, distance.round(2)))

    def test_routes_are_written_in_the_order_of_the_spec(self):
        for route, name in (("last<-subject", "last ← subject"), (r"last<-relation\last", "last ← relation without last"),
                            (r"subject-last<-after-subject\last\verb", "subject-last ← after-subject without last and verb"),
                            ("last<-random-like:subject:1", "last ← random like subject, seed 1"),
                            ("attention@subject-last", "attention at subject-last"), (r"ssm@relation\last", "SSM at relation without last"),
                            (r"keep:last<-all\subject+verb<-subject+diagonal", "only last ← all without subject, verb ← subject, diagonal")):
            self.assertEqual(palette.route_name(route), name)

    def test_random_controls_are_matched_to_their_routes(self):
        for route, of in (("last<-random-like:subject:1", "last<-subject"), ("mlp@random-like:subject:12", "mlp@subject"),
                          ("mlp@random-like:relation\\last:1", "mlp@relation\\last"), ("mlp@subject", None), ("last<-subject", None),
                          ("random-like:subject:1<-last", None)):
            self.assertEqual(palette.control_of(route), of, route)

    def test_classes_are_said_in_words(self):
        for feature, name in (("slow-third", "slow-third"), ("not-fast-third", "not-fast-third (released code: context-dependent)"),
                              ("head:3", "head 3"), ("ssm-head:12~mean", "SSM head 12, replaced by its mean"),
                              ("all~mean", "all, replaced by its mean"), ("all~resample:7", "all, replaced by another prompt's (seed 7)")):
            self.assertEqual(palette.class_name(feature), name)

    def test_components_keep_their_colours(self):
        looks = palette.route_looks(["mlp@last", "attention@last"])
        self.assertEqual(looks["attention@last"], palette.route_looks(["attention@subject"])["attention@subject"])
        self.assertEqual(len(set(palette.COMPONENT_LOOKS.values())), 5)
        self.assertEqual(palette.legend_of(["mlp@last", "last<-subject"]), "edges removed, target ← source")

    def test_equal_sources_of_several_targets_are_told_apart(self):
        looks = palette.route_looks(["last<-subject", "subject<-subject", "last<-first"])
        self.assertEqual(len(set(looks.values())), 3)


class Launcher(unittest.TestCase):
    """analysis/knockout-figures, run by a Python that has no module but its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="ko-bare."))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        venv.create(cls.folder, symlinks=True)
        cls.bare = cls.folder / "bin/python3"
        cls.script = Path(cli.__file__).parents[1] / "knockout-figures"

    def call(self, *arguments, **variables):
        kept = {k: v for k, v in os.environ.items() if k not in ("KNOCKOUT_PYTHON", "PYTHONPATH")}
        return subprocess.run([self.bare, self.script, *arguments], env={**kept, **variables}, capture_output=True, text=True)

    def test_another_python_that_has_the_modules_draws_and_is_named(self):
        done = self.call("--help", KNOCKOUT_PYTHON=sys.executable)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, rf"^knockout-figures: {self.bare} has no module \w+, so {sys.executable} draws\n$")
        self.assertIn("usage: knockout-figures", done.stdout)
        wrong = self.call("no.h5", KNOCKOUT_PYTHON=sys.executable)
        self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))  # its status is the command's
        self.assertIn("no.h5: cannot be opened as HDF5", wrong.stderr)

    def test_where_none_has_them_the_error_names_all(self):
        program = ("import runpy, sys; own = runpy.run_path(sys.argv[1]); "
                   f"sys.exit(own['go_on_elsewhere']('has no module h5py', [{str(self.bare)!r}, '/no/python3']))")
        done = subprocess.run([self.bare, "-c", program, self.script], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, rf"^knockout-figures: {self.bare} has no module h5py, and no other Python here \({self.bare}, /no/python3\) "
                                      r"has all of numpy, h5py, matplotlib, pandas, xarray: install them .*KNOCKOUT_PYTHON\n$")


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ko-figures."))
        self.addCleanup(shutil.rmtree, self.folder)

    def call(self, *arguments, cube=CUBE):
        out, err = io.StringIO(), io.StringIO()
        argv, sys.argv = sys.argv, ["knockout-figures", str(cube), "-o", str(self.folder / "drawn"), *arguments]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.main()
        except SystemExit as e:
            code = e.code
        finally:
            sys.argv = argv
        return code, out.getvalue(), err.getvalue()

    def test_draws_all_kinds_and_a_table(self):
        code, out, err = self.call("--format", "png", "--model", "gpt2-xl", "--model", "mamba2-2.7b", "--window-size", "5", "--no-report",
                                   *(w for k in everything.KINDS if k not in ("windows", "mixers", "heads", "components") for w in ("--kind", k)), "--most", "4")
        self.assertEqual(code, 0, err)
        made = {p.name for p in (self.folder / "drawn").iterdir()}
        for name in ("small-all.png", "small-hits-all.png", "small-features-last-from-subject.png", "small-controls.png",
                     "small-scatter-last-from-last.png", "small-heatmap-18566-last-from-each-all.png",
                     "small-relations-last-from-first-all.png", "figures.csv"):
            self.assertIn(name, made)
        self.assertFalse("report.html" in made)
        self.assertRegex(err, r"not drawn: \d+ of \d+ figures of the kind relations")
        self.assertRegex(out, r"gpt2-xl +last<-subject +[-+]\d+\.\d\d % \[")
        table = pd.read_csv(self.folder / "drawn" / "figures.csv", low_memory=False)
        self.assertEqual(set(table.figure) | {"figures"}, {Path(name).stem for name in made})

    def test_paper_figures_and_formats(self):
        code, _, err = self.call("--figure", "fig01", "--figure", "7", "--window-size", "5", "--format", "svg,pdf", "--no-report")
        self.assertEqual(code, 0, err)
        made = {p.name: p for p in (self.folder / "drawn").iterdir()}
        self.assertEqual(set(made), {"fig01.svg", "fig01.pdf", "fig07.svg", "fig07.pdf", "figures.csv"})
        self.assertTrue(made["fig01.pdf"].read_bytes().startswith(b"%PDF-"))
        self.assertIn(b"<svg", made["fig01.svg"].read_bytes())

    def test_a_figure_that_fails_leaves_no_folder(self):
        code, _, err = self.call("--figure", "fig08", "--no-report")
        self.assertEqual(code, 2, err)
        self.assertFalse((self.folder / "drawn").exists())

    def test_window_sizes_are_told_apart_in_the_summary(self):
        code, out, err = self.call("--kind", "windows", "--model", "gpt2-xl", "--feature", "all", "--route", "last<-subject",
                                   "--window-size", "1", "--window-size", "5", "--format", "png", "--dpi", "40", "--no-report")
        self.assertEqual(code, 0, err)
        rows = [line.split("%")[0].rsplit(None, 1)[0].split() for line in out.splitlines() if line.startswith("  ")]
        self.assertEqual(rows, [["gpt2-xl", "last<-subject", "1", "layer"], ["gpt2-xl", "last<-subject", "5", "layers"]])

    def without_late_windows(self):
        """The cube with the windows of the first layers alone."""
        copy = self.folder / "early.h5"
        shutil.copy(CUBE, copy)
        with h5py.File(copy, "r+") as f:
            for name in ("logprob", "prob", "kl", "foil_logprob"):
                f[name][..., 3:] = np.nan
            f["target_rank"][..., 3:] = -1
        return copy

    def test_what_cannot_be_drawn_is_said_and_the_rest_drawn(self):
        some = ("--model", "gpt2-xl", "--window-size", "1", "--feature", "all", "--format", "png", "--dpi", "40")
        code, out, err = self.call(*some, cube=self.without_late_windows())
        self.assertEqual(code, 0, err)
        self.assertRegex(err, r"warning: not drawn: Before and after last ← last: windows of 1 layer from 75 % on: no such window has")
        made = {p.name for p in (self.folder / "drawn").iterdir()}
        self.assertLessEqual({"early.png", "early-hits.png", "figures.csv", "report.html"}, made)
        self.assertFalse(any("scatter" in name for name in made))
        code, _, err = self.call(*some, "--kind", "scatter", "--kind", "flow", cube=self.folder / "early.h5")
        self.assertEqual(code, 2)  # it was asked for by name
        self.assertEqual(err.splitlines()[-1], "knockout-figures: not drawn: scatter")

    def test_a_metric_that_the_cube_lacks_is_refused_before_anything_is_drawn(self):
        copy = self.folder / "plain.h5"
        shutil.copy(CUBE, copy)
        with h5py.File(copy, "r+") as f:
            del f["foil_logprob"]
        for metric in ("margin", "margin-change"):
            code, out, err = self.call("--metric", metric, cube=copy)
            self.assertEqual((code, out), (2, ""))
            self.assertRegex(err, f"^knockout-figures: --metric {metric}: .*plain.h5 has no foils, give the prompts of its file a `foil`\n$")

    def test_a_remark_is_in_every_picture(self):
        with Cube(CUBE) as cube:
            settings = kinds.Settings(remark="stand-in models")
            for drawn in (kinds.flow(cube, MODELS, ROUTES, "all", 5, settings), scatter.scatter(cube, MODELS, ROUTES[2], "all", 5, settings),
                          maps.heatmaps(cube, MODELS, ["18566"], "last<-each", "all", [5], settings), kinds.controls(cube, MODELS, ROUTES, ["all"], 5, settings)):
                self.assertEqual(drawn.figure._suptitle.get_text().splitlines()[-1], "stand-in models")
                lines.plt.close("all")

    def test_cut_intervals_are_said_below_the_figure(self):
        with Cube(CUBE) as cube:
            few = {m: np.arange(len(cube.prompts)) < 3 for m in MODELS}
            drawn = kinds.flow(cube, MODELS, ROUTES, "all", 5, USUAL, few)
            self.assertTrue(((drawn.table.low == -100) & (drawn.table.value > -100)).any())
            self.assertGreaterEqual(drawn.table.low.min(), -100)
            sentence = "intervals are cut at −100 %, beyond which no mean can lie"
            self.assertIn(sentence, [t.get_text() for a in drawn.figure.axes for t in a.texts])
            other = kinds.flow(cube, MODELS, ROUTES, "all", 5, kinds.Settings(interval=stats.Interval("bootstrap", 100)), few)
            self.assertNotIn(sentence, [t.get_text() for a in other.figure.axes for t in a.texts])
            lines.plt.close("all")

    def test_figures_without_cells_are_named_and_the_others_drawn(self):
        code, out, err = self.call("--figure", "fig08", "--figure", "1", "--figure", "fig09", "--window-size", "5", "--format", "png",
                                   "--dpi", "50")
        self.assertEqual(code, 2)
        self.assertEqual({p.name for p in (self.folder / "drawn").iterdir()}, {"fig01.png", "figures.csv", "report.html"})
        self.assertEqual(err.splitlines()[-1], "knockout-figures: not drawn: fig08, fig09")
        self.assertRegex(err, "fig08: .* has no done cell of it")
        self.assertIn("wrote", out)
        width = int.from_bytes((self.folder / "drawn" / "fig01.png").read_bytes()[16:20], "big")
        self.assertAlmostEqual(width, 9.2 * 50, delta=1)  # two panels of 4.4 inches and their margin

    def test_an_unknown_figure_is_refused_before_anything_is_drawn(self):
        code, _, err = self.call("--figure", "fig01", "--figure", "fig99")
        self.assertEqual(code, 2)
        self.assertIn("no figure fig99", err)
        self.assertEqual(list((self.folder / "drawn").glob("*")), [])

    def test_classes_past_the_convolution_have_control_figures_of_their_own(self):
        parts = {name: [f for f in ("all", "all+conv", "slow-third", "slow-third+conv", "after-softmax") if of_part(f)]
                 for name, of_part in everything.CONTROL_PARTS.items()}
        self.assertEqual(parts, {"": ["all", "slow-third"], "-conv": ["all+conv", "slow-third+conv"], "-after-softmax": ["after-softmax"]})

    def test_heads_and_components_have_files_and_a_summary(self):
        code, out, err = self.call("--kind", "heads", "--feature", "head:each", "--route", "attention@last", "--window-size", "1", "--format",
                                   "png", "--dpi", "40", cube=HEADS)
        self.assertEqual(code, 0, err)
        self.assertEqual({p.name for p in (self.folder / "drawn").iterdir()}, {"heads-heads-attention-at-last.png", "figures.csv", "report.html"})
        self.assertRegex(out, r"the 5 strongest of 24, p after Holm's correction over all of them\n  layer 7 +head 0 +-\d+\.\d\d % ")
        self.assertEqual(len(pd.read_csv(self.folder / "drawn" / "figures.csv")), 24)
        code, _, err = self.call("--kind", "components", "--format", "png", "--dpi", "40", "--no-report", cube=COMPONENTS)
        self.assertEqual(code, 0, err)
        self.assertLessEqual({"components-components-mean.png", "components-components-prompt-2720.png"},
                             {p.name for p in (self.folder / "drawn").iterdir()})

    def test_errors_name_what_is_wrong(self):
        broken = self.folder / "broken.h5"
        broken.write_bytes(b"no HDF5")
        for cube, arguments, sentence in (
                (FOLDER / "evaluation.h5", (), "is an evaluation"), (broken, (), "cannot be opened as HDF5"),
                (CUBE, ("--figure", "fig08"), "fig08: .* has no done cell of it"), (CUBE, ("--figure", "fig99"), "no figure fig99"),
                (CUBE, ("--model", "gpt3"), "model gpt3 is not in the cube; it has mamba-2.8b"),
                (CUBE, ("--route", "last<-nothing"), "route last<-nothing is not in the cube"),
                (CUBE, ("--feature", "slow"), "feature class slow is not"), (CUBE, ("--window-size", "4"), "window size 4 is not"),
                (CUBE, ("--prompt", "1"), "prompt of a heatmap 1 is not"), (CUBE, ("--format", "gif"), "--format gif"),
                (CUBE, ("--heat-limit", "0"), "0 is not above 0"), (CUBE, ("--resamples", "0"), "0 is below 1"),
                (CUBE, ("--kind", "mixers"), "mixers: nothing of this kind can be drawn"),
                (HYBRID, ("--kind", "mixers", "--metric", "hit"), "mixers: hit is no effect"),
                (HEADS, ("--kind", "heads", "--metric", "hit"), "heads: hit is no effect"),
                (CUBE, ("--kind", "heads", "--kind", "components"), "heads: nothing of this kind can be drawn"),
                (HYBRID, ("--feature", "head:each"), "feature class head:each is not in the cube"),
                (CUBE, ("--kind", "controls", "--model", "gpt2-xl", "--route", "last<-first"), "controls: nothing of this kind can be drawn")):
            code, _, err = self.call(*arguments, "--no-report", cube=cube)
            self.assertEqual(code, 2, (arguments, err))
            self.assertRegex(err, sentence)
            self.assertRegex(err.splitlines()[-1], "^knockout-figures: ")

    def test_unfinished_cells_are_told_and_left_out(self):
        copy = self.folder / "part.h5"
        shutil.copy(CUBE, copy)
        with h5py.File(copy, "r+") as f:
            f["status"][0, 0, 0, 0, 1] = 1
            for name in ("logprob", "prob", "kl"):
                f[name][0, 0, 0, 0, 1, :] = np.nan
        code, _, err = self.call("--kind", "flow", "--feature", "all", "--window-size", "5", "--format", "png", "--no-report", cube=copy)
        self.assertEqual(code, 0)
        self.assertIn("1 units of the cube are pending or failed", err)
        table = pd.read_csv(self.folder / "drawn" / "figures.csv")
        n = table[(table.model == "mamba-2.8b") & (table.route == "last<-subject")].n
        self.assertEqual(set(n), {int(table[(table.model == "mamba-2.8b") & (table.route == "last<-relation")].n.max()) - 1})


if __name__ == "__main__":
    unittest.main()
