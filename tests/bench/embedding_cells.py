#!/usr/bin/env python3
"""Prompts that are matrices of embeddings, from files to cube: time, peak host memory with few and with many prompts, and a sample of
the same cells in a batched PyTorch loop. Needs PyTorch alone.

    embedding_cells.py PROGRAM --tokenizer jobs/models/llama-facts/tokenizer.json            Llama-2-7B's shape, 620 rows, on a GPU
    embedding_cells.py PROGRAM --tokenizer FILE --tiny --device cpu --precision float32

Writes a checkpoint with random weights in bfloat16 and matrices of random numbers in float32 below --folder (default /dev/shm), runs
`knockout run` on --routes (5; the time of a cell depends on how many positions its edges change), a window of 9 layers centred at every
layer, with --few and with --prompts prompts, and prints one JSON line each. Then it computes --sample cells of each route again: full passes of whole batches, with the removed edges masked in the layers of
the window. Exits with 1 if they differ by more than --bound.
"""
import argparse
import csv
import io
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import time

import torch
import torch.nn.functional as F

from baseline_shapes import Shape
from baseline_weights import random_tensors
from random_checkpoint import write_safetensors

LLAMA = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "head_dim": 128,
         "num_key_value_heads": 32, "intermediate_size": 11008, "max_position_embeddings": 4096, "vocab_size": 32000, "rms_norm_eps": 1e-5,
         "rope_theta": 10000.0, "tie_word_embeddings": False}
TINY = dict(LLAMA, hidden_size=64, num_hidden_layers=12, num_attention_heads=4, head_dim=16, num_key_value_heads=4, intermediate_size=160,
            vocab_size=2400, max_position_embeddings=256)
ROUTES = ["last<-image", "last<-question", "last<-last", "last<-first", "question<-image"]
WINDOW = 9


