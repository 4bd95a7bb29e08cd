#!/usr/bin/env bash
# Installs what is missing, builds everything and runs the tests; closes with ctest's summary.
# Usage: tests/run.sh [--long]
#   --long   also the tests labelled `long`, every test and not only the unit tests under the sanitizers, the threads under theirs
#            (tests/tsan.sh), each fuzz target for 10 minutes, the mutations (tests/mutation/run.py), the coverage (tests/coverage.sh), and
#            clang's analyzer beside clang-tidy
set -euo pipefail

long=false
for argument in "$@"; do
    case $argument in
    --long) long=true ;;
    -h | --help)
        sed -n '2,6s/^# \?//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *)
        echo "tests/run.sh: unknown argument $argument; it takes --long" >&2
        exit 2
        ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=jobs/install.sh
source jobs/install.sh
# shellcheck source=tests/install.sh
source tests/install.sh

step() {
    printf '\n==> %s\n' "$1"
}

build() {
    cmake --preset "$1"
    cmake --build --preset "$1"
}

step "Install what is missing"
ko_install_missing
KO_PYTHON=$(ko_python)
export KO_PYTHON
ko_install_for_tests "$long"
echo "everything needed is here"

failed=0
exclude=(--label-exclude '^(long|slurm)$')
sanitized=(--tests-regex '^(unit|fuzz)\.')
fuzz_seconds=20
if $long; then
    exclude=(--label-exclude '^slurm$')
    sanitized=(--label-exclude '^(long|slurm|gpu)$')
    fuzz_seconds=600
fi

step "Build with sanitizers and run their tests"
build sanitize
ctest --test-dir build/sanitize --output-on-failure -j2 "${sanitized[@]}" || failed=1

step "Fuzz every reader for $fuzz_seconds s"
status=0
tests/fuzz/run.sh "$fuzz_seconds" || status=$?
[ "$status" = 0 ] || [ "$status" = 77 ] || failed=1

step "Build"
build release

step "Read the sources"
static=()
if $long; then
    static=(--long)
fi
tests/static.sh "${static[@]}" build/release || failed=1

# What a script may skip, with exit 77, is said and no failure.
skippable() {
    local status=0
    "$@" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 77 ] || failed=1
}
if $long; then
    step "Threads under the thread sanitizer"
    skippable tests/tsan.sh
    step "Mutations"
    "$KO_PYTHON" tests/mutation/run.py || failed=1
    step "Coverage"
    skippable tests/coverage.sh
fi

step "Run the tests"
ctest --test-dir build/release --output-on-failure -j2 "${exclude[@]}" || failed=1
# Daemons, several nodes and their failures on one machine: once more where one of these tests fails.
ctest --test-dir build/release --output-on-failure --label-regex '^slurm$' --repeat until-pass:2 || failed=1

step "GPU tests"
if ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
    echo "skipped: no GPU is visible on this machine"
elif ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
    echo "skipped: there is no nvcc to build the CUDA backend with"
else
    build cuda
    ctest --test-dir build/cuda --output-on-failure --tests-regex '^(gpu\.|e2e\.gpu)' || failed=1
fi
exit "$failed"
