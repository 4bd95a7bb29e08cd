#!/usr/bin/env bash
# Builds the fuzz targets and runs each on its corpus and for SECONDS on new inputs (default 20). Prints a table; exits with 1 where an
# input was found that breaks a reader, after naming its file in build/fuzz/findings, and with 77 where no clang has libFuzzer.
# Usage: tests/fuzz/run.sh [SECONDS [TARGET...]]
# What was found lies in build/fuzz/corpus/TARGET; `tests/fuzz/run.sh merge [TARGET...]` takes the smallest part of it that reaches as
# much into tests/fuzz/corpus.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-20}
[ $# -gt 0 ] && shift
targets=("$@")
folder=${KO_FUZZ_BUILD:-build/fuzz}
limits=(-timeout=30 -rss_limit_mb=2500 -malloc_limit_mb=1500 -max_len=16384 -artifact_prefix="$folder/findings/")

have_libfuzzer() {
    local probe status=0
    probe=$(mktemp -d)
    echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { (void)d; (void)n; return 0; }' >"$probe/p.c"
    clang -fsanitize=fuzzer,address "$probe/p.c" -o "$probe/p" 2>"$probe/said" || status=1
    [ "$status" = 0 ] || sed 's/^/  /' "$probe/said"
    rm -rf "$probe"
    return "$status"
}

if ! command -v clang >/dev/null || ! have_libfuzzer; then
    echo "skipped: fuzzing needs clang with libFuzzer (Debian and Ubuntu: clang libclang-rt-dev libomp-dev)"
    exit 77
fi
mkdir -p "$folder/findings"
cmake --preset fuzz -B "$folder" >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log" >&2; exit 1; }
cmake --build "$folder" --target fuzz
if [ ${#targets[@]} = 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source##*/fuzz_}
        targets+=("${name%.c}")
    done
fi

# Leaks of the MPI library are told from others by stacks that take too long to find here (tests/lsan.supp), and HDF5 1.10.8 leaks what
# it had read of a damaged object header. A process is forked for each input of `cube`: with less kept of what was freed, that takes half the time.
sanitizers() {
    if [ "$1" = cube ]; then
        printf '%s' detect_leaks=0:quarantine_size_mb=4
    fi
}

merge() {
    local name=$1 into=tests/fuzz/corpus/$1
    mkdir -p "$folder/merged/$name" "$folder/corpus/$name" "$into"
    rm -f "$folder/merged/$name"/*
    ASAN_OPTIONS=$(sanitizers "$name") "$folder/bin/fuzz/$name" -merge=1 "${limits[@]}" "$folder/merged/$name" "$into" \
        "$folder/corpus/$name" 2>&1 | tail -1
    rm -rf "$into"
    cp -r "$folder/merged/$name" "$into"
}

if [ "$seconds" = merge ]; then
    for name in "${targets[@]}"; do
        merge "$name"
    done
    du -sch tests/fuzz/corpus/*
    exit 0
fi

failed=0
printf '%-12s %8s %10s %8s %9s %7s  %s\n' target corpus inputs a/second features edges verdict
for name in "${targets[@]}"; do
    log=$folder/$name.log dictionary=()
    [ -f "tests/fuzz/$name.dict" ] && dictionary=(-dict="tests/fuzz/$name.dict")
    mkdir -p "$folder/corpus/$name" "tests/fuzz/corpus/$name"
    verdict="no finding"
    ASAN_OPTIONS=$(sanitizers "$name") "$folder/bin/fuzz/$name" -max_total_time="$seconds" -print_final_stats=1 "${limits[@]}" \
        "${dictionary[@]}" "$folder/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1 || {
        verdict=$(grep -o "Test unit written to .*" "$log" | tail -1)
        verdict="FINDING: ${verdict:-see $log}"
        failed=1
    }
    last=$(grep -E 'cov: [0-9]+ ft: ' "$log" | tail -1)
    printf '%-12s %8s %10s %8s %9s %7s  %s\n' "$name" "$(find "tests/fuzz/corpus/$name" -type f | wc -l)" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" \
        "$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' <<<"$last")" "$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last")" "$verdict"
done
exit "$failed"
