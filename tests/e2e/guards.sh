#!/usr/bin/env bash
# What must never be mixed, taken for another, or lost: weights that changed, an interrupted --overwrite, files that are no cubes,
# evaluations of other answers, selections over other models.
source "$(dirname "$0")/small_spec.inc"

run() { "$KNOCKOUT" run "$@" --threads 1 --progress none --log-level warn; }

# refused WORDS COMMAND...: exits with 2 and says so.
refused() {
    local words=$1 status=0
    shift
    "$@" 2>"$scratch/err" || status=$?
    cat "$scratch/err"
    [ "$status" -eq 2 ] || fail "'$*' exits with $status, not 2"
    grep -q "$words" "$scratch/err" || fail "'$*' does not say '$words'"
}

# Other weights under the same header are found out by their content, in the sweep and against the evaluation.
cp -r "$KO_SOURCE_DIR/jobs/models/mamba-facts" "$scratch/ck"
sed "s|$KO_SOURCE_DIR/jobs/models/mamba-facts|$scratch/ck|; s/n: 12/n: 700/" "$scratch/spec.yaml" >"$scratch/ck.yaml"
"$KNOCKOUT" evaluate "$scratch/ck.yaml" -o "$scratch/ev.h5" --threads 1 --progress none --log-level warn
# The run is stopped when it has some results of the first model.
for try in $(seq 20); do
    status=0
    run "$scratch/ck.yaml" -o "$scratch/mixed.h5" --evaluation "$scratch/ev.h5" --commit-seconds 0.05 --resume \
        --stop-at $(($(date +%s) + slow * (2 + try / 4))) || status=$?
    [ "$status" -eq 75 ] || fail "the run to be continued with other weights was not stopped (exit $status)"
    "$KNOCKOUT" status "$scratch/mixed.h5" >"$scratch/out" || true
    awk '$1 == "ck" && $3 != "0" { found = 1 } END { exit !found }' "$scratch/out" && break
done
cubes overwrite "$scratch/ck" backbone.layers.3.mixer.D 0.75
refused 'content hash' run "$scratch/ck.yaml" -o "$scratch/mixed.h5" --evaluation "$scratch/ev.h5" --resume
status=0
run "$scratch/ck.yaml" -o "$scratch/other.h5" --evaluation "$scratch/ev.h5" || status=$?
[ "$status" -eq 3 ] || fail "a model that was evaluated with other weights is not recorded as failed (exit $status)"
"$KNOCKOUT" status "$scratch/other.h5" >"$scratch/out" || status=$?
grep -q 'content hash' "$scratch/out" || { cat "$scratch/out"; fail "status does not say that the weights are others"; }

# A cube that was to be replaced is not there any more when its replacement was interrupted.
run "$scratch/spec.yaml" -o "$scratch/cube.h5"
cp "$scratch/cube.h5" "$scratch/right.h5"
cubes change "$scratch/cube.h5" logprob 1
status=0
run "$scratch/spec.yaml" -o "$scratch/cube.h5" --overwrite --stop-at 1 || status=$?
[ "$status" -eq 75 ] || fail "a run past its --stop-at exits with $status"
[ ! -e "$scratch/cube.h5" ] && [ -e "$scratch/cube.h5.replaced" ] || fail "a stopped --overwrite has lost the cube that it was to replace"
run "$scratch/spec.yaml" -o "$scratch/cube.h5" --resume
cubes same "$scratch/cube.h5" "$scratch/right.h5"
! ls "$scratch" | grep -q replaced || fail "the replaced cube is left behind"

# A refusal after the evaluation leaves the cube that was to be replaced as it was.
before=$(cksum <"$scratch/cube.h5")
sed 's/select: correct-by-all, sample: {n: 12, seed: 1}/select: {not: correct-by-all}/; s/prompts: {sample: {n: 3, seed: 2}}, //' "$scratch/spec.yaml" >"$scratch/none.yaml"
refused 'no prompt is selected' run "$scratch/none.yaml" -o "$scratch/cube.h5" --overwrite
[ "$before" = "$(cksum <"$scratch/cube.h5")" ] || fail "a refused --overwrite changed the cube"
# A killed one leaves the earlier cube under another name: the next --overwrite brings it back or removes it.
mv "$scratch/cube.h5" "$scratch/cube.h5.replaced"
refused 'no prompt is selected' run "$scratch/none.yaml" -o "$scratch/cube.h5" --overwrite
[ "$before" = "$(cksum <"$scratch/cube.h5")" ] || fail "what a killed --overwrite set aside does not come back"
mv "$scratch/cube.h5" "$scratch/cube.h5.replaced"
run "$scratch/spec.yaml" -o "$scratch/cube.h5" --overwrite || fail "--overwrite after a killed one"
[ ! -e "$scratch/cube.h5.replaced" ] || fail "what a killed --overwrite set aside stays"

# --overwrite replaces cubes alone, and never what the run reads.
cp "$scratch/spec.yaml" "$scratch/victim.yaml"
refused 'is not a cube' run "$scratch/spec.yaml" -o "$scratch/victim.yaml" --overwrite
cmp "$scratch/spec.yaml" "$scratch/victim.yaml" || fail "--overwrite changed a file that is no cube"
cubes overwrite "$scratch/ck" backbone.layers.3.mixer.D 0.75
refused 'is the evaluation that the run reads' run "$scratch/spec.yaml" -o "$scratch/ev.h5" --evaluation "$scratch/ev.h5" --overwrite

# An evaluation of other answers to the same prompts serves no selection.
sed 's/"target":"[^"]*"/"target":" Kabul"/' "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
"$KNOCKOUT" evaluate "$scratch/spec.yaml" -o "$scratch/answers.h5" --threads 1 --progress none --log-level warn
sed "s|$KO_SOURCE_DIR/jobs/facts.jsonl|$scratch/facts.jsonl|" "$scratch/spec.yaml" >"$scratch/answers.yaml"
refused 'another answer than when it was evaluated' run "$scratch/answers.yaml" -o "$scratch/a.h5" --evaluation "$scratch/answers.h5"

# A run evaluates every model that the spec declares, as `evaluate` does, and sweeps those that it uses.
sed 's/^  - {}$/  - {models: [mamba-facts]}/; s/- {prompts: {sample: {n: 3/- {models: [mamba-facts], prompts: {sample: {n: 3/; s/, after-softmax//' "$scratch/spec.yaml" >"$scratch/one.yaml"
run "$scratch/one.yaml" -o "$scratch/one.h5"
cubes same "$scratch/one.evaluation.h5" "$scratch/answers.h5"
"$KNOCKOUT" status "$scratch/one.h5" | grep -q gpt2-facts && fail "a model that no block uses is in the cube"
"$KNOCKOUT" status "$scratch/one.h5" | grep -q mamba-facts || fail "the model that is used is not in the cube"
