#!/usr/bin/env bash
# A sweep as an array under Slurm: evaluation, four tasks and merge from one command leave the cube of one job, also where a task was
# stopped in its middle; a merge names the task that failed and the one that never ran, and the same command again makes it whole.
source "$(dirname "$0")/small_spec.inc"
# shellcheck source=tests/e2e/slurm.inc
source "$KO_SOURCE_DIR/tests/e2e/slurm.inc"
cd "$scratch"
sed -i 's/n: 12/n: 700/' spec.yaml

"$KNOCKOUT" run spec.yaml -o whole.h5 --progress none --threads 1 --log-level warn

# submit NAME ARGUMENT...: submits four tasks for NAME.h5; sets $evaluation, $array and $merge to the jobs' numbers.
submit() {
    local name=$1
    shift
    "$KO_SLURM/submit.sh" spec.yaml -o "$name.h5" --tasks 4 --time=30 --ntasks-per-node=2 --cpus-per-task=1 "$@" -- --threads 1 \
        --backend cpu --progress none --commit-seconds 0.2 >out || { cat out; fail "submit.sh $name"; }
    cat out
    evaluation=$(sed -n 's/^evaluation: job //p' out)
    array=$(sed -n 's/^array: job //p' out)
    merge=$(sed -n 's/^merge: job //p' out)
}
task_state() { scontrol show job "${array}_$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p' | head -1; }
task_runs() { [ "$(task_state "$1")" = RUNNING ] && [ -e "$2.shard-000$1-of-0004.h5" ]; }

echo "== evaluation, array and merge"
submit cube
wait_for 300 "evaluation, array and merge" ended "$evaluation,$array,$merge"
for job in "$evaluation" "${array}_1" "${array}_4" "$merge"; do
    [ "$(job_state "$job")" = COMPLETED ] || { cat cube.logs/*; fail "job $job: $(job_state "$job")"; }
done
cubes same whole.h5 cube.h5
cubes same whole.evaluation.h5 cube.evaluation.h5
for k in 1 2 3 4; do
    [ -s "cube.logs/array-${array}_$k.log" ] || fail "task $k has no log of its own: $(ls cube.logs)"
    ! says "cube.logs/array-${array}_$k.log" ' evaluate ' || fail "task $k evaluated again"
done
[ "$(find cube.logs -type f | wc -l)" -eq 6 ] || fail "more or fewer than six logs: $(ls cube.logs)"

"$KO_SLURM/submit.sh" spec.yaml -o cube.h5 --tasks 4 --time=30 --ntasks-per-node=2 --cpus-per-task=1 >out || fail "a complete array again: exit $?"
grep -q 'cube.h5: is complete already, nothing is submitted' out || { cat out; fail "a complete array again"; }

echo "== a request that fits no node, and a script from another folder"
status=0
"$KO_SLURM/submit.sh" spec.yaml -o large.h5 --tasks 4 2>out || status=$?
cat out
[ "$status" -eq 2 ] && grep -q 'needs 20 cores on a node (5 tasks of 4), the nodes of main have at most 4' out || fail "a request for 20 cores: exit $status"
mkdir elsewhere
slurm=$KO_SLURM
job=$(cd elsewhere && env -u KO_SLURM sbatch --parsable --output="$scratch/elsewhere.log" --time=30 --ntasks-per-node=1 --cpus-per-task=1 \
    "$slurm/evaluate.sbatch" "$scratch/spec.yaml" -o "$scratch/cube.evaluation.h5" --threads 1 --backend cpu --progress none)
wait_for 120 "the job from another folder" ended "$job"
[ "$(job_state "$job")" = COMPLETED ] || { cat elsewhere.log; fail "the job from another folder: $(job_state "$job")"; }

echo "== a task is put back in its middle"
array=$(sbatch --parsable --output='auto-%A_%a.log' --array=1-4 --time=30 --ntasks-per-node=2 --cpus-per-task=1 "$KO_SLURM/array.sbatch" \
    spec.yaml -o auto.h5 --evaluation cube.evaluation.h5 --threads 1 --backend cpu --progress none --commit-seconds 0.1)
merge=$(sbatch --parsable --output=auto-merge.log --dependency="afterany:$array" "$KO_SLURM/merge.sbatch" auto.h5 4)
# The last task is the one whose number is the array's.
wait_for 120 "task 4 runs" task_runs 4 auto
scancel --signal=USR1 "${array}_4"
wait_for 300 "array and merge" ended "$array,$merge"
says "auto-${array}_4.log" "stopped early: ${array}_4 goes back" || { cat "auto-${array}_4.log"; fail "task 4 was not stopped"; }
says "auto-${array}_4.log" "restart=1 " || fail "task 4 was not started again"
for k in 1 2 3; do
    ! says "auto-${array}_$k.log" "restart=1 " || fail "task $k was started again with task 4"
done
[ "$(job_state "$merge")" = COMPLETED ] || { cat auto-merge.log; fail "the merge: $(job_state "$merge")"; }
cubes same whole.h5 auto.h5

echo "== one task fails, one never runs"
submit parts --at-once 1 --evaluation cube.evaluation.h5
wait_for 120 "task 1 runs" task_runs 1 parts
scancel "${array}_3"
wait_for 120 "task 2 runs" task_runs 2 parts
kill -KILL "$(rank_pid "$(scontrol show job "${array}_2" | sed -n 's/^JobId=\([0-9]*\).*/\1/p')" 1)"
wait_for 300 "array and merge" ended "$array,$merge"
[ "$(task_state 1) $(task_state 2) $(task_state 4)" = "COMPLETED FAILED COMPLETED" ] ||
    fail "tasks: $(task_state 1) $(task_state 2) $(task_state 4)"
[ ! -e parts.shard-0003-of-0004.h5 ] || fail "task 3 was not cancelled in time"
cat "parts.logs/merge-$merge.log"
[ "$(job_state "$merge")" = FAILED ] || fail "the merge of a part: $(job_state "$merge")"
says "parts.logs/merge-$merge.log" 'parts.shard-0003-of-0004.h5' || fail "the merge does not name the shard that is missing"
[ ! -e parts.h5 ] || fail "the merge of a part leaves a cube"
submit parts --only 3 --evaluation cube.evaluation.h5
wait_for 300 "task 3 and merge" ended "$array,$merge"
cat "parts.logs/merge-$merge.log"
says "parts.logs/merge-$merge.log" 'the same command again goes on with what is missing, .*submit.sh spec.yaml -o parts.h5 --tasks 4' ||
    fail "the merge does not name the command"
says "parts.logs/merge-$merge.log" 'parts.shard-0002-of-0004.h5.*incomplete' || fail "the merge does not name the shard that is incomplete"
submit parts --evaluation cube.evaluation.h5
wait_for 300 "all tasks again" ended "$array,$merge"
[ "$(job_state "$merge")" = COMPLETED ] || { cat "parts.logs/merge-$merge.log"; fail "the merge: $(job_state "$merge")"; }
cubes same whole.h5 parts.h5

echo "== the evaluation fails"
echo "no cube" >bad.evaluation.h5
submit bad
wait_for 120 "nothing is left in the queue" ended "$evaluation,$array,$merge"
[ "$(job_state "$evaluation") $(job_state "$array") $(job_state "$merge")" = "FAILED CANCELLED FAILED" ] ||
    fail "after a failed evaluation: $(job_state "$evaluation") $(job_state "$array") $(job_state "$merge")"
says "bad.logs/merge-$merge.log" 'none of its 4 shards is there' || fail "the merge does not say that it found nothing"
