"""hybrid_cube.py CUBE: makes the cube of a hybrid out of that of a model with an SSM.

The cube has the classes all, slow-third and fast-third. The thirds are called attention and ssm, and some layers get attention. In
a window without a mixer of one kind its class is vacuous, and the other one is what `all` is, as the program would compute it. So
is one prompt in some windows, as with an edge that is longer than a sliding window.
"""
import sys

import h5py
import numpy as np

ATTENTION, SSM = 1, 2
CLASSES = ("all", "attention", "ssm")
INTEGERS = ("target_rank", "top1_id")


def main(path):
    with h5py.File(path, "r+") as f:
        classes = list(f["feature_class"].asstr()[:])
        assert sorted(classes) == ["all", "fast-third", "slow-third"], classes
        name = {"all": "all", "slow-third": "attention", "fast-third": "ssm"}
        f["feature_class"][:] = [name[c] for c in classes]
        at = {name[c]: k for k, c in enumerate(classes)}
        n_layers, sizes, starts = int(f["n_layers"][0]), f["window_size"][:], f["window_start"][:]
        mixers = np.full(n_layers, SSM, np.uint8)
        mixers[3::4] = ATTENTION
        mixers[5] = ATTENTION | SSM
        mixers[1] = 0
        f["layer_mixers"][0, :n_layers] = mixers
        vacuous = np.zeros(f["logprob"].shape, np.uint8)
        for k, size in enumerate(sizes):
            for w, start in enumerate(starts):
                if start + size > n_layers:
                    continue
                kinds = mixers[start:start + size]
                has = {"attention": (kinds & ATTENTION).any(), "ssm": (kinds & SSM).any()}
                vacuous[0, :, :, at["attention"], k, w] = not has["attention"]
                vacuous[0, :, :, at["ssm"], k, w] = not has["ssm"]
                vacuous[0, :, :, at["all"], k, w] = not any(has.values())
                if all(has.values()) and w % 3 == 0:
                    vacuous[0, 2, :, at["attention"], k, w] = 1
        for metric in ("logprob", "prob", "kl", "target_rank", "top1_id"):
            values = f[metric][:]
            for part, other in (("attention", "ssm"), ("ssm", "attention")):
                gone = vacuous[:, :, :, at[part]] == 1
                values[:, :, :, at[other]][gone] = values[:, :, :, at["all"]][gone]
            values[vacuous == 1] = -1 if metric in INTEGERS else np.nan
            f[metric][:] = values
        f.create_dataset("vacuous", data=vacuous)
        status = f["status"][:]
        planned = starts[None, :] <= n_layers - sizes[:, None]
        status[(vacuous[...] == 1).sum(-1) == planned.sum(-1)[None, None, None, None, :]] = 3
        f["status"][:] = status


main(sys.argv[1])
