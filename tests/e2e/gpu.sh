#!/usr/bin/env bash
# One sweep over all bundled models on the CPU and on the GPU, in every precision: the values agree within the bounds that
# docs/performance.md gives, and equal runs give equal bits, whatever the number of ranks. Skipped where there is no GPU.
source "$(dirname "$0")/small_spec.inc"

models=$KO_SOURCE_DIR/jobs/models
cat >"$scratch/all.yaml" <<YAML
models: [$models/mamba-facts, $models/falcon-mamba-facts, $models/mamba2-facts, $models/gpt2-facts, $models/llama-facts]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: all, sample: {n: 5, seed: 1}}
routes: ['last<-subject', 'last<-relation', 'last<-last', 'last<-first', 'subject<-context', 'later<-subject']
features: [all, slow-third, fast-third, all+conv, slow-third+conv, after-softmax]
windows: {sizes: [1, 5], starts: {every: 2}}
row-budget: 2048
sweeps:
  - {}
  - {prompts: {sample: {n: 2, seed: 2}}, routes: ['last<-each', 'later<-each'], features: [all], windows: {sizes: [3]}}
YAML
sweep() { # NAME BACKEND PRECISION
    "$KNOCKOUT" run "$scratch/all.yaml" -o "$scratch/$1.h5" --backend "$2" --precision "$3" --progress none --log-level warn
}

if ! sweep float32 cuda float32 2>"$scratch/why"; then
    if grep -qE 'no backend|no GPU' "$scratch/why"; then
        echo "skipped: $(cat "$scratch/why")"
        exit 77
    fi
    fail "the sweep on the GPU: $(cat "$scratch/why")"
fi
sweep bf16x3 cuda bf16x3
sweep tf32 cuda tf32
sweep bfloat16 cuda bfloat16
OMP_NUM_THREADS=4 sweep cpu cpu float32
echo "float32:"
cubes near "$scratch/cpu.h5" "$scratch/float32.h5" 1e-4 1e-4 0.001
echo "bf16x3:"
cubes near "$scratch/cpu.h5" "$scratch/bf16x3.h5" 6e-4 6e-4 0.003
echo "tf32:"
cubes near "$scratch/cpu.h5" "$scratch/tf32.h5" 0.02 0.02 0.05
echo "bfloat16:"
cubes near "$scratch/cpu.h5" "$scratch/bfloat16.h5" 0.15 0.15 0.2

sweep again cuda float32
cubes same "$scratch/float32.h5" "$scratch/again.h5"
"$KO_LAUNCH" 300 2 "$KNOCKOUT" run "$scratch/all.yaml" -o "$scratch/ranks.h5" --backend cuda --progress none --log-level warn
cubes same "$scratch/float32.h5" "$scratch/ranks.h5"
