#!/usr/bin/env bash
# Whole answers: every token is scored, by either rule; one-token answers have the bits of first-token; ranks, shards, resume, reuse,
# merge, verify, show and export know of them.
source "$(dirname "$0")/small_spec.inc"
models=$KO_SOURCE_DIR/jobs/models
run() { "$KNOCKOUT" run "$@" --threads 1 --progress none --log-level warn; }
# Answers of one token, two and three; a year whose first token is a lone space for Llama; one that merges with nothing.
cat >"$scratch/facts.jsonl" <<'JSON'
{"id": "one", "prompt": "The city of Kabul is known to everyone as the capital of", "subject": "Kabul", "target": "Afghanistan"}
{"id": "two", "prompt": "The city of Seoul is known to everyone as the capital of", "subject": "Seoul", "target": "South Korea", "foil": "Japan"}
{"id": "place", "prompt": "United Arab Emirates is a country whose seat of government is the city of", "subject": "United Arab Emirates", "target": "Abu Dhabi"}
{"id": "year", "prompt": "Abraham Lincoln was born in the year", "subject": "Abraham Lincoln", "target": "1809"}
JSON
# spec NAME WHAT: mean routes, a heatmap and a component
spec() {
    cat >"$scratch/$1.yaml" <<YAML
models: [$models/llama-facts, $models/mamba-facts]
prompts: {file: $scratch/facts.jsonl$2}
routes: ['last<-subject', 'later<-subject', 'mlp@last', 'last<-each']
windows: {sizes: [1, 3], starts: [0, 5, 9, 11]} # the last layer too
row-budget: 120
YAML
}
spec clean ", score: whole-answer"
spec knocked ", score: whole-answer, answer-rows: knocked"

echo "== plan and inspect show the answers' tokens"
"$KNOCKOUT" plan "$scratch/clean.yaml" >"$scratch/out"
tr -s ' \n' '  ' <"$scratch/out" | grep -q "1 foil counts as none, whole answers are scored without foils: two" || fail "plan: foils"
"$KNOCKOUT" plan "$scratch/clean.yaml" --json |
    "$python" -c 'import json, sys; t = json.load(sys.stdin)["token_sets"]; assert {len(x["answer_ids"]) for x in t} >= {1, 2}, t'
"$KNOCKOUT" inspect "$models/llama-facts" --tokens "born in" --answer 1809 >"$scratch/out"
grep -q "whole-answer  *scores ▁ (id [0-9]*) <0x31> (id" "$scratch/out" || fail "inspect: whole-answer"

echo "== both rules, verified cell by cell"
for rule in clean knocked; do
    run "$scratch/$rule.yaml" -o "$scratch/$rule.h5" || fail "run $rule"
    "$KNOCKOUT" verify "$scratch/$rule.h5" --sample 40 >"$scratch/out" || { cat "$scratch/out"; fail "$rule.h5 does not verify"; }
    grep -q "in that of one token" "$scratch/out" || fail "verify does not look at tokens"
done
"$python" - "$scratch" <<'PY'
import sys
import h5py
import numpy as np

scratch = sys.argv[1]
clean, knocked = (h5py.File(f"{scratch}/{rule}.h5") for rule in ("clean", "knocked"))
assert clean.attrs["score"] == b"whole-answer" and clean.attrs["answer_rows"] == b"clean"
assert knocked.attrs["answer_rows"] == b"knocked"
ids = list(clean["prompt"].asstr())
assert ids == ["one", "two", "place", "year"], ids
n = (clean["answer_id"][:] >= 0).sum(-1)
assert (n[:, 0] == 1).any() and (n[:, 1] >= 2).all() and n[0, 3] == 5, n  # Llama's year: a space and four digits
assert np.array_equal(clean["answer_id"][:, :, 0], clean["target_id"][:])
assert len(clean["answer_token"]) == n.max()
for cube in (clean, knocked):
    for prefix, of in (("", "logprob"), ("heat_", "heat_logprob"), ("clean_", "clean_logprob"), ("heat_clean_", "heat_clean_logprob")):
        token, whole, rank = cube[prefix + "answer_logprob"][:], cube[of][:], cube[prefix + "answer_rank"][:]
        assert token.shape[:-1] == whole.shape and np.isfinite(whole).any()
        assert np.allclose(np.nansum(token, -1), np.nan_to_num(whole), rtol=0, atol=1e-5), prefix
        assert np.array_equal(np.isnan(token[..., 0]), np.isnan(whole)) and np.array_equal(rank >= 1, np.isfinite(token)), prefix
        assert np.array_equal(rank[..., 0], cube[prefix + "target_rank"][:])
    assert "foil_logprob" not in cube
    for m in range(2):
        for p in range(4):
            assert np.isfinite(cube["clean_answer_logprob"][m, p]).sum() == n[m, p]
    with h5py.File(f"{scratch}/{'clean' if cube is clean else 'knocked'}.evaluation.h5") as e:
        assert np.array_equal(e["eval_answer_rank"][:], cube["eval_answer_rank"][:])
        assert np.allclose(e["eval_answer_logprob"][:], cube["clean_answer_logprob"][:], rtol=0, atol=1e-4, equal_nan=True)
