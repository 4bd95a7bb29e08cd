#!/usr/bin/env bash
# Weights larger than the GPU: speed and bits of weights that stream, beside weights that stay.
#
#   tests/bench/stream.sh FOLDER PROMPTS TOKENIZER
#
# 1. Llama-3 8B's shape (a checkpoint of 16 GB) with the GPU held to 6 GiB, 8,192 rows, in bf16x3: microseconds a cell of both, their
#    ratio (at least 0.9 is asked), and whether the two cubes have the same bits. The two alternate, ROUNDS times (2).
# 2. A shape of 30 billion weights (a checkpoint of 61 GB) on one GPU: the time of a cell, and the device memory predicted and used. The
#    checkpoint of step 1 is removed first, unless KEEP=1.
#
# FOLDER gets the checkpoints (kept: a second call uses them again) and the cubes; take one in memory, as /dev/shm. PROMPTS is a prompt
# file, TOKENIZER a tokenizer.json. KNOCKOUT names the program (default: knockout), PRECISION another precision, SAMPLE and LARGE_SAMPLE
# the numbers of prompts (40, 8), LARGE=0 leaves out step 2.
# e.g.  tests/bench/stream.sh /dev/shm/stream jobs/facts.jsonl jobs/models/mamba-facts/tokenizer.json
set -euo pipefail
# shellcheck source=tests/bench/sweep_job.inc
. "$(dirname "${BASH_SOURCE[0]}")/sweep_job.inc"
[ $# -eq 3 ] || { echo "usage: ${0##*/} FOLDER PROMPTS TOKENIZER" >&2; exit 2; }
folder=$1 prompts=$(realpath "$2") tokenizer=$(realpath "$3") knockout=${KNOCKOUT:-knockout} precision=${PRECISION:-bf16x3}
here=$(dirname "${BASH_SOURCE[0]}")
mkdir -p "$folder"
llama() { # WIDTH HIDDEN LAYERS HEADS
    echo "{\"model_type\": \"llama\", \"hidden_size\": $1, \"intermediate_size\": $2, \"num_hidden_layers\": $3, \"num_attention_heads\": $4,
        \"num_key_value_heads\": 8, \"vocab_size\": 128256, \"rms_norm_eps\": 1e-5, \"rope_theta\": 500000.0, \"max_position_embeddings\": 8192,
        \"tie_word_embeddings\": false, \"hidden_act\": \"silu\"}"
}

# checkpoint NAME CONFIG: writes it once, and reads it into the system's cache.
checkpoint() {
    if [ ! -e "$folder/$1/tokenizer.json" ]; then
        python3 "$here/random_checkpoint.py" --config "$2" --tokenizer "$tokenizer" -o "$folder/$1"
    fi
    cat "$folder/$1"/*.safetensors > /dev/null
}

# spec NAME SAMPLE
spec() {
    cat > "$folder/$1.yaml" <<SPEC
models: [{name: $1, path: $1}]
prompts: {file: $prompts, select: all, sample: {n: $2, seed: 0}}
routes: [last<-subject, last<-relation, last<-last, last<-first]
windows: {sizes: [9], starts: all}
SPEC
}

# run NAME CUBE OPTIONS...: prints the log's lines on loading, streaming and time; sets cell_us.
run() {
    local name=$1 cube=$folder/$2.h5
    shift 2
    rm -f "$cube" "${cube%.h5}.evaluation.h5"
    "$knockout" run "$folder/$name.yaml" -o "$cube" --backend cuda --precision "$precision" --row-budget 8192 --log-level debug \
        --progress none "$@" 2> "$folder/log"
    grep -E 'load model|gpu_bytes|sweep (cells|seconds)' "$folder/log"
    cell_us=$(awk '/sweep cells=/ { match($0, /cells=[0-9,]+/); n = substr($0, RSTART + 6, RLENGTH - 6); gsub(",", "", n) }
        /sweep seconds=/ { match($0, /worker_compute=[0-9.]+/); s = substr($0, RSTART + 15, RLENGTH - 15) }
        END { printf "%.2f", 1e6 * s / n }' "$folder/log")
}

echo "== Llama-3 8B's shape, $precision, 8,192 rows"
checkpoint llama-8b "$(llama 4096 14336 32 32)"
spec llama-8b "${SAMPLE:-40}"
"$knockout" plan "$folder/llama-8b.yaml" --backend cuda --precision "$precision" --memory-limit 6GiB --row-budget 8192 --color never |
    grep -E '^(memory|weights|time)'
for ((round = 1; round <= ${ROUNDS:-2}; round++)); do
    run llama-8b resident --weights resident
    resident=$cell_us
    run llama-8b stream --memory-limit 6GiB
    awk -v r="$resident" -v s="$cell_us" 'BEGIN { printf "round: resident %s us a cell, stream in 6 GiB %s us, %.3f of its speed\n", r, s, r / s }'
    grep -q 'weights=stream' "$folder/log" || { echo "FAILED: the weights did not stream"; exit 1; }
    same_cubes "$folder/resident.h5" "$folder/stream.h5"
done

[ "${LARGE:-1}" != 0 ] || exit 0
echo "== a shape of 30 billion weights, $precision, 8,192 rows"
[ "${KEEP:-0}" = 1 ] || rm -rf "$folder/llama-8b"
checkpoint llama-30b "$(llama 5120 27648 60 40)"
spec llama-30b "${LARGE_SAMPLE:-8}"
"$knockout" plan "$folder/llama-30b.yaml" --backend cuda --precision "$precision" --weights stream --row-budget 8192 --color never |
    grep -E '^(memory|weights|time)'
(
    while sleep 1; do nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -i 0 2> /dev/null || true; done > "$folder/used"
) &
sampler=$!
trap 'kill $sampler 2> /dev/null || true' EXIT
run llama-30b large --weights stream
echo "large: $cell_us us a cell; device memory used $(sort -n "$folder/used" | tail -n 1) MiB at most"
