#!/usr/bin/env bash
# Several right answers and options: the oracle's cells under every score, the bits of whole answers where there is one, correct prompts,
# ranks, shards, resume, verify, show and export; bad lists are refused in one line.
source "$(dirname "$0")/small_spec.inc"
models=$KO_SOURCE_DIR/jobs/models golden=$KO_SOURCE_DIR/tests/data/choices
run() { "$KNOCKOUT" run "$@" --threads 1 --progress none --log-level warn; }
# spec NAME FACTS WHAT
spec() {
    cat >"$scratch/$1.yaml" <<YAML
models: [$models/gpt2-facts, $models/llama-facts, $models/mamba-facts]
prompts: {file: $2, $3}
routes: ['last<-subject', 'later<-subject', 'all<-all', 'last<-each']
windows: {sizes: [3], starts: [0, 5, 9]}
row-budget: 160
YAML
}

echo "== the oracle's cells: one pass a cell, choice and token there, shared trunks here"
spec clean "$golden/facts.jsonl" "score: whole-answer"
spec knocked "$golden/facts.jsonl" "score: whole-answer, answer-rows: knocked"
spec first "$golden/facts.jsonl" "score: first-token"
for name in clean knocked first; do
    run "$scratch/$name.yaml" -o "$scratch/$name.h5" || fail "run $name"
    for model in gpt2-facts llama-facts mamba-facts; do
        "$python" "$KO_SOURCE_DIR/tests/e2e/choices.py" "$scratch/$name.h5" "$golden/$model.json" || fail "$name, $model"
    done
    "$KNOCKOUT" verify "$scratch/$name.h5" --sample 25 >"$scratch/out" || { cat "$scratch/out"; fail "$name.h5 does not verify"; }
    grep -q "in sums and options" "$scratch/out" || fail "verify says nothing of sums and options of $name.h5"
done
for dataset in sum_logprob option_logprob heat_sum_logprob heat_option_logprob; do
    cp "$scratch/clean.h5" "$scratch/changed.h5"
    cubes change "$scratch/changed.h5" "$dataset" 0.01
    status=0
    "$KNOCKOUT" verify "$scratch/changed.h5" --sample 60 >"$scratch/out" || status=$?
    [ "$status" -eq 1 ] || fail "verify of a changed $dataset exits with $status"
    grep -q "sums and options differ by 1.00e-02" "$scratch/out" || { cat "$scratch/out"; fail "verify does not name a changed $dataset"; }
done
"$KNOCKOUT" plan "$scratch/first.yaml" | tr -s ' \n' '  ' | grep -q "two options have the same scored token" || fail "plan says nothing of equal options"

echo "== the same bits on three ranks, in shards, after a stop"
runs_alike knocked

echo "== one right answer as a list, or as the only option: the bits of whole-answer"
fact='"id": "a", "prompt": "The city of Seoul is known to everyone as the capital of", "subject": "Seoul"'
echo "{$fact, \"target\": \"South Korea\"}" >"$scratch/plain.jsonl"
echo "{$fact, \"targets\": [\"South Korea\", \" South Korea\"]}" >"$scratch/list.jsonl"
echo "{$fact, \"target\": \"South Korea\", \"options\": [\"South Korea\"]}" >"$scratch/option.jsonl"
for kind in plain list option; do
    spec "$kind" "$scratch/$kind.jsonl" "score: whole-answer, answer-rows: knocked"
    run "$scratch/$kind.yaml" -o "$scratch/$kind.h5"
done
"$python" - "$scratch" <<'PY'
import sys
import h5py
import numpy as np

plain, listed, option = (h5py.File(f"{sys.argv[1]}/{name}.h5") for name in ("plain", "list", "option"))
assert set(plain) == set(listed) and not {n for n in plain if "option" in n or "sum" in n or "correct" in n}
for other in (listed, option):
    compared = [n for n in plain if not n.startswith(("run", "spec")) and plain[n].dtype != object]
    assert len(compared) > 40
    for name in compared:
        assert plain[name][...].tobytes() == other[name][...].tobytes(), name
