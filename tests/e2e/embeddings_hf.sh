#!/usr/bin/env bash
# Cells of prompts that are matrices of embeddings are those of transformers' vision-language models under 4-D masks. Skipped where no
# Python has what the comparison needs.
set -euo pipefail

for python in "${KO_PYTHON:-python3}" python3; do
    status=0
    "$python" "$KO_SOURCE_DIR/tests/oracle/compare_embeddings.py" "$KNOCKOUT" || status=$?
    [ "$status" -eq 77 ] || exit "$status"
done
exit 77
