"""Breaks good cubes in every way there is and looks at what each command says of them.

    cube_input.py KNOCKOUT SPEC FOLDER [NAME...]

FOLDER holds good.h5, good.evaluation.h5 and good.shard-0001-of-0002.h5 / ...-0002-..., made from SPEC. Each breakage is done to a copy of
each of the three that has the dataset; every command must end with exit 2 and one line that holds the words, name the file, and write nothing.
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

SWEEP, SHARD, EVALUATION = "good.h5", "good.shard-0001-of-0002.h5", "good.evaluation.h5"
LOCK = threading.Lock()
BREAKS = []  # (name, function of (path), words, which files)


def on_file(name, words, only=(SWEEP, SHARD, EVALUATION)):
    """A breakage of an open file: it returns False where the file has no such part."""
    def add(change):
        def do(path):
            with h5py.File(path, "r+") as file:
                return change(file) is not False
        BREAKS.append((name, do, words, only))
        return change
    return add


def on_bytes(name, words, only=(SWEEP, SHARD, EVALUATION)):
    def add(change):
        BREAKS.append((name, lambda path: change(path) is not False, words, only))
        return change
    return add


def replaced(file, dataset, **how):
    """Puts another dataset in the place of one; False where it is not there."""
    if dataset not in file:
        return False
    old = file[dataset]
    how.setdefault("shape", old.shape)
    how.setdefault("dtype", old.dtype)
    del file[dataset]
    file.create_dataset(dataset, **how)
    return True


# --------------------------------------------------------------------------------------------------- missing
for dataset, words in (("logprob", "dataset 'logprob' is missing"), ("status", "dataset 'status' is missing"),
                       ("n_layers", "dataset 'n_layers' is missing"), ("fingerprint", "dataset 'fingerprint' is missing"),
                       ("eval_target_rank", "dataset 'eval_target_rank' is missing"), ("run_log", "dataset 'run_log' is missing"),
                       ("model", "has no axis 'model', so it is not a cube"), ("eval_prompt", "has no axis 'eval_prompt'"),
                       ("prompt", "its axis 'prompt' is missing"), ("window_size", "its axis 'window_size' is missing"),
                       ("position", "its axis 'position' is missing"), ("run", "axis 'run': expected 1 to 256, file has 0")):
    @on_file(f"missing {dataset}", words)
    def _(file, dataset=dataset):
        if dataset not in file:
            return False
        del file[dataset]

# ------------------------------------------------------------------------------------------------------ type
compound = np.dtype([("a", "f4"), ("b", "i4")])
for dataset, kind, words in (
        ("logprob", "f8", "dataset 'logprob': expected float32, file has float64"),
        ("logprob", ">f4", "expected float32, file has big-endian float32"),
        ("kl", "f2", "dataset 'kl': expected float32, file has float16"),
        ("n_layers", "i8", "dataset 'n_layers': expected int32, file has int64"),
        ("n_layers", "u4", "expected int32, file has uint32"),
        ("window_size", "f4", "dataset 'window_size': expected int32, file has float32"),
        ("reason_code", "i1", "dataset 'reason_code': expected uint8, file has int8"),
        ("status", h5py.enum_dtype({"A": 0, "B": 1}, "u1"), "dataset 'status': expected uint8, file has an enum"),
        ("model", "S12", "dataset 'model': expected variable-length string, file has string of 12 bytes"),
        ("model", "i4", "dataset 'model': expected variable-length string, file has int32"),
        ("model_label", "S2", "dataset 'model_label': expected char, file has string of 2 bytes"),
        ("eval_logprob", compound, "dataset 'eval_logprob': expected float32, file has compound"),
        ("eval_logprob", "V4", "expected float32, file has opaque"),
        ("eval_logprob", h5py.vlen_dtype("f4"), "expected float32, file has a sequence"),
        ("eval_logprob", h5py.ref_dtype, "expected float32, file has a reference"),
        ("eval_logprob", np.dtype(("f4", (2,))), "expected float32, file has an array"),
        ("eval_prompt_text", "S4", "dataset 'eval_prompt_text': expected variable-length string")):
    @on_file(f"type {kind} of {dataset}", words)
    def _(file, dataset=dataset, kind=kind):
        return replaced(file, dataset, dtype=kind)


@on_file("group", "'eval_logprob': expected a dataset, file has a group")
def _(file):
    del file["eval_logprob"]
    file.create_group("eval_logprob")


@on_file("named type", "'eval_logprob': expected a dataset, file has a named type")
def _(file):
    del file["eval_logprob"]
    file["eval_logprob"] = np.dtype("f4")


# ----------------------------------------------------------------------------------------------------- shape
for name, dataset, shape, words in (
        ("rank", "logprob", lambda s: s[:-1], "dataset 'logprob': expected ["),
        ("more axes", "eval_logprob", lambda s: (*s, 1), "dataset 'eval_logprob': expected ["),
        ("length", "eval_logprob", lambda s: (s[0], s[1] + 1), "dataset 'eval_logprob': expected ["),
        ("scalar", "n_layers", lambda s: (), "file has []"),
        ("axis of two", "window_start", lambda s: (2, 2), "axis 'window_start' does not have one dimension"),
        ("axis of none", "eval_prompt", lambda s: (0,), "axis 'eval_prompt' does not have one dimension of 1 to 2147483647"),
        ("hash length", "hash_length", lambda s: (31,), "axis 'hash_length': expected 32, file has 31"),
        ("run table", "run", lambda s: (300,), "axis 'run': expected 1 to 256, file has 300"),
        ("positions", "position", lambda s: (s[0] + 1,), "dataset 'position': expected ")):
    @on_file(f"shape: {name}", words)
    def _(file, dataset=dataset, shape=shape):
        if dataset not in file:
            return False
        return replaced(file, dataset, shape=shape(file[dataset].shape))


@on_file("null space", "file has []")
def _(file):
    del file["n_layers"]
    file.create_dataset("n_layers", data=h5py.Empty("i4"))


@on_file("axis beyond int32", "axis 'eval_prompt' does not have one dimension of 1 to 2147483647")
def _(file):
    return replaced(file, "eval_prompt", shape=(2 ** 31,), chunks=(1024,))


# ---------------------------------------------------------------------------------------------- other places
def elsewhere(file):
    """A file of a stranger's choice, which a link or a layout would have us read."""
    path = Path(file.filename).with_name("elsewhere.h5")
    with h5py.File(path, "w") as other:
        other["x"] = np.zeros(file["eval_logprob"].shape, "f4")
    return path.name


