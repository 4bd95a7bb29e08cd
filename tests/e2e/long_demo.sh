#!/usr/bin/env bash
# long_demo.sh [TIMES]: the demo sweep that often (100), each time with the same datasets, bit for bit.
source "$(dirname "$0")/small_spec.inc"
times=${1:-100}

for k in $(seq "$times"); do
    rm -f "$scratch"/next.*
    "$KNOCKOUT" run "$KO_SOURCE_DIR/jobs/demo.yaml" -o "$scratch/next.h5" --threads 2 --progress none --log-level error ||
        fail "run $k"
    echo "run $k of $times"
    if [ "$k" -eq 1 ]; then
        mv "$scratch/next.h5" "$scratch/first.h5"
    else
        cubes same "$scratch/first.h5" "$scratch/next.h5" >"$scratch/out" || { cat "$scratch/out"; fail "run $k has other results"; }
    fi
done
echo "$times runs of the demo sweep: the same datasets"
