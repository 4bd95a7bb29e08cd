#!/usr/bin/env bash
# Every command on one small sweep, and what it prints against the cube itself.
source "$(dirname "$0")/small_spec.inc"

"$python" -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: Python lacks h5py or numpy"; exit 77; }
recomputed() { "$python" "$KO_SOURCE_DIR/tests/e2e/curves.py" "$@"; }
# json FILE EXPRESSION: prints it, `j` being the file's content.
json() { "$python" -c 'import json, sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }
# has FILE TEXT...: the file holds every text.
has() {
    local file=$1 words
    shift
    for words in "$@"; do
        grep -qF -- "$words" "$file" || { cat "$file"; fail "'$words' is not printed"; }
    done
}
expect_status() {
    local expected=$1 status=0
    shift
    "$@" >"$scratch/out" || status=$?
    [ "$status" -eq "$expected" ] || fail "$* exits with $status, expected $expected"
}

spec=$scratch/spec.yaml
cube=$scratch/cube.h5
evaluation=$scratch/cube.evaluation.h5

echo "== plan"
"$KNOCKOUT" plan "$spec" >"$scratch/out"
has "$scratch/out" "mamba-facts  mamba" "gpt2-facts   gpt2" "1,188" "upper bound" "last<-subject" \
    "heat routes last<-each" "after-softmax" "planned" "vacuous" "position" "subject" "####" "in N sets"
grep -q $'\x1b' "$scratch/out" && fail "plan prints colours into a file"
"$KNOCKOUT" plan "$spec" --color always >"$scratch/out"
grep -q $'\x1b\[42m' "$scratch/out" || fail "plan --color always prints no colour"
"$KNOCKOUT" plan "$spec" --json --workers 3 --assume-prompts 5 >"$scratch/plan.json"
[ "$(json "$scratch/plan.json" 'j["prompts"], j["heat_prompts"], j["time"]["workers"]')" = "(5, 3, 3)" ] ||
    fail "--assume-prompts 5 plans other prompts"
[ "$(json "$scratch/plan.json" 'j["cells"]["planned"] == j["cells"]["vacuous"] + j["cells"]["computed"]')" = True ] ||
    fail "planned cells are not the vacuous and the computed ones"
[ "$(json "$scratch/plan.json" '[sum(m["cells"][k] for m in j["models"]) for k in ("planned", "vacuous")] == [j["cells"][k] for k in ("planned", "vacuous")]')" = True ] ||
    fail "the cells of the models are not those of the plan"
[ "$(json "$scratch/plan.json" 'j["flop"] < j["separate_flop"] / 5')" = True ] || fail "the tree saves nothing"
[ "$(json "$scratch/plan.json" 'all(len(t["tokens"]) - 1 in t["sets"]["last"] for t in j["token_sets"])')" = True ] ||
    fail "the last token is not in the set 'last'"
[ ! -e "$cube" ] && [ ! -e "$evaluation" ] || fail "plan wrote a file"

echo "== a spec from standard input"
"$KNOCKOUT" plan --json - < <(cat "$spec") >"$scratch/piped.json" # a pipe
"$KNOCKOUT" plan --json "$spec" >"$scratch/file.json"
[ "$(json "$scratch/piped.json" 'j["cells"], j["routes"]')" = "$(json "$scratch/file.json" 'j["cells"], j["routes"]')" ] ||
    fail "a spec from standard input plans other cells"
printf 'modelz: [x]\n' | "$KNOCKOUT" plan - 2>"$scratch/err" && fail "a wrong spec from standard input is taken"
has "$scratch/err" "knockout: standard input:1:1: unknown key 'modelz', did you mean 'models'?"
! "$KNOCKOUT" plan - <&- 2>"$scratch/err" || fail "closed standard input is taken"
has "$scratch/err" "knockout: standard input: cannot be read"

echo "== run"
"$KNOCKOUT" run "$spec" -o "$cube" --progress none --log-level warn
"$KNOCKOUT" plan "$spec" --evaluation "$evaluation" --json >"$scratch/plan.json"
[ "$(json "$scratch/plan.json" 'j["selection"]["upper_bound"]')" = False ] || fail "an evaluation leaves an upper bound"

echo "== status"
expect_status 0 "$KNOCKOUT" status "$cube"
has "$scratch/out" "complete" "last<-position:0" "last<-each" "total"
expect_status 0 "$KNOCKOUT" status "$evaluation"
has "$scratch/out" "evaluation, complete" "1,188"
expect_status 0 "$KNOCKOUT" status "$cube" --json
recomputed counts "$cube" "$scratch/out" "$scratch/plan.json"
cp "$cube" "$scratch/changed.h5"
recomputed set "$scratch/changed.h5" 4
expect_status 3 "$KNOCKOUT" status "$scratch/changed.h5"
has "$scratch/out" "complete with failures"
recomputed set "$scratch/changed.h5" 1
expect_status 4 "$KNOCKOUT" status "$scratch/changed.h5"
has "$scratch/out" "incomplete"
expect_status 75 "$KNOCKOUT" evaluate "$spec" -o "$scratch/stopped.h5" --stop-at 1 --progress none --log-level error
expect_status 4 "$KNOCKOUT" status "$scratch/stopped.h5"

echo "== show"
for metric in change delta logprob median hit kl; do
    "$KNOCKOUT" show "$cube" --metric $metric --csv >"$scratch/curves.csv"
    recomputed curves "$cube" $metric "$scratch/curves.csv"
done
"$KNOCKOUT" show "$cube" --source each --csv >"$scratch/maps.csv"
recomputed maps "$cube" "$scratch/maps.csv"
"$KNOCKOUT" show "$cube" --model gpt2-facts --target last --source subject --feature after-softmax --window-size 3 >"$scratch/out"
has "$scratch/out" "mean change of the answer's probability" \
    "gpt2-facts  last<-subject  after-softmax  window of 3 of 12 layers" "95 % interval" "0-2" "8-10" "12"
[ "$(grep -c 'window of' "$scratch/out")" -eq 1 ] || fail "the filters let more than one curve through"
"$KNOCKOUT" show "$cube" --source each >"$scratch/out"
has "$scratch/out" "last<-each  all  window of 3 of 12 layers" "position" "layers"
"$KNOCKOUT" show "$evaluation" >"$scratch/out"
has "$scratch/out" "mamba-facts" "gpt2-facts" "ranked first" "1,188"

echo "== inspect"
"$KNOCKOUT" inspect "$KO_SOURCE_DIR/jobs/models/gpt2-facts" --tokens 'The city of Kabul é' >"$scratch/out"
has "$scratch/out" "gpt2 (GPT-2)" "12 layers" "BF16" "byte-level BPE" "nothing stops it from running" "ĠKabul" \
    "' Kabul'" "11-17"
"$KNOCKOUT" inspect "$KO_SOURCE_DIR/jobs/models/mamba-facts" --json --tokens 'Kabul' >"$scratch/out"
[ "$(json "$scratch/out" 'j["family"], j["shape"]["layers"], j["problems"], len(j["fingerprint"])')" = \
    "('mamba', 12, [], 32)" ] || fail "inspect --json"

echo "== verify"
"$KNOCKOUT" verify "$cube" --sample 16 >"$scratch/out" || { cat "$scratch/out"; fail "verify"; }
has "$scratch/out" "verified: 16 cells agree"

echo "== resume and ranks"
before=$(cksum <"$cube")
"$KNOCKOUT" run "$spec" -o "$cube" --resume --progress none --log-level warn
[ "$before" = "$(cksum <"$cube")" ] || fail "a second run with --resume changed the cube"
"$KO_LAUNCH" 240 2 "$KNOCKOUT" run "$spec" -o "$scratch/two.h5" --progress none --log-level warn
expect_status 0 "$KNOCKOUT" status "$scratch/two.h5"
"$KNOCKOUT" show "$scratch/two.h5" --csv >"$scratch/curves.csv"
recomputed curves "$cube" change "$scratch/curves.csv"
