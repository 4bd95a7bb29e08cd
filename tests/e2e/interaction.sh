#!/usr/bin/env bash
# `show --interaction` on the cube of a hybrid, against numpy and scipy.
source "$(dirname "$0")/small_spec.inc"

# The program's own Python, else the system's.
for python in "$python" /usr/bin/python3 none; do
    [ "$python" != none ] || { echo "skipped: there is no Python with h5py, numpy and scipy"; exit 77; }
    ! "$python" -c 'import h5py, numpy, scipy' 2>/dev/null || break
done

cat >"$scratch/hybrid.yaml" <<YAML
models: [$KO_SOURCE_DIR/jobs/models/mamba-facts]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: all, sample: {n: 20, seed: 5}}
routes: ['last<-subject', 'last<-relation']
features: [slow-third, all, fast-third]
windows: {sizes: [1, 3, 12], starts: all}
YAML
"$KNOCKOUT" run "$scratch/hybrid.yaml" -o "$scratch/hybrid.h5" --progress none --log-level error || fail "run"
show() { "$KNOCKOUT" show "$@"; }
refused() {
    local words=$1
    shift
    if show "$@" >/dev/null 2>"$scratch/err"; then fail "show $* is taken"; fi
    grep -qF -- "$words" "$scratch/err" || { cat "$scratch/err"; fail "show $*: '$words' is not said"; }
}
refused "hybrid.h5 lacks the class attention, sweep features: [all, attention, ssm]" "$scratch/hybrid.h5" --interaction
show "$scratch/hybrid.h5" | grep '^layers of' && fail "show lists the mixers of a model whose layers are alike"
"$python" "$KO_SOURCE_DIR/tests/e2e/hybrid_cube.py" "$scratch/hybrid.h5" || fail "hybrid_cube.py"

for metric in change delta logprob kl; do
    for statistic in mean median; do
        show "$scratch/hybrid.h5" --interaction --csv --metric "$metric" --statistic "$statistic" >"$scratch/curves.csv" || fail "show"
        "$python" "$KO_SOURCE_DIR/tests/e2e/interaction.py" "$scratch/hybrid.h5" "$scratch/curves.csv" "$metric" "$statistic" some ||
            fail "$metric, $statistic"
    done
done

# Hybrids as they are computed: mixers in turn, and side by side in every layer. Without a mixer of one kind, all is the other kind alone.
for model in nemotron-h falcon-h1; do
    cat >"$scratch/own.yaml" <<YAML
models: [$KO_SOURCE_DIR/tests/data/variants/$model]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: all, sample: {n: 8, seed: 1}}
routes: ['last<-subject', 'last<-relation']
features: [all, attention, ssm]
windows: {sizes: [1, 2, 50%], starts: all}
YAML
    "$KNOCKOUT" run "$scratch/own.yaml" -o "$scratch/$model.h5" --progress none --log-level error || fail "run $model"
    show "$scratch/$model.h5" --interaction --csv >"$scratch/curves.csv" || fail "show $model"
    "$python" "$KO_SOURCE_DIR/tests/e2e/interaction.py" "$scratch/$model.h5" "$scratch/curves.csv" change mean || fail "$model"
    "$python" - "$scratch/$model.h5" <<'PY' || fail "$model: a part alone is not the whole"
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1]) as f:
    classes = list(f["feature_class"].asstr()[:])
    of = {c: f["logprob"][:, :, :, classes.index(c)] for c in classes}
    print(sum(np.isfinite(v).sum() for v in of.values()), "cells")
for one, other in (("attention", "ssm"), ("ssm", "attention")):
    alone = np.isnan(of[one]) & np.isfinite(of[other])
    # Rows of other branches, which BLAS may round differently (docs/semantics.md, Rounding): 1.9e-6 at most was observed.
    difference = np.abs(of["all"][alone] - of[other][alone]).max(initial=0)
    assert difference <= 1e-5, (one, other, difference)
PY
done

# What people read.
show "$scratch/hybrid.h5" --interaction --source subject --window-size 3 >"$scratch/out" || fail "show"
for words in 'interaction of attention and ssm, mean over prompts' 'layers of mamba-facts: ssm 0, 2, 4, 6, 8-10; no mixer 1; attention 3, 7, 11; attention+ssm 5' \
    '  minus attention and ssm' '  2 windows are left out: attention or ssm is vacuous there, and the interaction 0' 'interaction' 'p, Holm'; do
    grep -qF -- "$words" "$scratch/out" || { cat "$scratch/out"; fail "'$words' is not said"; }
done
show "$scratch/hybrid.h5" --json --interaction --by relation >"$scratch/out" || fail "show --json --by relation"
"$python" - "$scratch/out" <<'PY' || fail "JSON"
import json
import sys

report = json.load(open(sys.argv[1]))
assert report["layer_mixers"]["mamba-facts"][:4] == ["ssm", "no mixer", "ssm", "attention"], report["layer_mixers"]
assert {c["left_out"] for c in report["curves"] if c["window_size"] == 1} == {10}, report
assert all(c["relation"] and c["minus"] == "attention and ssm" for c in report["curves"])
PY
refused "leave out --feature" "$scratch/hybrid.h5" --interaction --feature ssm
refused "leave out the --minus-... options" "$scratch/hybrid.h5" --interaction --minus-source relation
refused "hit is not 0 where nothing changes" "$scratch/hybrid.h5" --interaction --metric hit
refused "--interaction: is for the curves of a sweep's routes" "$scratch/hybrid.evaluation.h5" --interaction
