#!/usr/bin/env bash
# The long table has every cell once, with the cube's values; the compressed copy is the cube.
source "$(dirname "$0")/small_spec.inc"
check() { "$python" "$KO_SOURCE_DIR/tests/e2e/export_check.py" "$@"; }
# refused STATUS WORDS COMMAND...: exit status and one line with these words, and no output file.
refused() {
    local expected=$1 words=$2 status=0
    shift 2
    "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" -eq "$expected" ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] && grep -qF -- "$words" "$scratch/err" ||
        { cat "$scratch/err"; fail "$* exits with $status, expected $expected and '$words'"; }
}

# Labels with commas, quotes and line ends; foils.
sed -i "s|^models:.*|models: [{name: 'mamba, \"the, first\"', path: $KO_SOURCE_DIR/jobs/models/mamba-facts}, $KO_SOURCE_DIR/jobs/models/gpt2-facts]|
    s|file: [^,]*|file: facts.jsonl|" "$scratch/spec.yaml"
"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl" <<'PY'
import json, sys
facts = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")][:200]
for k, fact in enumerate(facts):
    fact["id"] = f'id "{k}", é\nnext line'
    if k % 2:
        fact["foil"] = facts[(k + 3) % len(facts)]["target"]
    print(json.dumps(fact))
PY
cube=$scratch/cube.h5
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --progress none --log-level warn

echo "== csv"
"$KNOCKOUT" export "$cube" --csv >"$scratch/cells.csv"
counts=$(check cells "$cube" "$scratch/cells.csv")
echo "$counts"
grep -q 'done=.* vacuous=' <<<"$counts" || fail "no done and vacuous cells in '$counts'"
"$KNOCKOUT" export "$cube" --csv -o "$scratch/file.csv"
cmp "$scratch/cells.csv" "$scratch/file.csv" || fail "-o writes another table"
"$KNOCKOUT" export "$cube" --csv --model gpt2-facts --source subject --target last --feature all --window-size 3 >"$scratch/some.csv"
counts=$(check cells "$cube" "$scratch/some.csv" model=gpt2-facts 'route=last<-subject' feature_class=all window_size=3)
grep -q 'done=[1-9]' <<<"$counts" || fail "the filters leave '$counts'"
"$KNOCKOUT" export "$cube" --csv --source each >"$scratch/heat.csv"
check cells "$cube" "$scratch/heat.csv" 'route=last<-each' >/dev/null
"$KNOCKOUT" export "$scratch/cube.evaluation.h5" --csv >"$scratch/clean.csv"
check clean "$scratch/cube.evaluation.h5" "$scratch/clean.csv"
for status in 1 4; do # pending, failed
    cp "$cube" "$scratch/part.h5"
    "$python" "$KO_SOURCE_DIR/tests/e2e/curves.py" set "$scratch/part.h5" $status
    "$KNOCKOUT" export "$scratch/part.h5" --csv >"$scratch/part.csv"
    counts=$(check cells "$scratch/part.h5" "$scratch/part.csv")
    grep -q 'pending=\|failed=' <<<"$counts" || fail "no pending or failed cells in '$counts'"
done
[ ! -e /dev/full ] || refused 1 "standard output: cannot be written: No space left" \
    bash -c '"$0" export "$1" --csv >/dev/full' "$KNOCKOUT" "$cube"

echo "== compress"
"$KNOCKOUT" export "$cube" --compress -o "$scratch/copy.h5"
check copy "$cube" "$scratch/copy.h5"
[ "$(stat -c %s "$scratch/copy.h5")" -lt "$(stat -c %s "$cube")" ] || fail "the copy is no smaller"
"$KNOCKOUT" show "$cube" --csv >"$scratch/a.csv"
"$KNOCKOUT" show "$scratch/copy.h5" --csv | cmp - "$scratch/a.csv" || fail "show prints other curves of the copy"
"$KNOCKOUT" export "$scratch/copy.h5" --csv | cmp - "$scratch/cells.csv" || fail "the copy has another long table"
"$KNOCKOUT" verify "$scratch/copy.h5" --sample 4 >/dev/null || fail "the copy does not verify"
"$KNOCKOUT" export "$scratch/copy.h5" --compress -o "$scratch/again.h5"
check copy "$cube" "$scratch/again.h5"
"$KNOCKOUT" export "$scratch/cube.evaluation.h5" --compress -o "$scratch/evaluation.h5"
check copy "$scratch/cube.evaluation.h5" "$scratch/evaluation.h5"

echo "== refusals"
refused 2 "--model: is for --csv, a compressed copy holds the whole cube" "$KNOCKOUT" export "$cube" --compress -o "$scratch/new.h5" \
    --model gpt2-facts
refused 2 "--model: $cube has no model 'gpt3-facts', did you mean 'gpt2-facts'?" "$KNOCKOUT" export "$cube" --csv --model gpt3-facts
refused 2 "no cell of it passes these filters together" "$KNOCKOUT" export "$cube" --csv --target subject --source each
refused 2 "has no source at all, leave the option out" "$KNOCKOUT" export "$scratch/cube.evaluation.h5" --csv --source subject
refused 2 "choose one of --csv and --compress" "$KNOCKOUT" export "$cube"
refused 2 "choose one of --csv and --compress" "$KNOCKOUT" export "$cube" --csv --compress
refused 2 "name the file to write with -o NEW.h5" "$KNOCKOUT" export "$cube" --compress
refused 2 "exists already, choose --overwrite" "$KNOCKOUT" export "$cube" --compress -o "$scratch/copy.h5"
refused 2 "is the cube itself" "$KNOCKOUT" export "$cube" --compress --overwrite -o "$scratch/../${scratch##*/}/cube.h5"
refused 2 "cannot be created in its folder" "$KNOCKOUT" export "$cube" --csv -o "$scratch/no/such.csv"
refused 2 "is not an HDF5 file" "$KNOCKOUT" export "$scratch/spec.yaml" --compress -o "$scratch/new.h5"
check spoil "$cube" "$scratch/spoiled.h5"
refused 2 "attribute 'of' is of a kind that no cube has" "$KNOCKOUT" export "$scratch/spoiled.h5" --compress -o "$scratch/new.h5"
[ ! -e "$scratch/new.h5" ] && ! compgen -G "$scratch/*.new-*" || fail "a refused export leaves a file behind"
cp "$scratch/copy.h5" "$scratch/pending.h5"
"$python" "$KO_SOURCE_DIR/tests/e2e/curves.py" set "$scratch/pending.h5" 1
cp "$scratch/cube.evaluation.h5" "$scratch/pending.evaluation.h5"
refused 2 "is in chunks, as in a compressed copy" "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/pending.h5" --resume \
    --progress none --log-level error
