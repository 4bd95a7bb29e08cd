#!/usr/bin/env bash
# Environments that a run meets on clusters and laptops: long paths, a folder for temporary files that is not there, a shell inside a step
# of Slurm's without PMIx, a signal that comes twice.
source "$(dirname "$0")/small_spec.inc"
export OMP_NUM_THREADS=1
sed -i -e "s/n: 12/n: 3/" -e '/^sweeps/,$d' "$scratch/spec.yaml"
run() { "$KNOCKOUT" run "$scratch/spec.yaml" --progress none "$@"; }

echo "== long paths"
long=$scratch
for _ in 1 2 3 4; do
    long=$long/$(printf 'folder_of_an_experiment_%.0s' 1 2 3 4)
done
mkdir -p "$long"
[ ${#long} -gt 350 ] || fail "the path has ${#long} bytes only"
run -o "$long/sweep.h5" --log-level warn || fail "a path of ${#long} bytes: exit $?"
"$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/spec.yaml" -o "$long/three.h5" --progress none --log-level warn || fail "the same on three ranks: exit $?"
[ "$(find "$long" -type f -printf "%f\n" | sort | tr "\n" " ")" = "sweep.evaluation.h5 sweep.h5 three.evaluation.h5 three.h5 " ] || fail "other files are there: $(find "$long")"
name=$(printf 'n%.0s' $(seq 250)).h5
status=0
(cd "$scratch" && run -o "$name") 2>"$scratch/err" || status=$?
[ "$status" -eq 2 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] && grep -q 'File name too long' "$scratch/err" ||
    { cat "$scratch/err"; fail "a name of 253 bytes: exit $status"; }

echo "== TMPDIR"
status=0
TMPDIR=/scratch/job77/none run -o "$scratch/cube.h5" 2>"$scratch/err" || status=$?
cat "$scratch/err"
[ "$status" -eq 2 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "without the folder of TMPDIR: exit $status"
grep -q '^knockout: TMPDIR=/scratch/job77/none: .*No such file or directory, make the folder' "$scratch/err" || fail "TMPDIR is not named"
[ ! -e "$scratch/cube.h5" ] || fail "a cube is left behind"
TMPDIR=/scratch/job77/none "$KNOCKOUT" verify "$long/sweep.h5" --sample 3 || fail "verify needs TMPDIR"

echo "== one process in a step of Slurm's without PMIx"
host=$(hostname)
env SLURM_JOB_ID=77 SLURM_JOBID=77 SLURM_NODELIST="$host" SLURM_JOB_NODELIST="$host" SLURM_NNODES=1 SLURM_PROCID=0 SLURM_LOCALID=0 \
    SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_STEP_NUM_TASKS=1 SLURM_NTASKS=1 SLURM_TASKS_PER_NODE=1 \
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/step.h5" --progress none --log-level warn || fail "in a step: exit $?"

echo "== TERM, as timeout sends it"
sed -e "s/n: 3,/n: 900,/" -e "s/sizes: .1, 3., starts: {every: 2}/sizes: [1, 2, 3, 4, 5, 6], starts: all/" "$scratch/spec.yaml" >"$scratch/large.yaml"
"$KNOCKOUT" run "$scratch/large.yaml" -o "$scratch/large.h5" --progress none --log-level error &
pid=$!
for _ in $(seq $((400 * slow))); do
    [ -e "$scratch/large.lock" ] && break
    sleep 0.02
done
# To the process and, at once, to its group.
kill -TERM "$pid"
kill -TERM "$pid" 2>/dev/null || :
status=0
wait "$pid" || status=$?
[ "$status" -eq 75 ] || fail "two TERM at once end a run with $status, not politely"