assert np.array_equal(option["sum_logprob"][:], option["logprob"][:], equal_nan=True)
done = np.isfinite(option["logprob"][:])
assert done.any() and (option["option_logprob"][:][done] == 0).all() and (option["option_rank"][:][done] == 1).all()
PY

echo "== an empty target is a missing one; options of which none is right are skipped"
echo "{$fact, \"target\": \" \", \"targets\": [\"South Korea\"]}" >"$scratch/blank.jsonl"
echo "{$fact, \"target\": \"\", \"options\": [\"South Korea\", \"Japan\"]}" >"$scratch/unsaid.jsonl"
spec blank "$scratch/blank.jsonl" "score: whole-answer"
spec unsaid "$scratch/unsaid.jsonl" "score: whole-answer"
"$KNOCKOUT" plan "$scratch/blank.yaml" | grep -q "1 runnable, 1 selected" || fail "a blank target beside a list"
"$KNOCKOUT" plan "$scratch/unsaid.yaml" >"$scratch/out" 2>&1 && fail "options without a right one are planned"
grep -q "('a': empty answer)" "$scratch/out" || { cat "$scratch/out"; fail "options without a right one"; }

echo "== correct: any right answer, or the right option before the others"
cat >"$scratch/correct.jsonl" <<'JSON'
{"id": "alias", "prompt": "The city of Kabul is known to everyone as the capital of", "subject": "Kabul", "target": "Japan", "targets": ["Afghanistan"]}
{"id": "wrong", "prompt": "The city of Kabul is known to everyone as the capital of", "subject": "Kabul", "targets": ["Japan", "Peru"]}
{"id": "option", "prompt": "The city of Kabul is known to everyone as the capital of", "subject": "Kabul", "target": "Japan", "options": ["Japan", "Peru of the year"]}
{"id": "behind", "prompt": "The city of Kabul is known to everyone as the capital of", "subject": "Kabul", "target": "Japan", "options": ["Japan", "Afghanistan"]}
JSON
for score in first-token whole-answer; do
    spec correct "$scratch/correct.jsonl" "score: $score, select: correct"
    run "$scratch/correct.yaml" -o "$scratch/correct-$score.h5" --overwrite
    "$python" - "$scratch/correct-$score.h5" <<'PY'
import sys
import h5py

with h5py.File(sys.argv[1]) as cube:
    ids = list(cube["eval_prompt"].asstr())
    assert cube["eval_correct"][:, ids.index("alias")].all() and not cube["eval_correct"][:, ids.index("wrong")].any()
    assert not cube["eval_correct"][:, ids.index("behind")].any() and cube["eval_correct"][:, ids.index("option")].any()
    assert (cube["eval_correct"][:] == cube["selected"][0]).all()
PY
done
"$KNOCKOUT" show "$scratch/knocked.h5" --metric hit >"$scratch/out" || fail "show --metric hit"
"$KNOCKOUT" export "$scratch/knocked.h5" --csv >"$scratch/sweep.csv"
head -1 "$scratch/sweep.csv" | grep -q 'sum_logprob,option_rank,correct,option_logprob$' || fail "export of a sweep: $(head -1 "$scratch/sweep.csv")"
"$KNOCKOUT" export "$scratch/knocked.evaluation.h5" --csv >"$scratch/evaluation.csv"
head -1 "$scratch/evaluation.csv" | grep -q 'sum_logprob,option_rank,correct,option_logprob$' || fail "export of an evaluation"
"$KNOCKOUT" status "$scratch/knocked.h5" >/dev/null || fail "status"

echo "== an evaluation of other answers is refused"
sed 's/"Peru of the year"/"Peru"/' "$scratch/correct.jsonl" >"$scratch/other.jsonl"
sed "s/correct.jsonl/other.jsonl/" "$scratch/correct.yaml" >"$scratch/other.yaml"
run "$scratch/other.yaml" -o "$scratch/other.h5" --evaluation "$scratch/correct-whole-answer.evaluation.h5" 2>"$scratch/log" && fail "accepted"
grep -q "prompt 'option' has other right answers or options than in" "$scratch/log" || fail "$(cat "$scratch/log")"
