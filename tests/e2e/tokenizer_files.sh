#!/usr/bin/env bash
# What the files beside tokenizer.json contradict is said, `bos` takes a token or an id, and what a tokenizer stores or appends in vain is ignored.
source "$(dirname "$0")/small_spec.inc"
models=$KO_SOURCE_DIR/jobs/models
head -n 3 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
# spec MODEL: writes $scratch/s.yaml
spec() {
    cat >"$scratch/s.yaml" <<YAML
models: [$1]
prompts: {file: facts.jsonl}
routes: ['last<-subject']
windows: {sizes: [1], starts: [0]}
YAML
}
first() { "$KNOCKOUT" plan "$scratch/s.yaml" --json | "$python" -c 'import json, sys; print(*json.load(sys.stdin)["token_sets"][0]["token_ids"][:2])'; }
said() { tr -s ' \n' '  ' <"$1" | grep -q "$2" || { cat "$1"; fail "not said: $2"; }; }
# edit FOLDER CODE: runs Python on t, its tokenizer.json
edit() {
    "$python" - "$1/tokenizer.json" "$2" <<'PY'
import json, sys
t = json.load(open(sys.argv[1]))
exec(sys.argv[2])
json.dump(t, open(sys.argv[1], "w"), ensure_ascii=False)
PY
}

echo "== a BOS that tokenizer_config.json wants and tokenizer.json does not put"
m=$scratch/distilled
cp -r "$models/gpt2-facts" "$m"
edit "$m" 't["added_tokens"].append(dict(id=len(t["model"]["vocab"]), content="<|begin|>", single_word=False, lstrip=False, rstrip=False, normalized=False, special=True))'
echo '{"add_bos_token": true, "add_prefix_space": true, "bos_token": {"content": "<|begin|>"}, "eos_token": "<|endoftext|>"}' >"$m/tokenizer_config.json"
spec "$m"
"$KNOCKOUT" inspect "$m" >"$scratch/inspect"
"$KNOCKOUT" plan "$scratch/s.yaml" >"$scratch/plan"
"$KNOCKOUT" run "$scratch/s.yaml" -o "$scratch/c.h5" --progress none 2>"$scratch/log" || { cat "$scratch/log"; fail "run"; }
for out in inspect plan log; do
    said "$scratch/$out" "tokenizer_config.json says add_bos_token: true (<|begin|>), tokenizer.json puts nothing in front of a text; bos: '<|begin|>' puts it there"
    said "$scratch/$out" "tokenizer_config.json names 2675 (<|begin|>) as bos_token, config.json 0 (<|endoftext|>) as bos_token_id"
    said "$scratch/$out" "tokenizer_config.json says add_prefix_space: true, tokenizer.json puts none"
done
grep -q 'level=warn.* tokenizer distilled: ' "$scratch/log" || fail "run does not warn"
plain=$(first)
for bos in 2675 "'<|begin|>'"; do
    spec "{path: $m, bos: $bos}"
    [ "$(first)" = "2675 ${plain% *}" ] || fail "bos: $bos gives $(first)"
    "$KNOCKOUT" plan "$scratch/s.yaml" | grep -q add_bos_token && fail "a BOS that was chosen is contradicted"
done
"$KNOCKOUT" run "$scratch/s.yaml" -o "$scratch/b.h5" --progress none --log-level error
"$KNOCKOUT" verify "$scratch/b.h5" --sample 3 >/dev/null || fail "a cube with a token as bos does not verify"
refused() { # BOS WORDS
    spec "{path: $m, bos: $1}"
    "$KNOCKOUT" plan "$scratch/s.yaml" 2>"$scratch/log" && fail "bos: $1 was accepted"
    grep -q "s.yaml:1:10: distilled: bos: .*$2" "$scratch/log" || { cat "$scratch/log"; fail "bos: $1: not $2"; }
}
refused add "write bos: 0 or bos: 2675"
refused "'<|begn|>'" "did you mean '<|begin|>'"
refused 99999 "choose one up to 2675"

echo "== add never puts an end of text in front unless it is named as BOS"
rm "$m/tokenizer_config.json"
refused add "would put 0 (<|endoftext|>) in front, which ends a text.*write bos: 0"
echo '{"bos_token": "<|endoftext|>"}' >"$m/tokenizer_config.json"
spec "{path: $m, bos: add}"
[ "$(first)" = "0 ${plain% *}" ] || fail "a token that is both is not added"
echo '{"bos_token": ' >"$m/tokenizer_config.json"
"$KNOCKOUT" inspect "$m" >"$scratch/inspect" || fail "a malformed tokenizer_config.json stops a checkpoint"
said "$scratch/inspect" "tokenizer_config.json:.*it is not compared with tokenizer.json"

echo "== special tokens behind a text, stored truncation and padding"
m=$scratch/tuned
cp -r "$models/llama-facts" "$m"
edit "$m" '
p = t["post_processor"]
p["single"].append({"SpecialToken": {"id": "</s>", "type_id": 0}})
p["special_tokens"]["</s>"] = {"id": "</s>", "ids": [2], "tokens": ["</s>"]}
t["truncation"] = dict(direction="Right", max_length=4, strategy="LongestFirst", stride=0)
t["padding"] = dict(strategy={"Fixed": 64}, direction="Right", pad_to_multiple_of=None, pad_id=0, pad_type_id=0, pad_token="<pad>")'
spec "$models/llama-facts"
cp "$scratch/s.yaml" "$scratch/whole.yaml"
spec "$m"
"$KNOCKOUT" inspect "$m" >"$scratch/inspect"
"$KNOCKOUT" plan "$scratch/s.yaml" >"$scratch/plan"
for out in inspect plan; do
    said "$scratch/$out" "tokenizer.json puts 2 (</s>) behind a text; it is left out"
    said "$scratch/$out" "stores a truncation to 4 tokens; it is ignored, prompts are run whole"
    said "$scratch/$out" "stores a padding to 64 tokens; it is ignored"
done
tokens() { "$KNOCKOUT" plan "$1" --json | "$python" -c 'import json, sys; print([(p["token_ids"], p["answer_id"]) for p in json.load(sys.stdin)["token_sets"]])'; }
[ "$(tokens "$scratch/s.yaml")" = "$(tokens "$scratch/whole.yaml")" ] || fail "what is ignored changes tokens"

echo "== a token in front that the model has no row for"
edit "$m" 't["post_processor"]["special_tokens"]["<s>"]["ids"] = [128000]'
"$KNOCKOUT" inspect "$m" >"$scratch/inspect" 2>"$scratch/log" && fail "inspect finds nothing"
said "$scratch/inspect" "would stop it from running: .*puts token 128000 .*outside the model's vocabulary"
