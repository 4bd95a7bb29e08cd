#!/usr/bin/env bash
# Component and head cells, ~mean and ~resample: ranks, shards, stops, verify, --reuse, export, status, identities, and what is refused.
source "$(dirname "$0")/small_spec.inc"
"$python" -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: Python lacks h5py or numpy"; exit 77; }
check() { "$python" "$KO_SOURCE_DIR/tests/e2e/parts_check.py" "$@"; }
quiet=(--threads 1 --progress none --log-level warn)
run() { "$KNOCKOUT" run "$@" "${quiet[@]}"; }
# What a killed process leaves behind goes to a folder that is removed.
mkdir "$scratch/mpi"
export OMPI_MCA_btl_vader_backing_directory=$scratch/mpi OMPI_MCA_orte_tmpdir_base=$scratch/mpi
models=$KO_SOURCE_DIR/jobs/models
head -n 150 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
spec=$scratch/parts.yaml
cube=$scratch/cube.h5
evaluation=(--evaluation "$scratch/cube.evaluation.h5")

# Few rows: many batches, and several groups of clean runs for the means. Subjects differ in length, so some donors are too short.
cat >"$spec" <<YAML
models: [$models/gpt2-facts, $models/llama-facts, $models/mamba2-facts]
prompts: {file: $scratch/facts.jsonl, select: correct, sample: {n: 10, seed: 1}}
row-budget: 96
sweeps:
  - routes: [attention@last, ssm@subject, mlp@last, mixer@subject]
    features: [all, all~mean, 'all~resample:3', 'head:each', 'head:each~mean', 'ssm-head:1~resample:2']
    windows: {sizes: [1, 3], starts: {every: 5}}
  - routes: [mlp@each, ssm@each]
    features: [all, all~mean, 'all~resample:1']
    prompts: {sample: {n: 3, seed: 1}}
    windows: {sizes: [2], starts: {every: 5}}
YAML
run "$spec" -o "$cube"
check kinds "$cube" || fail "cells are missing or the same"

echo "== ranks and shards"
"$KO_LAUNCH" 120 4 "$KNOCKOUT" run "$spec" -o "$scratch/ranks.h5" --commit-seconds 0.05 "${quiet[@]}"
cubes same "$cube" "$scratch/ranks.h5" || fail "1 and 4 ranks differ"
for k in 2 3 1; do
    run "$spec" -o "$scratch/parts.h5" "${evaluation[@]}" --shard "$k/3"
done
"$KNOCKOUT" merge -o "$scratch/merged.h5" "$scratch"/parts.shard-*-of-0003.h5
cubes same "$cube" "$scratch/merged.h5" || fail "three shards are not the cube of one job"

echo "== stopped, killed and resumed"
# By turns, a little later every time; once at least when some of the cells are there.
halfway=0 delay=200 signal=KILL
while :; do
    status=0
    timeout --preserve-status -s $signal "${delay}e-3" "$KNOCKOUT" run "$spec" -o "$scratch/ended.h5" --resume "${evaluation[@]}" \
        --commit-seconds 0.02 "${quiet[@]}" 2>"$scratch/err" || status=$?
    [ $status -ne 0 ] || break
    # 138: USR1 came before the program knew it
    [[ $status =~ ^(75|137|138)$ ]] || { cat "$scratch/err"; fail "a run that got $signal exits with $status"; }
    : >"$scratch/out"
    [ ! -e "$scratch/ended.h5" ] || "$KNOCKOUT" status "$scratch/ended.h5" --json >"$scratch/out" || [ $? -eq 4 ] || fail "status of a part"
    ! grep -q '"done":[1-9]' "$scratch/out" || halfway=$((halfway + 1))
    delay=$((delay * 12 / 10))
    [ $signal = KILL ] && signal=USR1 || signal=KILL
done
[ $halfway -gt 0 ] || fail "no run was ended halfway"
echo "$halfway runs ended halfway"
cubes same "$cube" "$scratch/ended.h5" || fail "a cube differs that was computed in parts"
# The means are those in the cube.
cp "$cube" "$scratch/means.h5"
cubes unfinish "$scratch/means.h5"
check means "$scratch/means.h5" 0.5
run "$spec" -o "$scratch/means.h5" --resume "${evaluation[@]}"
check unlike "$scratch/means.h5" "$cube" || fail "a resume does not use the means in the cube"

echo "== verify"
# verified STATUS CUBE SAMPLE...
verified() {
    local expected=$1 status=0
    shift
    "$KNOCKOUT" verify "$1" --sample "${@:2}" --threads 1 >"$scratch/out" || status=$?
    [ "$status" -eq "$expected" ] || { cat "$scratch/out"; fail "verify of $1 exits with $status, expected $expected"; }
}
verified 0 "$cube" 100
for label in all~mean all~resample:3 head:2; do
    cp "$cube" "$scratch/changed.h5"
    check class "$scratch/changed.h5" "$label"
    verified 1 "$scratch/changed.h5" 60
    grep "$label .*recomputed" "$scratch/out" | grep -qv "start 0 " || { cat "$scratch/out"; fail "no changed cell of $label is named"; }
done
cp "$cube" "$scratch/changed.h5"
check entry "$scratch/changed.h5" ssm-head:1~resample:2
verified 1 "$scratch/changed.h5" 100000 --model mamba2-facts # all entries
[ "$(grep -c "recomputed" "$scratch/out")" -eq 1 ] || { cat "$scratch/out"; fail "not the one changed cell is named"; }
cp "$cube" "$scratch/changed.h5"
check means "$scratch/changed.h5" 0.5
verified 1 "$scratch/changed.h5" 60

