#!/usr/bin/env bash
# What people see of a run on a terminal of 80 columns: no line wraps, progress moves within a batch and never falls, and the last line says
# what is there and what to do next. Files and pipes get the log that programs read.
source "$(dirname "$0")/small_spec.inc"
screen() { "$python" "$KO_SOURCE_DIR/tests/e2e/screen.py" "$@"; }

# Two batches, of a second or so together.
cat >"$scratch/long.yaml" <<YAML
models: [$KO_SOURCE_DIR/jobs/models/mamba-facts]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: correct, sample: {n: 60, seed: 1}}
routes: ['last<-subject', 'last<-relation', 'last<-first', 'last<-position:0', 'subject<-context']
features: [all, slow-third, all+conv]
windows: {sizes: [1, 2, 3], starts: all}
row-budget: 30000
YAML
cube=$scratch/long.h5

echo "== a terminal"
screen "$scratch/alone" 80 "$KNOCKOUT" run "$scratch/long.yaml" -o "$cube" --threads 1 >"$scratch/steps"
grep -q "^$cube: [0-9,]* cells done in .*; next: knockout show $cube\$" "$scratch/alone" ||
    { cat "$scratch/alone"; fail "the run does not end with its result"; }
# Five times a second, and twice as often as a batch ends, unless the machine is too fast for that.
! grep -Eq 'cells done in ([2-9]|1\.[2-9]|[1-9][0-9])' "$scratch/alone" || [ "$(cat "$scratch/steps")" -ge 5 ] ||
    { cat "$scratch/alone"; fail "only $(cat "$scratch/steps") states of two batches are shown"; }
! grep -q 'level=' "$scratch/alone" || { cat "$scratch/alone"; fail "a terminal gets a program's log"; }

echo "== workers, under a launcher whose stderr is no terminal"
COLUMNS=60 "$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/long.yaml" -o "$cube" --overwrite --threads 1 --progress line 2>"$scratch/raw"
screen --read "$scratch/raw" 60 >/dev/null

echo "== files and programs"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/file.h5" --threads 1 2>"$scratch/log"
grep -q '^level=info sweep seconds=' "$scratch/log" && ! grep -q 'next:' "$scratch/log" ||
    { cat "$scratch/log"; fail "a file gets a terminal's lines"; }
screen "$scratch/debug" 80 "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/file.h5" --overwrite --threads 1 --log-level info >/dev/null
grep -q '^level=info sweep seconds=' "$scratch/debug" || fail "--log-level info on a terminal brings no log"

echo "== what the other commands say"
screen "$scratch/csv" 80 "$KNOCKOUT" export "$cube" --csv --model mamba-facts -o "$scratch/t.csv" >/dev/null
grep -q '^.*/t.csv: [0-9.]* [KM]iB, a line a cell; next: pandas.read_csv' "$scratch/csv" || fail "export says nothing"
"$KNOCKOUT" run "$scratch/spec.yaml" --set 'prompts={file: '"$KO_SOURCE_DIR"'/jobs/facts.jsonl, select: all, sample: {n: 4, seed: 1}}' \
    --set 'sweeps=[{}]' -o "$scratch/half.h5" --shard 1/1 --threads 1 2>/dev/null
screen "$scratch/merge" 80 "$KNOCKOUT" merge "$scratch/half.shard-0001-of-0001.h5" -o "$scratch/half.h5" >/dev/null
grep -q 'next: knockout show .*half.h5$' "$scratch/merge" || { cat "$scratch/merge"; fail "merge does not say what is next"; }

echo "== no line of a report is wider than 80 columns"
export OMP_NUM_THREADS=1 # each plan measures matrix products: no need for more here
cd "$KO_SOURCE_DIR" # short paths
bundled=(jobs/demo.yaml jobs/heads/demo.yaml jobs/hybrids/demo.yaml jobs/windows/{centred,from,listed,outside,until}.yaml)
for spec in "${bundled[@]}"; do
    "$KNOCKOUT" plan "$spec" >"$scratch/plan" || fail "plan $spec"
    screen --fits 80 "$scratch/plan" || fail "plan $spec"
done
for model in jobs/models/*; do
    "$KNOCKOUT" inspect "$model" --tokens "The city of Kabul" --answer Kabul >"$scratch/inspect" || fail "inspect $model"
    screen --fits 80 "$scratch/inspect" || fail "inspect $model"
done
cd "$scratch"
for command in "status long.h5" "show long.h5" "show long.evaluation.h5" "status long.evaluation.h5"; do
    # shellcheck disable=SC2086
    "$KNOCKOUT" $command >"$scratch/report" || fail "$command"
    screen --fits 80 "$scratch/report" || fail "$command"
done
