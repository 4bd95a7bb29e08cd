#!/usr/bin/env bash
# The oracle's component and head cells are those of hooks in the classes of transformers, and the golden files of these cells, of answers,
# options, windows and routes `keep:` hold what the oracle computes. Skipped where no Python has what the oracle needs.
set -euo pipefail

oracle=$KO_SOURCE_DIR/tests/oracle
for python in "${KO_PYTHON:-python3}" python3; do
    status=0
    "$python" "$oracle/compare_parts.py" || status=$?
    for golden in parts:6 answers:3 choices:3 kept:2 windows:2; do
        [ "$status" -eq 0 ] || break
        name=${golden%:*}
        "$python" "$oracle/make_$name.py" check "$KO_SOURCE_DIR/tests/data/$name" --cells "${golden#*:}" || status=$?
    done
    [ "$status" -eq 77 ] || exit "$status"
done
exit 77
