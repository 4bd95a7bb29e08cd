#!/usr/bin/env bash
# tests/tsan.sh [BUILD]: the OpenMP backend and the compute thread under the thread sanitizer, in BUILD (default build/tsan): the
# conformance suite, the unit tests of the instruction sets, of loading and of the forward pass, the ranks' test, and small runs of one
# and of three ranks with two threads each. It takes clang with its OpenMP runtime (Debian: clang libomp-dev), whose tool Archer tells the sanitizer
# of the runtime's own synchronisation; nothing is suppressed. Without them it is skipped (exit 77), and says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source=$PWD
build=${1:-build/tsan}

clang=$(command -v clang || command -v clang-14 || true)
[ -n "$clang" ] || { echo "skipped: there is no clang (Debian: apt-get install clang libomp-dev)"; exit 77; }
archer=$(find "$(dirname "$(readlink -f "$clang")")/../lib" -name 'libarcher.so*' 2>/dev/null | sort | head -n 1)
[ -n "$archer" ] || { echo "skipped: $clang has no libarcher.so beside it (Debian: apt-get install libomp-dev)"; exit 77; }

CC=$clang cmake --preset tsan -B "$build" -S . >/dev/null
mapfile -t forward < <(cd tests/unit/forward && printf '%s\n' test_*.c | sed 's/^test_\(.*\)\.c$/unit.forward.\1/')
cmake --build "$build" --target knockout conformance mpi.ranks unit.kernels.isa unit.base.crew unit.models.model_load "${forward[@]}"
build=$(cd "$build" && pwd)

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ko-tsan.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# Open MPI, HDF5 and OpenBLAS are not compiled for the sanitizer: what they do to memory, and their own locks, are not looked at.
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 exitcode=66 halt_on_error=0"
export OMP_TOOL_LIBRARIES=$archer OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=1
KO_CONFORMANCE=conv ARCHER_OPTIONS=verbose=1 "$build/bin/tests/conformance" >"$scratch/out" 2>&1
grep -q "Archer detected OpenMP application with TSan" "$scratch/out" ||
    { echo "FAILED: the OpenMP runtime did not load $archer" >&2; exit 1; }

failed=0
ctest --test-dir "$build" --output-on-failure -R '^(conformance|unit\.kernels\.isa|unit\.base\.crew|unit\.models\.model_load|unit\.forward\..*|mpi\.ranks\.n2)$' || failed=1
head -n 4 "$source/jobs/facts.jsonl" >"$scratch/facts.jsonl"
cat >"$scratch/spec.yaml" <<YAML
models: [$source/tests/data/variants/falcon-mamba-sharded, $source/tests/data/variants/mamba2-groups, $source/tests/data/variants/qwen2]
prompts: {file: $scratch/facts.jsonl}
routes: ['last<-subject', 'last<-each']
features: [all, slow-third, all+conv]
windows: {sizes: [1, 2], starts: all}
row-budget: 256
YAML
for ranks in 1 3; do
    echo "== a run of $ranks ranks"
    tests/launch.sh 600 "$ranks" "$build/bin/knockout" run "$scratch/spec.yaml" -o "$scratch/cube$ranks.h5" --threads 2 \
        --progress none --log-level warn --commit-seconds 0.1 2>"$scratch/err" || failed=1
    if grep -q 'WARNING: ThreadSanitizer' "$scratch/err"; then
        failed=1
    fi
    cat "$scratch/err"
done
[ "$failed" -eq 0 ] && echo "no data race was seen"
exit "$failed"
