#!/usr/bin/env bash
# Windows that count only the layers with some kind of mixer. In models of one kind they are the windows over all layers; a model
# without such layers has none.
source "$(dirname "$0")/small_spec.inc"
quiet=(--threads 1 --progress none --log-level warn)

cat >"$scratch/spec.yaml" <<YAML
models: [$KO_SOURCE_DIR/jobs/models/mamba-facts, $KO_SOURCE_DIR/jobs/models/gpt2-facts]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 4, seed: 1}}
routes: ['last<-subject', 'last<-each']
features: [all]
windows: {sizes: [1, 25%], starts: {every: 2}}
YAML
"$KNOCKOUT" evaluate "$scratch/spec.yaml" -o "$scratch/evaluation.h5" "${quiet[@]}" || fail "evaluate"
run() { "$KNOCKOUT" run "$scratch/spec.yaml" -o "$1" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" "${@:2}"; }
table() { "$KNOCKOUT" export "$1" --csv; }

run "$scratch/default.h5" || fail "run"
for over in layers mixers attention ssm; do
    run "$scratch/$over.h5" --set "windows.over=$over" || fail "over: $over"
    "$KNOCKOUT" verify "$scratch/$over.h5" --sample 20 --threads 1 >"$scratch/out" || { cat "$scratch/out"; fail "verify over: $over"; }
done

# The same cells, with the same values.
for over in layers mixers; do
    cmp <(table "$scratch/default.h5") <(table "$scratch/$over.h5") || fail "over: $over differs"
done
cmp <(table "$scratch/default.h5" | grep -v '^mamba-facts,') <(table "$scratch/attention.h5") || fail "over: attention differs"
cmp <(table "$scratch/default.h5" | grep -v '^gpt2-facts,') <(table "$scratch/ssm.h5") || fail "over: ssm differs"

"$KNOCKOUT" plan "$scratch/spec.yaml" --set windows.over=attention --threads 1 >"$scratch/out" 2>&1 || { cat "$scratch/out"; fail "plan"; }
grep -q '^counted     mamba-facts: 0 of 12 layers$' "$scratch/out" || { cat "$scratch/out"; fail "plan does not say what windows count"; }
grep -q 'mamba-facts: window sizes 1 are larger than its 0 layers with attention' <(tr -s ' \n' ' ' <"$scratch/out") ||
    { cat "$scratch/out"; fail "plan does not say that a model is left out"; }
"$KNOCKOUT" show "$scratch/attention.h5" >"$scratch/out"
grep -q 'window of 3 of 12 layers with attention, of 12 in all' "$scratch/out" || { cat "$scratch/out"; fail "show"; }

# A cube goes on only with the layers that it counts, and gives its cells only to a sweep that counts them.
if run "$scratch/mixers.h5" --resume 2>"$scratch/err"; then fail "a sweep over layers continues one over mixers"; fi
grep -q "windows.over is 'mixers' in the cube and 'layers' in this run" "$scratch/err" || { cat "$scratch/err"; fail "resume"; }
run "$scratch/mixers.h5" --resume --set windows.over=mixers --log-level info 2>"$scratch/err" || fail "resume"
grep -q 'complete already' "$scratch/err" || { cat "$scratch/err"; fail "the cube is not complete to --resume"; }
run "$scratch/again.h5" --set windows.over=mixers --reuse "$scratch/mixers.h5" --log-level info 2>"$scratch/err" || fail "reuse"
grep -q ' to_compute=0$' "$scratch/err" || { cat "$scratch/err"; fail "cells were not taken"; }
run "$scratch/other.h5" --reuse "$scratch/mixers.h5" 2>"$scratch/err" || fail "reuse of a cube over mixers"
grep -q 'nothing is taken, .* its windows do not count layers' "$scratch/err" || { cat "$scratch/err"; fail "cells were taken"; }

# Shards, merged.
for k in 1 2; do
    run "$scratch/parts.h5" --set windows.over=attention --shard "$k/2" || fail "shard $k"
done
"$KNOCKOUT" merge -o "$scratch/merged.h5" "$scratch"/parts.shard-*.h5 || fail "merge"
cmp <(table "$scratch/attention.h5") <(table "$scratch/merged.h5") || fail "the merged cells differ"

# A hybrid, with attention in two of ten layers: a window over attention is the same run of layers as one over all layers.
cat >"$scratch/hybrid.yaml" <<YAML
models: [$KO_SOURCE_DIR/tests/data/variants/nemotron-h]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 4, seed: 1}}
routes: ['last<-subject', 'last<-each']
features: [all, attention, ssm]
windows: {sizes: [1, 2, 4, 6], starts: all}
YAML
for over in layers attention ssm mixers; do
    "$KNOCKOUT" run "$scratch/hybrid.yaml" -o "$scratch/hybrid-$over.h5" "${quiet[@]}" --set "windows.over=$over" 2>/dev/null || fail "hybrid over: $over"
    "$KNOCKOUT" verify "$scratch/hybrid-$over.h5" --sample 20 --threads 1 >"$scratch/out" || { cat "$scratch/out"; fail "verify hybrid over: $over"; }
    table "$scratch/hybrid-$over.h5" >"$scratch/hybrid-$over.csv"
    [ "$over" = layers ] || "$python" - "$scratch/hybrid-layers.csv" "$scratch/hybrid-$over.csv" <<'PY' || fail "hybrid over: $over"
