#!/usr/bin/env bash
# Every spec of jobs/paper and jobs/controls is planned, and plans the cells that it should: with the configurations that the published
# checkpoints have, a bundled tokenizer for all of them, no weights, and prompts in CounterFact's columns.
source "$(dirname "$0")/small_spec.inc"

# Folders as models.yaml names them.
shape_config=$(dirname "$KNOCKOUT")/tests/shape_config
[ -x "$shape_config" ] || fail "$shape_config is not built"
declare -A folders=([mamba-130m]=mamba-130m-hf [mamba-1.4b]=mamba-1.4b-hf [mamba-2.8b]=mamba-2.8b-hf
    [falcon3-mamba-7b]=Falcon3-Mamba-7B-Base [llama-3.2-1b]=Llama-3.2-1B [llama-3.2-3b]=Llama-3.2-3B [llama-3-8b]=Meta-Llama-3-8B
    [mistral-7b-v0.1]=Mistral-7B-v0.1 [mistral-7b-v0.3]=Mistral-7B-v0.3)
tokenizer=$KO_SOURCE_DIR/jobs/models/mamba-facts/tokenizer.json
checkpoints=$scratch/checkpoints
mkdir -p "$checkpoints/gpt-neox-20b"
cp "$tokenizer" "$checkpoints/gpt-neox-20b/"
for name in $("$shape_config"); do
    grep -qF "{name: $name," "$KO_SOURCE_DIR/jobs/paper/models.yaml" || continue # not one of the paper's
    folder=$checkpoints/${folders[$name]:-$name}
    mkdir -p "$folder"
    "$shape_config" "$name" >"$folder/config.json"
    [[ $name == mamba2-* ]] || cp "$tokenizer" "$folder/"
done
[ "$(find "$checkpoints" -name config.json | wc -l)" -eq 17 ] || fail "there are not 17 models"
[ "$(grep -c 'name: ' "$KO_SOURCE_DIR/jobs/paper/models.yaml")" -eq 17 ] || fail "models.yaml does not name 17 models"

# Bundled facts; the heatmaps' prompts stand behind the first 672. They have 44 tokens together, the first of them 12.
"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" "$scratch/counterfact.csv" <<'PY'
import csv
import json
import sys

facts = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")][:704]
columns = ("case_id relation relation_prefix relation_suffix prompt relation_id target_false_id target_true_id target_true "
           "target_false subject").split()
ids = {700: 18566, 701: 2720, 702: 16634, 703: 140, 140: 703}
with open(sys.argv[2], "w", encoding="utf-8", newline="") as file:
    rows = csv.DictWriter(file, columns)
    rows.writeheader()
    for k, fact in enumerate(facts):
        rows.writerow({"case_id": ids.get(k, k), "prompt": fact["prompt"], "subject": fact["subject"], "relation_id": fact["relation"],
                       "target_true": fact["target"], "target_false": facts[k - 1]["target"]})
PY
export KNOCKOUT_CHECKPOINTS=$checkpoints COUNTERFACT=$scratch/counterfact.csv
export OMP_NUM_THREADS=1 # each plan measures matrix products: no need for more here

