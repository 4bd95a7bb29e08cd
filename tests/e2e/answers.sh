#!/usr/bin/env bash
# Which token of an answer is scored: years and other scripts, whose first token is white space alone, and foils that cannot be compared.
source "$(dirname "$0")/small_spec.inc"
models=$KO_SOURCE_DIR/jobs/models
run() { "$KNOCKOUT" run "$@" --progress none; }
cat >"$scratch/years.jsonl" <<'JSON'
{"id": "right", "prompt": "Abraham Lincoln was born in the year", "subject": "Abraham Lincoln", "target": "1809", "foil": "2005"}
{"id": "wrong", "prompt": "Abraham Lincoln was born in the year", "subject": "Abraham Lincoln", "target": "2005", "foil": "Paris"}
{"id": "chinese", "prompt": "法国的首都是", "subject": "法国", "target": "巴黎"}
{"id": "paris", "prompt": "The capital of France is", "subject": "France", "target": "Paris", "foil": "Oslo"}
{"id": "same", "prompt": "The capital of France is", "subject": "France", "target": "Paris", "foil": "Paris"}
JSON
# spec NAME SCORE
spec() {
    cat >"$scratch/$1.yaml" <<YAML
models: [$models/llama-facts]
prompts: {file: $scratch/years.jsonl$2}
routes: ['last<-subject', 'last<-each']
windows: {sizes: [1, 3], starts: {every: 4}}
YAML
}
spec usual ""
spec text ", score: first-text"
spec raw ", score: raw-first-token"
blank='answer begins with a token of white space alone'

echo "== plan counts what is skipped, appended, scored as white space, and foils that count as none"
plan() { "$KNOCKOUT" plan "$scratch/$1.yaml" | tr -s ' \n' '  '; }
plan usual | grep -q "skipped llama-facts: 3 prompts, $blank .*: right, wrong, chinese" || fail "plan does not count what it skips"
plan usual | grep -q "warning llama-facts: 1 foil counts as none, the scored token is the answer's: same" || fail "plan: foils"
plan text | grep -q "note llama-facts: 3 prompts end with the white space .*: right, wrong, chinese" || fail "plan: appended tokens"
plan text | grep -q "tokens (the last 1 of the answer, white space), answer <0x31> " || fail "plan: an appended token is not said"
plan text | grep -q "1 foil counts as none, other tokens of white space .*: wrong" || fail "plan: a foil behind another prompt"
plan raw | grep -q "the scored token of 3 answers is white space alone.*: right, wrong, chinese" || fail "plan: raw"
"$KNOCKOUT" plan "$scratch/text.yaml" --json |
    "$python" -c 'import json, sys; j = json.load(sys.stdin); assert len(j["notes"]) == 1 and j["token_sets"][0]["appended"] == 1, j'

echo "== another word is refused"
spec whole ", score: perplexity"
"$KNOCKOUT" plan "$scratch/whole.yaml" 2>"$scratch/log" && fail "another word was accepted"
grep -q "prompts.score: expected first-token, first-text, raw-first-token or whole-answer, got 'perplexity'" "$scratch/log" || fail "$(cat "$scratch/log")"

echo "== the cubes"
for name in usual text raw; do
    run "$scratch/$name.yaml" -o "$scratch/$name.h5" 2>"$scratch/$name.log"
    "$KNOCKOUT" verify "$scratch/$name.h5" --sample 12 >/dev/null || fail "$name.h5 does not verify"
done
grep -q "level=warn.* prompts llama-facts: 3 prompts are skipped, $blank" "$scratch/usual.log" || fail "run does not count what it skips"
grep -q "level=warn.* prompts llama-facts: 1 foil counts as none, the scored token" "$scratch/usual.log" || fail "run: foils"
grep -q "level=info.* prompts llama-facts: 3 prompts end with" "$scratch/text.log" || fail "run: appended tokens"
grep -q "level=warn.* the scored token of 3 answers is white space alone" "$scratch/raw.log" || fail "run: raw"
"$python" - "$scratch" <<'PY'
import sys
import h5py
import numpy as np

cubes = {name: h5py.File(f"{sys.argv[1]}/{name}.h5") for name in ("usual", "text", "raw")}
ids = {name: list(c["prompt"].asstr()) for name, c in cubes.items()}
assert ids["usual"] == ["paris", "same"] and ids["text"] == ids["raw"] == ["right", "wrong", "chinese", "paris", "same"], ids
usual, text, raw = cubes.values()
assert [c.attrs["score"] for c in cubes.values()] == [b"first-token", b"first-text", b"raw-first-token"]
assert usual["reason_code"][0].tolist() == [9, 9, 9, 0, 0]
assert "answer_begins_with_a_token" in usual["reason_code"].attrs["flag_meanings"].decode()
assert "n_appended" not in usual and "n_appended" not in raw
assert text["n_appended"][0].tolist() == text["heat_n_appended"][0].tolist() == [1, 1, 1, 0, 0]
with h5py.File(f"{sys.argv[1]}/text.evaluation.h5") as e:
    assert e["eval_n_appended"][0].tolist() == [1, 1, 1, 0, 0]
