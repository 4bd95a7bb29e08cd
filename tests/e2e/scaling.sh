#!/usr/bin/env bash
# tests/bench/scaling.sh on a small model: the parts add up to the wall time, every number of workers has its row, and a cube with another
# value is an error.
source "$(dirname "$0")/small_spec.inc"
program=$KNOCKOUT
mkdir "$scratch/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" >"$scratch/bin/python3" # one that has h5py
chmod +x "$scratch/bin/python3"
launch=(timeout "$((120 * slow))" "${MPIEXEC:-mpirun}" --oversubscribe --bind-to none)
scaling() { # the numbers of workers
    PATH="$scratch/bin:$PATH" WORKERS=$1 PRECISIONS=float32 CHECKPOINT=$KO_SOURCE_DIR/jobs/models/mamba-facts SHAPE=mamba-facts SAMPLE=40 \
        SIZES=3 "$KO_SOURCE_DIR/tests/bench/scaling.sh" "$scratch/scaling" "$KO_SOURCE_DIR/jobs/facts.jsonl" none "${launch[@]}" -- --threads 1
}

export KNOCKOUT
scaling '1 2 4' >"$scratch/out" || { cat "$scratch/out"; fail "scaling.sh: exit $?"; }
cat "$scratch/out"
[ "$(grep -c 'datasets are the same' "$scratch/out")" -eq 2 ] || fail "two cubes were not compared with the first"
[ "$(awk '/^float32 / { printf "%s ", $2 }' "$scratch/out")" = '1 2 4 ' ] || fail "the table lacks a number of workers"
"$python" - "$scratch/scaling/scaling.tsv" <<'PY' || fail "the parts are not those of the wall time"
import sys
rows = [line.split("\t") for line in open(sys.argv[1])]
for _, workers, wall, *parts in rows:
    wall, parts = float(wall), list(map(float, parts))
    # Nine parts, then the commit rounds and the whole sweep. Ten numbers of the log are rounded to 0.01 s, and on a busy machine a rank
    # may wait between two of them.
    print(workers, wall, parts)
    ok = len(parts) == 11 and abs(sum(parts[:9]) - wall) <= 0.06 + 0.02 * wall and parts[6] > 0 and all(p >= -0.03 for p in parts)
    if not ok or not parts[10] <= wall:
        sys.exit(1)
sys.exit(len(rows) != 3)
PY

# The same with a program that changes what two workers have computed.
cat >"$scratch/program" <<SH
#!/usr/bin/env bash
"$program" "\$@" || exit
case "\${OMPI_COMM_WORLD_RANK:-\${PMIX_RANK:-}} \$*" in
"0 run "*/float32.2.h5*) "$python" "$KO_SOURCE_DIR/tests/e2e/cubes.py" change "$scratch/scaling/float32.2.h5" logprob 1e-6 ;;
esac
SH
chmod +x "$scratch/program"
KNOCKOUT=$scratch/program
status=0
scaling '1 2' >"$scratch/out" 2>&1 || status=$?
cat "$scratch/out"
[ "$status" -ne 0 ] && grep -q 'differ in logprob' "$scratch/out" || fail "a cube with another value: exit $status"
