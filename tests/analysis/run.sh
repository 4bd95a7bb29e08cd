#!/usr/bin/env bash
# run.sh TEST FOLDER: tests/analysis/test_TEST.py on the cube in FOLDER. Exit 77 with the reason where a module or browser is missing.
set -euo pipefail
test=$1
export KO_CUBE_FOLDER=$2
# shellcheck source=jobs/install.sh
source "$KO_SOURCE_DIR/jobs/install.sh"

skip() {
    echo "skipped: $1"
    exit 77
}

python=${KO_PYTHON:-$(ko_python)} || skip "there is no Python with ${ko_python_modules[*]}"
if [ "$test" = stats ]; then
    "$python" -c 'import scipy' 2>/dev/null || skip "$python has no module scipy"
fi
if [ "$test" = parquet ]; then
    "$python" -c 'import pyarrow' 2>/dev/null || skip "$python has no module pyarrow"
fi
if [ "$test" = notebook ]; then
    "$python" -c 'import nbclient, ipykernel' 2>/dev/null || skip "$python has no modules nbclient and ipykernel"
fi
if [ "$test" = browser ]; then
    KO_CHROMIUM=$(command -v chromium || command -v chromium-headless-shell || command -v chromium-browser || command -v google-chrome) ||
        skip "there is no Chromium here"
    "$KO_CHROMIUM" --version >/dev/null 2>&1 || skip "$KO_CHROMIUM does not start"
    export KO_CHROMIUM
fi
MPLCONFIGDIR=$(mktemp -d "${TMPDIR:-/tmp}/ko-matplotlib.XXXXXX")
trap 'rm -rf "$MPLCONFIGDIR"' EXIT
export MPLCONFIGDIR PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$KO_SOURCE_DIR/analysis:$KO_SOURCE_DIR/tests/analysis
"$python" -W error::DeprecationWarning:knockout_figures -m unittest -v "test_$test"
