"""Compares what `knockout export` wrote with the cube.

export_check.py cells CUBE CSV [COLUMN=VALUE...]: the lines of these values alone must be there
export_check.py export_check.py clean EVALUATION CSV | export_check.py copy CUBE COPY
export_check.py spoil CUBE COPY: a copy of the cube with an attribute that no cube has
"""
import csv
import shutil
import sys

import h5py
import numpy as np

STATUS = ["not planned", "pending", "done", "vacuous", "failed"]
METRICS = ["logprob", "prob", "kl", "foil_logprob", "target_rank", "top1_id"]
CLEAN = ["logprob", "prob", "foil_logprob", "target_rank", "top1_id"]


def text(dataset):
    return list(dataset.asstr()[:])


def equal(word, value):
    """A field of the table and the value of the cube."""
    if isinstance(value, np.integer):
        return word == (str(value) if value >= 0 else "")
    return word == "" if not np.isfinite(value) else np.float32(word) == value


def expected_cells(f, prefix):
    """The keys of every line that the table must have."""
    heat = bool(prefix)
    models, layers = text(f["model"]), f["n_layers"][:]
    prompts, routes = text(f[prefix + "prompt"]), text(f[prefix + "route"])
    classes = text(f["feature_class"])
    sizes, starts = f["window_size"][:], f["window_start"][:]
    status, rank = f[prefix + "status"][:], f[prefix + "target_rank"][:]
    for at in np.argwhere(status > 0):
        m, p, r, c = at[:4]
        k, s = (at[4], at[5]) if heat else (None, at[4])
        for w in range(len(starts)):
            here = tuple(at) + (w,)
            if rank[here] >= 1 if status[tuple(at)] == 2 else starts[w] + sizes[s] <= layers[m]:
                key = (models[m], prompts[p], routes[r], classes[c], "" if k is None else str(k),
                       str(sizes[s]), str(starts[w]))
                yield key, here


WORDS = ["text", "subject", "relation", "target", "foil"]
PLACES = ["n_tokens", "subject_begin", "subject_end"]
COLUMNS = (["model", "prompt", "route", "feature_class", "source_position", "window_size", "window_start", "depth",
            "status", "logprob", "prob", "kl", "target_rank", "top1_id", "foil_logprob", "clean_logprob", "clean_prob",
            "clean_target_rank", "clean_top1_id", "clean_foil_logprob", "change"]
           + ["prompt_" + word for word in WORDS] + PLACES + ["first_layer", "last_layer"])


def words_of(f, prefix):
    """The words of every prompt of an axis; a cube without foils has empty ones."""
    n = len(f[prefix + "prompt"])
    return {word: text(f[f"{prefix}prompt_{word}"]) if f"{prefix}prompt_{word}" in f else [""] * n for word in WORDS}


def same_change(word, cell, clean):
    """The change in percent, empty where the cell or its clean run has no value."""
    value = 100 * np.expm1(np.float64(cell) - np.float64(clean))
    return word == "" if not np.isfinite(value) else abs(float(word) - value) <= 1e-6 * max(1, abs(value))


