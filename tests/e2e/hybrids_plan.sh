#!/usr/bin/env bash
# Every spec of jobs/hybrids is planned, and plans the cells that it should, vacuous ones too: with the configurations that the
# published checkpoints have, a bundled tokenizer for all of them, no weights, and bundled facts.
source "$(dirname "$0")/small_spec.inc"

# The checkpoints of a spec, "name folder" a line.
checkpoints_of() { sed -n "s#^  - {name: \([^,]*\), path: '\${KNOCKOUT_CHECKPOINTS}/\([^']*\)'}\$#\1 \2#p" "$@"; }

shape_config=$(dirname "$KNOCKOUT")/tests/shape_config
[ -x "$shape_config" ] || fail "$shape_config is not built"
export KNOCKOUT_CHECKPOINTS=$scratch/checkpoints COUNTERFACT=$scratch/facts.jsonl
specs=()
for spec in "$KO_SOURCE_DIR"/jobs/hybrids/*.yaml; do
    case $(basename "$spec" .yaml) in common | demo) ;; *) specs+=("$spec") ;; esac
done
while read -r name folder; do
    mkdir -p "$KNOCKOUT_CHECKPOINTS/$folder"
    "$shape_config" "$name" >"$KNOCKOUT_CHECKPOINTS/$folder/config.json" || fail "bench does not know $name"
    cp "$KO_SOURCE_DIR/jobs/models/mamba-facts/tokenizer.json" "$KNOCKOUT_CHECKPOINTS/$folder/"
    grep -qF "| \`$name\` | " "$KO_SOURCE_DIR/jobs/hybrids/README.md" || fail "jobs/hybrids/README.md does not name $name"
    grep -qF "/$folder\` |" "$KO_SOURCE_DIR/jobs/hybrids/README.md" || fail "jobs/hybrids/README.md does not name $folder"
done < <(checkpoints_of "${specs[@]}")
for spec in "${specs[@]}"; do
    grep -qF "| \`$(basename "$spec" .yaml)\` |" "$KO_SOURCE_DIR/jobs/hybrids/README.md" || fail "jobs/hybrids/README.md does not name $spec"
done

# Facts that begin with their subject and have three more words, so that no edge from it into the last position is in a convolution's reach.
"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$COUNTERFACT" <<'PY'
import json
import sys

facts = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
far = [f for f in facts if f["prompt"].startswith(f["subject"]) and len(f["prompt"][len(f["subject"]):].split()) >= 3]
assert len(far) >= 10, len(far)
print(*map(json.dumps, far[:10]), sep="\n")
PY

export OMP_NUM_THREADS=1 # each plan measures matrix products: no need for more here
mkdir "$scratch/plan"
for spec in "${specs[@]}"; do
    "$KNOCKOUT" plan "$spec" --json >"$scratch/plan/$(basename "$spec" .yaml).json" || fail "$spec cannot be planned"
done

"$python" - "$scratch/plan" "$KO_SOURCE_DIR/jobs/hybrids/README.md" <<'PY' || fail "the specs plan other cells"
import json
import pathlib
import sys

# Each layer's mixers: a attention, s an SSM, c a convolution, b attention and an SSM, - neither.
tenth = "sssss" + "asssssssss" * 3 + "assss"
quarter, six = "sssa", "ccaccaccacacacac"
sixth = "sssss" + "b"
layers = {
    "falcon-h1-0.5b": "b" * 36, "falcon-h1-1.5b": "b" * 24, "falcon-h1-1.5b-deep": "b" * 66, "falcon-h1-3b": "b" * 32,
    "falcon-h1-7b": "b" * 44,
    "nemotron-h-8b": "s-s-s-s" + "a-s-s-s-s-s" * 4 + "-",
    "granite-4.0-h-350m": "s" * 10 + "assasss" + "a" + "s" * 9 + "assss", "granite-4.0-h-1b": tenth, "granite-4.0-h-micro": tenth,
    "granite-4.0-h-tiny": tenth, "granite-4.0-micro": "a" * 40,
    "bamba-9b": "s" * 9 + "assssssss" * 2 + "assss",
    "jamba-3b": ("s" * 7 + "a" + "s" * 6) * 2,
    "zamba2-1.2b": sixth * 6 + "ss", "zamba2-2.7b": "s" + sixth * 7 + "ssssb" + "sssb" + "ss",
    "zamba2-7b": "s" + sixth + "ssssb" + sixth * 11 + "sss",
    "lfm2-350m": six, "lfm2-700m": six, "lfm2-1.2b": six, "lfm2-2.6b": "ccacca" + "ccca" * 4 + "cca" * 2 + "cc",
    "qwen3.5-9b": quarter * 8, "qwen3-next-80b-a3b": quarter * 12,
    "pythia-2.8b": "a" * 32, "mamba-2.8b": "s" * 64,
}
letters = {"all": "abcs", "attention": "ab", "ssm": "sb", "conv": "c"}
lfm2 = [name for name in layers if name.startswith("lfm2")]
routes = ["last<-subject", "last<-relation", "last<-last", "last<-first"]
prompts = 10
# Sizes, what windows count, classes.
nine, over_attention = ([9], "abcs-"), ([1, 2, "100%"], "ab")
mixers = ["all", "attention", "ssm"]
expected_specs = {
    "falcon-h1": (nine, mixers), "nemotron-h": (nine, mixers), "granite-4.0-h": (nine, mixers), "bamba": (nine, mixers),
    "jamba": (nine, mixers), "zamba2": (nine, mixers), "qwen3.5": (nine, mixers), "qwen3-next": (nine, mixers),
    "granite-4.0": (nine, mixers), "lfm2": (nine, ["all", "attention", "conv"]), "pile": (([9, "25%"], "abcs-"), ["all"]),
    "nemotron-h-attention": (over_attention, mixers), "granite-4.0-h-attention": (over_attention, mixers),
    "bamba-attention": (over_attention, mixers), "jamba-attention": (([1, 2], "ab"), mixers), "zamba2-attention": (over_attention, mixers),
}
n_layers = {"nemotron-h-8b": (52, 4), "jamba-3b": (28, 2), "bamba-9b": (32, 3), "zamba2-7b": (81, 13), "lfm2-2.6b": (30, 8),
            "granite-4.0-h-350m": (32, 4), "zamba2-2.7b": (54, 9)}
wrong = []


def expect(what, got, expected):
    if got != expected:
        wrong.append(what)
        print(f"{what}: {got}, expected {expected}")


def count(model, sizes, counted, classes):
    """Cells that are planned, and vacuous ones among them."""
    pattern = layers[model]
    at = [k for k, kind in enumerate(pattern) if kind in counted]
    lengths = {size if isinstance(size, int) else max(1, int(len(at) * int(size[:-1]) / 100 + 0.5)) for size in sizes}
    planned = vacuous = 0
    for window in (pattern[at[k]:at[k + n - 1] + 1] for n in lengths for k in range(len(at) - n + 1)):
        for name in classes:
            if not set(pattern) & set(letters[name]):
                continue  # the model lacks the class
            for route in routes:
                # An edge of three positions or more is in no convolution.
                far = route in ("last<-subject", "last<-first")
                kinds = letters[name].replace("c", "") if far else letters[name]
                planned += prompts
                vacuous += prompts * (not set(window) & set(kinds))
    return planned, vacuous


for name, (total, attending) in n_layers.items():
    pattern = layers[name]
    expect(f"{name}, layers and those with attention", (len(pattern), sum(k in "ab" for k in pattern)), (total, attending))
readme = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
plans = {file.stem: json.loads(file.read_text()) for file in pathlib.Path(sys.argv[1]).glob("*.json")}
planned_of = set()
for spec, plan in sorted(plans.items()):
    (sizes, counted), classes = expected_specs[spec]
    total = 0
    for model in plan["models"]:
        name = model["name"]
        planned_of.add(name)
        expect(f"{spec}, {name}, layers", model["layers"], len(layers[name]))
        expect(f"{spec}, {name}, cells", (model["cells"]["planned"], model["cells"]["vacuous"]), count(name, sizes, counted, classes))
        total += model["cells"]["planned"]
    expect(f"{spec}, cells", plan["cells"]["planned"], total)
    vacuous = plan["cells"]["vacuous"] // prompts
    print(f"{spec}: {len(plan['models'])} models, {total // prompts:,} cells a prompt, {vacuous:,} vacuous")
    row = next(line for line in readme if line.startswith(f"| `{spec}` |"))
    expect(f"{spec}, README.md", row.replace("up to ", "").split(" | ", 2)[2],
           f"{len(plan['models'])} | {total // prompts:,} | {vacuous:,} |")
expect("specs", sorted(plans), sorted(expected_specs))
expect("models", planned_of, set(layers))
sys.exit(1 if wrong else 0)
PY
