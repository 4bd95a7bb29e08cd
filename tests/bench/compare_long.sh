#!/usr/bin/env bash
# Time a cell of one long prompt of this program and of the PyTorch baseline, long_cells.py, in turns on the same processors, for the
# same shape: random weights, the cells of `bench` (four routes into the last position, a window of 9 layers), float32.
# Usage: tests/bench/compare_long.sh [--threads N] [--tokens N] [--rounds N] [--batch LIST] [--before PROGRAM] [SHAPE...]
#                                          by default 2 threads, 620 tokens, 2 rounds, batches of 1,2,4; gpt2-medium
# With --before another build of this program takes its turn too. The clean run is in the time of this program and not in the
# baseline's. Two times a cell, the smallest of the rounds:
#   wall        other work on the machine makes a round longer
#   processor   user and system time of all threads; other work adds little to it
# The program must be built (cmake --preset release && cmake --build --preset release). PyTorch is taken from python3 where it has
# it, else from build/venv-bench (see compare.sh).
set -euo pipefail

threads=2 tokens=620 rounds=2 batch=1,2,4 before=
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/bench/words.inc
. "$root/tests/bench/words.inc"
take_options 'threads tokens rounds batch before' "$@" || { sed -n '4,5p' "${BASH_SOURCE[0]}" >&2; exit 2; }
set -- "${rest[@]}"
[ $# -gt 0 ] || set -- gpt2-medium

# shellcheck source=tests/bench/bench_python.inc
. "$root/tests/bench/bench_python.inc"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bench() { # PROGRAM SHAPE
    "$1" bench --backend cpu --shape "$2" --tokens "$tokens" --prompts 1 --threads "$threads" --json
}
for shape in "$@"; do
    rm -f "$scratch"/ours "$scratch"/before "$scratch"/theirs
    form=()
    sizes=$batch
    for ((round = 0; round < rounds; round++)); do
        [ -z "$before" ] || bench "$before" "$shape" >>"$scratch/before"
        bench "$knockout" "$shape" >>"$scratch/ours"
        "$python" "$root/tests/bench/long_cells.py" --threads "$threads" --shape "$shape" --tokens "$tokens" --batch "$sizes" \
            "${form[@]}" --json >"$scratch/line"
        cat "$scratch/line" >>"$scratch/theirs"
        # later rounds repeat the fastest of the first
        read -r sizes name < <("$python" -c 'import json, sys; r = json.load(sys.stdin); print(r["batch"], r["form"])' <"$scratch/line")
        form=(--form "$name")
    done
    "$python" - "$scratch" <<'PY'
import json
import os
import sys

scratch = sys.argv[1]
read = lambda name: [json.loads(line) for line in open(f"{scratch}/{name}")] if os.path.exists(f"{scratch}/{name}") else []
ours, before, theirs = read("ours"), read("before"), read("theirs")
first = theirs[0]
print(f"{first['shape']}, T = {first['tokens']}, on {first['device']}, {first['threads']} threads; {ours[0]['cells']} cells, {len(ours)} rounds; "
      "ms a cell")
print(f"{'':18}{'wall':>10}{'(all rounds)':>24}{'processor':>12}{'(all rounds)':>24}")
times = {}
for name, results, scale, wall, busy in (
        ("knockout", ours, 1e3, "seconds_per_cell", "processor_seconds_per_cell"),
        ("knockout, before", before, 1e3, "seconds_per_cell", "processor_seconds_per_cell"),
        (f"PyTorch {first['torch'].split('+')[0]}", theirs, 1, "ms_per_cell", "processor_ms_per_cell")):
    w, p = ([scale * r.get(key, float("nan")) for r in results] for key in (wall, busy))
    if results:
        times[name] = min(w), min(p)
        listed = lambda values: " ".join(f"{v:.0f}" for v in values)
        print(f"  {name:16}{min(w):10.1f}{listed(w):>24}{min(p):12.1f}{listed(p):>24}")
own = times.pop("knockout")
for name, (w, p) in times.items():
    print(f"  ratio to {name}: {w / own[0]:.2f} wall, {p / own[1]:.2f} processor")
for r, name in ((ours[-1], "knockout"), *((r, "knockout, before") for r in before[-1:])):
    shares = {}
    for o in r["operations"]:
        shares[o["name"]] = shares.get(o["name"], 0) + o["share"]
    print(f"  {name}: attention {100 * shares['attention']:.0f} %, linear {100 * shares['linear']:.0f} % of a pass")
print(f"  PyTorch: {theirs[-1]['form']}, batches of {theirs[-1]['batch']}; processor ms of all: {first['processor_ms_per_cell_by_form']}")
PY
done
