#!/usr/bin/env bash
# Time a head cell (attention@last, head:K, one layer; every head of every layer) of this program and of the PyTorch baseline with
# hooks, head_cells.py, in turns on the same processors, for the same shape: random weights, prompts of 10 tokens, float32.
# Usage: tests/bench/compare_heads.sh [--threads N] [--prompts N] [--rounds N] [--seconds S] [SHAPE...]
#                                               by default 2 threads, 20 prompts, 3 rounds, 20 seconds a round of the baseline; gpt2-medium
# This program computes every cell of these prompts, from spec to cube; loading is not in its time, the clean runs are. The baseline
# computes a sample of cells; its clean runs are not in its time. Two times a cell:
#   wall        the smallest of the rounds: other work on the machine makes a round longer and never shorter
#   processor   user and system time of all threads, the smallest of the rounds; of this program the whole process, start and end, reading
#               and loading included. Other work adds little to it.
# The program must be built (cmake --preset release && cmake --build --preset release). PyTorch is taken from python3 where it has
# it, else from build/venv-bench (see compare.sh).
set -euo pipefail

threads=2 prompts=20 rounds=3 seconds=20
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=tests/bench/words.inc
. "$root/tests/bench/words.inc"
take_options 'threads prompts rounds seconds' "$@" || { sed -n '4,5p' "${BASH_SOURCE[0]}" >&2; exit 2; }
set -- "${rest[@]}"
[ $# -gt 0 ] || set -- gpt2-medium

# shellcheck source=tests/bench/bench_python.inc
. "$root/tests/bench/bench_python.inc"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 "$root/tests/bench/head_inputs.py" --prompts "$prompts" -o "$scratch/inputs"
for shape in "$@"; do
    "$python" "$root/tests/bench/random_checkpoint.py" --shape "$shape" --tokenizer "$scratch/inputs" -o "$scratch/$shape" >/dev/null
    cat >"$scratch/spec.yaml" <<YAML
models: [$shape]
prompts: {file: inputs/prompts.jsonl}
routes: [attention@last]
features: [head:each]
windows: {sizes: [1], starts: all}
YAML
    "$knockout" evaluate "$scratch/spec.yaml" -o "$scratch/evaluation.h5" --overwrite --backend cpu --threads "$threads" --progress none --log-level warn
    batch=8,16,32,64
    rm -f "$scratch"/ours "$scratch"/theirs
    for ((round = 0; round < rounds; round++)); do
        TIMEFORMAT='%U %S'
        { time "$knockout" run "$scratch/spec.yaml" -o "$scratch/cube.h5" --overwrite --evaluation "$scratch/evaluation.h5" --backend cpu \
            --threads "$threads" --progress none --log-level info 2>"$scratch/log" >"$scratch/out"; } 2>"$scratch/time" || { cat "$scratch/log" >&2; exit 1; }
        cat "$scratch/log" "$scratch/time" >>"$scratch/ours"
        "$python" "$root/tests/bench/head_cells.py" --device cpu --threads "$threads" --shape "$shape" --prompts "$prompts" --batch "$batch" \
            --seconds "$seconds" --json >"$scratch/line"
        cat "$scratch/line" >>"$scratch/theirs"
        batch=$("$python" -c 'import json, sys; print(json.load(sys.stdin)["batch"])' <"$scratch/line") # the fastest of the first round
    done
    "$python" - "$scratch" "$shape" <<'PY'
import json
import re
import sys

scratch, shape = sys.argv[1:]
log = open(f"{scratch}/ours").read()
cells = int(re.search(r" sweep cells=([\d,]+)", log)[1].replace(",", ""))
wall = [1e6 * float(t) / cells for t in re.findall(r" sweep seconds=\S+ worker_load=\S+ worker_compute=(\S+)", log)]
processor = [1e6 * sum(map(float, times)) / cells for times in re.findall(r"^([\d.]+) ([\d.]+)$", log, re.M)]
theirs = [json.loads(line) for line in open(f"{scratch}/theirs")]
their_wall, their_processor = ([r[key] for r in theirs] for key in ("us_per_cell", "processor_us_per_cell"))
last = theirs[-1]
print(f"{shape}, every head at `last`, on {last['device']}, {last['threads']} threads; {cells:,} cells, {len(wall)} rounds")
print(f"{'':17}{'wall':>12}{'(all rounds)':>30}{'processor':>12}{'(all rounds)':>30}   us a cell")
for name, w, p in (("knockout", wall, processor), (f"PyTorch {last['torch'].split('+')[0]}", their_wall, their_processor)):
    listed = lambda values: " ".join(f"{v:.0f}" for v in values)
    print(f"  {name:15}{min(w):12.0f}{listed(w):>30}{min(p):12.0f}{listed(p):>30}")
print(f"  {'ratio':15}{min(their_wall) / min(wall):12.1f}{'':30}{min(their_processor) / min(processor):12.1f}")
print(f"  PyTorch: {last['form']}, batches of {last['batch']}")
PY
done
