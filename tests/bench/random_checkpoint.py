#!/usr/bin/env python3
"""Writes a checkpoint of a published shape with random weights: model.safetensors in bfloat16, config.json, and the tokenizer.json
that it is given. For measuring at the size of real checkpoints where none is at hand.

    random_checkpoint.py --shape mamba-2.8b --tokenizer FOLDER_OR_FILE -o FOLDER

Shapes are those of gpu_baselines.py whose configuration is in Hugging Face's layout; --config JSON is one that is not among them.
"""
import argparse
import json
import math
import mmap
import pathlib
import shutil
import struct

import torch

from baseline_shapes import Shape, with_baseline
from baseline_weights import names, random_tensors


def write_safetensors(path, shape, device, seed):
    """One tensor at a time, so that the model need not fit in memory.  Returns the bytes of all tensors."""
    header, at = {}, 0
    for name, size in names(shape).items():
        end = at + 2 * math.prod(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb+") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
        with mmap.mmap(file.fileno(), 0) as mapped:     # faster than writing, and not through NumPy, which PyTorch does without
            for name, tensor in random_tensors(shape, torch.float32, device, seed):
                begin, n = 8 + len(text) + header[name]["data_offsets"][0], tensor.numel()
                torch.frombuffer(mapped, dtype=torch.bfloat16, count=n, offset=begin).copy_(tensor.flatten().to(torch.bfloat16))
    return at


def main():
    shapes = {name: c for name, c in with_baseline().items() if "model_type" in c}
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--shape", choices=list(shapes))
    which.add_argument("--config", type=json.loads, help="the configuration, as JSON")
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    config = args.config or shapes[args.shape]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.output.mkdir(parents=True, exist_ok=True)
    n_bytes = write_safetensors(args.output / "model.safetensors", Shape.of(config), device, args.seed)
    (args.output / "config.json").write_text(json.dumps(config, indent=1))
    tokenizer = args.tokenizer / "tokenizer.json" if args.tokenizer.is_dir() else args.tokenizer
    shutil.copy(tokenizer, args.output / "tokenizer.json")
    print(f"{args.output}: {n_bytes / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
