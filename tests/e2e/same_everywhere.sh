#!/usr/bin/env bash
# Every dataset of the cube is the same for any number of ranks, with the same number of threads a rank.
source "$(dirname "$0")/small_spec.inc"

for ranks in 1 2 3 5; do
    "$KO_LAUNCH" 240 "$ranks" "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/n$ranks.h5" --threads 1 --progress none \
        --commit-seconds 0.05 --log-level warn || fail "run on $ranks ranks"
    "$KNOCKOUT" status "$scratch/n$ranks.h5" >/dev/null || fail "status of the cube of $ranks ranks"
done
for ranks in 2 3 5; do
    cubes same "$scratch/n1.h5" "$scratch/n$ranks.h5" || fail "-n 1 and -n $ranks differ"
    cubes same "$scratch/n1.evaluation.h5" "$scratch/n$ranks.evaluation.h5" || fail "evaluations of -n 1 and -n $ranks differ"
done
