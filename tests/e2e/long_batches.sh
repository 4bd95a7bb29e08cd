#!/usr/bin/env bash
# long_batches.sh [MODELS]: one process computes batches of one or two prompts, of 1,188 prompts under eighteen models (10,710 batches), and takes no more
# memory (a tenth) in the last third than in the second.
source "$(dirname "$0")/small_spec.inc"
models=${1:-18}

{
    echo 'models:'
    for k in $(seq "$models"); do
        echo "  - {name: model-$k, path: $KO_SOURCE_DIR/jobs/models/mamba2-facts}"
    done
    echo "prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl}"
    echo "routes: ['last<-subject']"
    echo 'windows: {sizes: [1], starts: [0]}'
    echo 'row-budget: 32'
} >"$scratch/many.yaml"
batches=$("$KNOCKOUT" plan "$scratch/many.yaml" --json |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["batches"])')
echo "$batches batches"
"$python" - "$KNOCKOUT" run "$scratch/many.yaml" -o "$scratch/many.h5" --threads 1 --progress none --log-level warn <<'PY' || fail "memory grows"
import subprocess
import sys
import time

run, seen = subprocess.Popen(sys.argv[1:]), []
while run.poll() is None:
    try:
        with open(f"/proc/{run.pid}/status") as f:
            seen += [int(line.split()[1]) for line in f if line.startswith("RssAnon:")]
    except OSError:
        break
    time.sleep(0.1)
if run.wait() != 0 or len(seen) < 30:
    sys.exit(f"exit {run.returncode}, {len(seen)} looks")
print("MiB on the way:", *(f"{seen[k * (len(seen) - 1) // 9] / 1024:.1f}" for k in range(10)))
third = len(seen) // 3
early, late = max(seen[third:2 * third]), max(seen[2 * third:])
print(f"{early / 1024:.1f} MiB at most in the second third, {late / 1024:.1f} MiB in the last")
sys.exit(not late <= 1.1 * early)
PY
"$KNOCKOUT" status "$scratch/many.h5" >/dev/null || fail "the cube is not complete"