def spans(rows):
    """An image of 576 of 620 rows behind 5, as LLaVA-1.5's, then the question up to the last rows."""
    end = rows - 39 * rows // 620
    return {"image": [5, end], "question": [end, rows - max(1, 5 * rows // 620)]}


def matrix(k, a, config):
    generator = torch.Generator().manual_seed(1000 + k)
    return torch.randn(a.rows, config["hidden_size"], generator=generator) * 0.5


def write_prompts(folder, n, a, config):
    """prompts.safetensors, one matrix in memory at a time, and prompts.jsonl."""
    shape, size = [a.rows, config["hidden_size"]], a.rows * config["hidden_size"] * 4
    header = {f"p{k}": {"dtype": "F32", "shape": shape, "data_offsets": [k * size, (k + 1) * size]} for k in range(n)}
    text = json.dumps(header).encode()
    with open(folder / "prompts.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for k in range(n):
            buffer = bytearray(size)
            torch.frombuffer(buffer, dtype=torch.float32).copy_(matrix(k, a, config).flatten())
            file.write(buffer)
    lines = ({"id": f"p{k}", "embeddings": True, "target_ids": [100 + k], "token_spans": spans(a.rows)} for k in range(n))
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_model(folder, a, config):
    """A checkpoint with random weights."""
    folder.mkdir()
    write_safetensors(folder / "model.safetensors", Shape.of(config), a.device, 0)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes(a.tokenizer.read_bytes())


def watch_memory(process, peak):
    """The largest resident memory of the process: all of it, what is its own (not of mapped files), and what is of files."""
    while process.poll() is None:
        try:
            text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            return
        for line in text.splitlines():
            key, _, value = line.partition(":")
            if key in ("VmRSS", "RssAnon", "RssFile", "RssShmem"):
                peak[key] = max(peak.get(key, 0), int(value.split()[0]) / 1024)
        time.sleep(0.02)


def run(folder, n, a, config):
    """One run from files to cube; prints its line."""
    write_prompts(folder, n, a, config)
    spec = {"models": [str(folder / "model")], "routes": a.routes, "windows": {"sizes": [WINDOW], "starts": "all", "style": "centred"},
            "prompts": {"file": str(folder / "prompts.jsonl"), "embeddings": str(folder / "prompts.safetensors")},
            "precision": a.precision, "backend": a.backend}
    (folder / "spec.yaml").write_text(json.dumps(spec))
    words = [a.program, "run", str(folder / "spec.yaml"), "-o", str(folder / "cube.h5"), "--overwrite", "--progress", "none"]
    begin, peak = time.time(), {}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(words + (["--threads", str(a.threads)] if a.threads else []), stdout=log, stderr=log)
        watcher = threading.Thread(target=watch_memory, args=(process, peak))
        watcher.start()
        process.wait()
        watcher.join()
    seconds = time.time() - begin
    if process.returncode != 0:
        sys.exit(f"{words}: exit {process.returncode}\n{(folder / 'log').read_text()}")
    cells = n * len(a.routes) * config["num_hidden_layers"]
    print(json.dumps({"prompts": n, "cells": cells, "seconds": round(seconds, 2), "microseconds_a_cell": round(1e6 * seconds / cells, 1),
                      "peak_MiB": {k: round(v) for k, v in peak.items()}}), flush=True)
    for line in (folder / "log").read_text().splitlines():
        if " load" in line or "done" in line or "sweep" in line:
            print("   ", line)


class Model:
    """The language model in plain PyTorch. Its weights are the numbers of the file."""

    def __init__(self, config, dtype, device):
        # The same draws, in float32 on the same device, as write_safetensors wrote.
        drawn = random_tensors(Shape.of(config), torch.float32, device, 0)
        self.c, self.w = config, {name: tensor.bfloat16().to(dtype) for name, tensor in drawn}
        self.dtype, self.device = dtype, device

    def norm(self, x, name):
        x32 = x.float()
        return (x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + self.c["rms_norm_eps"])).to(self.dtype) * self.w[name]

    def rotate(self, x, cos, sin):
        half = x.shape[-1] // 2
        return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin

    def last_logits(self, rows, removed, layers):
        """rows [T, d]; removed [B, T, T]: the edges of each cell; layers: its window. Logits [B, vocabulary] at the last row."""
        c, n, d_head = self.c, rows.shape[0], self.c["head_dim"]
        frequency = c["rope_theta"] ** (-torch.arange(0, d_head, 2, device=self.device, dtype=torch.float64) / d_head)
        angle = torch.arange(n, device=self.device, dtype=torch.float64)[:, None] * frequency
        cos, sin = (torch.cat((f(angle), f(angle)), -1).to(self.dtype) for f in (torch.cos, torch.sin))
        causal = torch.ones(n, n, dtype=torch.bool, device=self.device).tril()
        x = rows.to(self.device, self.dtype).expand(len(layers), n, -1)
        for l in range(c["num_hidden_layers"]):
            p = f"model.layers.{l}."
            inside = torch.tensor([l in window for window in layers], device=self.device)
            seen = causal & ~(removed & inside[:, None, None])
            h = self.norm(x, p + "input_layernorm.weight")
            q, k, v = (F.linear(h, self.w[f"{p}self_attn.{s}_proj.weight"]).unflatten(-1, (-1, d_head)).transpose(1, 2) for s in "qkv")
            q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
            # A row that sees nothing gives zeros.
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None]).nan_to_num(0.0)
            y = y * seen.any(-1)[:, None, :, None]
            x = x + F.linear(y.transpose(1, 2).flatten(2), self.w[p + "self_attn.o_proj.weight"])
            h = self.norm(x, p + "post_attention_layernorm.weight")
            gate, up = (F.linear(h, self.w[f"{p}mlp.{s}_proj.weight"]) for s in ("gate", "up"))
            x = x + F.linear(F.silu(gate) * up, self.w[p + "mlp.down_proj.weight"])
        return F.linear(self.norm(x[:, -1], "model.norm.weight"), self.w["lm_head.weight"]).float()


def edges(route, rows):
    """[T, T] the removed edges."""
    removed, named = torch.zeros(rows, rows, dtype=torch.bool), dict(spans(rows), last=[rows - 1, rows], first=[0, 1])
    target, source = route.split("<-")
    begin, end = named[source]
    if target == "later":
        removed[:, begin:end] = torch.ones(rows, rows, dtype=torch.bool).tril(-1)[:, begin:end]
    else:
        removed[slice(*named[target]), begin:end] = True
    return removed.tril()


def compare(folder, a, config):
    """The sample's cells in PyTorch; the largest difference."""
    shown = subprocess.run([a.program, "export", str(folder / "cube.h5"), "--csv"], check=True, capture_output=True, text=True).stdout
    done = {(r["prompt"], r["route"], int(r["window_start"])): (float(r["logprob"]), float(r["clean_logprob"]))
            for r in csv.DictReader(io.StringIO(shown))}
    n, device = config["num_hidden_layers"], a.device
    torch.backends.cuda.matmul.allow_tf32 = a.precision == "tf32"
    model = Model(config, torch.bfloat16 if a.precision == "bfloat16" else torch.float32, device)
    generator = torch.Generator().manual_seed(5)
    cells = [(f"p{k % 2}", route, int(torch.randint(n, (1,), generator=generator))) for route in a.routes for k in range(a.sample)]
    worst, effect, timed, n_timed = 0.0, 0.0, 0.0, 0
    for prompt in ("p0", "p1"):
        mine, rows = [cell for cell in cells if cell[0] == prompt], matrix(int(prompt[1:]), a, config)
        for first in range(0, len(mine), a.batch):
            batch = mine[first:first + a.batch]
            begin = time.time()
            removed = torch.stack([edges(route, a.rows) for _, route, _ in batch]).to(device)
            layers = [range(max(0, s - WINDOW // 2), min(n, s + (WINDOW + 1) // 2)) for _, _, s in batch]
            with torch.no_grad():
                logits = model.last_logits(rows, removed, layers)
            found = torch.log_softmax(logits, -1)[:, 100 + int(prompt[1:])].tolist()
            if first > 0 or prompt == "p1":  # not the first batch, which warms up
                timed, n_timed = timed + time.time() - begin, n_timed + len(batch)
            for cell, value in zip(batch, found):
                worst, effect = max(worst, abs(value - done[cell][0])), max(effect, abs(done[cell][0] - done[cell][1]))
    good = worst <= a.bound and effect > 0 and math.isfinite(worst)
    print(json.dumps({"compared": len(cells), "largest_difference": worst, "largest_effect": effect,
                      "pytorch_microseconds_a_cell": round(1e6 * timed / max(n_timed, 1), 1), "agree": good}))
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--tiny", action="store_true", help="a tiny shape, 100 rows")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--routes", type=lambda text: text.split(","), default=ROUTES, help="with commas; sources first, image, question, last")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16x3", "tf32", "bfloat16"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--sample", type=int, default=8, help="cells of each route that PyTorch computes too")
    parser.add_argument("--batch", type=int, default=4, help="cells of a batch in PyTorch")
    parser.add_argument("--bound", type=float, help="largest accepted difference (default: 2e-3; tf32 0.1, bfloat16 1)")
    a = parser.parse_args()
    a.backend = "cuda" if a.device == "cuda" else "cpu"
    a.rows = a.rows or (100 if a.tiny else 620)
    a.bound = a.bound or {"tf32": 0.1, "bfloat16": 1.0}.get(a.precision, 2e-3)
    config = TINY if a.tiny else LLAMA
    with tempfile.TemporaryDirectory(dir=a.folder) as scratch:
        folder = pathlib.Path(scratch)
        write_model(folder / "model", a, config)
        run(folder, a.few, a, config)
        run(folder, a.prompts, a, config)
        good = compare(folder, a, config)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
