#!/usr/bin/env bash
# Checks the sources without running them: clang-format, shellcheck, Python's compiler, folders, circles and names (tests/layers.py),
# forms that clang-format does not decide, the texts of the mutations, cppcheck, gcc's analyzer and clang-tidy.
# Every finding is printed and fails. A false alarm is silenced, with its reason, at its line, in .clang-tidy, or below.
# Usage: tests/static.sh [--long] [--any-version] [BUILD]
#   BUILD          a configured build folder with a compile_commands.json; default: build/release
#   --long         also runs clang's own analyzer in clang-tidy, which takes several times as long as the rest
#   --any-version  also uses tools of other versions than the checks were written for
# A tool that is missing or has another version is reported as skipped.
set -euo pipefail

build=build/release
long=false
any=false
for argument in "$@"; do
    case $argument in
    --long) long=true ;;
    --any-version) any=true ;;
    -h | --help)
        sed -n '2,9s/^# //p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    -*)
        echo "tests/static.sh: unknown argument $argument; it takes --long, --any-version and a build folder" >&2
        exit 2
        ;;
    *) build=$argument ;;
    esac
done
build=$(cd "$build" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -e "$build/compile_commands.json" ] || {
    echo "tests/static.sh: $build/compile_commands.json is missing: configure there first (cmake --preset release)" >&2
    exit 2
}

jobs=$(nproc)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# check NAME VERSION TOOL FUNCTION: runs FUNCTION if `TOOL --version` matches VERSION. Prints wall time and processor time; on a busy
# machine only the second means something.
check() {
    local name=$1 version=$2 tool=$3 TIMEFORMAT='%R s, %U s + %S s of processors'
    if ! command -v "$tool" >/dev/null; then
        printf '%-14s skipped: %s is not installed\n' "$name" "$tool"
    elif ! $any && ! "$tool" --version 2>/dev/null | grep -qE "$version"; then
        printf '%-14s skipped: %s is not of version %s\n' "$name" "$tool" "$version"
    elif { time "$4" >"$scratch/out" 2>&1; } 2>"$scratch/time"; then
        printf '%-14s clean, %s\n' "$name" "$(<"$scratch/time")"
    else
        cat "$scratch/out"
        printf '%-14s FAILED, %s\n' "$name" "$(<"$scratch/time")"
        failed=1
    fi
}

first_of() { # COMMAND...: prints the first command that is installed, or the last one
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null && break
    done
    echo "$tool"
}

folders=(src mpi kernels tests)

format() {
    find "${folders[@]}" -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' |
        xargs -P "$jobs" -n 40 "$clang_format" --dry-run -Werror
}

# Sourced files are looked up in the script's folder and in the root. Left out: 1091, sourced files with computed names; 2154, variables
# that such files set; 2010 and 2038, file names with blanks, since we have none; 2015, `a && b || c` where b cannot fail; 2016, dollars
# meant for another program; 2119 and 2120, functions with optional arguments; 2164, cd under `set -e`; 2317, functions called by name.
shell() {
    find . -path ./build -prune -o -name '*.sh' -print |
        xargs -P "$jobs" -n 20 shellcheck --external-sources --source-path=SCRIPTDIR:. --exclude=SC1091,SC2010,SC2015,SC2016,SC2038,SC2119,SC2120,SC2154,SC2164,SC2317
}

python() {
    PYTHONPYCACHEPREFIX=$scratch/pycache python3 -W error -m compileall -q analysis tests jobs
}

layers() {
    python3 tests/layers.py --self-check && python3 tests/layers.py
}

