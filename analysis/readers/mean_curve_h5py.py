"""Mean change of the answer's probability, in percent, a line a window: mean_curve_h5py.py CUBE"""
import csv
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "r") as cube:
    axes = [axis.keys()[0] for axis in cube["logprob"].dims]
    assert axes == ["model", "prompt", "route", "feature_class", "window_size", "window_start"], axes
    done = cube["status"][:] == 2  # first: a run may be writing the cube, and flags what is written
    logprob = np.where(done[..., None], cube["logprob"][:].astype(float), np.nan)
    clean = cube["clean_logprob"][:].astype(float)[:, :, None, None, None, None]
    label = {name: cube[name].asstr()[:] for name in ("model", "route", "feature_class")}
    label.update({name: cube[name][:] for name in ("window_size", "window_start")})

change = 100 * np.expm1(logprob - clean)
n = np.isfinite(change).sum(axis=1)
table = csv.writer(sys.stdout)
table.writerow([*label, "value", "n"])
for at in np.argwhere(n > 0):
    m, r, f, s, w = at
    value = np.nanmean(change[m, :, r, f, s, w])
    table.writerow([*(labels[i] for labels, i in zip(label.values(), at)), f"{value:.9g}", n[tuple(at)]])
