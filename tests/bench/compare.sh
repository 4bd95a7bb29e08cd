#!/usr/bin/env bash
# Time a cell of this program and of the PyTorch baseline, one after the other on the same machine, for the same shape.
# Usage: tests/bench/compare.sh [--threads N] [SHAPE...]    by default 2 threads; mamba-130m and gpt2-medium
# The program must be built (cmake --preset release && cmake --build --preset release). PyTorch is taken from python3 where it has
# it, else from build/venv-bench, which is made here.
set -euo pipefail

threads=2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/bench/words.inc
. "$root/tests/bench/words.inc"
take_options threads "$@" || { sed -n '3p' "${BASH_SOURCE[0]}" >&2; exit 2; }
set -- "${rest[@]}"
[ $# -gt 0 ] || set -- mamba-130m gpt2-medium

# shellcheck source=tests/bench/bench_python.inc
. "$root/tests/bench/bench_python.inc"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for shape in "$@"; do
    "$knockout" bench --backend cpu --shape "$shape" --threads "$threads" --json >"$scratch/ours.json"
    "$python" "$root/tests/bench/batched.py" --shape "$shape" --threads "$threads" --json >"$scratch/theirs.json"
    "$python" - "$scratch" <<'PY'
import json
import sys

ours = json.load(open(f"{sys.argv[1]}/ours.json"))
theirs = json.load(open(f"{sys.argv[1]}/theirs.json"))
ms = 1e3 * ours["seconds_per_cell"]
print(f"{ours['shape']} on {theirs['device_name']}, {theirs['threads']} threads")
print(f"  knockout      {ms:9.3f} ms a cell   {ours['cells']} cells, {ours['device']}")
print(f"  PyTorch {theirs['torch'].split('+')[0]:<6}{theirs['ms_per_cell']:9.3f} ms a cell   {theirs['cells']} cells, {theirs['form']}, batches of {theirs['batch']}")
print(f"  ratio         {theirs['ms_per_cell'] / ms:9.2f}")
print(f"  GEMM rate     {ours['gemm_flops_layers'] / 1e9:9.1f} GFLOP/s at the layers' shapes; reached {ours['flops_reached'] / 1e9:.1f} "
      f"({100 * ours['fraction_of_gemm']:.0f} %)")
PY
done
