"""What `knockout show --csv` makes of a cube's prompts, against scipy, numpy and analysis/: statistics.py CUBE, with $KNOCKOUT.

Every value, interval and p-value is computed three times: by the program; here, from the cube, with scipy's distributions and tests,
numpy's quantiles and splitmix64 written out once more; and with analysis/knockout_figures/stats.py.
"""
import csv
import io
import math
import os
import re
import subprocess
import sys
import warnings

import h5py
import numpy as np
import scipy.stats

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../analysis"))
from knockout_figures import stats  # noqa: E402

# What a mean cannot pass, and a difference of two: (least, most).
BOUNDS = {"change": (-100, math.inf), "delta": (-100, 100), "kl": (0, math.inf), "hit": (0, 100)}
DIFFERENCES = {"delta": (-100, 100), "hit": (-100, 100)}
RELATIVE, ABSOLUTE = 2e-8, 1e-9  # nine digits are printed
P_RELATIVE = 1e-7
MASK = (1 << 64) - 1


class Cube:
    def __init__(self, path):
        with h5py.File(path, "r") as file:
            names = ("logprob", "prob", "kl", "target_rank", "foil_logprob", "clean_logprob", "clean_prob", "clean_foil_logprob")
            self.data = {name: file[name][:].astype(float) for name in names}
            axes = ("model", "route", "feature_class", "prompt_relation")
            self.model, self.route, self.feature, relation = (list(file[a].asstr()[:]) for a in axes)
            self.size, self.start = list(file["window_size"][:]), list(file["window_start"][:])
        self.relation = np.array(relation)
        self.cache = {}

    def values(self, metric):
        """[model, prompt, route, class, size, start]"""
        if metric not in self.cache:
            d = self.data
            clean = {k: v.reshape(v.shape + (1,) * 4) for k, v in d.items() if k.startswith("clean_")}
            rank = d["target_rank"]
            self.cache.update({
                "change": 100 * np.expm1(d["logprob"] - clean["clean_logprob"]),
                "delta": 100 * (d["prob"] - clean["clean_prob"]),
                "logprob": d["logprob"] - clean["clean_logprob"],
                "kl": d["kl"],
                "hit": np.where(rank < 1, np.nan, 100.0 * (rank == 1)),
                "margin": d["logprob"] - d["foil_logprob"],
                "margin-change": (d["logprob"] - d["foil_logprob"]) - (clean["clean_logprob"] - clean["clean_foil_logprob"]),
            })
            self.cache["median"] = self.cache["change"]
        return self.cache[metric]


def splitmix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


drawn = {}


def resamples(n, count, seed):
    if (n, count, seed) not in drawn:
        golden = 0x9E3779B97F4A7C15
        start = splitmix((seed + golden) & MASK)
        values = (splitmix((start + (k + 1) * golden) & MASK) >> 32 for k in range(n * count))
        drawn[n, count, seed] = np.array([v * n >> 32 for v in values]).reshape(count, n)
    return drawn[n, count, seed]


# ---- what a curve is compared with -------------------------------------------------------------------------------------------

def others(cube, minus, curve):
    """Lists of (model, route, class), each with its label: what a difference subtracts the mean of."""
    m, r, f = curve
    target, source = cube.route[r].split("<-")
    kind, word = minus
    if kind == "control":
        routes = [k for k, route in enumerate(cube.route) if re.fullmatch(re.escape(f"{target}<-random-like:{source}:") + r"\d+", route)]
        third = re.fullmatch(r"(?:slow|fast)-third(\+conv)?", cube.feature[f])
        suffix = (third and third[1]) or ""
        classes = [k for k, c in enumerate(cube.feature) if third and re.fullmatch(r"random-third:\d+" + re.escape(suffix), c)]
        return [([(m, k, f) for k in routes], f"mean of {len(routes)} {target}<-random-like:{source}:SEED"),
                ([(m, r, k) for k in classes], f"mean of {len(classes)} random-third:SEED{suffix}")]
    if kind == "model":
        other = (cube.model.index(word), r, f)
    elif kind == "feature":
        other = (m, r, cube.feature.index(word))
    else:
        route = f"{target}<-{word}" if kind == "source" else f"{word}<-{source}"
        other = (m, cube.route.index(route) if route in cube.route else -1, f)
    return [([other] if other != curve and other[1] >= 0 else [], word if kind in ("model", "feature") else route)]


