"""strongest.py CUBE CSV OPTIONS...: what `show --strongest 12 OPTIONS` printed of a cube's first model, against numpy and scipy on the
cube's values."""
import argparse
import csv
import re

import h5py
import numpy as np
import scipy.stats

from interaction import effects, holm, near


def chosen(asked, labels):
    """Which labels pass a filter; head:each is every head."""
    return [k for k, label in enumerate(labels)
            if not asked or label in asked or (":each" in asked[0] and re.fullmatch(asked[0].replace("each", r"\d+"), label))]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("cube")
    ap.add_argument("table")
    ap.add_argument("--metric", default="change")
    ap.add_argument("--statistic", default="mean")
    ap.add_argument("--window-size", type=int)
    for name in ("--route", "--feature"):
        ap.add_argument(name, action="append")
    a = ap.parse_args()
    with h5py.File(a.cube) as f:
        value = effects(f, a.metric)
        routes, classes = (list(f[name].asstr()[:]) for name in ("route", "feature_class"))
        sizes = [int(s) for s in f["window_size"][:]]
    cells = []
    for r in chosen(a.route, routes):
        for c in chosen(a.feature, classes):
            for s, size in enumerate(sizes):
                if a.window_size in (None, size):
                    for w in range(value.shape[-1]):
                        sample = value[:, r, c, s, w]
                        sample = sample[np.isfinite(sample)]
                        if len(sample):
                            cells.append(((routes[r], classes[c], size, w), sample))
    figure = np.array([np.median(x) if a.statistic == "median" else np.mean(x) for _, x in cells])
    with np.errstate(invalid="ignore"):
        p = np.array([np.nan if not x.any() else scipy.stats.ttest_1samp(x, 0).pvalue for _, x in cells])
    adjusted = np.full(len(p), np.nan)
    adjusted[np.isfinite(p)] = holm(p[np.isfinite(p)])
    rows = list(csv.DictReader(open(a.table, newline="", encoding="utf-8")))
    assert len(rows) == min(12, len(cells)), (len(rows), len(cells))
    for rank, (row, k) in enumerate(zip(rows, np.argsort(-np.abs(figure), kind="stable")), 1):
        (route, feature, size, start), sample = cells[k]
        assert (row["route"], row["feature_class"], row["window_size"], row["window_start"]) == (route, feature, str(size), str(start)), (row, cells[k][0])
        assert (row["rank"], row["cells"], row["n"]) == (str(rank), str(len(cells)), str(len(sample))), row
        assert near(row["value"], figure[k]), row
        if a.statistic == "median":
            assert row["p"] == row["p_holm"] == "" and row["tests"] == "0", row
        else:
            assert row["tests"] == str(int(np.isfinite(p).sum())), row
            assert near(row["p"], p[k], 1e-5) and near(row["p_holm"], adjusted[k], 1e-5), (row, p[k], adjusted[k])
    print(f"{a.metric}, {a.statistic}: {len(rows)} of {len(cells)} cells")


main()
