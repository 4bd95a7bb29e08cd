#!/usr/bin/env bash
# `run --reuse`: what an earlier cube has is copied to the bit, the rest is computed, and nothing is taken from what is not the same.
source "$(dirname "$0")/small_spec.inc"
check() { "$python" "$KO_SOURCE_DIR/tests/e2e/reuse_check.py" "$@"; }
run() { "$KNOCKOUT" run "$@" --progress none; }
# took PROMPTS: of so many cells were taken by the latest run, as $scratch/log says.
took() {
    if [ "$1" -eq 0 ]; then
        grep -q "level=warn.* reuse cube=.* nothing is taken, [0-9,]* cells are computed: ." "$scratch/log" ||
            { cat "$scratch/log"; fail "that nothing was taken is no warning"; }
    else
        grep -q "level=info.* reuse cube=.* prompts=$1 to_compute=" "$scratch/log" || { cat "$scratch/log"; fail "not $1 prompts were taken"; }
    fi
}
models=$KO_SOURCE_DIR/jobs/models
mkdir "$scratch/weights"
cp -r "$models/mamba-facts" "$scratch/weights/mamba-facts"
head -n 60 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
# spec NAME MODELS FACTS N ROUTES FEATURES SIZES: writes $scratch/NAME.yaml
spec() {
    cat >"$scratch/$1.yaml" <<YAML
models: [$2]
prompts: {file: $3, select: all, sample: {n: $4, seed: 1}}
routes: [$5]
features: [$6]
windows: {sizes: [$7], starts: {every: 2}}
row-budget: 1024
YAML
}
mine=$scratch/weights/mamba-facts
facts=$scratch/facts.jsonl
spec old "$mine" "$facts" 20 "'last<-relation', 'last<-subject', 'last<-each'" "slow-third, all" "1, 3"
# More models, prompts and a smaller choice of the rest, in another order: all of the old model's 20 prompts are there.
spec more "$models/gpt2-facts, $mine" "$facts" 30 "'last<-subject', 'last<-each'" "all" "3"
sed -i 's/row-budget: .*/row-budget: 160/' "$scratch/more.yaml" # few prompts a batch: a batch is computed whole or not at all
spec wider "$mine" "$facts" 20 "'last<-relation', 'last<-subject', 'last<-first'" "all" "1, 3"

run "$scratch/old.yaml" -o "$scratch/old.h5" --log-level warn

echo "== all of it"
run "$scratch/old.yaml" -o "$scratch/again.h5" --evaluation "$scratch/old.evaluation.h5" --reuse "$scratch/old.h5" 2>"$scratch/log"
took 20
grep -q 'sweep complete already' "$scratch/log" || fail "something was computed although everything was there"
[ "$(check taken "$scratch/again.h5" "$scratch/old.h5")" -eq 40 ] || fail "cells are not those of the old cube"
check close "$scratch/again.h5" "$scratch/old.h5" 0
"$KNOCKOUT" status "$scratch/again.h5" >/dev/null || fail "a cube of taken cells is not complete"

echo "== more models and prompts"
run "$scratch/more.yaml" -o "$scratch/whole.h5" --log-level warn
"$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/more.yaml" -o "$scratch/more.h5" --reuse "$scratch/old.h5" --progress none 2>"$scratch/log"
took 20
[ "$(check taken "$scratch/more.h5" "$scratch/old.h5")" -ge 40 ] || fail "taken cells are not those of the old cube"
check close "$scratch/more.h5" "$scratch/whole.h5" 1e-4
cells() { sed -n 's/.* sweep cells=\([0-9,]*\) .*/\1/p' "$1" | tr -d ,; }
all=$("$KNOCKOUT" status "$scratch/more.h5" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["total"]["done"])')
[ "$(cells "$scratch/log")" -lt "$all" ] || fail "$(cells "$scratch/log") of $all cells were computed"
"$KNOCKOUT" verify "$scratch/more.h5" --sample 16 >/dev/null || fail "the cube does not verify"

echo "== another route: the others are taken"
run "$scratch/wider.yaml" -o "$scratch/wider.h5" --evaluation "$scratch/old.evaluation.h5" --reuse "$scratch/old.h5" 2>"$scratch/log"
took 20
grep -q 'to_compute=220 why="it lacks route last<-first (220 cells)"' "$scratch/log" || { cat "$scratch/log"; fail "what is left is not said"; }
[ "$(check cells "$scratch/wider.h5" "$scratch/old.h5")" = "440 220" ] || fail "taken cells are not those of the old cube"
"$KNOCKOUT" status "$scratch/wider.h5" >/dev/null || fail "the wider cube is not complete"

echo "== several cubes, a partly finished one, and --resume"
cp "$scratch/old.h5" "$scratch/part.h5"
"$python" - "$scratch/part.h5" <<'PY'
import h5py, sys
with h5py.File(sys.argv[1], "r+") as f:
    f["status"][0, :8] = 1                  # pending, though values are there
    f["logprob"][0, 8] = float("nan")       # done, though values are not
    f["heat_clean_logprob"][0, 9] = float("nan")
PY
run "$scratch/old.yaml" -o "$scratch/two.h5" --evaluation "$scratch/old.evaluation.h5" --reuse "$scratch/part.h5" 2>"$scratch/log"
took 20
for why in 'are pending or failed there (352 cells)' 'flagged done there and have no value (44 cells)' 'has no clean run there ('; do
    grep -q 'level=info.* to_compute=' "$scratch/log" && grep -qF "$why" "$scratch/log" || { cat "$scratch/log"; fail "'$why' is not said"; }
