#!/usr/bin/env bash
# Every spec of jobs/windows is planned and plans the windows that it should; and windows of other styles have the values that the
# same layers have as windows of whole runs, or as lists.
source "$(dirname "$0")/small_spec.inc"
quiet=(--threads 1 --progress none --log-level warn)
jobs=$KO_SOURCE_DIR/jobs/windows
export OMP_NUM_THREADS=1 # each plan measures matrix products: no need for more here

shape_config=$(dirname "$KNOCKOUT")/tests/shape_config
export KNOCKOUT_CHECKPOINTS=$scratch/checkpoints COUNTERFACT=$scratch/facts.jsonl
mkdir -p "$KNOCKOUT_CHECKPOINTS/gpt2-xl" "$scratch/plan"
"$shape_config" gpt2-xl >"$KNOCKOUT_CHECKPOINTS/gpt2-xl/config.json" || fail "bench does not know gpt2-xl"
cp "$KO_SOURCE_DIR/jobs/models/mamba-facts/tokenizer.json" "$KNOCKOUT_CHECKPOINTS/gpt2-xl/"
head -n 10 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$COUNTERFACT"
export VISION_PROMPTS=$scratch/questions.jsonl VISION_EMBEDDINGS=$scratch/questions.safetensors
mkdir -p "$KNOCKOUT_CHECKPOINTS/llava-1.5-7b"
cat >"$KNOCKOUT_CHECKPOINTS/llava-1.5-7b/config.json" <<'JSON'
{"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "image_token_index": 32000, "text_config":
 {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
  "num_key_value_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu",
  "vocab_size": 32064, "tie_word_embeddings": false}}
JSON
cp "$KO_SOURCE_DIR/jobs/models/llama-facts/tokenizer.json" "$KNOCKOUT_CHECKPOINTS/llava-1.5-7b/"
"$python" - "$VISION_PROMPTS" "$VISION_EMBEDDINGS" <<'PY'
import json
import struct
import sys

# Two prompts as matrices of six rows: three of an image, two of a question, and the last.
size = 6 * 4096 * 2
spans = {"image": [0, 3], "object": [1, 2], "question": [3, 5]}
with open(sys.argv[1], "w", encoding="utf-8") as lines:
    for name in "ab":
        lines.write(json.dumps({"id": name, "embeddings": True, "target_ids": [5], "token_spans": spans}) + "\n")