@on_file("soft link", "'eval_logprob': expected a dataset in the file itself, file has a soft link")
def _(file):
    file.move("eval_logprob", "other")
    file["eval_logprob"] = h5py.SoftLink("/other")


@on_file("soft link to nothing", "'eval_logprob': expected a dataset in the file itself, file has a soft link")
def _(file):
    del file["eval_logprob"]
    file["eval_logprob"] = h5py.SoftLink("/nowhere")


@on_file("circular soft links", "'n_layers': expected a dataset in the file itself, file has a soft link")
def _(file):
    del file["n_layers"]
    file["n_layers"], file["loop"] = h5py.SoftLink("/loop"), h5py.SoftLink("/n_layers")


@on_file("external link", "'eval_logprob': expected a dataset in the file itself, file has an external link")
def _(file):
    name = elsewhere(file)
    del file["eval_logprob"]
    file["eval_logprob"] = h5py.ExternalLink(name, "/x")


@on_file("external link as axis", "'model': expected a dataset in the file itself, file has an external link")
def _(file):
    del file["model"]
    file["model"] = h5py.ExternalLink("/etc/passwd", "/x")


@on_file("outline elsewhere", "'whole': expected a group in the file itself, file has an external link", (SHARD,))
def _(file):
    del file["whole"]
    file["whole"] = h5py.ExternalLink("elsewhere.h5", "/")


@on_file("outline a dataset", "'whole': expected a group, file has a dataset", (SHARD,))
def _(file):
    del file["whole"]
    file["whole"] = np.zeros(3)


@on_file("virtual dataset", "'eval_logprob': expected values in the file itself, file has a virtual dataset, which is not followed")
def _(file):
    shape, name = file["eval_logprob"].shape, elsewhere(file)
    del file["eval_logprob"]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(name, "x", shape)
    file.create_virtual_dataset("eval_logprob", layout)


