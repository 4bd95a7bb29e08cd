#!/usr/bin/env bash
# Submits a sweep to Slurm as an array: the evaluation, then N tasks that compute a shard each, then the merge of their files.
# Usage: slurm/submit.sh SPEC -o CUBE --tasks N [OPTION...] [SBATCH-OPTION...] [-- KNOCKOUT-OPTION...]
#
#   -o, --output CUBE         the cube that the merge leaves; beside it CUBE.evaluation.h5, the shards and the folder CUBE.logs
#   --tasks N                 tasks of the array, each a job on its own
#   --at-once M               at most M of them run at a time
#   --only LIST               only these tasks, e.g. 3,7 or 5-8; the merge takes the others' shards as they are
#   --evaluation CUBE         select prompts from this evaluation instead of evaluating
#   --evaluate-with OPTION    another option of sbatch for the evaluation alone (may be repeated)
#   --merge-with OPTION       another option of sbatch for the merge alone (may be repeated)
#   --dry-run                 checks the spec and prints the commands, submits nothing
#   --unchecked               submits also what fits no node, as sinfo describes them
#   SBATCH-OPTION             --name=value, --name or -Xvalue, for all jobs; resources (nodes, tasks, GPUs, memory, time) not for the merge
#   KNOCKOUT-OPTION           options of `knockout run` and `knockout evaluate`, for all tasks alike; --reuse for the array alone
#
# Paths are relative to the folder it is started in, which must be one that the nodes see. Example:
#   slurm/submit.sh sweep.yaml -o results/sweep.h5 --tasks 16 --partition=gpu --gpus-per-node=4 --ntasks-per-node=5 --time=8:00:00
# A task is one node's 5 ranks of 4 cores for 12 hours, unless options of sbatch say otherwise.
# The same command again continues what is there: finished shards take seconds; where the cube is complete it says so and submits nothing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=slurm/program.inc
source "$here/program.inc"
# shellcheck source=slurm/fits.inc
source "$here/fits.inc"
again=() # this command without --only, for the merge's hint
for ((k = 1; k <= $#; k++)); do
    case ${!k} in
    --only) k=$((k + 1)) ;;
    --only=*) ;;
    *) again+=("${!k}") ;;
    esac
done

refuse() {
    echo "submit.sh: $*" >&2
    exit 2
}

spec='' cube='' tasks='' at_once='' only='' evaluation='' dry_run=false checked=true
for_all=() for_evaluation=() for_merge=() for_knockout=()

# need OPTION VALUE...: the arguments from an option on; it has a value.
need() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then
        refuse "$1: needs a value"
    fi
}

# The merge copies files on one core: what asks for the sweep's resources is not for it.
is_resource() {
    case $1 in
    --nodes* | --ntasks* | --cpus* | --gpu* | --gres* | --mem* | --time* | --exclusive* | --constraint* | --cores* | --threads-per-core*) true ;;
    --sockets* | --distribution* | --tres* | --hint* | --nodelist* | --array* | --signal* | -[NncGCtwaBm]*) true ;;
    *) false ;;
    esac
}

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    -o | --output) need "$@" && cube=$2 && shift ;;
    --output=*) cube=${1#*=} ;;
    --tasks) need "$@" && tasks=$2 && shift ;;
    --tasks=*) tasks=${1#*=} ;;
    --at-once) need "$@" && at_once=$2 && shift ;;
    --at-once=*) at_once=${1#*=} ;;
    --only) need "$@" && only=$2 && shift ;;
    --only=*) only=${1#*=} ;;
    --evaluation) need "$@" && evaluation=$2 && shift ;;
    --evaluation=*) evaluation=${1#*=} ;;
    --evaluate-with) need "$@" && for_evaluation+=("$2") && shift ;;
    --evaluate-with=*) for_evaluation+=("${1#*=}") ;;
    --merge-with) need "$@" && for_merge+=("$2") && shift ;;
    --merge-with=*) for_merge+=("${1#*=}") ;;
    --dry-run) dry_run=true ;;
    --unchecked) checked=false ;;
    --array=* | -a* | --dependency=* | -d* | --parsable | --wait | -W)
        refuse "$1: is set here, use --tasks, --at-once, --only and --evaluate-with" ;;
    --)
        shift
        for_knockout=("$@")
        break
        ;;
    -*) for_all+=("$1") ;;
    *)
        [ -z "$spec" ] || refuse "'$1': a second spec? Write options of sbatch as --name=value, those of knockout behind --"
        spec=$1
        ;;
    esac
    shift