# The rules differ in the tokens after the first, in no first token, and in no answer of one token.
a, b = clean["answer_logprob"][:], knocked["answer_logprob"][:]
assert np.array_equal(a[..., 0], b[..., 0], equal_nan=True)
assert np.nanmax(abs(a - b)[:, 1:]) > 1e-3
for m in range(2):
    for p in np.flatnonzero(n[m] == 1):
        assert np.array_equal(a[m, p], b[m, p], equal_nan=True)
PY

echo "== correct are answers that greedy decoding gives"
"$KNOCKOUT" export "$scratch/clean.evaluation.h5" --csv >"$scratch/evaluation.csv"
head -1 "$scratch/evaluation.csv" | grep -q ',answer_logprob,answer_rank$' || fail "export of an evaluation"
sed 's/score: whole-answer/select: correct, score: whole-answer/' "$scratch/clean.yaml" >"$scratch/correct.yaml"
run "$scratch/correct.yaml" -o "$scratch/correct.h5" --evaluation "$scratch/clean.evaluation.h5"
"$python" - "$scratch" <<'PY'
import csv
import sys
import h5py

with open(f"{sys.argv[1]}/evaluation.csv") as f:
    greedy = {(r["model"], r["prompt"]): set(r["answer_rank"].split()) == {"1"} for r in csv.DictReader(f)}
assert any(greedy.values()) and not all(greedy.values()), greedy
with h5py.File(f"{sys.argv[1]}/correct.h5") as cube:
    ids, names = list(cube["eval_prompt"].asstr()), list(cube["model"].asstr())
    for m, name in enumerate(names):
        assert [bool(x) for x in cube["selected"][0, m]] == [greedy[name, i] for i in ids], name
PY
"$KNOCKOUT" show "$scratch/clean.h5" --metric hit >/dev/null || fail "show"
"$KNOCKOUT" export "$scratch/clean.h5" --csv >"$scratch/sweep.csv"
head -1 "$scratch/sweep.csv" | grep -q 'last_layer,answer_logprob,answer_rank$' || fail "export of a sweep"

echo "== answers of one token: the bits of first-token under both rules"
for rule in "first-token" "whole-answer" "whole-answer, answer-rows: knocked"; do
    spec single ", select: {id: [one]}, score: $rule"
    sed -i "s/llama-facts, .*mamba-facts/mamba-facts/" "$scratch/single.yaml"
    sed -n 1p "$scratch/facts.jsonl" >"$scratch/one.jsonl"
    sed -i "s/facts.jsonl/one.jsonl/" "$scratch/single.yaml"
    run "$scratch/single.yaml" -o "$scratch/single-${rule//[^a-z]/}.h5"
done
"$python" - "$scratch"/single-*.h5 <<'PY'
import sys
import h5py

first, *others = (h5py.File(path) for path in sorted(p for p in sys.argv[1:] if "evaluation" not in p))
assert len(others) == 2 and first.attrs["score"] == b"first-token"
for other in others:
    compared = [n for n in first if not n.startswith("run") and first[n].dtype != object and not n.startswith("spec")]
    assert len(compared) > 30 and "heat_logprob" in compared
    for name in compared:
        assert first[name][...].tobytes() == other[name][...].tobytes(), name
    assert other["answer_logprob"].shape[-1] == 1 and (other["answer_logprob"][..., 0].tobytes() == first["logprob"][:].tobytes())
PY

echo "== the same bits on three ranks, in shards, after a stop"
runs_alike knocked
"$KNOCKOUT" export "$scratch/knocked.h5" --compress -o "$scratch/copy.h5"
cubes same "$scratch/knocked.h5" "$scratch/copy.h5"

echo "== reuse takes whole answers of the same rule, and one-token answers of any"
spec more ", score: whole-answer, answer-rows: knocked"
sed -i 's/sizes: \[1, 3\]/sizes: [1, 2, 3]/' "$scratch/more.yaml"
run "$scratch/more.yaml" -o "$scratch/more.h5" --reuse "$scratch/knocked.h5" --evaluation "$scratch/knocked.evaluation.h5"
"$python" - "$scratch" <<'PY'
import sys
import h5py
import numpy as np

old, new = (h5py.File(f"{sys.argv[1]}/{name}.h5") for name in ("knocked", "more"))
taken = new["reused"][:] == 1
assert taken.any() and not taken.all()
for name in ("logprob", "answer_logprob", "answer_rank", "heat_answer_logprob"):
    axis = 5 if name.startswith("heat") else 4
    assert np.array_equal(np.delete(new[name][:], 1, axis=axis), old[name][:], equal_nan=True), name
PY
"$KNOCKOUT" verify "$scratch/more.h5" --sample 20 >/dev/null || fail "a cube with taken cells does not verify"
"$KNOCKOUT" run "$scratch/clean.yaml" -o "$scratch/other.h5" --reuse "$scratch/knocked.h5" --progress none 2>"$scratch/log"
grep -q "the rows of answers as that of prompt .* are other targets there" "$scratch/log" || fail "$(grep reuse "$scratch/log")"
refuse() {
    "$KNOCKOUT" run "$@" --progress none 2>"$scratch/log" && fail "accepted: run $*"
    grep -q "prompts.answer-rows is 'knocked' in the cube and 'clean' in this run" "$scratch/log" || fail "$(cat "$scratch/log")"
}
refuse "$scratch/clean.yaml" -o "$scratch/knocked.h5" --resume
