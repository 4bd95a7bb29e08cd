#!/usr/bin/env bash
# tests/coverage.sh [BUILD] [--report]: line and branch coverage of src/, kernels/cpu/ and mpi/ by the whole of ctest but what is labelled long,
# slurm or gpu, in BUILD (default build/coverage, preset `coverage`). Prints gcovr's table of files (BUILD/coverage.txt; coverage.json
# beside it) and fails below 90, 90 and 85 % of lines. Processes that are killed lose their counts, so the figures are lower bounds.
# --report: the counts that are there, without building and testing.
# Not measured: kernels/plain (the oracle of the others), tests, and what is compiled for GPUs alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build/coverage report=false
for argument in "$@"; do
    case $argument in
    --report) report=true ;;
    *) build=$argument ;;
    esac
done
command -v gcovr >/dev/null || { echo "skipped: there is no gcovr (Debian: apt-get install gcovr)"; exit 77; }

failed=0
if ! $report; then
    cmake --preset coverage -B "$build" -S .
    cmake --build "$build"
    find "$build" -name '*.gcda' -delete
    ctest --test-dir "$build" --output-on-failure -j2 --label-exclude '^(long|slurm|gpu)$' || failed=1
fi
gcovr --root . --object-directory "$build" --exclude-directories tests --filter src/ --filter kernels/cpu/ --filter mpi/ \
    --exclude mpi/compute/nccl_exchange.c --json "$build/coverage.json" "$build"
gcovr --root . --add-tracefile "$build/coverage.json" --txt "$build/coverage.txt"
cat "$build/coverage.txt"
python3 - "$build/coverage.json" <<'PY' || failed=1
import json
import sys

bounds = {"src/": 90, "kernels/cpu/": 90, "mpi/": 85}
low = False
for folder, bound in bounds.items():
    lines = [line for f in json.load(open(sys.argv[1]))["files"] if f["file"].startswith(folder)
             for line in f["lines"] if not line["gcovr/noncode"]]
    branches = [branch for line in lines for branch in line["branches"]]
    share = 100 * sum(line["count"] > 0 for line in lines) / len(lines)
    taken = 100 * sum(branch["count"] > 0 for branch in branches) / len(branches)
    print(f"{folder:13} {share:5.1f} % of {len(lines)} lines (at least {bound}), {taken:5.1f} % of {len(branches)} branches")
    low = low or not share >= bound
sys.exit(low)
PY
exit "$failed"
