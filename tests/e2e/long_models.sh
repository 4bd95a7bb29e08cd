#!/usr/bin/env bash
# Ten models in a row in one process: each one's results are, bit for bit, those of a run of it alone, and memory is not that of all.
source "$(dirname "$0")/small_spec.inc"

models=()
for name in mamba-facts falcon-mamba-facts mamba2-facts gpt2-facts llama-facts; do
    models+=("$KO_SOURCE_DIR/jobs/models/$name")
done
for name in mamba-odd falcon-mamba-sharded mamba2-groups gpt2-bare qwen2; do
    models+=("$KO_SOURCE_DIR/tests/data/variants/$name")
done
head -n 24 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
spec() {
    printf 'models: [%s]\n' "$(IFS=,; echo "$*")"
    echo "prompts: {file: $scratch/facts.jsonl}"
    echo "routes: ['last<-subject', 'last<-each']"
    echo 'features: [all]'
    echo 'windows: {sizes: [1, 2], starts: all}'
}
run() { # SPEC CUBE; prints the peak in KiB
    "$python" - "$KNOCKOUT" run "$1" -o "$2" --threads 1 --progress none --log-level error <<'PY'
import resource
import subprocess
import sys

subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PY
}
spec "${models[@]}" >"$scratch/ten.yaml"
ten=$(run "$scratch/ten.yaml" "$scratch/ten.h5") || fail "the run of ten models"
most=0
for k in "${!models[@]}"; do
    spec "${models[$k]}" >"$scratch/one.yaml"
    one=$(run "$scratch/one.yaml" "$scratch/one-$k.h5") || fail "the run of ${models[$k]} alone"
    most=$((one > most ? one : most))
done
echo "peak: ten models $((ten / 1024)) MiB, the largest alone $((most / 1024)) MiB"
[ "$ten" -le $((most * 5 / 4)) ] || fail "ten models take more memory than the largest one"
"$python" - "$scratch" <<'PY' || fail "a model's results depend on those before it"
import sys

import h5py
import numpy as np

names = ("logprob", "kl", "target_rank", "top1_id", "heat_logprob", "clean_logprob")
with h5py.File(f"{sys.argv[1]}/ten.h5") as ten:
    for k in range(10):
        with h5py.File(f"{sys.argv[1]}/one-{k}.h5") as one:
            classes = [list(ten["feature_class"].asstr()).index(c) for c in one["feature_class"].asstr()]
            sizes = [list(ten["window_size"][:]).index(s) for s in one["window_size"][:]]
            n_starts = len(one["window_start"])
            for name in names:
                a, b = ten[name][k], one[name][0]
                if a.ndim > 1:
                    a = a[..., sizes, :n_starts]
                    a = a[:, :, classes] if a.ndim > 3 else a
                    positions = b.shape[3] if name.startswith("heat") else None
                    a = a[:, :, :, :positions] if positions else a
                if a.shape != b.shape or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                    sys.exit(f"model {k}: {name} differs")
print("ten models: the same values as alone")
PY