import csv
import sys

KEY = ("prompt", "route", "feature_class", "source_position", "first_layer", "last_layer")
whole, some = ({tuple(row[k] for k in KEY): row for row in csv.DictReader(open(path, encoding="utf-8"))} for path in sys.argv[1:])
both = whole.keys() & some.keys()
assert len(both) > 100, (len(both), len(some))
for key in both:
    a, b = whole[key], some[key]
    assert a["status"] == b["status"] and a["depth"] == b["depth"], (a, b)
    assert a["status"] != "done" or abs(float(a["logprob"]) - float(b["logprob"])) <= 1e-4, (a, b)  # other batches; the largest seen: 2e-6
layers = {(int(row["window_size"]), int(row["window_start"])): (row["first_layer"], row["last_layer"]) for row in some.values()}
print(len(both), "cells of", len(some), layers)
PY
done
"$KNOCKOUT" show "$scratch/hybrid-attention.h5" --source subject --feature attention >"$scratch/out"
grep -q 'layers of nemotron-h: ssm 0, 2, 5, 7; no mixer 1, 4, 6, 9; attention 3, 8$' "$scratch/out" || { cat "$scratch/out"; fail "show names no mixers"; }
grep -qE '^ +3-8 +75.0 %' "$scratch/out" || { cat "$scratch/out"; fail "a window of two layers with attention is not 3-8"; }

# Models are compared at windows of the same layers: layer 2 is the first with attention of Granite 4.0 and Jamba, and none of Nemotron-H.
cat >"$scratch/three.yaml" <<YAML
models: [$KO_SOURCE_DIR/tests/data/variants/granite-h, $KO_SOURCE_DIR/tests/data/variants/jamba, $KO_SOURCE_DIR/tests/data/variants/nemotron-h]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 40, seed: 1}}
routes: ['last<-subject']
features: [attention]
windows: {sizes: [1], over: attention}
YAML
"$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/three.yaml" -o "$scratch/three.h5" "${quiet[@]}" 2>/dev/null || fail "three hybrids"
"$KNOCKOUT" verify "$scratch/three.h5" --sample 20 --threads 1 >"$scratch/out" || { cat "$scratch/out"; fail "verify three hybrids"; }
found=$("$KNOCKOUT" show "$scratch/three.h5" --csv --model granite-h --minus-model jamba | awk -F, 'NR > 1 {print $(NF - 1)}')
[ "$found" = 2 ] || fail "Granite minus Jamba at the layers '$found'"
if "$KNOCKOUT" show "$scratch/three.h5" --model granite-h --minus-model nemotron-h >"$scratch/out" 2>"$scratch/err"; then
    cat "$scratch/out"
    fail "windows of different layers are compared"
fi
grep -q 'of the same layers' "$scratch/err" || { cat "$scratch/err"; fail "the reason is not said"; }
