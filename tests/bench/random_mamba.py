#!/usr/bin/env python3
"""Writes a Mamba checkpoint of a given shape with random weights: model.safetensors in bfloat16, config.json, and the
tokenizer.json that it is given. For measuring at the size of real checkpoints where none is at hand.

    random_mamba.py --d-model 2560 --layers 64 --vocabulary 50280 --tokenizer FOLDER_OR_FILE -o FOLDER
"""
import argparse
import json
import math
import pathlib
import shutil
import struct

import torch


def tensors(d, n_layers, vocabulary):
    """Names with shapes, in the layout of Hugging Face; the embedding is tied."""
    inner, state, rank = 2 * d, 16, math.ceil(d / 16)
    yield "backbone.embeddings.weight", [vocabulary, d]
    for layer in range(n_layers):
        prefix = f"backbone.layers.{layer}."
        yield prefix + "norm.weight", [d]
        for name, shape in {"in_proj.weight": [2 * inner, d], "conv1d.weight": [inner, 1, 4], "conv1d.bias": [inner],
                            "x_proj.weight": [rank + 2 * state, inner], "dt_proj.weight": [inner, rank],
                            "dt_proj.bias": [inner], "A_log": [inner, state], "D": [inner],
                            "out_proj.weight": [d, inner]}.items():
            yield prefix + "mixer." + name, shape
    yield "backbone.norm_f.weight", [d]


def values(name, shape, generator, device):
    """As the models are initialised: Glorot's matrices, A_log = log(1 + n), steps of 0.001 to 0.1."""
    uniform = torch.empty(shape, device=device).uniform_(-1, 1, generator=generator)
    if name.endswith("A_log"):
        return torch.log1p(torch.arange(shape[1], device=device)).expand(shape) + 0.1 * uniform
    if name.endswith("dt_proj.bias"):
        step = torch.exp(math.log(1e-2) + uniform * math.log(10.0))
        return step + torch.log(-torch.expm1(-step))
    if len(shape) == 3:
        return uniform * math.sqrt(3.0 / shape[2])
    if len(shape) == 2:
        return uniform * math.sqrt(6.0 / sum(shape))
    return 0.02 * uniform if name.endswith("bias") else 1 + 0.1 * uniform


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--d-model", type=int, required=True)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--vocabulary", type=int, required=True)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    header, at = {}, 0
    for name, shape in tensors(args.d_model, args.layers, args.vocabulary):
        end = at + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(args.output / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors(args.d_model, args.layers, args.vocabulary):
            tensor = values(name, shape, generator, device).to(torch.bfloat16).cpu()
            file.write(tensor.contiguous().view(torch.int16).numpy().tobytes())
    config = {"model_type": "mamba", "hidden_size": args.d_model, "num_hidden_layers": args.layers,
              "vocab_size": args.vocabulary, "expand": 2, "state_size": 16, "conv_kernel": 4,
              "time_step_rank": "auto", "tie_word_embeddings": True}
    (args.output / "config.json").write_text(json.dumps(config, indent=1))
    tokenizer = args.tokenizer / "tokenizer.json" if args.tokenizer.is_dir() else args.tokenizer
    shutil.copy(tokenizer, args.output / "tokenizer.json")
    print(f"{args.output}: {at / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
