#!/usr/bin/env bash
# Runs one command of knockout as a step of a Slurm job. The scripts *.sbatch beside it call it; it is not submitted itself.
# Usage, inside a job:  step.sh [-n RANKS] COMMAND ARGUMENT...      e.g.  step.sh run sweep.yaml -o sweep.h5 --resume
#
#   - starts the ranks with srun, one a task, or a worker a GPU and the coordinator where the job has GPUs
#   - lets `run` and `evaluate` stop by themselves before the job's wall time is over (--stop-at)
#   - exit 75 (stopped early, resumable): puts the job, or this task of an array, back into the queue
#   - exit 3 (complete, failed cells are recorded): says so and exits with 0
#   - any other exit status is the job's
#
# Environment, all optional:
#   KNOCKOUT           the program; default: the release build of this checkout, this installation's, or the one on PATH
#   KO_SRUN            options of srun that connect the ranks; default --mpi=pmix
#   KO_WRAP            words before the program, for containers: "apptainer exec --nv /containers/knockout.sif"; KNOCKOUT is the program
#                      in the container then, by default `knockout`
#   KO_MOST_RESTARTS   how often a job may be put back into the queue; default 100
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=slurm/program.inc
source "$here/program.inc"

say() { printf 'step.sh: %s\n' "$*" >&2; }

ranks=
if [ "${1:-}" = -n ]; then
    ranks=$2
    shift 2
fi
if [ $# -eq 0 ] || [ -z "${SLURM_JOB_ID:-}" ]; then
    sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi

# What squeue and scontrol call this job. An array's last task has the array's own number as its SLURM_JOB_ID, which names all its tasks.
job=$SLURM_JOB_ID
[ -z "${SLURM_ARRAY_JOB_ID:-}" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

# stop_at: prints when the ranks are to stop, in epoch seconds: two minutes before the job's end, or a quarter of what is left where
# that is less. Nothing where the job has no end. (The variable SLURM_JOB_END_TIME does not exist before Slurm 23.)
stop_at() {
    local text end left margin
    text=$(SLURM_TIME_FORMAT=standard squeue -h -j "$job" -o %e 2>/dev/null)
    [ -n "$text" ] && end=$(date -d "$text" +%s 2>/dev/null) || return 0
    left=$((end - $(date +%s)))
    margin=$((left / 4 < 120 ? left / 4 : 120))
    echo $((end - (margin > 0 ? margin : 0)))
}

# lay_out: options of srun that say how many ranks run, and where; the array `layout`.
#
# Rank 0 is the coordinator: it computes nothing and holds no GPU. Every other rank is a worker, and takes the GPU of its own number
# among the workers of its node. So a job on N nodes of G GPUs has N*G+1 ranks: G+1 on the first node, G on each other one. Every task
# sees all GPUs of its node, and the program binds one to each worker: --gpus-per-task, --gpu-bind and --ntasks-per-gpu would give one
# to the coordinator too, and hide from each rank the GPUs of its neighbours.
#
# --ntasks-per-node=G+1 makes room for them on every node; the task that is one too many on the other nodes is left out here.
lay_out() {
    local gpus=${SLURM_GPUS_ON_NODE:-0} nodes=${SLURM_JOB_NUM_NODES:-1} slots=${SLURM_NTASKS_PER_NODE:-} names name list first other k
    layout=()
    # srun does not take it over from sbatch since Slurm 22.05.
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || layout+=(--cpus-per-task="$SLURM_CPUS_PER_TASK")
    if [ -n "$ranks" ]; then
        layout+=(--nodes=1 --ntasks="$ranks")
        return
    fi
    [ "$gpus" -gt 0 ] || return 0
    [ -n "$slots" ] || [ "$nodes" -gt 1 ] || slots=${SLURM_NTASKS:-}
    [ -n "$slots" ] || slots=$((gpus + 1))
    first=$((slots < gpus + 1 ? slots : gpus + 1))
    other=$((slots < gpus ? slots : gpus))
    [ "$slots" -gt "$gpus" ] || say "warning: $slots tasks a node for $gpus GPUs and the coordinator: a GPU stays idle, ask for --ntasks-per-node=$((gpus + 1))"
    # What sbatch asked for would contradict what is asked for here.
    unset SLURM_NTASKS SLURM_NPROCS SLURM_NTASKS_PER_NODE SLURM_TASKS_PER_NODE SLURM_HOSTFILE
    if [ "$nodes" -eq 1 ]; then
        layout+=(--nodes=1 --ntasks="$first")
        return
    fi
    names=$(scontrol show hostnames "$SLURM_JOB_NODELIST") || exit 1
    list=
    for name in $names; do
        [ "$name" = "${names%%$'\n'*}" ] && k=$first || k=$other
        for (( ; k > 0; k--)); do
            list+=${list:+,}$name
        done
    done
    layout+=(--distribution=arbitrary --nodelist="$list" --ntasks=$((first + (nodes - 1) * other)))
}

# put_back: queues this job again, under its number; it goes on after Slurm's delay of about two minutes. Jobs that wait for its end
# (the merge behind an array) go on waiting. An exit status alone would requeue nothing.
put_back() {
    local most=${KO_MOST_RESTARTS:-100}
    if [ "${SLURM_RESTART_COUNT:-0}" -ge "$most" ]; then
        say "stopped early once more after $most restarts (KO_MOST_RESTARTS): not queued again, submit it anew to go on"
    else
        # Said before: Slurm ends this script as soon as it has put the job back.
        say "stopped early: $job goes back into the queue, and on from there when it runs again"
        if scontrol requeue "$job"; then
            sleep 120
            exit 75
        fi
        say "$job cannot be put back: submit it anew to go on"
    fi
    exit 75
}

main() {
    local program mpi wrap layout command stop status
    program=$(ko_program "$here") || exit 2
    read -ra wrap <<<"${KO_WRAP:-}"
    read -ra mpi <<<"${KO_SRUN:---mpi=pmix}"
    lay_out

    command=("$program" "$@")
    case $1 in
    run | evaluate)
        stop=$(stop_at)
        [ -z "$stop" ] || command+=(--stop-at "$stop")
        ;;
    esac

    # --wait: when one rank is gone without a word, the others are ended after half a minute instead of waiting for it until the wall time.
    # Not --kill-on-bad-exit: it would kill the last ranks of a polite stop, whose exit status is 75, while they leave.
    command=(srun "${mpi[@]}" "${layout[@]}" --kill-on-bad-exit=0 --wait=30 "${wrap[@]}" "${command[@]}")
    say "job=$job restart=${SLURM_RESTART_COUNT:-0} nodes=${SLURM_JOB_NODELIST:-} command: ${command[*]}"
    "${command[@]}"
    status=$?

    case $status in
    3)
        say "complete, but some cells failed: knockout status names them"
        exit 0
        ;;
    75) put_back ;;
    esac
    exit "$status"
}

# In one piece, and called last: the shell has read it all before it starts, so a new version of this file does not disturb jobs.
main "$@"
