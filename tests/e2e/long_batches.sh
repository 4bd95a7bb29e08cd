#!/usr/bin/env bash
# long_batches.sh: one process computes more than 10,000 small batches of an evaluation and as many of a sweep, under one model and under twenty,
# and takes no more memory in the last thousand of each than in the second thousand, but for 0.75 MiB (leaks of less may hide in what was freed before).
# Commit rounds come so often that the records that wait for one count for little.
source "$(dirname "$0")/small_spec.inc"

"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" "$scratch/many.jsonl" <<'PY'
import json
import sys

with open(sys.argv[1]) as f:
    facts = [json.loads(line) for line in f]
with open(sys.argv[2], "w") as f:
    for k in range(20):
        f.writelines(json.dumps({**fact, "id": 10_000 * k + fact["id"]}) + "\n" for fact in facts)
PY
spec() { # MODELS FACTS
    echo 'models:'
    for k in $(seq "$1"); do
        echo "  - {name: model-$k, path: $KO_SOURCE_DIR/jobs/models/mamba2-facts}"
    done
    echo "prompts: {file: $2}"
    echo "routes: ['last<-subject']"
    echo 'windows: {sizes: [1], starts: [0]}'
    echo 'row-budget: 30'
}
watch() { # NAME
    "$python" - "$KNOCKOUT" run "$scratch/$1.yaml" -o "$scratch/$1.h5" --threads 1 --progress none --log-level debug --commit-seconds 0.1 <<'PY' || fail "$1: memory grows, or the run failed"
import re
import subprocess
import sys

run = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)
seen, shown = {"evaluation": [], "sweep": []}, []  # KiB whenever a batch is begun
for line in run.stderr:
    batch = re.search(r"compute kind=(\w+) batch=", line)
    if not batch:
        shown.append(line)
        continue
    with open(f"/proc/{run.pid}/status") as f:
        seen[batch[1]] += [int(row.split()[1]) for row in f if row.startswith("RssAnon:")]
if run.wait() != 0:
    sys.exit(f"exit {run.returncode}: {''.join(shown[-5:])}")
grown = False
for kind, kib in seen.items():
    if len(kib) < 10_000:
        sys.exit(f"{len(kib)} batches of the {kind}")
    early, late = max(kib[1000:2000]) / 1024, max(kib[-1000:]) / 1024
    print(f"{len(kib)} batches of the {kind}: {early:.2f} MiB in the second thousand, {late:.2f} in the last;",
          "at every tenth:", *(f"{kib[k * (len(kib) - 1) // 10] / 1024:.2f}" for k in range(11)))
    grown = grown or not late <= 1.02 * early + 1
sys.exit(grown)
PY
    "$KNOCKOUT" status "$scratch/$1.h5" >/dev/null || fail "$1: the cube is not complete"
}

spec 1 "$scratch/many.jsonl" >"$scratch/one.yaml"
spec 20 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/twenty.yaml"
for name in one twenty; do
    echo "models: $name"
    watch "$name"
done
