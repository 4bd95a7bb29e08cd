#!/usr/bin/env bash
# Pictures and texts that went through real processors of transformers and knockout.export_embeddings: the clean runs of the whole models,
# and the cells under 4-D masks. Skipped where no Python has what the comparison needs.
set -euo pipefail
# shellcheck source=tests/e2e/any_python.inc
source "$(dirname "$0")/any_python.inc"
export HF_HUB_OFFLINE=1

compare() {
    "$python" "$KO_SOURCE_DIR/tests/oracle/compare_processors.py" "$KNOCKOUT"
}
with_any_python compare
