#!/usr/bin/env bash
# tests/valgrind.sh [KNOCKOUT]: the commands that are over in a moment, under Valgrind's memcheck: plan, status, show, inspect, export,
# --help, bad input. No error and no block that is definitely lost; nothing is suppressed.
# KNOCKOUT: the program, by default build/release/bin/knockout. Without valgrind it is skipped (exit 77).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source=$PWD
program=$(realpath "${1:-build/release/bin/knockout}")
command -v valgrind >/dev/null || { echo "skipped: there is no valgrind (Debian: apt-get install valgrind)"; exit 77; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ko-valgrind.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_NUM_THREADS=1
# Valgrind knows no AVX-512: OpenBLAS and the program's own kernels choose others.
export OPENBLAS_CORETYPE=Haswell

head -n 2 jobs/facts.jsonl >"$scratch/facts.jsonl"
cat >"$scratch/spec.yaml" <<YAML
models: [$source/tests/data/variants/falcon-mamba-sharded, $source/tests/data/variants/qwen2]
prompts: {file: $scratch/facts.jsonl}
routes: ['last<-subject', 'last<-each']
features: [all, slow-third]
windows: {sizes: [1], starts: all}
YAML
echo 'models: [nowhere]' >"$scratch/bad.yaml"
printf 'prompts: {file: [}\n' >"$scratch/broken.yaml"
head -c 4000 /dev/urandom >"$scratch/noise.h5"
"$program" run "$scratch/spec.yaml" -o "$scratch/cube.h5" --threads 1 --progress none --log-level error
head -c 5000 "$scratch/cube.h5" >"$scratch/cut.h5"

failed=0 n=0
# check STATUS ARGUMENTS...: the command ends with STATUS and memcheck finds nothing.
check() {
    local expected=$1 status=0
    shift
    n=$((n + 1))
    valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite \
        "$program" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    if [ "$status" -ne "$expected" ] || grep -q '^==' "$scratch/err"; then
        echo "FAILED: knockout $*: exit $status, expected $expected"
        head -n 60 "$scratch/err"
        failed=1
    else
        echo "clean: knockout $*"
    fi
}
check 0 --help
check 0 --version
check 0 run --help
check 2 no-such-command
check 2 plan
check 2 run "$scratch/spec.yaml" --no-such-option
check 0 plan "$scratch/spec.yaml"
check 0 plan "$scratch/spec.yaml" --json
check 2 plan "$scratch/bad.yaml"
check 2 plan "$scratch/broken.yaml"
check 2 plan "$scratch/missing.yaml"
check 0 inspect "$source/tests/data/variants/mamba-original" --tokens "The Space Needle"
check 0 inspect "$source/tests/data/variants/falcon-mamba-sharded" --json
check 2 inspect "$scratch"
check 0 status "$scratch/cube.h5"
check 0 status "$scratch/cube.h5" --json
check 2 status "$scratch/noise.h5"
check 2 status "$scratch/cut.h5"
check 2 status "$scratch/missing.h5"
check 0 show "$scratch/cube.h5"
check 0 show "$scratch/cube.h5" --csv --metric median
check 2 show "$scratch/cube.h5" --metric nonsense
check 0 export "$scratch/cube.h5" --csv -o "$scratch/cube.csv"
check 0 export "$scratch/cube.h5" --compress -o "$scratch/small.h5"
check 2 export "$scratch/cube.h5"
check 2 merge "$scratch/cube.h5" -o "$scratch/merged.h5"
[ "$failed" -eq 0 ] && echo "$n commands: memcheck found nothing"
exit "$failed"
