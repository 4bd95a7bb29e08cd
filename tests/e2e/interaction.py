"""interaction.py CUBE CSV METRIC STATISTIC [some]: what `show --interaction` printed of a cube's first model, against numpy and scipy
on the cube's values. some: some windows lack some prompts."""
import csv
import sys

import h5py
import numpy as np
import scipy.stats


def effects(f, metric):
    """[prompt, route, class, size, start], NaN without a value."""
    name = {"change": "logprob", "logprob": "logprob", "delta": "prob", "kl": "kl"}[metric]
    values = f[name][0].astype(float)
    values[f["status"][0] != 2] = np.nan
    if metric == "kl":
        return values
    values = values - f["clean_" + name][0].astype(float)[:, None, None, None, None]
    return {"change": lambda v: 100 * np.expm1(v), "delta": lambda v: 100 * v, "logprob": lambda v: v}[metric](values)


def holm(p):
    order = np.argsort(p)
    adjusted = np.minimum(1, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return back


def near(word, value, relative=1e-6):
    if word == "" or not np.isfinite(value):
        return word == "" and not np.isfinite(value)
    return abs(float(word) - value) <= relative * max(abs(value), 1e-3)


def main(cube, table, metric, statistic, fewer=""):
    with h5py.File(cube) as f:
        classes, routes = list(f["feature_class"].asstr()[:]), list(f["route"].asstr()[:])
        value = effects(f, metric)
        sizes, starts = f["window_size"][:], f["window_start"][:]
        n_layers = int(f["n_layers"][0])
    of = {c: value[:, :, classes.index(c)] for c in ("all", "attention", "ssm")}
    interaction = of["all"] - of["attention"] - of["ssm"]
    rows = list(csv.DictReader(open(table, newline="", encoding="utf-8")))
    curves = {}
    for row in rows:
        assert row["feature_class"] == "all" and row["minus"] == "attention and ssm" and row["metric"] == metric, row
        curves.setdefault((row["route"], int(row["window_size"])), []).append(row)
    expected = {}
    for r, route in enumerate(routes):
        for k, size in enumerate(sizes):
            windows = [w for w, s in enumerate(starts) if s + size <= n_layers and np.isfinite(interaction[:, r, k, w]).any()]
            if windows:
                expected[(route, int(size))] = (r, k, windows)
    assert curves.keys() == expected.keys(), (curves.keys(), expected.keys())
    n_fewer = 0
    for key, (r, k, windows) in expected.items():
        samples = [interaction[:, r, k, w] for w in windows]
        samples = [s[np.isfinite(s)] for s in samples]
        assert [int(row["window_start"]) for row in curves[key]] == [int(starts[w]) for w in windows], key
        p = np.array([scipy.stats.ttest_1samp(s, 0).pvalue for s in samples])
        for row, sample, one, adjusted in zip(curves[key], samples, p, holm(p)):
            assert int(row["n"]) == len(sample), row
            assert near(row["depth"], 100 * int(row["window_start"]) / max(1, n_layers - key[1])), row
            n_fewer += len(sample) < len(interaction)
            if statistic == "median":
                assert near(row["value"], np.median(sample)) and row["p"] == "", row
                continue
            mean, half = sample.mean(), scipy.stats.t.ppf(0.975, len(sample) - 1) * sample.std(ddof=1) / len(sample) ** 0.5
            assert near(row["value"], mean) and near(row["low"], mean - half) and near(row["high"], mean + half), row
            assert near(row["p"], one, 1e-5) and near(row["p_holm"], adjusted, 1e-5), row
    assert (n_fewer > 0) == (fewer == "some"), f"{n_fewer} windows lack prompts"
    print(f"{metric}, {statistic}: {len(rows)} windows of {len(curves)} curves")


if __name__ == "__main__":
    main(*sys.argv[1:])