done

[ -n "$spec" ] || refuse "no spec; --help says more"
[ -f "$spec" ] || refuse "$spec: is no file"
[ -n "$cube" ] || refuse "--output: missing, name the cube with -o CUBE"
[[ $tasks =~ ^[1-9][0-9]{0,3}$ ]] || refuse "--tasks: '${tasks:-}' is no number from 1 to 9999"
[[ -z $at_once || $at_once =~ ^[1-9][0-9]*$ ]] || refuse "--at-once: '$at_once' is no number of tasks"
[[ -z $only || $only =~ ^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$ ]] || refuse "--only: '$only' is no list like 3,7 or 5-8"
for number in ${only//[,-]/ }; do
    if [ "$((10#$number))" -lt 1 ] || [ "$((10#$number))" -gt "$tasks" ]; then
        refuse "--only: the tasks are numbered 1 to $tasks, not $number"
    fi
done
[ -z "$evaluation" ] || [ -f "$evaluation" ] || refuse "$evaluation: is no file, evaluate first or leave --evaluation out"
for option in "${for_knockout[@]}"; do
    case $option in
    -o | --output* | --resume | --overwrite | --evaluation* | --shard* | --stop-at*) refuse "$option: is set here for every job" ;;
    esac
done

# `knockout evaluate` has no cells to reuse.
for_evaluate=()
for ((k = 0; k < ${#for_knockout[@]}; k++)); do
    case ${for_knockout[k]} in
    --reuse) k=$((k + 1)) ;;
    --reuse=*) ;;
    *) for_evaluate+=("${for_knockout[k]}") ;;
    esac
done

stem=${cube%.h5}
logs=$stem.logs
[ -d "$(dirname "$cube")" ] || refuse "$cube: there is no folder '$(dirname "$cube")', create it first"
program=$(ko_program "$here")
read -ra wrap <<<"${KO_WRAP:-}"

# A cube that is there is never replaced.
if [ -e "$cube" ]; then
    status=0
    "${wrap[@]}" "$program" status "$cube" >/dev/null 2>&1 || status=$?
    case $status in
    0)
        [ ! "$spec" -nt "$cube" ] || refuse "$cube: is complete, but $spec was changed after it: remove the cube or choose another name"
        echo "$cube: is complete already, nothing is submitted (for another sweep choose another name)"
        exit 0
        ;;
    3) refuse "$cube: is complete with failed cells (knockout status names them): remove it, then the same command tries them again" ;;
    4) refuse "$cube: exists already and is not complete: continue it with one-node.sbatch, or remove it and merge again" ;;
    *) refuse "$cube: exists already, remove it or choose another name" ;;
    esac
fi

