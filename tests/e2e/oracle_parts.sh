#!/usr/bin/env bash
# The oracle's component and head cells are those of hooks in the classes of transformers, and the golden files of these cells and of
# whole answers hold what the oracle computes. Skipped where no Python has what the oracle needs.
set -euo pipefail

oracle=$KO_SOURCE_DIR/tests/oracle
for python in "${KO_PYTHON:-python3}" python3; do
    status=0
    "$python" "$oracle/compare_parts.py" || status=$?
    if [ "$status" -eq 0 ]; then
        "$python" "$oracle/make_parts.py" check "$KO_SOURCE_DIR/tests/data/parts" --cells 6 || status=$?
    fi
    if [ "$status" -eq 0 ]; then
        "$python" "$oracle/make_answers.py" check "$KO_SOURCE_DIR/tests/data/answers" --cells 3 || status=$?
    fi
    [ "$status" -eq 77 ] || exit "$status"
done
exit 77
