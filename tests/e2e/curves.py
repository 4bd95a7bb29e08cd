"""Recomputes what `knockout show --csv` and `knockout status --json` print, from the cube alone.

curves.py curves CUBE METRIC CSV | curves.py maps CUBE CSV | curves.py counts CUBE STATUS.json PLAN.json
curves.py set CUBE STATUS: gives the first done status of a cube another value
"""

import csv
import json
import math
import os
import sys

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../analysis"))
from knockout_figures.stats import t_quantile  # noqa: E402  (tests/readers compares it with scipy's)

TOLERANCE = 1e-4


def text(dataset):
    return [x.decode() if isinstance(x, bytes) else x for x in dataset[:]]


def close(got, expected):
    return abs(got - expected) <= TOLERANCE * max(1, abs(expected))


def estimate(metric, x):
    """Value, low, high of the values of one window, with the interval that `show` takes by default."""
    n, z = len(x), 1.96
    if metric == "median":
        x = np.sort(x)
        low, high = math.floor(n / 2 - z / 2 * n**0.5), math.ceil(1 + n / 2 + z / 2 * n**0.5)
        ends = (x[low - 1], x[high - 1]) if low >= 1 and high <= n else (None, None)
        return (np.median(x),) + ends
    if metric == "hit":
        p = np.mean(x)
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return 100 * p, 100 * (middle - half), 100 * (middle + half)
    half = t_quantile(n - 1) * np.std(x, ddof=1) / n**0.5
    # What a mean cannot pass, its interval does not: no change falls below -100 %, no KL below 0.
    least = {"change": -100, "kl": 0}.get(metric, -math.inf)
    return np.mean(x), max(np.mean(x) - half, least), np.mean(x) + half


def values(f, metric, prefix=""):
    """The metric of every cell, over the axes of the cube."""

    def clean(name):
        c = f[f"{prefix}clean_{name}"][:].astype(float)
        return c.reshape(c.shape + (1,) * (f[prefix + name].ndim - 2))

    if metric in ("change", "median"):
        return 100 * np.expm1(f[prefix + "logprob"][:].astype(float) - clean("logprob"))
    if metric == "delta":
        return 100 * (f[prefix + "prob"][:].astype(float) - clean("prob"))
    if metric == "logprob":
        return f[prefix + "logprob"][:].astype(float) - clean("logprob")
    if metric == "kl":
        return f[prefix + "kl"][:].astype(float)
    rank = f[prefix + "target_rank"][:]
    return np.where(rank < 1, np.nan, rank == 1)


def check_curves(path, metric, table):
    with h5py.File(path) as f:
        cells = values(f, metric)
        models, routes = text(f["model"]), text(f["route"])
        classes = text(f["feature_class"])
        sizes, starts = list(f["window_size"][:]), list(f["window_start"][:])
        depth = f["depth"][:]
    expected = {}
    for m, r, c, s, w in np.ndindex(*(cells.shape[:1] + cells.shape[2:])):
        x = cells[m, :, r, c, s, w]
        x = x[np.isfinite(x)]
        if len(x) > 0:
            key = (models[m], routes[r], classes[c], str(sizes[s]), str(starts[w]))
            expected[key] = estimate(metric, x) + (len(x), depth[m, s, w])
    n = 0
    with open(table, newline="") as lines:
        for row in csv.DictReader(lines):
            if row["n"] == "0":
                continue
            key = (row["model"], row["route"], row["feature_class"], row["window_size"],
                   row["window_start"])
            value, low, high, count, at = expected.pop(key)
            assert row["metric"] == metric and row["route"] == row["target"] + "<-" + row["source"]
            assert int(row["n"]) == count, (key, row["n"], count)
            assert close(float(row["depth"]), at), (key, row["depth"], at)
            for name, number in (("value", value), ("low", low), ("high", high)):
                if number is None:
                    assert row[name] == "", (key, name, row[name])
                else:
                    assert close(float(row[name]), number), (key, name, row[name], number)
            n += 1
    assert not expected, f"{len(expected)} windows are missing, {next(iter(expected))} first"
    assert n > 0
    print(f"{metric}: {n} windows agree")


def check_maps(path, table):
    with h5py.File(path) as f:
        cells = values(f, "change", "heat_")
        models, prompts, routes = text(f["model"]), text(f["heat_prompt"]), text(f["heat_route"])
        classes = text(f["feature_class"])
        sizes, starts = list(f["window_size"][:]), list(f["window_start"][:])
        pieces = f["heat_token_text"].asstr()[:]
    n = 0
    with open(table, newline="") as lines:
        for row in csv.DictReader(lines):
            m, p = models.index(row["model"]), prompts.index(row["prompt"])
            k = int(row["source_position"])
            value = cells[m, p, routes.index(row["route"]), classes.index(row["feature_class"]), k,
                          sizes.index(int(row["window_size"])),
                          starts.index(int(row["window_start"]))]
            assert close(float(row["value"]), value), (row, value)
            assert row["token"] == pieces[m, p, k], row
            n += 1
    assert n == np.isfinite(cells).sum(), (n, np.isfinite(cells).sum())
    print(f"maps: {n} cells agree")


def check_counts(path, status, plan):
    with h5py.File(path) as f:
        done = sum(int((f[name][:] >= 1).sum())
                   for name in ("target_rank", "heat_target_rank") if name in f)
    total = json.load(open(status))["total"]
    cells = json.load(open(plan))["cells"]
    assert total["done"] == done == cells["computed"], (total, done, cells)
    assert total["vacuous"] == cells["vacuous"] > 0, (total, cells)
    assert total["cells"] == cells["planned"], (total, cells)
    assert total["failed"] == total["pending"] == 0, total
    print(f"status: {done} cells done")


def set_status(path, status):
    with h5py.File(path, "r+") as f:
        dataset = f["status"]
        at = tuple(np.argwhere(dataset[:] == 2)[0])
        dataset[at] = int(status)


def main():
    what, arguments = sys.argv[1], sys.argv[2:]
    {"curves": check_curves, "maps": check_maps, "counts": check_counts,
     "set": set_status}[what](*arguments)


main()
