#!/usr/bin/env bash
# `bench` on the CPU: what it prints adds up, and what it refuses.
source "$(dirname "$0")/small_spec.inc"

"$KNOCKOUT" bench --backend cpu --shape mamba-130m --prompts 1 --tokens 12 --row-budget 512 --threads 1 --json >"$scratch/bench.json" ||
    fail "bench failed"
"$python" - "$scratch/bench.json" <<'PY' || fail "the figures of bench do not add up"
import json
import sys

lines = open(sys.argv[1]).read().splitlines()
assert len(lines) == 1, f"{len(lines)} lines"
j = json.loads(lines[0])
assert (j["shape"], j["precision"], j["tokens"], j["prompts"], j["cells"]) == ("mamba-130m", "float32", 12, 1, 64), j
assert j["row_budget"] == 512 and j["batches"] == 1
assert 0 < j["fraction_of_gemm"] and abs(j["fraction_of_gemm"] * j["gemm_flops_layers"] / j["flops_reached"] - 1) < 1e-9
assert abs(j["seconds_per_cell"] * j["cells"] * j["flops_reached"] / j["flop"] - 1) < 1e-9
assert j["processor_seconds_per_cell"] > 0
assert abs(sum(p["share"] for p in j["products"]) - 1) < 1e-9
names = [o["name"] for o in j["operations"]]
calls = {(o["name"], o.get("n_in", 0), o.get("n_out", 0)): o["calls"] for o in j["operations"]}
assert calls["mamba1", 0, 0] == 24 and calls["linear", 768, 3072] == 24 and calls["unembed", 0, 0] == 1, calls
assert 0.5 < sum(o["share"] for o in j["operations"]) <= 1, names
assert [o["seconds"] for o in j["operations"]] == sorted((o["seconds"] for o in j["operations"]), reverse=True)
PY

refused() {
    local what=$1 words=$2
    shift 2
    "$KNOCKOUT" bench "$@" >"$scratch/out" 2>"$scratch/err" && fail "$what: accepted"
    [ $? -eq 2 ] || fail "$what: exit status is not 2"
    grep -q -- "$words" "$scratch/err" || fail "$what: $(cat "$scratch/err") lacks: $words"
}
refused "an unknown shape" "unknown shape 'mamba-130', did you mean 'mamba-130m'" --shape mamba-130
refused "an empty item" "has an empty item" --shape mamba-130m,,gpt2-xl
refused "a precision that is not offered" "does not offer 'float16'" --precision float32,float16
refused "a precision of GPUs" "cpu computes in float32, got tf32" --backend cpu --precision float32,tf32
refused "another precision of GPUs" "cpu computes in float32, got bf16x3" --backend cpu --precision bf16x3
refused "prompts that are too short" "--tokens: expected 6 to 32768" --backend cpu --tokens 5

# 46.7 billion float32 weights, which are to stay: refused before any memory is taken.
if [ "$(awk '/^MemTotal/ {print $2}' /proc/meminfo)" -lt 180000000 ]; then
    refused "a shape that does not fit" "mixtral-8x7b needs 174.* GiB, this machine has" --backend cpu --shape mixtral-8x7b --weights resident
fi