@on_file("external storage", "'eval_logprob': expected values in the file itself, file has external storage")
def _(file):
    return replaced(file, "eval_logprob", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


@on_file("foreign filter", "expected no filter but shuffle, deflate and fletcher32, file has filter 32000")
def _(file):
    return replaced(file, "eval_logprob", compression="lzf")


@on_file("scale-offset filter", "expected no filter but shuffle, deflate and fletcher32, file has filter 6")
def _(file):
    return replaced(file, "reason_code", scaleoffset=0)


@on_file("no values", "dataset 'eval_logprob': expected ")
def _(file):
    return replaced(file, "eval_logprob")


@on_file("terabytes", "dataset 'run_log_byte': expected 8589934588 bytes of values, file has 0")
def _(file):
    replaced(file, "run_log_byte", shape=(2 ** 31 - 1,), chunks=(1024,))
    return replaced(file, "run_log", shape=(2 ** 31 - 1,), chunks=(1024,))


@on_file("large chunks", "dataset 'run_log': expected chunks of at most 67108864 bytes, file has larger ones")
def _(file):
    return replaced(file, "run_log", maxshape=(None,), chunks=(1 << 27,))


@on_file("compact", "dataset 'n_layers': expected a contiguous or chunked layout, file has a compact one")
def _(file):
    values = file["n_layers"][...]
    del file["n_layers"]
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    new = h5py.h5d.create(file.id, b"n_layers", h5py.h5t.NATIVE_INT32, h5py.h5s.create_simple(values.shape), creation)
    new.write(h5py.h5s.ALL, h5py.h5s.ALL, values)


# ------------------------------------------------------------------------------------------------ attributes
def attribute(name, value, words, only=(SWEEP, SHARD, EVALUATION)):
    @on_file(f"attribute {name} = {str(value)[:20]!r}", words, only)
    def _(file):
        del file.attrs[name]
        if isinstance(value, str):  # of variable length, as h5py writes text
            file.attrs.create(name, value, dtype=h5py.string_dtype())
        elif value is not None:
            file.attrs[name] = value


attribute("cube_format", None, "has no attribute cube_format, give a cube that knockout wrote")
attribute("cube_format", np.int32(2), "cube_format 2 is newer than 1, which this program knows, use a newer knockout")
attribute("cube_format", np.int64(2 ** 40), "cube_format 1099511627776 is newer than 1, which this program knows")
attribute("cube_format", np.int32(0), "cube_format is '0', expected a whole number from 1 on")
attribute("cube_format", np.bytes_("1"), "attribute 'cube_format': expected one integer, file has string of 1 bytes")
attribute("cube_format", np.float32(1), "attribute 'cube_format': expected one integer, file has float32")
attribute("cube_format", np.array([1, 1], "i4"), "attribute 'cube_format': expected one integer, file has 2 values")
attribute("kind", None, "attribute kind is '', expected sweep or evaluation")
attribute("kind", np.int32(1), "attribute 'kind': expected one string of fixed length, file has int32")
attribute("kind", np.bytes_("cube"), "attribute kind is 'cube', expected sweep or evaluation")
attribute("kind", "sweep", "attribute 'kind': expected one string of fixed length, file has variable-length string")
attribute("backend", np.int32(7), "attribute 'backend': expected one string of fixed length, file has int32")
attribute("plan_hash", np.array([b"a", b"b"]), "attribute 'plan_hash': expected one string of fixed length, file has 2 values")
attribute("title", np.bytes_(b"\xff\xfe"), "attribute 'title' is not valid UTF-8")
attribute("shard", np.int32(1), "attribute 'shard': expected one string of fixed length, file has int32", (SHARD,))

# ---------------------------------------------------------------------------------------------------- values
for dataset, value, words in (
        ("prompt_eval_index", 10 ** 6, "dataset 'prompt_eval_index': value 0: expected 0 to "),
        ("prompt_eval_index", -1, "file has -1"),
        ("heat_prompt_eval_index", 2 ** 31 - 1, "dataset 'heat_prompt_eval_index': value 0: expected 0 to "),
        ("n_layers", 0, "dataset 'n_layers': value 0: expected 1 to 1048576, file has 0"),
        ("n_layers", 2 ** 31 - 1, "file has 2147483647"),
        ("window_size", 0, "dataset 'window_size': value 0: expected 1 to 1048576, file has 0"),
        ("window_start", -1, "dataset 'window_start': value 0: expected 0 to 1048576, file has -1"),
        ("position", 5, "dataset 'position': value 0: expected 0 to 0, file has 5"),
        ("n_tokens", 10 ** 5, "dataset 'n_tokens': value 0: expected -1 to "),
        ("heat_n_tokens", 10 ** 5, "dataset 'heat_n_tokens': value 0: expected -1 to "),
        ("subject_begin", 10 ** 5, "dataset 'subject_begin': value 0: expected -1 to "),
        ("subject_end", -2, "dataset 'subject_end': value 0: expected -1 to "),
        ("token_id", -2, "dataset 'token_id': value 0: expected -1 to 2147483647, file has -2"),
        ("target_id", -7, "dataset 'target_id': value 0"),
        ("clean_top1_id", -2, "dataset 'clean_top1_id': value 0"),
        ("status", 9, "dataset 'status': value 0: expected 0 to 4, file has 9"),
        ("heat_status", 255, "dataset 'heat_status': value 0: expected 0 to 4, file has 255"),
        ("eval_status", 4, "dataset 'eval_status': value 0: expected 0 to 2, file has 4"),
        ("reason_code", 50, "dataset 'reason_code': value 0: expected a reason that this program knows, file has 50"),
        ("selected", 2, "dataset 'selected': value 0: expected 0 to 1, file has 2"),
        ("eval_target_rank", -2, "dataset 'eval_target_rank': value 0")):
    @on_file(f"{dataset} = {value}", words)
    def _(file, dataset=dataset, value=value):
        if dataset not in file:
            return False
        file[dataset][(0,) * file[dataset].ndim] = value


@on_file("label that is no text", "dataset 'model': entry 0 is not valid UTF-8")
def _(file):
    file["model"][0] = b"\xc3("


# ----------------------------------------------------------------------------------------------------- bytes
def first_string(path, dataset="model"):
    """Where a dataset's first string is referred to: length, address of the heap, index in it."""
    with h5py.File(path) as file:
        return file[dataset].id.get_offset() if dataset in file else None


def put(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


@on_bytes("string of 2 GB", "dataset 'model': string 0: expected the length that its heap says, file has 2147483647")
def _(path):
    put(path, first_string(path), struct.pack("<I", 2 ** 31 - 1))


@on_bytes("string beyond the file", "string 0: expected the address of a heap in the file, file has 1099511627776")
def _(path):
    put(path, first_string(path) + 4, struct.pack("<Q", 2 ** 40))


@on_bytes("string of no index", "string 0: expected the index of an object in its heap, file has 60000")
def _(path):
    put(path, first_string(path) + 12, struct.pack("<I", 60000))


def heap(path):
    with open(path, "rb") as file:
        file.seek(first_string(path) + 4)
        return struct.unpack("<Q", file.read(8))[0]


@on_bytes("no heap", "string 0: expected the address of a heap, file has ")
def _(path):
    put(path, heap(path), b"XXXX")


@on_bytes("heap of other sizes", "string 0: expected a heap that ends in the file, file has 8589934592")
def _(path):
    put(path, heap(path) + 8, struct.pack("<Q", 2 ** 33))


@on_bytes("heap object of 2 GB", "expected a heap whose objects fit into it")
def _(path):
    put(path, heap(path) + 16 + 8, struct.pack("<Q", 2 ** 31))


@on_bytes("heap object of nothing", "expected a heap whose objects fit into it")
def _(path):
    put(path, heap(path) + 16 + 8, struct.pack("<Q", 2 ** 64 - 1))


@on_bytes("heap of zeros", "expected a heap whose objects fit into it")
def _(path):
    put(path, heap(path) + 16, bytes(2048))


@on_bytes("end cut off", "cannot be opened: truncated file")
def _(path):
    os.truncate(path, path.stat().st_size - 4096)


@on_bytes("no HDF5", "is not an HDF5 file, give a cube that knockout wrote")
def _(path):
    put(path, 0, b"no cube at all")


@on_bytes("a Git LFS pointer", "is a Git LFS pointer, not the file itself: run `git lfs pull`")
def _(path):
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:d017\nsize 45108470\n")


@on_bytes("empty", "is not an HDF5 file")
def _(path):
    os.truncate(path, 0)


@on_bytes("a pipe", "is not an HDF5 file|is a named pipe", (SWEEP, EVALUATION))
def _(path):
    path.unlink()
    os.mkfifo(path)


@on_bytes("superblock", "")
def _(path):
    put(path, 9, b"\xff" * 8)


for begin in (48, 96, 800, 4096, 20000, 60000):
    @on_bytes(f"64 bytes of ones at {begin}", None)
    def _(path, begin=begin):
        put(path, begin, b"\xff" * 64)


# -------------------------------------------------------------------------------------------------- commands
def commands(knockout, spec, folder, work, which, n):
    """What reads a file of this kind, and what it is called. Of those that start MPI one or two, by the breakage's number."""
    path, new = work / which, work / "new.h5"
    run = [knockout, "run", spec, "--progress", "none", "--log-level", "warn", "-o"]
    good = ["--evaluation", folder / EVALUATION]
    if which == SHARD:
        return [("merge", [knockout, "merge", "-o", new, path, folder / "good.shard-0002-of-0002.h5"])]
    if which == EVALUATION:
        return [("show", [knockout, "show", path]), ("--evaluation", [*run, new, "--evaluation", path])]
    slow = [("--resume", [*run, path, "--resume", *good]), ("--reuse", [*run, new, "--reuse", path, *good])]
    return [("status", [knockout, "status", path]),
            ("show", [knockout, "show", path]),
            ("export --csv", [knockout, "export", path, "--csv", "-o", new]),
            ("export --compress", [knockout, "export", path, "--compress", "-o", new]),
            ("verify", [knockout, "verify", path, "--sample", "1"]),
            slow[n % 2]]


def judge(ended, words, path):
    """What is wrong with how a command ended, None where nothing is. A | stands between words that will all do. Without words a file may be good for it too."""
    lines = ended.stderr.decode(errors="replace").splitlines()
    if ended.returncode == 0 and words is None:
        return None
    if ended.returncode != 2:
        return f"exit {ended.returncode}, expected 2"
    if len(lines) != 1 or not lines[0].startswith("knockout: "):
        return f"{len(lines)} lines, expected one"
    if path.name not in lines[0] or not any(word in lines[0] for word in (words or "").split("|")):
        return f"does not say '{words}' of {path.name}"
    return "leaves a file" if (path.parent / "new.h5").exists() else None


def try_one(knockout, spec, folder, n):
    """Breaks each kind of cube in the n-th way: the commands run, and what was wrong with them."""
    name, change, words, only = BREAKS[n]
    n_run, wrong = 0, []
    with tempfile.TemporaryDirectory(dir=folder) as made:
        work = Path(made)
        for which in only:
            path = work / which
            shutil.copy(folder / which, path)
            with LOCK:  # h5py is one library
                there = change(path)
            for word, command in commands(knockout, spec, folder, work, which, n) if there else []:
                ended = subprocess.run([str(c) for c in command], capture_output=True, timeout=300, check=False)
                fault = judge(ended, words, path)
                n_run += 1
                (work / "new.h5").unlink(missing_ok=True)
                if fault:
                    wrong.append(f"{name}: {word} {which}: {fault}: {ended.stderr.decode(errors='replace')[:600]}")
    return n_run, wrong


def main(knockout, spec, folder, *names):
    chosen = [n for n, one in enumerate(BREAKS) if not names or one[0] in names]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda n: try_one(knockout, spec, Path(folder), n), chosen))
    wrong = [line for _, lines in results for line in lines]
    print("\n".join(wrong))
    print(f"{len(chosen)} breakages, {sum(n for n, _ in results)} commands, {len(wrong)} wrong")
    if wrong or not all(n for n, _ in results) or len(chosen) < (1 if names else 60):
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
