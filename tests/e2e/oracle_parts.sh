#!/usr/bin/env bash
# The oracle's component and head cells are those of hooks in the classes of transformers, and the golden files of these cells, of answers,
# options, windows and routes `keep:` hold what the oracle computes. Skipped where no Python has what the oracle needs.
set -euo pipefail
# shellcheck source=tests/e2e/any_python.inc
source "$(dirname "$0")/any_python.inc"

oracle=$KO_SOURCE_DIR/tests/oracle
compare() {
    local golden name
    "$python" "$oracle/compare_parts.py" || return
    for golden in parts:6 answers:3 choices:3 kept:2 windows:2; do
        name=${golden%:*}
        "$python" "$oracle/make_$name.py" check "$KO_SOURCE_DIR/tests/data/$name" --cells "${golden#*:}" || return
    done
}
with_any_python compare
