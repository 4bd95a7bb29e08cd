#!/usr/bin/env bash
# The coordinator with 64 to 4,096 simulated workers, for models of the paper and Llama-3 70B: efficiency, how long workers have nothing
# to compute, commit rounds, and how busy the coordinator is. bench.coordinator (tests/bench/coordinator/main.c) says what is real and
# what is simulated.
#
#   tests/bench/many_workers.sh [NAME=VALUE...]          e.g. many_workers.sh seconds=20 round=0.05 file-rate=10
#
# The words are those of bench.coordinator. The sweep has PROMPTS prompts (65,757: three times CounterFact), four routes, three classes
# (a Transformer: two) and windows of 1 to 12 layers at every start. In the environment: MODELS, WORKERS, PROMPTS, PRECISION (tf32),
# READ_RATE (2 GB/s), BUILD (build/release of the repository), PLAYERS (2 ranks that play workers), MPIEXEC.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tests=${BUILD:-$root/build/release}/bin/tests
# shellcheck source=tests/bench/planned.inc
. "$root/tests/bench/planned.inc"
[ -x "$tests/bench.coordinator" ] || { echo "many_workers.sh: $tests/bench.coordinator: not built" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
planned_prompts "$scratch/prompts.jsonl" "${PROMPTS:-65757}"
for model in ${MODELS:-mamba-130m mamba-2.8b llama-3-8b llama-3-70b}; do
    planned_model "$scratch" "$model"
    case $model in
    *mamba*) features='all, slow-third, fast-third' ;;
    *) features='all, after-softmax' ;;
    esac
    cat > "$scratch/$model.yaml" <<SPEC
models: [$model]
prompts: {file: prompts.jsonl, select: all}
routes: [last<-subject, last<-relation, last<-last, last<-first]
features: [$features]
windows: {sizes: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], starts: all}
SPEC
    "${MPIEXEC:-mpirun}" --oversubscribe --bind-to none -n $((1 + ${PLAYERS:-2})) "$tests/bench.coordinator" \
        "workers=${WORKERS:-64,256,1024,4096}" "$@" "$scratch/$model.yaml" --device h200 --precision "${PRECISION:-tf32}" \
        --read-rate "${READ_RATE:-2}"
done