# plan SPEC [OPTION...]: into $scratch/plan/SPEC.json
mkdir -p "$scratch/plan/paper" "$scratch/plan/controls"
plan() {
    "$KNOCKOUT" plan "$KO_SOURCE_DIR/jobs/$1.yaml" --json "${@:2}" >"$scratch/plan/$1.json" || fail "jobs/$1.yaml cannot be planned"
}
for spec in "$KO_SOURCE_DIR"/jobs/paper/*.yaml "$KO_SOURCE_DIR"/jobs/controls/*.yaml; do
    [ "$(basename "$spec")" != models.yaml ] || continue
    plan "$(basename "$(dirname "$spec")")/$(basename "$spec" .yaml)" --assume-prompts 672
done
# A list of ids stays what it is.
plan paper/fig18 --assume-prompts 2
plan paper/sharma --assume-prompts 2
plan paper/fig16
"$KNOCKOUT" plan "$KO_SOURCE_DIR/jobs/paper/all.yaml" --assume-prompts 672 >"$scratch/text"
"$python" "$KO_SOURCE_DIR/tests/e2e/screen.py" --fits 80 <(tail -n +2 "$scratch/text") || fail "plan is too wide" # without the spec's path
grep -q '^cells  *8,9[0-9,]* planned: 8,894,592 on routes, [0-9,]* in heatmaps$' "$scratch/text" || fail "plan does not say how many cells: $(cat "$scratch/text")"
grep -Eq '^fig12 +8 +672 +2,709,504 +0 +1,618,176$' "$scratch/text" || fail "plan does not say what figure 12 adds: $(cat "$scratch/text")"

# A selection may go by models that are declared and not swept; a name that is not is refused.
by() {
    cat >"$scratch/by.yaml" <<YAML
include: $KO_SOURCE_DIR/jobs/paper/models.yaml
routes: [last<-subject]
windows: {sizes: [9]}
sweeps:
  - {models: [mamba-130m], prompts: {select: {correct-by: [$1]}}}
YAML
    "$KNOCKOUT" plan "$scratch/by.yaml" --json --assume-prompts 5
}
by "mistral-7b-v0.3, gpt2-xl" >"$scratch/plan/by.json" || fail "a selection by models that are not swept is refused"
status=0
by mistral-7b-v0.2 2>"$scratch/err" || status=$?
[ "$status" -eq 2 ] && grep -q "unknown model 'mistral-7b-v0.2', did you mean 'mistral-7b-v0.[13]'" "$scratch/err" ||
    fail "a selection by an unknown model: exit $status, $(cat "$scratch/err")"

"$python" - "$scratch/plan" <<'PY' || fail "the specs plan other cells"
import json
import pathlib
import sys

plans = {f"{file.parent.name}/{file.stem}": json.loads(file.read_text()) for file in pathlib.Path(sys.argv[1]).glob("*/*.json")}
wrong = []


def expect(what, got, expected):
    if got != expected:
        wrong.append(what)
        print(f"{what}: {got}, expected {expected}")


def cells(plan):
    return plan["cells"]["on_routes"], plan["cells"]["in_heatmaps"]


layers = {m["name"]: m["layers"] for m in plans["paper/all"]["models"]}
expect("models", len(layers), 17)


def windows(models, sizes=(9,)):
    return sum(layers[m] - size + 1 for m in models for size in sizes)


# What each figure plans, from the numbers of layers alone: 672 prompts, or heatmaps with one cell a token.
mamba1, mamba2 = ["mamba-130m", "mamba-1.4b", "mamba-2.8b"], ["mamba2-130m", "mamba2-1.3b", "mamba2-2.7b"]
gpt2, llama = ["gpt2-medium", "gpt2-large", "gpt2-xl"], ["llama-3.2-1b", "llama-3.2-3b", "llama-3-8b"]
mistral, falcon = ["mistral-7b-v0.1", "mistral-7b-v0.3"], "falcon-mamba-7b"
grid, n, one, four = (1, 3, 5, 9, 12, 15), 672, 12, 44
first = ["mamba-2.8b", "mamba2-2.7b", "gpt2-xl", falcon]
features = ["mamba-2.8b", "mamba-7b-rw", "mamba2-2.7b", falcon]
ssms = mamba1 + ["mamba-7b-rw", falcon] + mamba2
figures = {
    "fig01": (n * 4 * windows(first), 0),
    "fig02": (n * windows(["mamba-2.8b", falcon]), 0),
    "fig03": (n * 4 * windows(mamba1 + [falcon]), 0),
    "fig04": (n * 4 * windows(mamba2), 0),
    "fig05": (n * 4 * windows(gpt2), 0),
    "fig06": (n * 3 * windows(features), 0),
    "fig07": (0, one * windows(first[:3])),
    "fig08": (n * 4 * windows(mamba1[:1], grid), 0),
    "fig09": (n * 4 * windows(mamba1[1:2], grid), 0),
    "fig10": (n * 4 * windows(mamba1[2:], grid), 0),
    "fig12": (n * 4 * 3 * windows(ssms), 0),
    "fig13": (n * 4 * windows(mamba1 + mamba2 + gpt2 + llama + mistral), 0),
    "fig14": (n * 4 * windows(mamba2, grid), 0),
    "fig15": (n * 4 * windows(gpt2 + llama[1:] + mistral, grid), 0),
    "fig16": (0, four * windows(ssms + ["falcon3-mamba-7b"])),
    "fig17": (0, four * windows(gpt2 + llama + mistral)),
    "fig18": (0, four * windows(["mamba-2.8b"], (1, 5, 9, 15))),
    "fig19": (0, four * windows(["mamba2-2.7b"], (1, 5, 9, 15))),
    "fig20": (0, four * windows(["gpt2-xl"], (1, 5, 9, 15))),
}
for name, expected in figures.items():
    expect(name, cells(plans[f"paper/{name}"]), expected)

