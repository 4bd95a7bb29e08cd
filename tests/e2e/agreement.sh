#!/usr/bin/env bash
# Selections, controls and heatmaps over the five demo models against the float64 oracle: agreement.py says how, tests/oracle/make_agreement.py
# stored what with.
source "$(dirname "$0")/small_spec.inc"
check() { "$python" "$KO_SOURCE_DIR/tests/e2e/agreement.py" "$@"; }

check spec "$KO_SOURCE_DIR/jobs/models" "$KO_SOURCE_DIR/tests/data/agreement/facts.jsonl" >"$scratch/agreement.yaml"
"$KO_LAUNCH" 240 3 "$KNOCKOUT" run "$scratch/agreement.yaml" -o "$scratch/agreement.h5" --threads 1 --progress none --log-level warn
check check "$scratch/agreement.h5" "$KO_SOURCE_DIR/tests/data/agreement/golden.h5"