header = json.dumps({name: {"dtype": "F16", "shape": [6, 4096], "data_offsets": [k * size, (k + 1) * size]} for k, name in enumerate("ab")})
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header.encode() + bytes(2 * size))
PY
for spec in "$jobs"/*.yaml; do
    name=$(basename "$spec" .yaml)
    [ "$name" != common ] || continue
    grep -qF "| \`$name\` | " "$jobs/README.md" || fail "jobs/windows/README.md does not name $name"
    "$KNOCKOUT" plan "$spec" --json >"$scratch/plan/$name.json" || fail "$spec cannot be planned"
done
"$python" - "$scratch/plan" <<'PY' || fail "the specs plan other windows"
import json
import pathlib
import sys

expected = {  # style, sizes, starts, models
    "centred": ("centred", [3, 9], range(12), 2), "outside": ("outside-centred", [3], range(12), 2), "from": ("from", [0], range(12), 2),
    "until": ("until", [0], range(12), 2), "listed": ("listed", [0], range(6), 2), "geva": ("centred", [9], range(48), 1),
    "vision": ("centred", [9], range(32), 1), "vision-ranges": ("listed", [0], range(6), 1), "vision-middle": ("listed", [0], range(3), 1),
    "pathways": ("centred", [9, 32], range(32), 1),
}
plans = {p.stem: json.load(open(p)) for p in pathlib.Path(sys.argv[1]).glob("*.json")}
assert plans.keys() == expected.keys(), plans.keys()
for name, (style, sizes, starts, models) in expected.items():
    plan = plans[name]
    got = plan["windows_style"], plan["window_sizes"], plan["window_starts"], len(plan["models"])
    assert got == (style, sizes, [*starts], models), (name, got)
    for model in plan["models"]:
        routes = 4 if name == "vision" else 3
        cells = model["prompts_selected"] * routes * len(sizes) * len(starts)
        assert cells > 0 and model["cells"]["planned"] == cells, (name, model["cells"], cells)
PY

cat >"$scratch/spec.yaml" <<YAML
models: [$KO_SOURCE_DIR/jobs/models/gpt2-facts]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 2, seed: 1}}
routes: ['last<-subject', 'mlp@subject', 'later<-each', 'keep:all<-first+last<-subject+diagonal']
YAML
run() { "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/$1.h5" "${quiet[@]}" "${@:2}" || fail "$1"; }
run whole --set 'windows={sizes: [3, 12], starts: all}'
run centred --set 'windows={style: centred, sizes: [3]}'
run outside --set 'windows={style: outside, sizes: [3]}'
run listed --set 'windows={layers: [3-11, [0, 4-11], [0, 1, 5-11], 2-4, [1, 0], [8, 0]]}'
"$python" - "$scratch" <<'PY' || fail "windows with the same layers differ"
import sys

import h5py
import numpy as np

cube = {name: h5py.File(f"{sys.argv[1]}/{name}.h5") for name in ("whole", "centred", "outside", "listed")}


# Rows of other batches, which BLAS may round differently (docs/semantics.md, Rounding).
def same(a, b, pairs, sizes=(0, 0)):
    for name in ("logprob", "kl", "target_rank", "heat_logprob"):
        for i, k in pairs:
            x, y = cube[a][name][..., sizes[0], i], cube[b][name][..., sizes[1], k]
            assert np.isfinite(x).any() and np.allclose(x, y, rtol=0, atol=1e-5, equal_nan=True), (name, a, i, b, k)


same("whole", "centred", [(k, k + 1) for k in range(10)])               # those that no end cuts
same("whole", "listed", [(2, 3)])
same("outside", "listed", [(0, 0), (1, 1), (2, 2)])
same("centred", "listed", [(0, 4)])                                     # cut: layers 0 and 1
assert not np.array_equal(cube["outside"]["logprob"][..., 0, 0], cube["whole"]["logprob"][..., 1, 0])
layers = cube["listed"]["window_layer"][0, 0]
assert [np.flatnonzero(has).tolist() for has in layers[[1, 4, 5]]] == [[0, *range(4, 12)], [0, 1], [0, 8]]
assert cube["centred"]["depth"][0, 0, [0, 11]].tolist() == [0, 100]
assert "window_layer" not in cube["whole"]
PY
for name in centred outside listed; do
    "$KNOCKOUT" verify "$scratch/$name.h5" --sample 20 --threads 1 >"$scratch/out" || { cat "$scratch/out"; fail "verify $name"; }
done
"$KNOCKOUT" show "$scratch/listed.h5" >"$scratch/out" || fail "show"
grep -q 'listed windows of 12 layers' "$scratch/out" || { cat "$scratch/out"; fail "show does not name the windows"; }
grep -q '^ *0-1,5-11 ' "$scratch/out" || { cat "$scratch/out"; fail "show does not list the layers"; }

# Cells are taken from lists with other numbers, and never from another style.
run again --set 'windows={layers: [2-4, [8, 0], [5, 7]]}' --reuse "$scratch/listed.h5" --log-level info 2>"$scratch/err"
"$python" - "$scratch" <<'PY' || fail "cells were not taken from lists with other numbers"
import sys

import h5py
import numpy as np

with h5py.File(f"{sys.argv[1]}/again.h5") as again, h5py.File(f"{sys.argv[1]}/listed.h5") as listed:
    assert again["reused"][..., 0, [0, 1]].all() and not again["reused"][..., 0, 2].any()
    assert np.array_equal(again["logprob"][..., [0, 1]], listed["logprob"][..., [3, 5]], equal_nan=True)
PY
run other --set 'windows={sizes: [3]}' --reuse "$scratch/centred.h5" --log-level info 2>"$scratch/err"
grep -q 'nothing is taken, .* its windows are not of style whole' "$scratch/err" || { cat "$scratch/err"; fail "cells of another style were taken"; }
if "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/outside.h5" "${quiet[@]}" --resume --set 'windows={sizes: [3]}' 2>"$scratch/err"; then
    fail "a sweep of runs continues one of their complements"
fi
grep -q "windows.style is 'outside' in the cube and 'whole' in this run" "$scratch/err" || { cat "$scratch/err"; fail "resume"; }

# Shards, merged.
for k in 1 2; do
    run parts --set 'windows={style: outside, sizes: [3]}' --evaluation "$scratch/outside.evaluation.h5" --shard "$k/2"
done
"$KNOCKOUT" merge -o "$scratch/merged.h5" "$scratch"/parts.shard-*.h5 || fail "merge"
cmp <("$KNOCKOUT" export "$scratch/outside.h5" --csv) <("$KNOCKOUT" export "$scratch/merged.h5" --csv) || fail "the merged cells differ"