# What is wrong with the spec, the prompts or the checkpoints is said here and not by N tasks.
settings=()
for ((k = 0; k < ${#for_knockout[@]}; k++)); do
    [ "${for_knockout[k]}" != --set ] || settings+=(--set "${for_knockout[k + 1]:-}")
done
"${wrap[@]}" "$program" plan "$spec" "${settings[@]}" >/dev/null

shared=()
for option in "${for_all[@]}"; do
    is_resource "$option" || shared+=("$option")
done

# Words as a shell reads them. $evaluation_job and $array_job stay variables in the commands that are printed.
quoted() {
    local word
    for word in "$@"; do
        case $word in
        *\$evaluation_job | *\$array_job) printf ' %s' "$word" ;;
        '' | *[!A-Za-z0-9_./=:,%@+-]*) printf ' %q' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
}

# What never would run is said here: Slurm takes it, and lets it wait.
if $checked && ! $dry_run; then
    [ -n "$evaluation" ] || unfit=$(ko_fits evaluation "$here/evaluate.sbatch" "${for_all[@]}" "${for_evaluation[@]}") ||
        refuse "$unfit, or --unchecked to submit it as it is"
    unfit=$(ko_fits array "$here/array.sbatch" "${for_all[@]}") || refuse "$unfit, or --unchecked to submit it as it is"
    unfit=$(ko_fits merge "$here/merge.sbatch" "${shared[@]}" "${for_merge[@]}") || refuse "$unfit, or --unchecked to submit it as it is"
fi

submitted=()
cancel() {
    [ ${#submitted[@]} -eq 0 ] || scancel "${submitted[@]}"
    rmdir "$logs" 2>/dev/null || : # empty, where nothing has run
}

# submit VARIABLE WHAT SBATCH-ARGUMENT...: sets VARIABLE to the job's number; in a dry run prints the command that would.
submit() {
    local variable=$1 what=$2 number
    shift 2
    if $dry_run; then
        echo "$variable=\$(sbatch --parsable$(quoted "$@"))"
        return
    fi
    if ! number=$(sbatch --parsable "$@"); then
        cancel
        echo "submit.sh: the $what was not accepted; nothing is submitted" >&2
        exit 1
    fi
    number=${number%%;*} # the cluster's name may follow
    submitted+=("$number")
    printf -v "$variable" '%s' "$number"
    echo "$what: job $number"
}

pattern=${logs//%/%%} # sbatch reads %A, %a and %j in names of files
exports=(KNOCKOUT="$program" KO_SLURM="$here" KO_SHARDS="$tasks" KO_SUBMITTED="${BASH_SOURCE[0]}$(quoted "${again[@]}")")
for variable in KO_SRUN KO_WRAP KO_MOST_RESTARTS; do
    [ -z "${!variable:-}" ] || exports+=("$variable=${!variable}")
done
if $dry_run; then
    echo "mkdir -p$(quoted "$logs")"
    echo "export$(quoted "${exports[@]}")"
    # shellcheck disable=SC2016 # a variable of the printed commands
    evaluation_job='$evaluation_job' array_job='$array_job'
else
    command -v sbatch >/dev/null || refuse "sbatch is not found: start it where Slurm is, or with --dry-run"
    mkdir -p "$logs"
    export "${exports[@]}"
fi

after=()
if [ -z "$evaluation" ]; then
    evaluation=$stem.evaluation.h5
    submit evaluation_job evaluation --job-name=ko-eval --output="$pattern/evaluate-%j.log" "${for_all[@]}" \
        "${for_evaluation[@]}" "$here/evaluate.sbatch" "$spec" -o "$evaluation" "${for_evaluate[@]}"
    # Where the evaluation fails the array cannot run, and is cancelled instead of waiting for ever.
    after=(--dependency="afterok:$evaluation_job" --kill-on-invalid-dep=yes)
fi
submit array_job array --job-name=ko-array --array="${only:-1-$tasks}${at_once:+%$at_once}" --output="$pattern/array-%A_%a.log" \
    "${after[@]}" "${for_all[@]}" "$here/array.sbatch" "$spec" -o "$cube" --evaluation "$evaluation" "${for_knockout[@]}"
# Not afterok: one task that failed would keep the merge waiting for ever; it names the shards that are missing itself.
submit merge_job merge --job-name=ko-merge --dependency="afterany:$array_job" --output="$pattern/merge-%j.log" \
    "${shared[@]}" "${for_merge[@]}" "$here/merge.sbatch" "$cube" "$tasks"
$dry_run || echo "logs: $logs; the cube will be $cube"
