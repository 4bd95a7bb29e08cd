#!/usr/bin/env bash
# A run's peak memory is what `plan` predicts, within 20 %: weights, the workspace of the largest wave, a fixed share. Of small checkpoints,
# one of each family among them, the prediction covers what a run takes.
source "$(dirname "$0")/small_spec.inc"
! grep -qa __asan_init "$KNOCKOUT" || { echo "skipped: what the address sanitizer keeps for itself is no measure"; exit 77; }

# measure SPEC LEAST MOST: the peak memory of a run lies between LEAST and MOST times what `plan` predicts.
measure() {
    local predicted
    predicted=$("$KNOCKOUT" plan "$1" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["peak_bytes"])')
    "$python" - "$predicted" "$2" "$3" "$KNOCKOUT" run "$1" -o "$scratch/cube.h5" --overwrite --threads 1 --progress none \
        --log-level error <<'PY' || fail "$1: the prediction is off"
import resource
import subprocess
import sys

predicted, least, most = map(float, sys.argv[1:4])
subprocess.run(sys.argv[4:], check=True)
measured = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"peak memory {measured / 2**20:.0f} MiB, predicted {predicted / 2**20:.0f} MiB: {measured / predicted:.2f}")
sys.exit(not least <= measured / predicted <= most)
PY
}

# sweep CHECKPOINT PROMPTS LEAST MOST
sweep() {
    basename "$1"
    cat >"$scratch/sweep.yaml" <<YAML
models: [$1]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: all, sample: {n: $2, seed: 0}}
routes: [last<-subject, last<-relation, last<-last]
windows: {sizes: [2], starts: all}
YAML
    measure "$scratch/sweep.yaml" "$3" "$4"
}

measure "$scratch/spec.yaml" 0.8 1.2
mkdir "$scratch/wide"
cp "$KO_SOURCE_DIR/jobs/models/mamba-facts/tokenizer.json" "$scratch/wide"
for family in mamba gpt_neox gemma2 olmoe gpt_oss; do
    "$python" "$KO_SOURCE_DIR/tests/e2e/wide_checkpoint.py" "$family" "$scratch/wide"
    sweep "$scratch/wide" 40 0.8 1.2
done
seen=" "
for checkpoint in "$KO_SOURCE_DIR"/tests/data/variants/*; do
    family=$(grep -o '"model_type": "[^"]*"' "$checkpoint/config.json" | head -n 1) || family=$checkpoint
    [[ $seen == *" $family "* ]] || sweep "$checkpoint" 10 0.5 1.0
    seen+="$family "
done
