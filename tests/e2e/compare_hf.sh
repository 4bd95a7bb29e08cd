#!/usr/bin/env bash
# Clean runs of every small checkpoint are those of the classes of transformers. Skipped where no Python has what the comparison needs.
set -euo pipefail
# shellcheck source=tests/e2e/any_python.inc
source "$(dirname "$0")/any_python.inc"

compare() {
    "$python" "$KO_SOURCE_DIR/tests/oracle/compare_hf.py" "$KNOCKOUT" "$KO_SOURCE_DIR/jobs/facts.jsonl" \
        "$KO_SOURCE_DIR"/jobs/models/*-facts "$KO_SOURCE_DIR"/tests/data/variants/*
}
with_any_python compare