def check_cells(path, table, *filters):
    wanted = dict(word.split("=", 1) for word in filters)
    words = {}
    with h5py.File(path) as f:
        expected, data = {}, {}
        for prefix in [p for p in ("", "heat_") if p + "status" in f]:
            for key, here in expected_cells(f, prefix):
                if all(key[COLUMNS.index(column)] == value for column, value in wanted.items()):
                    expected[key] = (prefix, here)
            words[prefix] = words_of(f, prefix)
            for name in METRICS + ["clean_" + name for name in CLEAN] + ["status"] + PLACES:
                if prefix + name in f:
                    data[prefix + name] = f[prefix + name][:]
        depth = f["depth"][:]
    counts = {}
    with open(table, newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        assert reader.fieldnames == COLUMNS, reader.fieldnames
        for row in reader:
            key = tuple(list(row.values())[:7])
            prefix, here = expected.pop(key)  # a line that is there twice fails here
            status = STATUS[data[prefix + "status"][here[:-1]]]
            assert row["status"] == status, (key, row["status"], status)
            assert equal(row["depth"], depth[(here[0],) + here[-2:]]), (key, row["depth"])
            for name in METRICS:
                if prefix + name in data and status == "done":
                    assert equal(row[name], data[prefix + name][here]), (key, name, row[name])
                else:  # what is not done may be half written
                    assert row[name] == "", (key, name)
            for name in CLEAN:
                name = "clean_" + name
                if prefix + name in data:
                    assert equal(row[name], data[prefix + name][here[:2]]), (key, name, row[name])
            if status == "done":
                assert same_change(row["change"], data[prefix + "logprob"][here],
                                   data[prefix + "clean_logprob"][here[:2]]), (key, row["change"])
            else:
                assert row["change"] == "", key
            for word in WORDS:
                assert row["prompt_" + word] == words[prefix][word][here[1]], (key, word, row["prompt_" + word])
            for name in PLACES:
                assert equal(row[name], data[prefix + name][here[:2]]), (key, name, row[name])
            first = int(row["window_start"])
            assert (int(row["first_layer"]), int(row["last_layer"])) == (first, first + int(row["window_size"]) - 1), key
            counts[status] = counts.get(status, 0) + 1
    assert not expected, f"{len(expected)} cells are missing, {next(iter(expected))} first"
    print(" ".join(f"{name}={n}" for name, n in sorted(counts.items())))


def check_clean(path, table):
    with h5py.File(path) as f:
        models, prompts = text(f["model"]), text(f["eval_prompt"])
        data = {name: f["eval_" + name][:] for name in
                ("logprob", "prob", "target_rank", "top1_id", "status")}
        words = words_of(f, "eval_")
    n = 0
    with open(table, newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            at = divmod(n, len(prompts))
            assert (row["model"], row["prompt"]) == (models[at[0]], prompts[at[1]]), row
            status = ["not runnable", "pending", "done"][data["status"][at]]
            assert row["status"] == status and (row["reason"] == "") == (status != "not runnable")
            for name in ("logprob", "prob", "target_rank", "top1_id"):
                assert equal(row[name], data[name][at]), (row, name)
            for word in WORDS:
                assert row["prompt_" + word] == words[word][at[1]], (row, word)
            n += 1
    assert n == len(models) * len(prompts) > 0, n
    print(f"{n} clean runs")


def attributes(item):
    kept = {}
    for name, value in item.attrs.items():
        if name not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
            kept[name] = (np.asarray(value).dtype, np.asarray(value).tobytes())
    return list(kept), kept


def check_copy(path, copy):
    n = chunked = 0
    with h5py.File(path) as a, h5py.File(copy) as b:
        assert list(a) == list(b), (list(a), list(b))
        assert attributes(a) == attributes(b)
        for name in a:
            left, right = a[name], b[name]
            assert left.dtype == right.dtype and left.shape == right.shape, name
            assert attributes(left) == attributes(right), name
            scale = h5py.h5ds.is_scale(left.id)
            assert scale == h5py.h5ds.is_scale(right.id), name
            if scale:
                assert left.attrs["NAME"] == right.attrs["NAME"], name
            for k in range(left.ndim):
                assert list(left.dims[k].keys()) == list(right.dims[k].keys()), (name, k)
            if left.dtype == object:
                assert list(left.asstr()[...].ravel()) == list(right.asstr()[...].ravel()), name
            else:
                assert left[...].tobytes() == right[...].tobytes(), name
            if left.nbytes > 4096 and left.dtype != object and not name.endswith("_byte"):
                assert right.chunks and right.compression == "gzip" and right.shuffle, name
                chunked += 1
            if left.dtype != object:
                assert np.asarray(left.fillvalue).tobytes() == np.asarray(right.fillvalue).tobytes(), name
            n += 1
    assert chunked > 3, chunked
    print(f"{n} datasets, {chunked} compressed")


def spoil(path, copy):
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as f:
        f["logprob"].attrs["of"] = f["prob"].ref


{"cells": check_cells, "clean": check_clean, "copy": check_copy, "spoil": spoil}[sys.argv[1]](*sys.argv[2:])
