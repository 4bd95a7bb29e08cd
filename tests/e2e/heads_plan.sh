#!/usr/bin/env bash
# Every spec of jobs/heads is planned, and plans the cells that its layers and heads give, and jobs/heads/README.md has their numbers:
# with the configurations that the published checkpoints have, a bundled tokenizer for all of them, no weights, and bundled facts.
source "$(dirname "$0")/small_spec.inc"

# The checkpoints of a spec, "name folder" a line.
checkpoints_of() { sed -n "s#^  - {name: \([^,]*\), path: '\${KNOCKOUT_CHECKPOINTS}/\([^']*\)'.*}\$#\1 \2#p" "$@"; }

shape_config=$(dirname "$KNOCKOUT")/tests/shape_config readme=$KO_SOURCE_DIR/jobs/heads/README.md
tokenizer=$KO_SOURCE_DIR/jobs/models/mamba-facts/tokenizer.json
[ -x "$shape_config" ] || fail "$shape_config is not built"
export KNOCKOUT_CHECKPOINTS=$scratch/checkpoints COUNTERFACT=$scratch/facts.jsonl
head -n 10 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$COUNTERFACT"
specs=()
for spec in "$KO_SOURCE_DIR"/jobs/heads/*.yaml; do
    case $(basename "$spec" .yaml) in common* | demo) ;; *) specs+=("$spec") ;; esac
done
mkdir -p "$KNOCKOUT_CHECKPOINTS/gpt-neox-20b" "$scratch/plan"
cp "$tokenizer" "$KNOCKOUT_CHECKPOINTS/gpt-neox-20b/"
while read -r name folder; do
    mkdir -p "$KNOCKOUT_CHECKPOINTS/$folder"
    "$shape_config" "$name" >"$KNOCKOUT_CHECKPOINTS/$folder/config.json" || fail "bench does not know $name"
    case $name in mamba2-*) ;; *) cp "$tokenizer" "$KNOCKOUT_CHECKPOINTS/$folder/" ;; esac
    grep -qF "| \`$name\` | " "$readme" || fail "jobs/heads/README.md does not name $name"
    grep -qF "/$folder\` |" "$readme" || fail "jobs/heads/README.md does not name $folder"
done < <(checkpoints_of "${specs[@]}")

export OMP_NUM_THREADS=1 # each plan measures matrix products: no need for more here
for spec in "${specs[@]}" "$KO_SOURCE_DIR/jobs/heads/demo.yaml"; do
    "$KNOCKOUT" plan "$spec" --json >"$scratch/plan/$(basename "$spec" .yaml).json" || fail "$spec cannot be planned"
done

"$python" - "$scratch/plan" "$readme" <<'PY' || fail "the specs plan other cells"
import json
import pathlib
import sys

# Layers, attention heads, heads of Mamba-2, whether there are MLPs.
shapes = {
    "gpt2-medium": (24, 16, 0, 1), "gpt2-large": (36, 20, 0, 1), "gpt2-xl": (48, 25, 0, 1), "pythia-2.8b": (32, 32, 0, 1),
    "pythia-6.9b": (32, 32, 0, 1), "llama-3-8b": (32, 32, 0, 1), "mamba2-130m": (24, 0, 24, 0), "mamba2-1.3b": (48, 0, 64, 0),
    "mamba2-2.7b": (64, 0, 80, 0), "falcon-h1-0.5b": (36, 8, 24, 1), "falcon-h1-1.5b": (24, 8, 48, 1), "falcon-h1-7b": (44, 12, 24, 1),
}
specs = {"gpt2": 3, "pythia": 2, "llama-3-8b": 1, "mamba2": 3, "falcon-h1": 3}
prompts, mapped = 10, 5
wrong = []


def expect(what, got, expected):
    if got != expected:
        wrong.append(what)
        print(f"{what}: {got}, expected {expected}")


def cells(name):
    """(cells of a prompt on routes, cells of a token in the maps) of a model."""
    layers, heads, ssm_heads, mlps = shapes[name]
    kinds = bool(heads) + bool(ssm_heads) + mlps
    both = layers + layers - 4                                          # windows of one and of five layers
    each = 3 * layers * (heads + ssm_heads)                             # heads left out, replaced, and their edges
    edges = layers * (3 if heads and ssm_heads else 1)                  # all, and of a hybrid attention and ssm
    return each + edges + (2 * 4 + 3) * kinds * both, kinds * (layers - 4)


readme = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
plans = {file.stem: json.loads(file.read_text()) for file in pathlib.Path(sys.argv[1]).glob("*.json")}
expect("the demo's models", [m["name"] for m in plans.pop("demo")["models"]], ["gpt2-facts", "mamba2-facts", "falcon-h1-facts"])
expect("specs", {spec: len(plan["models"]) for spec, plan in plans.items()}, specs)
tokens, planned_of = set(), set()
for spec, plan in sorted(plans.items()):
    total = 0
    for model in plan["models"]:
        on_routes, a_token = cells(model["name"])
        planned_of.add(model["name"])
        total += on_routes
        in_maps, rest = divmod(model["cells"]["planned"] - prompts * on_routes, a_token)
        expect(f"{spec}, {model['name']}, cells of the maps that are no whole tokens", rest, 0)
        tokens.add(in_maps)
    expect(f"{spec}, cells on routes", plan["cells"]["on_routes"], prompts * total)
    print(f"{spec}: {total:,} cells a prompt")
    row = next(line for line in readme if line.startswith(f"| `{spec}` | ") and not line.startswith(f"| `{spec}` | `"))
    expect(f"{spec}, README.md", row.split(" | ", 2)[2], f"{len(plan['models'])} | {total:,} |")
# All models have one tokenizer here, and so one number of tokens.
expect("numbers of tokens of the maps", len(tokens), 1)
assert all(5 * mapped < n < 20 * mapped for n in tokens), tokens
expect("models", planned_of, set(shapes))
sys.exit(1 if wrong else 0)
PY
