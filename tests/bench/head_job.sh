#!/usr/bin/env bash
# Every head of a model at its real shape, one cell each, from spec to finished cube: random weights (a checkpoint of 16 GB in
# bfloat16 is written first), 1,000 prompts of 10 tokens, attention@last with head:each, windows of one layer. For Llama-3-8B these are
# 32 layers x 32 heads = 1,024 cells a prompt, 1,024,000 in all.
#
#   tests/bench/head_job.sh [PRECISION [RANKS [PROMPTS]]] [-- KNOCKOUT OPTIONS...]     default: float32 1 1000
#
# With RANKS above 1, mpirun starts them: one coordinates, the others compute. Needs the program, python3 with torch, and mpirun; no
# checkpoint, tokenizer or prompt file, and nothing of a build folder. Prints the wall time and what of it were evaluation and sweep,
# and of each of these loading, computing and committing: the mean over the workers, as the log has it.
#
# In the environment: KNOCKOUT, the program (default: knockout). FOLDER, where checkpoint and cube go (default: a folder in /dev/shm
# if the machine's memory has room for it, else in TMPDIR or /tmp). The checkpoint stays there, and a second call uses it again.
# SHAPE, another model of `knockout bench --shape` (default: llama-3-8b). CONFIG, a configuration in JSON that takes the shape's place.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/sweep_job.inc
. "$here/sweep_job.inc"

split_words "$@"
set -- "${behind[@]}"
precision=${ahead[0]:-float32} ranks=${ahead[1]:-1} prompts=${ahead[2]:-1000} shape=${SHAPE:-llama-3-8b}
if [ ${#ahead[@]} -gt 3 ] || [[ $ranks$prompts == *[!0-9]* ]]; then
    sed -n '6p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi

# Bytes of the checkpoint.
bytes=$(cd "$here" && python3 - "$shape" "${CONFIG:-}" <<'PY'
import json
import math
import sys

from baseline_shapes import Shape, published
from baseline_weights import names

config = json.loads(sys.argv[2]) if sys.argv[2] else published()[sys.argv[1]]
print(2 * sum(map(math.prod, names(Shape.of(config)).values())))
PY
)
# A folder in memory needs room for the checkpoint, and the program needs as much again twice where it computes on the CPU.
if [ -z "${FOLDER:-}" ]; then
    room=$(df --output=avail -B1 /dev/shm 2>/dev/null | tail -n 1) free=$(awk '/^MemAvailable/ { printf "%.0f", 1024 * $2 }' /proc/meminfo)
    FOLDER=${TMPDIR:-/tmp}/knockout-head-job
    if [ -w /dev/shm ] && [ "${room:-0}" -gt $((bytes + bytes / 8)) ] && [ "$free" -gt $((3 * bytes)) ]; then
        FOLDER=/dev/shm/knockout-head-job
    fi
fi
echo "folder: $FOLDER (remove it to free the space)"

launch=()
if [ "$ranks" -gt 1 ]; then
    [ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    launch=(mpirun --oversubscribe --bind-to none -n "$ranks")
fi
python3 "$here/head_inputs.py" --prompts "$prompts" -o "$FOLDER/inputs"
SAMPLE=$prompts ROUTES=attention@last SIZES=1 sweep_job "$shape" head-job "$prompts" head:each "$FOLDER" "$FOLDER/inputs/prompts.jsonl" \
    "$FOLDER/inputs/tokenizer.json" "${launch[@]}" -- --precision "$precision" --progress none "$@" 2>&1 | tee "$FOLDER/head-job.log"

awk -v precision="$precision" -v ranks="$ranks" '
    function number(name, text) { match(text, name "=[0-9.,]+"); text = substr(text, RSTART + length(name) + 1, RLENGTH - length(name) - 1)
                                  gsub(",", "", text); return text + 0 }
    / (evaluate|sweep) cells=/ { part = / sweep / ? "sweep" : "evaluate"; cells[part] = number("cells", $0) }
    / (evaluate|sweep) seconds=/ { split_of[part] = sprintf("%.2f s: load %.2f, compute %.2f, commit %.2f", number("seconds", $0),
                                   number("worker_load", $0), number("worker_compute", $0), number("worker_commit", $0))
                                   seconds = number("seconds", $0); compute = number("worker_compute", $0) }
    /^wall time/ { wall = $(NF - 1) }
    END {
        if (!cells["sweep"]) { print "head_job.sh: the log tells of no sweep" > "/dev/stderr"; exit 1 }
        n = cells["sweep"]
        printf "%s, ranks %d: %d cells, wall time %.1f s\n", precision, ranks, n, wall
        printf "  evaluate %s\n  sweep    %s\n", split_of["evaluate"], split_of["sweep"]
        printf "  us a cell: %.2f (wall time), %.2f (sweep), %.2f (of it computing)\n", 1e6 * wall / n, 1e6 * seconds / n, 1e6 * compute / n
    }' "$FOLDER/head-job.log"
