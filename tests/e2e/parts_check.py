"""What parts.sh asks of cubes of component and head cells.

parts_check.py kinds CUBE              there are done cells of every kind of class, their values differ, and donors that
                                       are too short make vacuous cells
parts_check.py class CUBE CLASS        adds 0.05 to the log-probabilities of the class at all starts but 0
parts_check.py entry CUBE CLASS        adds 0.05 to those of one model, prompt, route and size of the class
parts_check.py means CUBE DELTA        adds DELTA to every mean
parts_check.py unlike CUBE OTHER       cells differ between the cubes where the class has ~mean, and nowhere else
parts_check.py reused NEW OLD WHOLE    NEW took all done cells of OLD whose class has no suffix, and no other; the means are WHOLE's,
                                       and some cells with a suffix are not OLD's
parts_check.py identities CUBE         edges and components of all heads, and of single ones, are the same
"""
import sys

import h5py
import numpy as np

DONE, VACUOUS = 2, 3
KINDS = ("", "heat_")


def text(dataset):
    return list(dataset.asstr()[:])


def is_replaced(label):
    return "~" in label


def kinds(path):
    with h5py.File(path) as f:
        classes = text(f["feature_class"])
        vacuous = 0
        for c, label in enumerate(classes):
            here = np.concatenate([f[prefix + "status"][:, :, :, c].ravel() for prefix in KINDS])
            assert (here == DONE).any(), f"no done cell of {label}"
            vacuous += (here == VACUOUS).sum() * label.startswith("all~resample")
        assert vacuous > 0, "every donor is long enough"
        of = {label: f["logprob"][0, :, 0, c] for c, label in enumerate(classes)}  # attention@last of GPT-2
        clean = f["clean_logprob"][0][:, None, None]
        whole, mean, resample = of["all"], of["all~mean"], of["all~resample:3"]
        pairs = ((whole, clean), (mean, clean), (resample, clean), (whole, mean), (whole, resample), (mean, resample),
                 (of["head:0"], of["head:1"]), (of["head:0"], of["head:0~mean"]), (whole, of["head:0"]))
        for n, (a, b) in enumerate(pairs):
            assert np.nanmax(np.abs(a - b)) > 0.01, f"pair {n} is the same"
        means = np.isfinite(f["component_mean"][:]).sum(axis=1)
        assert (means > 1000).all(), means

def change(path, label, starts, at=()):
    """Adds 0.05 to the log-probabilities of a class at these starts: everywhere, or in one entry of the statuses."""
    with h5py.File(path, "r+") as f:
        values, c = f["logprob"][:], text(f["feature_class"]).index(label)
        here = values[:, :, :, c][(*at, starts)] if at else values[:, :, :, c, :, starts]
        assert np.isfinite(here).any()
        here += np.float32(0.05)
        f["logprob"][...] = values


def class_(path, label):
    change(path, label, slice(1, None))


def entry(path, label):
    with h5py.File(path) as f:
        status = f["status"][:, :, :, text(f["feature_class"]).index(label)]
    change(path, label, slice(None), tuple(np.argwhere(status == DONE)[-1]))


def means(path, delta):
    with h5py.File(path, "r+") as f:
        f["component_mean"][...] = f["component_mean"][...] + np.float32(delta)


def unlike(path, other):
    with h5py.File(path) as a, h5py.File(other) as b:
        n = 0
        for c, label in enumerate(text(a["feature_class"])):
            for prefix in KINDS:
                same = a[prefix + "logprob"][:, :, :, c].tobytes() == b[prefix + "logprob"][:, :, :, c].tobytes()
                assert same or label.endswith("~mean"), f"{prefix}cells of {label} differ"
                n += not same
        assert n > 0, "no cell differs"
    print(f"{n} classes differ")


def reused(path, old, whole):
    with h5py.File(path) as a, h5py.File(old) as b, h5py.File(whole) as c:
        classes = text(a["feature_class"])
        assert classes == text(b["feature_class"])
        n, other = 0, False
        for prefix in KINDS:
            prompts = [text(b[prefix + "prompt"]).index(p) for p in text(a[prefix + "prompt"])]
            done = (a[prefix + "status"][:] == DONE)[..., None] & np.isfinite(a[prefix + "logprob"][:])
            marked = a[prefix + "reused"][:] == 1
            shape = [slice(None)] * marked.ndim
            if prefix:  # the old axis of positions may be longer
                shape[4] = slice(0, marked.shape[4])
            before = b[prefix + "logprob"][:, prompts][tuple(shape)]
            for k, label in enumerate(classes):
                here = (slice(None), slice(None), slice(None), k)
                expected = done[here] & (not is_replaced(label))
                assert (marked[here] == expected).all(), f"{prefix}{label}: other cells were taken"
                now, then = a[prefix + "logprob"][:][here], before[here]
                assert (now[expected] == then[expected]).all(), label
                n += int(expected.sum())
                other = other or (is_replaced(label) and np.nanmax(np.abs(now - then), initial=0) > 0.01)
        assert n > 0 and other, (n, other)
        assert a["component_mean"][:].tobytes() == c["component_mean"][:].tobytes(), "other means"
        assert a["component_mean"][:].tobytes() != b["component_mean"][:].tobytes(), "the means of the old cube"
    print(f"{n} cells were taken")


def identities(path):
    """A head that reads nothing gives zeros. `all` takes the projection's bias out as well, which edges leave; Llama has none. Mamba-2
    has no such pair: without edges a position still has its own D skip and gate."""
    with h5py.File(path) as f:
        models, routes, classes = (text(f[name]) for name in ("model", "route", "feature_class"))
        logprob, clean = f["logprob"][:], f["clean_logprob"][:]
    edges, parts = logprob[:, :, routes.index("last<-all")], logprob[:, :, routes.index("attention@last")]
    assert np.isfinite(edges).all() and np.isfinite(parts).all()
    for m, model in enumerate(models):
        for c, label in enumerate(classes):
            apart = float(np.abs(edges[m, :, c] - parts[m, :, c]).max())
            print(f"{model} {label}: edges and parts at most {apart:.2e} apart")
            if label == "all" and model == "gpt2-facts":
                assert apart > 0.01, "GPT-2's cells do not differ by the bias"
            else:
                assert apart <= 1e-5, "not the same"  # observed: 0
        change = np.abs(parts[m] - clean[m][:, None, None, None])
        assert (change.max(axis=(0, 2, 3)) > 1e-4).all(), f"{model}: a class removes nothing"
        assert (change.max(axis=(0, 2)) > 0).all(), f"{model}: cells of a layer are the clean run"


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {"kinds": kinds, "class": class_, "entry": entry, "means": means, "unlike": unlike, "reused": reused, "identities": identities}[command](*rest)