# The whole paper is their union: every block of all.yaml plans what the figure's own spec does, and each cell is counted once.
whole = plans["paper/all"]
blocks = {b["name"]: (b["cells_on_routes"], b["cells_in_heatmaps"]) for b in whole["sweeps"]}
expect("blocks of all.yaml", blocks, figures)
expect("all", cells(whole), (8_894_592, 1_050 * four))
expect("new cells", (sum(b["new_on_routes"] for b in whole["sweeps"]), sum(b["new_in_heatmaps"] for b in whole["sweeps"])), cells(whole))
expect("figure 2's new cells", [b["new_on_routes"] for b in whole["sweeps"] if b["name"] == "fig02"], [0])
expect("heat prompts", (whole["prompts"], whole["heat_prompts"]), (n, 4))

expect("fig11", cells(plans["paper/fig11"]), (n * 4 * windows(first), 0))
expect("released-classes", cells(plans["paper/released-classes"]), figures["fig12"])
expect("sharma", cells(plans["paper/sharma"]), (2 * windows(first), four * windows(first)))
expect("fig18 --assume-prompts 2", plans["paper/fig18"]["heat_prompts"], 4)
by = json.loads((pathlib.Path(sys.argv[1]) / "by.json").read_text())
expect("correct-by", (cells(by), by["selection"]["upper_bound"], len(by["models"])), ((5 * 16, 0), False, 1))
expect("fig16 is known", plans["paper/fig16"]["selection"]["upper_bound"], False)
expect("fig16", len(plans["paper/fig16"]["models"]), 9)

# Controls: four routes and three random ones; the class that models lack is left out for them.
ssm, attention = windows(mamba1 + mamba2), windows(gpt2 + llama + mistral)
controls = {
    "fig01": n * 7 * 2 * windows(first),
    "fig03": n * 7 * 2 * windows(mamba1 + [falcon]),
    "fig04": n * 7 * 2 * windows(mamba2),
    "fig05": n * 7 * 2 * windows(gpt2),
    "fig06": n * 4 * 12 * windows(features),
    "fig12": n * 4 * 12 * windows(ssms),
    "fig13": n * 7 * 2 * (ssm + attention),
}
for name, expected in controls.items():
    expect(f"controls/{name}", cells(plans[f"controls/{name}"]), (expected, 0))
whole = plans["controls/all"]
expect("blocks of controls/all.yaml", {b["name"]: b["cells_on_routes"] for b in whole["sweeps"]}, controls)
# Once each: a model of figures 12 and 13 has twelve classes on four routes and two on three random ones (54), one of figure 6 all on all.
others = windows([m for m in ssms if m not in features])
expect("controls/all", cells(whole), (n * (54 * others + 84 * windows(features) + 14 * attention), 0))
expect("specs", len(plans), 20 + 3 + 8)
sys.exit(1 if wrong else 0)
PY
