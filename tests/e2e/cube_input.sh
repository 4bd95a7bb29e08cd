#!/usr/bin/env bash
# A cube from elsewhere is input: broken in every way there is, it is refused in one line by every command, and no other file is read.
source "$(dirname "$0")/small_spec.inc"

sed -i '/^routes:/s/:.*/: [last<-subject, last<-relation]/; /^features:/s/:.*/: [all, slow-third]/' "$scratch/spec.yaml"
quiet=(--progress none --log-level warn)
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/good.h5" "${quiet[@]}"
for shard in 1 2; do
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/good.h5" --shard $shard/2 --evaluation "$scratch/good.evaluation.h5" "${quiet[@]}"
done
"$python" "$KO_SOURCE_DIR/tests/e2e/cube_input.py" "$KNOCKOUT" "$scratch/spec.yaml" "$scratch"

echo "== a newer cube, and what is not a cube, are not overwritten either"
refused() {
    local words=$1 status=0
    shift
    "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" -eq 2 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] && grep -qF -- "$words" "$scratch/err" ||
        { cat "$scratch/err"; fail "$* exits with $status, expected 2 and '$words'"; }
}
"$python" - "$scratch" <<'PY'
import shutil, sys, h5py, numpy as np
folder = sys.argv[1]
shutil.copy(f"{folder}/good.h5", f"{folder}/newer.h5")
with h5py.File(f"{folder}/newer.h5", "r+") as cube:
    cube.attrs.modify("cube_format", np.int32(2))
with h5py.File(f"{folder}/other.h5", "w") as other:
    other["x"] = np.zeros(3)
PY
for name in newer other; do cp "$scratch/$name.h5" "$scratch/$name.before"; done
evaluation=(--evaluation "$scratch/good.evaluation.h5")
refused "newer.h5: cube_format 2 is newer than 1" "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/newer.h5" --overwrite "${evaluation[@]}" "${quiet[@]}"
refused "other.h5: is not a cube, --overwrite replaces nothing else" \
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/other.h5" --overwrite "${evaluation[@]}" "${quiet[@]}"
for name in newer other; do cmp "$scratch/$name.h5" "$scratch/$name.before" || fail "$name.h5 was touched"; done
