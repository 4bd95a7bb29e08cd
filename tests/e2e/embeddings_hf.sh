#!/usr/bin/env bash
# Cells of prompts that are matrices of embeddings are those of transformers' vision-language models under 4-D masks. Skipped where no
# Python has what the comparison needs.
set -euo pipefail
# shellcheck source=tests/e2e/any_python.inc
source "$(dirname "$0")/any_python.inc"

compare() {
    "$python" "$KO_SOURCE_DIR/tests/oracle/compare_embeddings.py" "$KNOCKOUT"
}
with_any_python compare
