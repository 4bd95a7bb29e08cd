#!/usr/bin/env bash
# tests/bench/many_workers.sh and large_cube.sh at small sizes: the coordinator hands every batch of a real plan to 40 simulated workers,
# and a cube that is filled by commit rounds of two ranks is complete.
source "$(dirname "$0")/small_spec.inc"
BUILD=$(cd "$(dirname "$KNOCKOUT")/.." && pwd)
export BUILD MPIEXEC=${MPIEXEC:-mpirun}
[ -x "$BUILD/bin/tests/bench.coordinator" ] || fail "bench.coordinator is not built"

PROMPTS=200 MODELS=mamba-130m WORKERS=1,40 timeout $((120 * slow)) "$KO_SOURCE_DIR/tests/bench/many_workers.sh" seconds=1 >"$scratch/out" ||
    { cat "$scratch/out"; fail "many_workers.sh: exit $?"; }
cat "$scratch/out"
"$python" - "$scratch/out" <<'PY' || fail "the simulation is not what it should be"
import re
import sys
one, many = [dict(re.findall(r"(\w+)=\"?([^\" ]+)", line)) for line in open(sys.argv[1])]
batches, number = int(one["batches"]), lambda line, key: float(line[key])
for line, workers in (one, 1), (many, 40):
    work = batches * number(line, "batch_ms") / 1000
    # A worker cannot work faster than it does; each batch is a message there and one back.
    assert int(line["workers"]) == workers and int(line["batches"]) == batches > 40
    assert work / workers <= number(line, "wall_seconds") * 1.001, (work, line)
    assert int(line["messages"]) >= 2 * batches + 4 * workers
    assert abs(number(line, "efficiency") - work / workers / number(line, "wall_seconds")) < 0.01
PY

TMPDIR=$scratch ROUND_PROMPTS=5 timeout $((120 * slow)) "$KO_SOURCE_DIR/tests/bench/large_cube.sh" "$scratch" 20 2 >"$scratch/out" 2>&1 ||
    { cat "$scratch/out"; fail "large_cube.sh: exit $?"; }
cat "$scratch/out"
# 20 prompts x 2 models x 4 routes x 3 classes x (64 + 63 + ... + 55) windows
grep -Eq '^status .* exit=0 .*: total +285,600 +0 +0 +0 +285,600$' "$scratch/out" || fail "the cube is not complete"
grep -Eq '^commit ranks=2 rounds=4 ' "$scratch/out" || fail "two ranks did not commit in four rounds"
[ ! -e "$scratch/large_cube" ] || fail "the cube is left behind"