cuts = []  # whether each interval of t had to be cut


def bounds_of(case):
    if not case["minus"]:
        return BOUNDS.get(case["metric"], (-math.inf, math.inf))
    if case["metric"] == "delta" and case["minus"][0] == "model":
        return -200, 200
    return DIFFERENCES.get(case["metric"], (-math.inf, math.inf))


def estimates(x, case):
    """(value, low, high) by scipy and numpy, and by stats.py, of the values x without NaN."""
    n = len(x)
    if case["interval"] == "bootstrap":
        figure = np.median if case["statistic"] == "median" else np.mean
        rows = resamples(n, case["resamples"], case["seed"])
        ends = np.quantile(figure(x[rows], axis=1), (0.025, 0.975)) if n > 1 else (math.nan, math.nan)
        here = (figure(x), *ends)
        if case["statistic"] == "median":
            return here, None
        found = stats.mean(x[:, None], stats.Interval("bootstrap", case["resamples"], case["seed"]))
    elif case["interval"] == "t":
        half = scipy.stats.t.ppf(0.975, n - 1) * scipy.stats.sem(x) if n > 1 else math.nan
        least, most = bounds = bounds_of(case)
        here = np.mean(x), np.mean(x) - half, np.mean(x) + half
        if n > 1:
            cuts.append(here[1] < least or here[2] > most)
            here = here[0], max(here[1], least), min(here[2], most)
        found = stats.mean(x[:, None], stats.Interval("t"), bounds)
    elif case["interval"] == "order":
        x = np.sort(x)
        low, high = math.floor(n / 2 - 0.98 * n**0.5), math.ceil(1 + n / 2 + 0.98 * n**0.5)
        here = (np.median(x),) + ((x[low - 1], x[high - 1]) if low >= 1 and high <= n else (math.nan, math.nan))
        found = stats.median(x[:, None])
    else:
        found = stats.share(x[:, None])
        ends = scipy.stats.binomtest(int((x > 0).sum()), n).proportion_ci(method="wilson")  # with 1.95996 for 1.96
        assert abs(found.low[0] - 100 * ends.low) < 2e-3 and abs(found.high[0] - 100 * ends.high) < 2e-3, (found, ends)
        return None, (found.value[0], found.low[0], found.high[0])
    return here, (found.value[0], found.low[0], found.high[0])


def expected(cube, case):
    """{(model, route, class, size, start, relation, minus): (estimates, n, p)} of all that has a value."""
    values, table = cube.values(case["metric"]), {}
    relations = list(dict.fromkeys(cube.relation)) if case["by"] == "relation" else [""]
    for m, r, f, s, w in np.ndindex(values.shape[:1] + values.shape[2:]):
        a = values[m, :, r, f, s, w]
        if not np.isfinite(a).any():
            continue
        for controls, label in others(cube, case["minus"], (m, r, f)) if case["minus"] else [(None, "")]:
            if controls is not None and not controls:
                continue
            b = np.zeros_like(a)
            if controls:
                each = np.array([values[k, :, i, j, s, w] for k, i, j in controls])
                count = np.isfinite(each).sum(axis=0)
                b = np.where(count > 0, np.nansum(each, axis=0) / np.maximum(count, 1), np.nan)
            for relation in relations:
                both = np.isfinite(a) & np.isfinite(b) & ((cube.relation == relation) | (case["by"] != "relation"))
                if not both.any():
                    continue
                p = math.nan
                if controls and both.sum() > 1 and case["statistic"] == "mean":
                    p = scipy.stats.ttest_rel(a[both], b[both]).pvalue
                    other = stats.paired(a[both, None], b[both, None]).p[0]
                    assert math.isnan(p) and math.isnan(other) or abs(p - other) <= P_RELATIVE * p, (p, other)
                key = (cube.model[m], cube.route[r], cube.feature[f], str(cube.size[s]), str(cube.start[w]), relation, label)
                table[key] = estimates((a - b)[both], case), int(both.sum()), p
    return table


# ---- the program -----------------------------------------------------------------------------------------------------------

