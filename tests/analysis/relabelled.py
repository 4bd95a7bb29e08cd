"""relabelled.py heads|components CUBE: makes the cube of a sweep over heads, or over components, out of one with as many classes or
routes, by other labels on its axes. The numbers stay what they are; pairs without meaning, and heads of layers that have none, lose
theirs, as the program leaves them.

heads: the classes all, random-third:0 ... 9 become all, head:0 ... 5 and ssm-head:0 ... 3, and the four routes last<-subject,
attention@last, mlp@last and ssm@last. Attention is in the layers 1, 4, 7 and 10, an SSM in the others and in 4.
components: the routes of the cube become KIND@SET of three kinds and five sets, the heat routes KIND@each of the kinds.
"""
import sys

import h5py
import numpy as np

NOT_PLANNED, VACUOUS = 0, 3
ATTENTION, SSM = 1, 2
HEADS, SSM_HEADS = 6, 4
KINDS, SETS = ("attention", "ssm", "mlp"), ("last", "subject", "first", "subject-last", "relation")
INTEGERS = ("target_rank", "top1_id")
VALUES = ("logprob", "prob", "kl", "foil_logprob", *INTEGERS)


def relabel(f, axis, labels):
    assert len(labels) == len(f[axis]), (axis, len(f[axis]), labels)
    f[axis][:] = labels
    characters = f[axis + "_label"]
    characters[...] = np.array([list(label.encode().ljust(characters.shape[1], b"\0")) for label in labels], np.uint8).view("S1")


def clear(f, where, prefix=""):
    """Takes the values of cells away: where is a boolean array, or an index, over the axes of logprob."""
    for name in VALUES:
        if prefix + name in f:
            values = f[prefix + name][:]
            values[where] = -1 if name in INTEGERS else np.nan
            f[prefix + name][:] = values


def mixers_of(n_layers):
    """Attention in every third layer from the second on, and beside an SSM in layer 4."""
    mixers = np.full(n_layers, SSM, np.uint8)
    mixers[1::3] = ATTENTION
    mixers[4] = ATTENTION | SSM
    return mixers


def heads(f):
    relabel(f, "feature_class", ["all"] + [f"head:{k}" for k in range(HEADS)] + [f"ssm-head:{k}" for k in range(SSM_HEADS)])
    relabel(f, "route", ["last<-subject", "attention@last", "mlp@last", "ssm@last"])
    n_layers, sizes, starts = int(f["n_layers"][0]), f["window_size"][:], f["window_start"][:]
    mixers = mixers_of(n_layers)
    f["layer_mixers"][0, :n_layers] = mixers
    head, ssm_head = slice(1, 1 + HEADS), slice(1 + HEADS, None)
    gone, status = np.zeros(f["logprob"].shape, bool), f["status"][:]
    for route, classes in ((1, ssm_head), (2, head), (2, ssm_head), (3, head)):
        gone[:, :, route, classes] = True
        status[:, :, route, classes] = NOT_PLANNED
    vacuous = np.zeros(gone.shape, np.uint8)
    for s, size in enumerate(sizes):
        for w, start in enumerate(starts):
            if start + size <= n_layers:
                for classes, bit in ((head, ATTENTION), (ssm_head, SSM)):
                    vacuous[:, :, :, classes, s, w] = not (mixers[start:start + size] & bit).any()
    vacuous[gone] = 0
    clear(f, gone | (vacuous == 1))
    f.create_dataset("vacuous", data=vacuous)
    if "heat_logprob" in f:
        f.create_dataset("heat_vacuous", data=np.zeros(f["heat_logprob"].shape, np.uint8))
    f["status"][:] = status


def components(f):
    relabel(f, "route", [f"{kind}@{s}" for kind in KINDS for s in SETS])
    relabel(f, "heat_route", [f"{kind}@each" for kind in KINDS])


def main(what, path):
    with h5py.File(path, "r+") as f:
        {"heads": heads, "components": components}[what](f)


main(*sys.argv[1:])
