#!/usr/bin/env bash
# make_cube.sh FOLDER: the cube that the tests of analysis/ draw, and what `show` prints of it. Models have names of the paper, and so
# have the heatmaps' prompts; there are foils, controls, relations, several classes and sizes, and a prompt that cannot be run.
source "$(dirname "$0")/../e2e/small_spec.inc"
folder=$1
mkdir -p "$folder"
"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl" <<'PY'
import json
import sys

rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")][::97][:12]
for row, name in zip(rows, ("18566", "2720")):
    row["id"] = name
for row, other in zip(rows, rows[1:] + rows[:1]):
    row["foil"] = other["target"]
rows[-1].pop("foil")
rows.append(dict(rows[3], id="absent", subject="Nowhere <&>"))
for row in rows:
    print(json.dumps(row))
PY
models=$KO_SOURCE_DIR/jobs/models
cat >"$scratch/spec.yaml" <<YAML
models:
  - {name: mamba-2.8b, path: $models/mamba-facts}
  - {name: mamba2-2.7b, path: $models/mamba2-facts}
  - {name: gpt2-xl, path: $models/gpt2-facts}
  - {name: falcon-mamba-7b, path: $models/falcon-mamba-facts}
prompts: {file: facts.jsonl, select: all}
routes: ['last<-subject', 'last<-relation', 'last<-last', 'last<-first']
features: [all]
windows: {sizes: [5], starts: all}
sweeps:
  - {prompts: {select: correct-by-all}}
  - {prompts: {select: correct}}
  - {routes: ['last<-subject'], features: [all, slow-third, fast-third, 'random-third:0', 'random-third:1', not-fast-third, after-softmax]}
  - {routes: ['last<-random-like:subject:0', 'last<-random-like:subject:1', 'later<-subject']}
  - {windows: {sizes: [1, 9]}}
  - {prompts: {select: {id: ['18566', '2720']}}, routes: ['last<-each'], windows: {sizes: [1, 5]}}
  - {prompts: {select: {id: ['18566', '2720']}}, routes: ['later<-each']}
YAML
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/small.h5" --progress none --log-level error
for metric in change median delta logprob hit kl margin margin-change; do
    # A metric that this program does not print has no file, and its comparison is skipped.
    "$KNOCKOUT" show "$scratch/small.h5" --csv --metric "$metric" >"$folder/show-$metric.csv" 2>/dev/null || rm -f "$folder/show-$metric.csv"
done
show() { "$KNOCKOUT" show "$scratch/small.h5" --csv "${@:2}" >"$folder/show-$1.csv" 2>/dev/null || rm -f "$folder/show-$1.csv"; }
show bootstrap --interval bootstrap --resamples 500 --seed 3
show minus-control --minus-control
show minus-first --target last --source subject --feature all --minus-source first
[ -s "$folder/show-change.csv" ] || fail "show prints no curves"
"$KNOCKOUT" show --help >"$folder/show-help.txt"
mv "$scratch/small.h5" "$folder/small.h5"
cp "$scratch/small.evaluation.h5" "$folder/evaluation.h5"

# A cube of windows around each layer, cut at both ends of the model.
cat >"$scratch/centred.yaml" <<YAML
models: [{name: gpt2-xl, path: $models/gpt2-facts}]
prompts: {file: facts.jsonl, select: all}
routes: ['last<-subject', 'last<-relation', 'keep:last<-subject+diagonal']
windows: {style: centred, sizes: [5]}
YAML
"$KNOCKOUT" run "$scratch/centred.yaml" -o "$folder/centred.h5" --overwrite --evaluation "$folder/evaluation.h5" --progress none --log-level error

# The cube of a hybrid, and the interactions of its mixers.
cat >"$scratch/hybrid.yaml" <<YAML
models: [{name: hybrid, path: $models/mamba-facts}]
prompts: {file: facts.jsonl, select: all}
routes: ['last<-subject', 'last<-relation']
features: [all, slow-third, fast-third]
windows: {sizes: [1, 3], starts: all}
YAML
"$KNOCKOUT" run "$scratch/hybrid.yaml" -o "$folder/hybrid.h5" --overwrite --progress none --log-level error
rm -f "$folder/hybrid.evaluation.h5"
"$python" "$KO_SOURCE_DIR/tests/e2e/hybrid_cube.py" "$folder/hybrid.h5"
for metric in change logprob kl; do
    "$KNOCKOUT" show "$folder/hybrid.h5" --csv --interaction --metric "$metric" >"$folder/show-interaction-$metric.csv"
done
"$KNOCKOUT" show "$folder/hybrid.h5" --csv --interaction --interval bootstrap --resamples 500 --seed 3 >"$folder/show-interaction-bootstrap.csv"

# A sweep over heads, and one over components, by other labels; and the strongest heads.
cat >"$scratch/heads.yaml" <<YAML
models: [{name: hybrid, path: $models/mamba-facts}]
prompts: {file: facts.jsonl, select: all}
routes: ['last<-subject', 'last<-relation', 'last<-last', 'last<-first']
features: [all, $(printf 'random-third:%d, ' {0..8})'random-third:9']
windows: {sizes: [1, 3], starts: all}
YAML
"$KNOCKOUT" run "$scratch/heads.yaml" -o "$folder/heads.h5" --overwrite --progress none --log-level error
cat >"$scratch/components.yaml" <<YAML
models: [{name: hybrid, path: $models/mamba-facts}]
prompts: {file: facts.jsonl, select: all}
routes: [$(printf "'%s'," {last,later,all}'<-'{subject,relation,last,first,subject-last})]
features: [all]
windows: {sizes: [1], starts: all}
sweeps:
  - {}
  - {prompts: {select: {id: ['18566', '2720']}}, routes: ['last<-each', 'later<-each', 'all<-each']}
YAML
"$KNOCKOUT" run "$scratch/components.yaml" -o "$folder/components.h5" --overwrite --progress none --log-level error
for what in heads components; do
    rm -f "$folder/$what.evaluation.h5"
    "$python" "$KO_SOURCE_DIR/tests/analysis/relabelled.py" "$what" "$folder/$what.h5"
done
for metric in change logprob kl; do
    "$KNOCKOUT" show "$folder/heads.h5" --csv --route attention@last --window-size 1 --feature head:each \
        --strongest 1000 --metric "$metric" >"$folder/show-strongest-$metric.csv"
done