# Donors and means come from the prompts of the route's own blocks, those of other shards among them: heads have no meaning with mlp@,
# and windows of 13 layers do not fit. The clean runs of all prompts have more rows than the few cells of a shard.
cat >"$scratch/blocks.yaml" <<YAML
models: [$models/gpt2-facts, $models/mamba2-facts]
prompts: {file: $scratch/facts.jsonl, select: correct, sample: {n: 24, seed: 1}}
row-budget: 200
sweeps:
  - {routes: [mlp@last, attention@last], features: [all, 'head:1~mean'], windows: {sizes: [1], starts: [3]}}
  - {routes: [mlp@last], features: ['all~resample:1', all~mean], windows: {sizes: [1], starts: [3]}, prompts: {sample: {n: 6, seed: 1}}}
  - {routes: [mlp@last], features: ['all~resample:1', all~mean], windows: {sizes: [13], starts: all}}
YAML
run "$scratch/blocks.yaml" -o "$scratch/blocks.h5" "${evaluation[@]}" 2>/dev/null
verified 0 "$scratch/blocks.h5" 1000
for k in 1 2 3; do
    run "$scratch/blocks.yaml" -o "$scratch/blocks.h5" "${evaluation[@]}" --shard "$k/3" 2>"$scratch/err" || { cat "$scratch/err"; fail "shard $k"; }
    verified 0 "$scratch/blocks.shard-000$k-of-0003.h5" 1000
done
"$KNOCKOUT" merge -o "$scratch/merged.h5" --overwrite "$scratch"/blocks.shard-*-of-0003.h5
cubes same "$scratch/blocks.h5" "$scratch/merged.h5" || fail "three shards of several blocks are not the cube of one job"

echo "== --reuse"
sed 's/n: 10/n: 8/' "$spec" >"$scratch/less.yaml"
run "$scratch/less.yaml" -o "$scratch/less.h5" "${evaluation[@]}"
run "$scratch/less.yaml" -o "$scratch/reused.h5" "${evaluation[@]}" --reuse "$cube"
check reused "$scratch/reused.h5" "$cube" "$scratch/less.h5"
"$python" "$KO_SOURCE_DIR/tests/e2e/reuse_check.py" close "$scratch/reused.h5" "$scratch/less.h5" 1e-4

echo "== export and status"
"$KNOCKOUT" export "$cube" --csv >"$scratch/cells.csv"
exported=$("$python" "$KO_SOURCE_DIR/tests/e2e/export_check.py" cells "$cube" "$scratch/cells.csv")
echo "$exported"
grep -q 'vacuous=[1-9]' <<<"$exported" || fail "no vacuous cells are in the table"
grep -q 'all~resample:[13],.*,vacuous,' "$scratch/cells.csv" || fail "no cell whose donor is too short is in the table"
"$KNOCKOUT" status "$cube" --json | "$python" -c '
import json, sys
total = json.load(sys.stdin)["total"]
said = "done=%d vacuous=%d" % (total["done"], total["vacuous"])
sys.exit(None if said == sys.argv[1] and total["pending"] == 0 else f"{said} in status, {sys.argv[1]} in the table")' "$exported"

echo "== identities"
cat >"$scratch/identities.yaml" <<YAML
models: [$models/llama-facts, $models/gpt2-facts]
prompts: {file: $scratch/facts.jsonl, sample: {n: 3, seed: 2}}
routes: ['last<-all', attention@last]
features: [all, 'head:each']
windows: {sizes: [1], starts: all}
YAML
run "$scratch/identities.yaml" -o "$scratch/identities.h5"
check identities "$scratch/identities.h5"

echo "== refusals"
# refused WORDS MODEL ROUTE CLASS: no plan, and one line that says so
refused() {
    local status=0
    printf '%s\n' "models: [$models/$2]" "prompts: {file: $scratch/facts.jsonl, sample: {n: 3, seed: 1}}" "routes: ['$3']" "features: ['$4']" \
        "windows: {sizes: [1], starts: all}" >"$scratch/refused.yaml"
    "$KNOCKOUT" run "$scratch/refused.yaml" -o "$scratch/refused.h5" "${quiet[@]}" 2>"$scratch/err" || status=$?
    [ "$status" -eq 2 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] && grep -qF -- "$1" "$scratch/err" ||
        { cat "$scratch/err"; fail "$3 with $4 exits with $status, expected 2 and '$1'"; }
    ! compgen -G "$scratch/refused*.h5" >/dev/null || fail "a refused run leaves a file"
}
refused "no model has the class 'head:99', it needs attention with more heads" gpt2-facts attention@last head:99
refused "'head:each': no model here has such heads, they need attention" mamba2-facts ssm@last head:each
refused "no model has the sublayers of route 'mlp@last'" mamba2-facts mlp@last all
refused "class 'all~mean' has no meaning with route 'last<-subject', classes with a suffix ~ need a route KIND@SET" gpt2-facts \
    'last<-subject' all~mean
refused "class 'head:1' has no meaning with route 'mlp@last'" gpt2-facts mlp@last head:1
refused "unknown component 'attn', use attention, ssm, conv, mlp or mixer" gpt2-facts attn@last all
refused "unknown suffix '~resample', use ~mean or ~resample:SEED" gpt2-facts attention@last all~resample