# The space is the prompt's last token there, and the answer's only one here.
space = set(raw["target_id"][0, :3])
assert len(space) == 1 and len(set(text["target_id"][0, :3])) == 3
n = text["n_tokens"][0]
assert (n - raw["n_tokens"][0]).tolist() == [1, 1, 1, 0, 0]
assert {text["token_id"][0, k, n[k] - 1] for k in range(3)} == space
apart = {name: abs(np.subtract(*c["clean_logprob"][0, :2])) for name, c in (("raw", raw), ("text", text))}
assert apart["raw"] < 1e-5 and apart["text"] > 1e-2, apart
# Prompts without such a token are the same under every rule.
for name in ("clean_logprob", "logprob", "kl"):
    assert np.allclose(text[name][0, 3:], raw[name][0, 3:], rtol=0, atol=1e-5, equal_nan=True), name
# Foils: scored beside another token behind the same prompt.
assert (text["foil_id"][0] >= 0).tolist() == [True, False, False, True, False], text["foil_id"][0]
assert (raw["foil_id"][0] >= 0).tolist() == [False, True, False, True, False], raw["foil_id"][0]
for c in (text, raw):
    for name in ("clean_foil_logprob", "heat_clean_foil_logprob"):
        assert np.array_equal(np.isfinite(c[name][0]), c["foil_id"][0] >= 0)
    done = c["status"][0, :, 0, 0, 0] == 2
    assert np.array_equal(np.isfinite(c["foil_logprob"][0, :, 0, 0, 0, 0]), done & (c["foil_id"][0] >= 0))
PY

echo "== evaluation, resume and an old cube go by the rule"
refuse() {
    "$KNOCKOUT" run "$@" --progress none 2>"$scratch/log" && fail "accepted: run $*"
    grep -q "prompts.score" "$scratch/log" || fail "$(cat "$scratch/log")"
}
refuse "$scratch/text.yaml" -o "$scratch/x.h5" --evaluation "$scratch/raw.evaluation.h5"
refuse "$scratch/usual.yaml" -o "$scratch/text.h5" --resume
cp "$scratch/raw.h5" "$scratch/old.h5"
"$python" - "$scratch/old.h5" <<'PY'
import sys
import h5py
import numpy as np

with h5py.File(sys.argv[1], "r+") as cube:
    del cube.attrs["score"]
    spec = cube.attrs["spec"].decode()
    rule = "prompts: {score: raw-first-token}\n"
    assert rule in spec
    cube.attrs["spec"] = np.bytes_(spec.replace(rule, "").encode())
PY
"$KNOCKOUT" verify "$scratch/old.h5" --sample 12 >/dev/null || fail "a cube without the attribute does not verify as raw-first-token"

echo "== shards, merge and a compressed copy keep it"
for k in 1 2; do
    run "$scratch/text.yaml" -o "$scratch/s.h5" --shard "$k/2" --evaluation "$scratch/text.evaluation.h5" --log-level error
done
"$KNOCKOUT" merge "$scratch"/s.shard-*.h5 -o "$scratch/merged.h5"
cubes same "$scratch/text.h5" "$scratch/merged.h5"
"$KNOCKOUT" export "$scratch/text.h5" --compress -o "$scratch/copy.h5"
cubes same "$scratch/text.h5" "$scratch/copy.h5"
"$KNOCKOUT" export "$scratch/usual.evaluation.h5" --csv | grep -q "^llama-facts,right,not runnable,$blank" || fail "export does not say why"
run "$scratch/text.yaml" -o "$scratch/reused.h5" --reuse "$scratch/raw.h5" 2>"$scratch/log"
grep -q "reuse cube=.* prompts=2 " "$scratch/log" || fail "other prompts than the two with the same tokens and foil were taken"

echo "== inspect shows each rule's token"
"$KNOCKOUT" inspect "$models/llama-facts" --tokens "born in" --answer 1809 >"$scratch/out"
grep -q "answer  *first-token  *skipped: $blank" "$scratch/out" || fail "inspect: first-token"
grep -q "first-text  *scores <0x31> (id .*), the prompt ends with ▁ (id" "$scratch/out" || fail "inspect: first-text"
grep -q "raw-first-token scores ▁ (id" "$scratch/out" || fail "inspect: raw-first-token"
"$KNOCKOUT" inspect "$models/llama-facts" --answer 1809 2>"$scratch/log" && fail "--answer without --tokens was accepted"
grep -q -- "--tokens" "$scratch/log" || fail "$(cat "$scratch/log")"
