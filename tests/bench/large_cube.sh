#!/usr/bin/env bash
# A cube of a thousand million cells: how long it takes, and how much memory, to create and fill it, and what `status` and `show` take.
# Its results are made up; everything else is the program's own.
#
#   tests/bench/large_cube.sh FOLDER [PROMPTS [RANKS]]
#
# Two models of 64 layers, four routes, three classes, windows of ten sizes at every start: 14,280 cells a prompt, about 20 bytes each.
# 70,028 by default: 10^9 cells, a cube of 21.6 GB, which is removed at the end unless KEEP=1. RANKS (1) fill it together. In the
# environment: BUILD (build/release of the repository), MPIEXEC, ROUND_PROMPTS (200: that a rank commits in a round), ROUNDS (0:
# commits the whole cube and reads it; otherwise the script ends after so many rounds, e.g. to time the creation alone). COLD=1: nothing
# of the cube is in the page cache when a reader begins.
# e.g.  large_cube.sh /scratch 7000; ROUNDS=1 large_cube.sh /scratch
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${BUILD:-$root/build/release} tests=${BUILD:-$root/build/release}/bin/tests
# shellcheck source=tests/bench/planned.inc
. "$root/tests/bench/planned.inc"
[ $# -ge 1 ] || { sed -n 's/^#   tests/usage: tests/p' "${BASH_SOURCE[0]}" >&2; exit 2; }
folder=$1/large_cube prompts=${2:-70028} ranks=${3:-1}
mkdir "$folder"
[ "${KEEP:-0}" = 1 ] || trap 'rm -rf "$folder"' EXIT
planned_model "$folder" mamba-2.8b
planned_model "$folder" mamba2-2.7b
planned_prompts "$folder/prompts.jsonl" "$prompts"
cat > "$folder/large.yaml" <<SPEC
models: [mamba-2.8b, mamba2-2.7b]
prompts: {file: prompts.jsonl, select: all}
routes: [last<-subject, last<-relation, last<-last, last<-first]
features: [all, slow-third, fast-third]
windows: {sizes: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], starts: all}
SPEC
launch=()
[ "$ranks" -eq 1 ] || launch=("${MPIEXEC:-mpirun}" --oversubscribe --bind-to none -n "$ranks")
"${launch[@]}" "$tests/bench.commit" "$folder/large.yaml" "$folder/large.h5" "${ROUND_PROMPTS:-200}" "${ROUNDS:-0}"
[ "${ROUNDS:-0}" = 0 ] || exit 0

# measure NAME COMMAND...: seconds and the most memory of a command, whose last line is printed.
measure() {
    [ "${COLD:-0}" = 0 ] || python3 -c 'import os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(file)
os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)' "$folder/large.h5"
    python3 - "$@" <<'PY'
import resource
import subprocess
import sys
import time

begin = time.time()
done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, check=False)
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
lines = done.stdout.decode().splitlines()
print(f"{sys.argv[1]} seconds={time.time() - begin:.2f} peak_mb={memory:.0f} exit={done.returncode} lines={len(lines)}: "
      f"{lines[-1] if lines else ''}")
sys.exit(done.returncode not in (0, 3, 4))
PY
}
knockout=$build/bin/knockout
measure status "$knockout" status "$folder/large.h5"
measure show_one_curve "$knockout" show "$folder/large.h5" --model mamba2-2.7b --route 'last<-subject' --feature all --window-size 9
measure show_one_model "$knockout" show "$folder/large.h5" --model mamba2-2.7b
