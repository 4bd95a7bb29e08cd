"""Makes a cube of a million cells out of a small one: million.py SMALL.h5 LARGE.h5 [heads]

The datasets, types, axes and attributes are those of the small cube; the axes of models, prompts, routes, sizes and starts are
lengthened. Values are drawn so that curves look like curves. heads: one model of 32 layers with 32 heads each, 1,000 prompts, one route,
windows of one layer; the effect of most heads is 0 on average, that of a few is not. Nothing of analysis/ is used.
"""
import sys

import h5py
import numpy as np

HEADS = sys.argv[3:] == ["heads"]
MODELS, PROMPTS, LAYERS, SIZE = (1, 1000, 32, 1) if HEADS else (10, 672, 48, 9)
ROUTES = ["attention@last"] if HEADS else ["last<-subject", "last<-relation", "last<-last", "last<-first"]
CLASSES = [f"head:{k}" for k in range(32)] if HEADS else ["all"]
LENGTHS = {"model": MODELS, "prompt": PROMPTS, "route": len(ROUTES), "feature_class": len(CLASSES), "window_size": 1, "window_start": LAYERS - SIZE + 1,
           "eval_prompt": PROMPTS, "layer": LAYERS}
SCALES = {"model": [f"model-{k}" for k in range(MODELS)], "prompt": [str(k) for k in range(PROMPTS)],
          "eval_prompt": [str(k) for k in range(PROMPTS)], "route": ROUTES, "feature_class": CLASSES, "window_size": [SIZE],
          "window_start": list(range(LAYERS - SIZE + 1)), "layer": list(range(LAYERS))}


def axes_of(dataset):
    """The scales' names in the file; their labels differ where the axis has no coordinate."""
    return [axis[0].name.strip("/") if len(axis) else None for axis in dataset.dims]


def logprobs(rng):
    """[model, prompt, route, class, 1, start]: a dip whose depth and place depend on model and route, with noise over prompts."""
    if HEADS:
        effect = np.where(rng.random((32, LAYERS)) < 0.03, rng.normal(0, 0.3, (32, LAYERS)), 0)
        return np.minimum(-1 + effect + rng.normal(0, 0.2, (PROMPTS, 32, LAYERS)), 0)
    start = np.arange(LENGTHS["window_start"]) / LENGTHS["window_start"]
    place = rng.random((MODELS, 1, len(ROUTES), 1))
    depth = 2 * rng.random((MODELS, 1, len(ROUTES), 1)) * rng.random((MODELS, PROMPTS, len(ROUTES), 1))
    return -1 - depth * np.exp(-((start - place) / 0.2) ** 2)


def filled(name, dataset, shape, rng, logprob):
    cells = {"logprob": logprob, "prob": np.exp(logprob), "foil_logprob": logprob - 2, "kl": -logprob - 1}
    if name in cells:
        return cells[name].reshape(shape)
    if name in SCALES:
        return SCALES[name]
    if name == "status":
        return np.full(shape, 2, np.uint8)
    if name == "layer_mixers":
        return np.full(shape, 1)  # attention
    if name == "n_layers":
        return np.full(shape, LAYERS)
    if name in ("clean_logprob", "clean_prob", "clean_foil_logprob"):
        return np.full(shape, {"clean_logprob": -1, "clean_prob": np.exp(-1), "clean_foil_logprob": -3}[name])
    if name.endswith("target_rank"):
        return rng.integers(1, 3, shape)
    if name in ("prompt_relation", "eval_prompt_relation"):
        return np.array([f"P{k % 30}" for k in range(PROMPTS)], object)
    if name == "prompt_eval_index":
        return np.arange(PROMPTS)
    old = dataset[()]  # repeated to the new lengths
    for axis, (have, want) in enumerate(zip(old.shape, shape)):
        old = np.take(old, np.arange(want) % have, axis=axis)
    return old


def main():
    rng = np.random.default_rng(1)
    logprob = logprobs(rng)
    with h5py.File(sys.argv[1], "r") as small, h5py.File(sys.argv[2], "w", track_order=True) as large:
        large.attrs.update({k: v for k, v in small.attrs.items()})
        kept = [n for n, d in small.items() if not any((a or n).startswith("heat_") for a in axes_of(d) or [n]) and not n.startswith("heat_")]
        scales = [n for n in kept if h5py.h5ds.is_scale(small[n].id)]
        for name in scales + [n for n in kept if n not in scales]:
            d = small[name]
            names = [name] if name in scales else axes_of(d)
            shape = tuple(LENGTHS.get(a, length) for a, length in zip(names, d.shape))
            made = large.create_dataset(name, shape, d.dtype)
            made[...] = filled(name, d, shape, rng, logprob)
            for key, value in d.attrs.items():
                if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates"):
                    made.attrs[key] = value
            if name in scales:
                made.make_scale(h5py.h5ds.get_scale_name(d.id).decode())
            else:
                for axis, scale in enumerate(names):
                    made.dims[axis].attach_scale(large[scale])
        print(int((large["status"][:] == 2).sum()) * LENGTHS["window_start"], "cells")


main()
