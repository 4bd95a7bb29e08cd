#!/usr/bin/env bash
# The bundled hybrid: its sweep finishes, attention and SSM are not the same and neither is all, the interaction can be shown, and cells
# computed alone agree.
source "$(dirname "$0")/small_spec.inc"

timeout "$((60 * slow))" "$KNOCKOUT" run "$KO_SOURCE_DIR/jobs/hybrids/demo.yaml" -o "$scratch/demo.h5" --progress none --log-level warn ||
    fail "the sweep"
"$KNOCKOUT" status "$scratch/demo.h5" --json >"$scratch/status.json" || fail "the cube is not complete"
for way in --interaction ''; do
    "$KNOCKOUT" show "$scratch/demo.h5" --csv --metric logprob ${way:+"$way"} >"$scratch/show$way.csv" || fail "show $way"
done
"$python" - "$scratch" <<'PY' || fail "the classes"
import csv
import sys

means = {}
for row in csv.DictReader(open(sys.argv[1] + "/show.csv", encoding="utf-8")):
    means.setdefault(row["feature_class"], {})[row["route"], row["window_start"]] = float(row["value"])
assert set(means) == {"all", "attention", "ssm"}, set(means)
assert len({frozenset(curve) for curve in means.values()}) == 1 and len(means["all"]) == 4 * 6, {c: len(m) for c, m in means.items()}
for one, other in (("all", "attention"), ("all", "ssm"), ("attention", "ssm")):
    farthest = max(abs(means[one][at] - means[other][at]) for at in means[one])
    print(f"{one} and {other}: means of log-probabilities differ by up to {farthest:.3g} nats")
    assert farthest > 1e-3, f"{one} and {other} are the same"
for row in csv.DictReader(open(sys.argv[1] + "/show--interaction.csv", encoding="utf-8")):
    at = row["route"], row["window_start"]
    expected = means["all"][at] - means["attention"][at] - means["ssm"][at]
    assert abs(float(row["value"]) - expected) <= 1e-6 + 1e-4 * abs(expected), (at, row["value"], expected)
PY
"$KNOCKOUT" verify "$scratch/demo.h5" --sample 60 >"$scratch/out" || { cat "$scratch/out"; fail "verify"; }