# Forms that clang-format does not decide (CONTRIBUTING.md, "How the code reads"): how codes and pointers are tested, comments without
# stars at the start of their lines, the licence in the first line; and the version in CITATION.cff.
dialect() {
    local status=0 source
    if grep -rnE --include='*.[ch]' '== NULL\b|\bif \(!?code\)|&& !code\b' "${folders[@]}"; then
        echo "write !pointer for NULL, code == KO_OK and code != KO_OK for codes" && status=1
    fi
    if grep -rnE --include='*.[ch]' --include='*.cu' --include='*.cuh' '^ +\* ' "${folders[@]}"; then
        echo "a comment of several lines is indented by three blanks, without stars" && status=1
    fi
    while IFS= read -r source; do
        [[ $(sed -n 2p "$source") == '/*'* ]] || { echo "$source: begins without a comment that says what it holds" && status=1; }
    done < <(find src kernels mpi -name '*.c')
    while IFS= read -r source; do
        head -n 1 "$source" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
            { echo "$source: its first line is not /* SPDX-License-Identifier: Apache-2.0 */" && status=1; }
    done < <(find "${folders[@]}" -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh')
    grep -qx "version: $(<VERSION)" CITATION.cff || { echo "CITATION.cff: its version is not that of VERSION" && status=1; }
    return "$status"
}

mutations() {
    python3 tests/mutation/run.py --check
}

# Left out: variableScope, since buffers are declared beside the pointers into them; missingIncludeSystem, since cppcheck does not read
# system headers; constParameter, since a table of operations fixes the types of many functions.
cppcheck_sources() {
    cppcheck --project="$build/compile_commands.json" --file-filter='*/src/*' --file-filter='*/mpi/*' --file-filter='*/kernels/*' \
        --enable=warning,performance,portability,style --inline-suppr --suppress=variableScope --suppress=missingIncludeSystem \
        --suppress=constParameter -j "$jobs" --quiet --template=gcc --error-exitcode=1
}

# Prints "FOLDER<TAB>FILE<TAB>COMMAND" once for every source of src, mpi and kernels.
commands() {
    python3 - "$build/compile_commands.json" "$PWD" <<'PY'
import json, os, sys
seen = set()
for entry in json.load(open(sys.argv[1])):
    name = os.path.relpath(os.path.join(entry["directory"], entry["file"]), sys.argv[2])
    if name.split(os.sep)[0] in ("src", "mpi", "kernels") and name.endswith(".c") and name not in seen:
        seen.add(name)
        print(entry["directory"], name, entry["command"], sep="\t")
PY
}

# Without optimisation, because inlined code would be analysed again at each place. Left out: use-of-uninitialized-value, since gcc 12
# does not see that memcpy writes a number (-Wall and clang's analyzer still check this).
analyze_one() {
    local folder command
    folder=$(cut -f1 <<<"$1")
    command=$(cut -f3 <<<"$1")
    command=$(sed -E 's/ -o [^ ]+/ -o \/dev\/null/; s/ -c / -S /; s/ -[UD]_FORTIFY_SOURCE(=[0-9])?//g; s/ -O[0-9]/ -O0/g; s/ -g( |$)/ /g' <<<"$command")
    cd "$folder" && eval "$command -fanalyzer -Werror -Wno-analyzer-use-of-uninitialized-value"
}
export -f analyze_one

analyzer() {
    commands | grep -v $'\tkernels/cpu/isa/' | tr '\n' '\0' | xargs -0 -P "$jobs" -n 1 bash -c 'analyze_one "$1"' -
}

tidy() {
    local checks=(--checks=-clang-analyzer-*)
    $long && checks=()
    commands | cut -f2 | xargs -P "$jobs" -n 1 "$clang_tidy" -p "$build" --quiet "${checks[@]}" 2>"$scratch/counts"
}

clang_format=$(first_of clang-format-14 clang-format)
clang_tidy=$(first_of clang-tidy-14 clang-tidy)
check clang-format 'version 14\.' "$clang_format" format
check shellcheck 'version: 0\.(9|1[0-9])' shellcheck shell
check python 'Python 3' python3 python
check layers 'Python 3' python3 layers
check dialect 'GNU grep' grep dialect
check mutations 'Python 3' python3 mutations
check cppcheck 'Cppcheck 2\.10' cppcheck cppcheck_sources
check gcc-analyzer '^(gcc|cc) .* 12\.' cc analyzer
check clang-tidy 'version 14\.' "$clang_tidy" tidy
exit "$failed"
