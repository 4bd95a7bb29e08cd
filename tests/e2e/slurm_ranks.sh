#!/usr/bin/env bash
# Ranks under Slurm: two nodes with two ranks each leave the cube of one process, several programs that do not know each other are
# refused, and where nodes have GPUs the coordinator is one rank more on the first node.
source "$(dirname "$0")/small_spec.inc"
# shellcheck source=tests/e2e/slurm.inc
source "$KO_SOURCE_DIR/tests/e2e/slurm.inc"
cd "$scratch"

"$KNOCKOUT" run spec.yaml -o one.h5 --threads 1 --progress none --log-level warn

# ranks CUBE: how many ranks its last run had.
ranks() { "$python" -c 'import h5py, sys; r = h5py.File(sys.argv[1])["run_ranks"][...]; print(r[r > 0][-1])' "$1"; }

echo "== two nodes, two ranks each"
timeout 120 srun --mpi=pmix --nodes=2 --ntasks-per-node=2 "$KNOCKOUT" run spec.yaml -o four.h5 --threads 1 --progress none \
    --commit-seconds 0.05 --log-level warn || fail "run on two nodes"
cubes same one.h5 four.h5
cubes same one.evaluation.h5 four.evaluation.h5
[ "$(ranks four.h5)" = 4 ] || fail "the cube of two nodes was made by $(ranks four.h5) ranks, not 4"

echo "== without PMIx"
for mpi in --mpi=none ""; do
    status=0
    # shellcheck disable=SC2086
    timeout 60 srun $mpi --nodes=2 --ntasks-per-node=2 "$KNOCKOUT" run spec.yaml -o none.h5 --progress none 2>err || status=$?
    cat err
    [ "$status" -eq 2 ] || fail "srun $mpi of four programs exits with $status, not 2"
    grep -q '^knockout: .*launched as 4 separate programs.*use srun --mpi=pmix' err || fail "srun $mpi: the refusal does not say what to do"
    ! ls none* >/dev/null 2>&1 || fail "srun $mpi: refused programs leave files: $(ls none*)"
done

echo "== the scripts"
# one SCRIPT RANKS SBATCH-OPTION...: the script's job completes, has that many ranks and leaves the same cube.
one() {
    local script=$1 expected=$2 job
    shift 2
    job=$(sbatch --parsable --output=job.log --time=30 "$@" --cpus-per-task=1 "$KO_SLURM/$script" spec.yaml -o job.h5 --threads 1 \
        --backend cpu --progress none --commit-seconds 0.05)
    wait_for 120 "$script $*" ended "$job"
    [ "$(job_state "$job")" = COMPLETED ] || { cat job.log; fail "$script $*: $(job_state "$job")"; }
    cubes same one.h5 job.h5 || fail "$script $*: another cube"
    [ "$(ranks job.h5)" = "$expected" ] || fail "$script $*: $(ranks job.h5) ranks, not $expected"
    ! says job.log warning || { cat job.log; fail "$script $*: a warning"; }
    rm -f job.log job.h5 job.evaluation.h5
}
one one-node.sbatch 3 --ntasks-per-node=3
one several-nodes.sbatch 4 --ntasks-per-node=2
one one-node.sbatch 2 --gpus-per-node=1 --ntasks-per-node=4
one several-nodes.sbatch 3 --gpus-per-node=1 --ntasks-per-node=2

job=$(sbatch --parsable --output=job.log --time=30 --nodes=2 --gpus-per-node=1 --ntasks-per-node=1 --cpus-per-task=1 \
    "$KO_SLURM/several-nodes.sbatch" spec.yaml -o job.h5 --threads 1 --backend cpu --progress none)
wait_for 120 "a node too small for the coordinator" ended "$job"
says job.log 'a GPU stays idle, ask for --ntasks-per-node=2' || { cat job.log; fail "an idle GPU is not named"; }
cubes same one.h5 job.h5

echo "== a wrong spec"
sed 's/last<-subject/last<-subjekt/' spec.yaml >wrong.yaml
job=$(sbatch --parsable --output=wrong.log --time=30 --ntasks-per-node=2 --cpus-per-task=1 "$KO_SLURM/one-node.sbatch" wrong.yaml -o wrong.h5)
wait_for 60 "a job with a wrong spec" ended "$job"
[ "$(job_state "$job") $(exit_code "$job")" = "FAILED 2" ] || { cat wrong.log; fail "a wrong spec: $(job_state "$job"), exit $(exit_code "$job")"; }
says wrong.log "did you mean 'subject'" || { cat wrong.log; fail "the job's log does not say what is wrong"; }
