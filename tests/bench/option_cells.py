#!/usr/bin/env python3
"""Prompts with several options of several tokens, from files to cube: the time of one program, or of several after each other. Needs
PyTorch alone.

    option_cells.py PROGRAM... --tokenizer jobs/models/llama-facts/tokenizer.json        Llama-2-7B's shape, 40 rows, 4 options, on a GPU
    option_cells.py PROGRAM --tokenizer FILE --tiny --device cpu

Writes a checkpoint with random weights in bfloat16 and prompts of random numbers below --folder (default /dev/shm), as embedding_cells.py
does. Each prompt has --options options of --tokens tokens; of these the first --alike are the same in all options. Runs `knockout run`
with five routes and a window of 9 layers centred at every layer, and prints one JSON line for each program. Exits with 1 if a later
program's log-probabilities differ from the first's by more than --bound.
"""
import argparse
import csv
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from embedding_cells import LLAMA, ROUTES, TINY, WINDOW, spans, write_model, write_prompts


def write_options(folder, a, config):
    """prompts.safetensors of random numbers; prompts.jsonl with options in the place of one target."""
    write_prompts(folder, a.prompts, a, config)
    lines = []
    for k in range(a.prompts):
        alike = [100 + k] * a.alike
        options = [alike + [200 + 50 * o + t for t in range(a.tokens - a.alike)] for o in range(a.options)]
        lines.append({"id": f"p{k}", "embeddings": True, "targets": [options[k % a.options]], "options": options,
                      "token_spans": spans(a.rows)})
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def run(program, folder, a, config):
    """One run; prints its line. The log-probability of each cell."""
    begin = time.time()
    words = [program, "run", str(folder / "spec.yaml"), "-o", str(folder / "cube.h5"), "--overwrite", "--progress", "none"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    seconds, cells = time.time() - begin, a.prompts * len(ROUTES) * config["num_hidden_layers"]
    sweep = [line for line in done.stderr.splitlines() + done.stdout.splitlines() if "cells/s" in line or "done" in line]
    shown = subprocess.run([program, "export", str(folder / "cube.h5"), "--csv"], check=True, capture_output=True, text=True).stdout
    values = [float(row["logprob"]) for row in csv.DictReader(io.StringIO(shown))]
    print(json.dumps({"program": program, "cells": cells, "options": a.options, "tokens": a.tokens, "seconds": round(seconds, 2),
                      "microseconds_a_cell": round(1e6 * seconds / cells, 1), "log": sweep[-1:]}), flush=True)
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--folder", default="/dev/shm")
    parser.add_argument("--tiny", action="store_true", help="a tiny shape")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--options", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=3)
    parser.add_argument("--alike", type=int, default=0)
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16x3", "tf32", "bfloat16"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--bound", type=float, default=2e-3, help="largest accepted difference")
    a = parser.parse_args()
    config = TINY if a.tiny else LLAMA
    with tempfile.TemporaryDirectory(dir=a.folder) as scratch:
        folder = pathlib.Path(scratch)
        write_model(folder / "model", a, config)
        spec = {"models": [str(folder / "model")], "routes": ROUTES, "windows": {"sizes": [WINDOW], "starts": "all", "style": "centred"},
                "prompts": {"file": str(folder / "prompts.jsonl"), "embeddings": str(folder / "prompts.safetensors"), "score": "whole-answer"},
                "precision": a.precision, "backend": a.device}
        (folder / "spec.yaml").write_text(json.dumps(spec))
        write_options(folder, a, config)
        first, good = None, True
        for program in a.programs:
            values = run(program, folder, a, config)
            if first:
                largest = max(abs(x - y) for x, y in zip(first, values))
                good = good and len(first) == len(values) and largest <= a.bound
                print(json.dumps({"largest_difference": largest}), flush=True)
            first = first or values
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
