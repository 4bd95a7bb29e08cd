#!/usr/bin/env bash
# `verify` accepts what was computed and refuses what was changed, naming cells.
source "$(dirname "$0")/small_spec.inc"

"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/cube.h5" --threads 1 --progress none --log-level warn
"$KNOCKOUT" verify "$scratch/cube.h5" --sample 40 || fail "verify of an untouched cube"
for change in 'logprob 0.01' 'kl 0.01' 'prob 0.01' 'target_rank 1' 'top1_id 7' 'logprob nan'; do
    read -r dataset delta <<<"$change"
    cp "$scratch/cube.h5" "$scratch/changed.h5"
    cubes change "$scratch/changed.h5" "$dataset" "$delta"
    status=0
    "$KNOCKOUT" verify "$scratch/changed.h5" --sample 40 >"$scratch/out" || status=$?
    cat "$scratch/out"
    [ "$status" -eq 1 ] || fail "verify of a cube with another $dataset exits with $status"
    grep -q '^  .*facts prompt .* size .* start .* recomputed' "$scratch/out" || fail "verify names no cell"
done
