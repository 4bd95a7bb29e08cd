"""Compares a cube that took cells of another one with that one and with one that was computed whole.

reuse_check.py taken NEW OLD [BOUND]    prints how many records (model, prompt, axis) of OLD are in NEW bit for bit; with BOUND, cells that
                                        NEW does not mark as taken may differ by that much: they were computed in other batches
reuse_check.py close NEW WHOLE BOUND    every dataset of results agrees to the bound; ranks where the answer is not that close
reuse_check.py cells NEW OLD            every cell that NEW marks as taken is OLD's bit for bit, and so is its clean run;
                                        every done cell of OLD that is planned in NEW is marked; prints how many are marked and how many not
reuse_check.py unsettled CUBE           prints how many cells are marked as taken under a flag that says pending
reuse_check.py attribute CUBE NAME VALUE
"""
import sys

import h5py
import numpy as np

METRICS = ["logprob", "prob", "kl", "target_rank", "top1_id"]


def text(dataset):
    return list(dataset.asstr()[:])


def records(f, prefix):
    """{(model, prompt): {cell: values}} of the done cells."""
    heat = bool(prefix)
    routes, classes = text(f[prefix + "route"]), text(f["feature_class"])
    sizes, starts = f["window_size"][:], f["window_start"][:]
    data = [f[prefix + name][:] for name in METRICS]
    found = {}
    for at in np.argwhere(data[3] >= 1):
        m, p, r, c = at[:4]
        cell = (routes[r], classes[c], int(at[4]) if heat else None, int(sizes[at[-2]]), int(starts[at[-1]]))
        found.setdefault((m, p), {})[cell] = tuple(x[tuple(at)].tobytes() for x in data)
    models, prompts = text(f["model"]), text(f[prefix + "prompt"])
    return {(models[m], prompts[p]): cells for (m, p), cells in found.items()}


def near(one, other, bound):
    (x, i), (y, k) = ((np.frombuffer(b"".join(v[:3]), np.float32), np.frombuffer(b"".join(v[3:]), np.int32)) for v in (one, other))
    return bool((np.abs(x - y) <= bound).all() and (i == k).all())


def taken(new, old, bound=None):
    n = 0
    with h5py.File(new) as a, h5py.File(old) as b:
        for prefix in [p for p in ("", "heat_") if p + "status" in a and p + "status" in b]:
            left, right = records(a, prefix), records(b, prefix)
            marks = marked(a, prefix) if bound else {}
            for key, cells in left.items():
                have = right.get(key, {})
                n += all(have.get(cell) == values or (bound and cell in have and cell not in marks.get(key, ())
                                                      and near(values, have[cell], float(bound))) for cell, values in cells.items())
    print(n)


def marked(f, prefix):
    """The same keys as records, {cell: marked}."""
    heat = bool(prefix)
    routes, classes = text(f[prefix + "route"]), text(f["feature_class"])
    sizes, starts = f["window_size"][:], f["window_start"][:]
    models, prompts = text(f["model"]), text(f[prefix + "prompt"])
    found = {}
    for at in np.argwhere(f[prefix + "reused"][:] == 1):
        cell = (routes[at[2]], classes[at[3]], int(at[4]) if heat else None, int(sizes[at[-2]]), int(starts[at[-1]]))
        found.setdefault((models[at[0]], prompts[at[1]]), set()).add(cell)
    return found


def cells(new, old):
    n_marked = n_other = 0
    with h5py.File(new) as a, h5py.File(old) as b:
        for prefix in [p for p in ("", "heat_") if p + "reused" in a]:
            left, right, marks = records(a, prefix), records(b, prefix), marked(a, prefix)
            assert marks.keys() <= left.keys(), "a mark where nothing is done"
            for key, have in left.items():
                taken = marks.get(key, set())
                for cell, values in have.items():
                    there = right.get(key, {}).get(cell)
                    assert (cell in taken) == (there is not None), (key, cell, "is marked wrongly")
                    assert there is None or there == values, (key, cell, "is not the old cube's")
                assert taken <= have.keys(), (key, "a mark without a cell")
                n_marked, n_other = n_marked + len(taken), n_other + len(have) - len(taken)
                if taken:
                    m, p = (text(a["model"]).index(key[0]), text(a[prefix + "prompt"]).index(key[1]))
                    n, q = (text(b["model"]).index(key[0]), text(b[prefix + "prompt"]).index(key[1]))
                    for name in ("logprob", "prob", "target_rank", "top1_id"):
                        x, y = a[prefix + "clean_" + name][m, p], b[prefix + "clean_" + name][n, q]
                        assert x.tobytes() == y.tobytes(), (key, name, "of the clean run is not the old cube's")
    print(n_marked, n_other)


def unsettled(path):
    with h5py.File(path) as f:
        print(sum(int(((f[p + "status"][:] == 1)[..., None] & (f[p + "reused"][:] == 1)).sum()) for p in ("", "heat_")))


def close(new, whole, bound):
    bound = float(bound)
    with h5py.File(new) as a, h5py.File(whole) as b:
        for name in b:
            if name.startswith("run") or b[name].dtype == object:
                continue
            x, y = a[name][...], b[name][...]
            assert x.shape == y.shape and x.dtype == y.dtype, name
            if x.dtype == np.float32:
                assert (np.isnan(x) == np.isnan(y)).all(), name
                worst = np.nanmax(np.abs(x - y), initial=0)
                assert worst <= bound, (name, worst)
            elif name.endswith(("target_rank", "top1_id")):
                assert np.mean(x != y) <= 1e-3, name
                assert ((x < 0) == (y < 0)).all(), name
            else:
                assert (x == y).all(), name
        assert np.isfinite(a["logprob"][...]).any()
    print("they agree")


def attribute(path, name, value):
    with h5py.File(path, "r+") as f:
        f.attrs.modify(name, np.bytes_(value) if not value.isdigit() else np.int32(value))


{"taken": taken, "cells": cells, "unsettled": unsettled, "close": close, "attribute": attribute}[sys.argv[1]](*sys.argv[2:])
