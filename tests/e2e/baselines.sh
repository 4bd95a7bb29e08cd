#!/usr/bin/env bash
# The PyTorch baselines of the benchmark compute the same cells as the oracle. Skipped where no Python has what the oracle needs.
set -euo pipefail
# shellcheck source=tests/e2e/any_python.inc
source "$(dirname "$0")/any_python.inc"

compare() {
    "$python" "$KO_SOURCE_DIR/tests/bench/test_baselines.py"
}
with_any_python compare
