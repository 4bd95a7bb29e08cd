#!/usr/bin/env bash
# Pictures and texts that went through real processors of transformers and knockout.export_embeddings: the clean runs of the whole models,
# and the cells under 4-D masks. Skipped where no Python has what the comparison needs.
set -euo pipefail
export HF_HUB_OFFLINE=1

for python in "${KO_PYTHON:-python3}" python3; do
    status=0
    "$python" "$KO_SOURCE_DIR/tests/oracle/compare_processors.py" "$KNOCKOUT" || status=$?
    [ "$status" -eq 77 ] || exit "$status"
done
exit 77
