#!/usr/bin/env bash
# Jobs that do not end in one go under Slurm: one that is put back in its middle, one that is asked to stop and puts itself back, one
# whose rank is killed, one whose node fails. Each ends complete, with the cube of an undisturbed run. One that is cancelled stays cancelled.
source "$(dirname "$0")/small_spec.inc"
# shellcheck source=tests/e2e/slurm.inc
source "$KO_SOURCE_DIR/tests/e2e/slurm.inc"
cd "$scratch"
sed -i 's/n: 12/n: 700/' spec.yaml

"$KNOCKOUT" run spec.yaml -o whole.h5 --progress none --threads 1 --log-level warn

# submit NAME: a job on both nodes that computes NAME.h5 and logs to NAME.log; sets $job.
submit() {
    job=$(sbatch --parsable --output="$1.log" --time=60 --nodes=2 --ntasks-per-node=2 --cpus-per-task=1 "$KO_SLURM/several-nodes.sbatch" \
        spec.yaml -o "$1.h5" --evaluation whole.evaluation.h5 --threads 1 --progress none --commit-seconds 0.2 --backend cpu)
}

# some_cells CUBE: whether a part of its cells is computed, and not all of them.
some_cells() {
    local status=0
    "$KNOCKOUT" status "$1" --json >"$scratch/status.json" 2>/dev/null || status=$?
    [ "$status" -eq 4 ] && "$python" -c 'import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(not 0 < j["total"]["done"] < j["total"]["done"] + j["total"]["pending"])' "$scratch/status.json"
}

# complete NAME RESTARTS: the job ended well after that many restarts, with the undisturbed cube; no part was the whole.
complete() {
    wait_for 180 "$1 goes on" ended "$job"
    [ "$(job_state "$job")" = COMPLETED ] || { cat "$1.log"; fail "$1: $(job_state "$job")"; }
    says "$1.log" "restart=$2 " || { cat "$1.log"; fail "$1: no restart $2"; }
    ! says "$1.log" "restart=$(($2 + 1)) " || { cat "$1.log"; fail "$1: more than $2 restarts"; }
    cubes same whole.h5 "$1.h5" || fail "$1: another cube"
}

echo "== put back in its middle"
submit requeued
wait_for 60 "the first cells" some_cells requeued.h5
scontrol requeue "$job"
wait_for 60 "the job is queued again" is_pending "$job"
some_cells requeued.h5 || fail "the job was not put back in its middle"
complete requeued 1

echo "== asked to stop"
submit stopped
wait_for 60 "the first cells" some_cells stopped.h5
scancel --signal=USR1 "$job"
wait_for 30 "the job puts itself back" is_pending "$job"
some_cells stopped.h5 || fail "the job was not stopped in its middle"
says stopped.log "stopped early: $job goes back" || { cat stopped.log; fail "the log does not say that the job goes on"; }
complete stopped 1

echo "== a rank is killed"
submit killed
wait_for 60 "the first cells" some_cells killed.h5
kill -KILL "$(rank_pid "$job" 2)"
wait_for 90 "the job ends when a rank is gone" ended "$job"
[ "$(job_state "$job")" = FAILED ] || { cat killed.log; fail "a job without one of its ranks: $(job_state "$job")"; }
some_cells killed.h5 || fail "the rank was not killed in the middle"
submit killed
complete killed 0

echo "== a node fails"
submit moved
wait_for 60 "the first cells" some_cells moved.h5
scontrol update NodeName=n2 State=DOWN Reason=test
wait_for 60 "the job is queued again" is_pending "$job"
some_cells moved.h5 || fail "the node did not fail in the middle"
# The node is not really gone: its slurmd takes no new ranks of the job while it is ending the old ones.
rank_gone() { ! rank_pid "$job" "$1" >/dev/null; }
wait_for 60 "the ranks of the failed node end" rank_gone 3
scontrol update NodeName=n2 State=RESUME 2>/dev/null || : # it may have come back by itself
complete moved 1

echo "== too many restarts"
KO_MOST_RESTARTS=0 submit limited
wait_for 60 "the first cells" some_cells limited.h5
scancel --signal=USR1 "$job"
wait_for 30 "the job ends" ended "$job"
[ "$(job_state "$job") $(exit_code "$job")" = "FAILED 75" ] || { cat limited.log; fail "no limit: $(job_state "$job")"; }

echo "== cancelled"
submit cancelled
wait_for 60 "the first cells" some_cells cancelled.h5
scancel "$job"
wait_for 60 "the job is gone" ended "$job"
[ "$(job_state "$job")" = CANCELLED ] || { cat cancelled.log; fail "a cancelled job: $(job_state "$job")"; }
some_cells cancelled.h5 || fail "the cancelled job's cube is not usable"