done
check close "$scratch/two.h5" "$scratch/old.h5" 1e-4
"$python" - "$scratch/two.h5" "$scratch/part.h5" <<'PY'
import h5py, numpy as np, sys
with h5py.File(sys.argv[1]) as two, h5py.File(sys.argv[2]) as part:
    assert not two["reused"][0, :9].any() and two["reused"][0, 9:].any(axis=(1, 2, 3, 4)).all()
    marks = two["heat_reused"][0].any(axis=(1, 2, 3, 4, 5))
    assert not marks[9] and marks[:9].all() and marks[10:].all()
    taken = two["heat_reused"][...] == 1
    assert (two["heat_logprob"][...][taken] == part["heat_logprob"][...][taken]).all()
PY
run "$scratch/old.yaml" -o "$scratch/two.h5" --overwrite --evaluation "$scratch/old.evaluation.h5" --reuse "$scratch/part.h5" \
    --reuse "$scratch/old.h5" 2>"$scratch/log"
[ "$(grep -c 'prompts=20 to_compute=' "$scratch/log")" -eq 1 ] && grep -q 'prompts=10 to_compute=0$' "$scratch/log" ||
    { cat "$scratch/log"; fail "the second cube did not give the rest"; }
check close "$scratch/two.h5" "$scratch/old.h5" 0
run "$scratch/old.yaml" -o "$scratch/part.h5" --resume --evaluation "$scratch/old.evaluation.h5" --reuse "$scratch/old.h5" 2>"$scratch/log"
took 10 # eight are pending, one lacks values, one a clean run; the cube has no place for single cells
grep -q 'level=warn.* was begun without --reuse' "$scratch/log" || { cat "$scratch/log"; fail "that prompts are taken whole is not said"; }

echo "== not the same: computed anew"
sed '1s/"subject"/"relation": "other", "subject"/' "$facts" | "$python" -c '
import json, sys
for k, line in enumerate(sys.stdin):
    fact = json.loads(line)
    fact["prompt"] = fact["prompt"].replace(" is", " was", 1) if k % 2 else fact["prompt"]
    fact["spans"] = {"verb": [0, 3]}
    print(json.dumps(fact))' >"$scratch/changed.jsonl"
spec changed "$mine" "$scratch/changed.jsonl" 20 "'last<-relation', 'last<-subject', 'last<-each'" "slow-third, all" "1, 3"
run "$scratch/changed.yaml" -o "$scratch/changed.h5" --reuse "$scratch/old.h5" 2>"$scratch/log"
n=$(sed -n 's/.* reuse .* prompts=\([0-9]*\) to_compute=.*/\1/p' "$scratch/log")
grep -q 'has another text, subject or answer there (' "$scratch/log" || { cat "$scratch/log"; fail "other words are not named"; }
[ "$n" -gt 0 ] && [ "$n" -lt 20 ] || fail "$n of 20 prompts were taken, of which some have other words"
[ "$("$KNOCKOUT" status "$scratch/changed.h5" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["state"])')" = complete ] ||
    fail "the cube with changed prompts is not complete"
spec spans "$mine" "$scratch/changed.jsonl" 20 "'last<-verb'" "all" "1"
run "$scratch/spans.yaml" -o "$scratch/spans.h5" --log-level warn
run "$scratch/spans.yaml" -o "$scratch/spans2.h5" --evaluation "$scratch/spans.evaluation.h5" --reuse "$scratch/spans.h5" 2>"$scratch/log"
took 0
grep -q 'route last<-verb uses a named span' "$scratch/log" || { cat "$scratch/log"; fail "a named span is not the reason"; }
cubes overwrite "$mine" backbone.layers.0.mixer.D 3
run "$scratch/old.yaml" -o "$scratch/other.h5" --reuse "$scratch/old.h5" 2>"$scratch/log"
took 0
grep -q 'level=warn.*nothing is taken: its weights.* content hash' "$scratch/log" || { cat "$scratch/log"; fail "other weights are not named"; }
[ "$(check taken "$scratch/other.h5" "$scratch/old.h5")" -eq 0 ] || fail "cells of other weights are in the cube"

echo "== refusals"
refused() {
    local words=$1 status=0
    shift
    run "$scratch/old.yaml" -o "$scratch/new.h5" "$@" 2>"$scratch/err" || status=$?
    [ "$status" -eq 2 ] && grep -qF -- "$words" "$scratch/err" && [ ! -e "$scratch/new.h5" ] && [ ! -e "$scratch/new.evaluation.h5" ] ||
        { cat "$scratch/err"; fail "--reuse exits with $status, expected 2 and '$words'"; }
}
refused "is an evaluation, which has no cells" --reuse "$scratch/old.evaluation.h5"
refused "cannot be read: No such file" --reuse "$scratch/none.h5"
for what in "backend cuda" "precision tf32" "cube_format 0"; do
    cp "$scratch/old.h5" "$scratch/foreign.h5"
    # shellcheck disable=SC2086
    check attribute "$scratch/foreign.h5" $what
    refused "${what% *}" --reuse "$scratch/old.h5" --reuse "$scratch/foreign.h5"
done
cp "$scratch/old.h5" "$scratch/new.h5"
status=0
run "$scratch/old.yaml" -o "$scratch/new.h5" --overwrite --reuse "$scratch/new.h5" 2>"$scratch/err" || status=$?
[ "$status" -eq 2 ] && grep -q 'is the output itself' "$scratch/err" || { cat "$scratch/err"; fail "the output as --reuse exits with $status"; }
