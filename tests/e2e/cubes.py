"""What the end-to-end scripts ask of cubes.

    cubes.py same A.h5 B.h5 [NAME...]  every dataset but run* and those named equal, bit for bit; names the first that differs
    cubes.py near A.h5 B.h5 LOGPROB KL [RANKS]
                                       the same cells; log-probabilities and KL no further apart than that, ranks and first tokens
                                       equal but for a share of RANKS (default 0); prints the largest differences
    cubes.py failed WHOLE CUBE MODEL   every cell of MODEL that is done in WHOLE is failed in CUBE; all other models are equal
    cubes.py change CUBE DATASET DELTA adds DELTA to the values of every finished cell
    cubes.py attribute CUBE NAME TEXT  replaces a text attribute of the root
    cubes.py unfinish CUBE             flags the cells of the last prompt that has finished ones pending again, and takes their values
                                       away; of an evaluation every other prompt
    cubes.py empty CUBE N              takes the values of the first N cells that are done, and leaves their flags
    cubes.py between CUBE N            flags the done cells of the first N prompts pending, and leaves their values
    cubes.py hash CUBE                 says that the first model had other weights
    cubes.py overwrite CHECKPOINT_FOLDER NAME VALUE
                                       writes VALUE over the first float32 or bfloat16 element of the tensor NAME
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np


def arrays(path):
    import h5py

    found = {}
    with h5py.File(path) as cube:
        for name, item in cube.items():
            if not name.startswith("run") and item.dtype != object:
                found[name] = item[...]
            elif not name.startswith("run"):
                found[name] = np.array([v if isinstance(v, bytes) else str(v).encode() for v in item[...].ravel()])
    return found


def same(a, b, *except_for):
    left, right = arrays(a), arrays(b)
    for name in except_for:
        del left[name], right[name]
    if left.keys() != right.keys():
        sys.exit(f"{a} and {b} hold different datasets: {sorted(left.keys() ^ right.keys())}")
    if "logprob" in left and not np.isfinite(left["logprob"]).any():
        sys.exit(f"{a} holds no result")
    for name in left:
        if left[name].shape != right[name].shape or left[name].tobytes() != right[name].tobytes():
            sys.exit(f"{a} and {b} differ in {name}")
    print(f"{len(left)} datasets are the same")


def near(a, b, logprob, kl, ranks=0.0):
    left, right = arrays(a), arrays(b)
    if left.keys() != right.keys():
        sys.exit(f"{a} and {b} hold different datasets: {sorted(left.keys() ^ right.keys())}")
    for kind, bound, endings in (("log-probability", logprob, ("logprob",)), ("kl", kl, ("kl",)),
                                 ("rank or first token", ranks, ("target_rank", "top1_id"))):
        worst, at, n_values, n_apart = 0.0, "nowhere", 0, 0
        for name in sorted(left):
            if not name.endswith(endings) or name == "reason_code":
                continue
            x, y = left[name].astype(np.float64), right[name].astype(np.float64)
            if x.shape != y.shape or (np.isnan(x) != np.isnan(y)).any():
                sys.exit(f"{a} and {b} have values at different places of {name}")
            there = ~np.isnan(x) if endings != ("target_rank", "top1_id") else x >= 0
            difference = np.abs(x - y)[there]
            n_values, n_apart = n_values + difference.size, n_apart + int((difference > 0).sum())
            if difference.size and not difference.max() <= worst:
                worst, at = difference.max(), name
        if n_values == 0:
            sys.exit(f"{a} holds no {kind}")
        share = n_apart / n_values
        if endings == ("target_rank", "top1_id"):
            print(f"{kind}: {n_apart} of {n_values} differ, at most by {worst:g} ({at})")
            worst = share
        else:
            print(f"{kind}: at most {worst:.2e} apart ({at}), {n_values} values")
        if not worst <= bound:
            sys.exit(f"{a} and {b}: {kind}: {worst:g}, allowed {bound:g}")

def failed(whole, path, model):
    left, right = arrays(whole), arrays(path)
    at = left["model"].tolist().index(model.encode())
    others = [m for m in range(len(left["model"])) if m != at]
    for name in left:
        if name in ("content_hash", "reason_code"):
            continue
        if left[name].shape[:1] != (len(left["model"]),) or name.startswith("eval_"):
            if left[name].tobytes() != right[name].tobytes():
                sys.exit(f"{whole} and {path} differ in {name}")
        elif left[name][others].tobytes() != right[name][others].tobytes():
            sys.exit(f"{whole} and {path} differ in {name} of another model than {model}")
    for name in ("status", "heat_status"):
        expected = np.where(left[name][at] == 2, 4, left[name][at])
        if not (expected == 4).any() or (right[name][at] != expected).any():
            sys.exit(f"{path}: {name} of {model} is not failed throughout")
    for name in ("logprob", "heat_kl", "clean_prob"):
        if np.isfinite(right[name][at]).any():
            sys.exit(f"{path}: {name} of {model} holds values")


def change(path, dataset, delta):
    import h5py

    with h5py.File(path, "r+") as cube:
        values = cube[dataset][...]
        if delta == delta and not np.isfinite(values).any():
            sys.exit(f"{path} holds no result in {dataset}")
        cube[dataset][...] = values + np.asarray(delta).astype(values.dtype)


def empty(path, n):
    """Takes the values of the first n cells that are done, and leaves their flags."""
    import h5py

    with h5py.File(path, "r+") as cube:
        done = (cube["status"][...] == 2)[..., None] & np.isfinite(cube["logprob"][...])
        for at in np.argwhere(done)[:n]:
            cube["logprob"][tuple(at)] = np.nan
            cube["target_rank"][tuple(at)] = -1


def between(path, n):
    import h5py

    with h5py.File(path, "r+") as cube:
        status = cube["status"][:, :n]
        cube["status"][:, :n] = np.where(status == 2, 1, status)


def hash_(path):
    """Says that the first model had other weights."""
    import h5py

    with h5py.File(path, "r+") as cube:
        cube["content_hash"][0] = np.frombuffer(b"0123456789abcdef" * 2, "S1")


def attribute(path, name, text):
    import h5py

    with h5py.File(path, "r+") as cube:
        if name not in cube.attrs:
            sys.exit(f"{path} has no attribute {name}")
        cube.attrs[name] = np.bytes_(text)


def unfinish(path):
    import h5py

    with h5py.File(path, "r+") as cube:
        evaluation = "eval_status" in cube
        name = "eval_status" if evaluation else "status"
        status = cube[name][...]
        if evaluation:
            taken = (status == 2) & (np.arange(status.shape[1]) % 2 == 1)
        else:
            taken = np.zeros(status.shape[:2], bool)
            taken[tuple(np.argwhere((status == 2).any(axis=(2, 3, 4)))[-1])] = True
        status[taken[(...,) + (None,) * (status.ndim - 2)] & (status == 2)] = 1
        cube[name][...] = status
        for prefix in ("eval_",) if evaluation else ("", "clean_"):
            for metric, none in (("prob", np.nan), ("logprob", np.nan), ("target_rank", -1), ("top1_id", -1)):
                values = cube[prefix + metric][...]
                values[taken] = none
                cube[prefix + metric][...] = values


def overwrite(folder, tensor, value):
    path = Path(folder) / "model.safetensors"
    data = bytearray(path.read_bytes())
    (n,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8:8 + n])[tensor]
    at = 8 + n + entry["data_offsets"][0]
    bits = struct.pack("<f", float(value))
    data[at:at + 4 if entry["dtype"] == "F32" else at + 2] = bits if entry["dtype"] == "F32" else bits[2:]
    path.write_bytes(data)


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "same":
        same(*rest)
    elif command == "near":
        near(rest[0], rest[1], *map(float, rest[2:]))
    elif command == "failed":
        failed(*rest)
    elif command == "change":
        change(rest[0], rest[1], float(rest[2]))
    elif command == "attribute":
        attribute(*rest)
    elif command == "unfinish":
        unfinish(*rest)
    elif command == "empty":
        empty(rest[0], int(rest[1]))
    elif command == "between":
        between(rest[0], int(rest[1]))
    elif command == "hash":
        hash_(*rest)
    elif command == "overwrite":
        overwrite(*rest)
    else:
        sys.exit(__doc__)
