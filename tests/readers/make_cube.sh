#!/usr/bin/env bash
# make_cube.sh FOLDER: what the readers are compared on: a cube, its compressed copy, and the curves that `show` prints.
source "$(dirname "$0")/../e2e/small_spec.inc"
mkdir -p "$1"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/cube.h5" --progress none --log-level warn
# The first two prompts as a run leaves them between the values and the flags of a commit: no reader may take them.
cubes between "$scratch/cube.h5" 2
"$KNOCKOUT" export "$scratch/cube.h5" --compress --overwrite -o "$1/copy.h5"
mv "$scratch/cube.h5" "$1/cube.h5"
"$KNOCKOUT" show "$1/cube.h5" --csv >"$1/show.csv"

# What the readers are judged by lets neither NaN nor a small difference nor a missing window pass.
compare() { "$python" "$KO_SOURCE_DIR/tests/readers/compare.py" "$@"; }
compare "$1/show.csv" "$1/show.csv"
awk -F, -v OFS=, 'NR == 5 { $10 = "nan" } 1' "$1/show.csv" >"$scratch/nan.csv"
awk -F, -v OFS=, 'NR == 5 { $10 += 1e-7 * ($10 + 1) } 1' "$1/show.csv" >"$scratch/near.csv"
sed 5d "$1/show.csv" >"$scratch/short.csv"
for wrong in nan near short; do
    ! compare "$1/show.csv" "$scratch/$wrong.csv" 2>/dev/null || fail "the comparison passes $wrong.csv"
done