def show(cube, case):
    words = ["--metric", case["metric"], "--statistic", case["statistic"], "--interval", case["interval"], "--by", case["by"] or "none"]
    if case["interval"] == "bootstrap":
        words += ["--seed", str(case["seed"]), "--resamples", str(case["resamples"])]
    if case["minus"]:
        words += ["--minus-control"] if case["minus"][0] == "control" else [f"--minus-{case['minus'][0]}", case["minus"][1]]
    if case["metric"] == "median":
        words = words[:2] + words[4:]
    done = subprocess.run([os.environ["KNOCKOUT"], "show", cube, "--csv", *words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return " ".join(words), list(csv.DictReader(io.StringIO(done.stdout)))


def number(text):
    return float(text) if text else math.nan


def near(got, want, relative=RELATIVE, absolute=ABSOLUTE):
    return math.isnan(got) and math.isnan(want) or abs(got - want) <= relative * abs(want) + absolute


def check_holm(rows):
    """Both adjust the p-values of each curve's windows alike; R's p.adjust is in the unit tests."""
    curves = {}
    for row in rows:
        curves.setdefault(tuple(row[k] for k in ("model", "route", "feature_class", "window_size", "relation", "minus")), []).append(row)
    for key, lines in curves.items():
        p = np.array([number(row["p"]) for row in lines])
        for row, want in zip(lines, stats.holm(p)):
            assert near(number(row["p_holm"]), want, P_RELATIVE, 0), (key, row)


def check(path, cube, **case):
    case = {"metric": "change", "statistic": "mean", "interval": "t", "by": "", "minus": None, "seed": 0, "resamples": 500, **case}
    words, rows = show(path, case)
    table, n_values = expected(cube, case), 0
    for row in rows:
        if row["n"] == "0":
            continue
        key = tuple(row[k] for k in ("model", "route", "feature_class", "window_size", "window_start", "relation", "minus"))
        found, n, p = table.pop(key)
        assert int(row["n"]) == n, (key, row["n"], n)
        assert row["metric"] == case["metric"] and row["interval"] == case["interval"] and row["statistic"] == case["statistic"], row
        for want in found:
            for name, value in zip(("value", "low", "high"), want or ()):
                n_values += 1
                assert near(number(row[name]), value), (words, key, name, row[name], value)
        assert near(number(row["p"]), p, P_RELATIVE, 0), (words, key, row["p"], p)
    assert not table, f"{words}: {len(table)} windows are missing, {next(iter(table))} first"
    assert n_values > 0, words
    check_holm(rows)
    print(f"{words}: {len(rows)} windows, {n_values} values")


def main():
    warnings.filterwarnings("ignore", message="Precision loss")  # scipy, where pairs hardly differ
    path = sys.argv[1]
    cube = Cube(path)
    for metric in ("change", "delta", "logprob", "kl", "hit", "margin", "margin-change"):
        check(path, cube, metric=metric)
        check(path, cube, metric=metric, interval="order", statistic="median")
    check(path, cube, metric="median", interval="order", statistic="median")
    check(path, cube, metric="hit", interval="wilson")
    check(path, cube, interval="bootstrap")
    check(path, cube, interval="bootstrap", seed=12345, resamples=333, metric="margin")
    check(path, cube, interval="bootstrap", statistic="median")
    check(path, cube, by="relation")
    check(path, cube, by="relation", interval="bootstrap", metric="logprob")
    for minus in (("source", "relation"), ("target", "subject"), ("feature", "all"), ("model", cube.model[1]), ("control", "")):
        check(path, cube, minus=minus)
        check(path, cube, minus=minus, interval="bootstrap", metric="logprob", seed=3)
        check(path, cube, minus=minus, interval="order", statistic="median", metric="margin-change")
        check(path, cube, minus=minus, by="relation", metric="hit")
    check(path, cube, minus=("model", cube.model[1]), by="relation", metric="delta")
    check(path, cube, minus=("source", "relation"), by="relation", metric="delta")
    for metric in ("change", "kl", "hit", "delta"):
        cuts.clear()
        check(path, cube, by="relation", metric=metric)
        print(f"  {sum(cuts)} of {len(cuts)} intervals of t were cut")
        assert any(cuts) or metric == "delta", f"no interval of {metric} had to be cut: the rule is not tried"


main()
