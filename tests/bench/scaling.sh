#!/usr/bin/env bash
# One sweep on several numbers of workers of one machine: Mamba 2.8B's shape with random weights (a checkpoint of 5.5 GB is written
# first), 2,000 prompts, four routes, window 9, all 56 starts: 448,000 cells. Prints what each part of the wall time from spec to
# finished cube took, the speed-up and the efficiency, and fails unless all cubes of a precision have the same bits.
#
#   tests/bench/scaling.sh FOLDER PROMPTS TOKENIZER [MPIRUN...] [-- KNOCKOUT OPTIONS...]
#
# FOLDER gets the checkpoint (kept: a second call uses it again), the cubes, the logs and scaling.tsv. PROMPTS is a prompt file, TOKENIZER
# a tokenizer.json. MPIRUN are the words before `-n RANKS` (default: mpirun --oversubscribe --bind-to none). In the environment:
#   KNOCKOUT    the program (knockout)
#   WORKERS     numbers of workers, ascending (those of 1 2 4 8 that the machine has GPUs for, or processors where it has no GPU);
#               one worker is one rank without mpirun, N workers are N + 1 ranks
#   PRECISIONS  (float32 bf16x3)
#   ROUNDS      how often everything is measured (1); of each number of workers the fastest run counts
#   SAMPLE, SHAPE, CONFIG, CHECKPOINT, ROUTES, SIZES   another sweep, as in sweep_job.inc; SHAPE is mamba-2.8b
# On CPUs bits are the same only with the same number of threads: give `-- --threads 1`. A tiny sweep:
#   CHECKPOINT=jobs/models/mamba-facts SHAPE=mamba-facts SAMPLE=60 SIZES=3 PRECISIONS=float32 WORKERS='1 2' \
#       scaling.sh /tmp/scaling jobs/facts.jsonl jobs/models/mamba-facts/tokenizer.json -- --threads 1
#
# The parts, in seconds; their sum is the wall time:
#   launch   mpirun, loading the program, the end of MPI
#   start    MPI and the GPUs until rank 0 reads the spec
#   plan     reading spec and prompts, planning, making the cubes and sending the jobs, of both steps
#   open     the workers' GPUs until the first can compute
#   load     reading and exchanging the weights: mean over the workers
#   evaluate the rest of the evaluation
#   compute  of the sweep: mean over the workers
#   wait     the rest of the sweep, in which a worker has nothing to compute
#   end      after the last commit, until MPI ends
# Beside them: commit, in commit rounds of the sweep, which run beside the computing but for the last one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/sweep_job.inc
. "$here/sweep_job.inc"
if [ $# -lt 3 ]; then
    sed -n 's/^#   tests/usage: tests/p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
folder=$1 prompts=$2 tokenizer=$3 shape=${SHAPE:-mamba-2.8b} knockout=${KNOCKOUT:-knockout} table=$1/scaling.tsv
split_words "${@:4}"
set -- "${behind[@]}"
launch=("${ahead[@]}")
[ ${#launch[@]} -gt 0 ] || launch=(mpirun --oversubscribe --bind-to none)
if [ -z "${WORKERS:-}" ]; then
    n=$({ nvidia-smi -L 2> /dev/null || true; } | wc -l)
    [ "$n" -gt 0 ] || n=$(nproc)
    for w in 1 2 4 8; do [ "$w" -gt "$n" ] || WORKERS="${WORKERS:-} $w"; done
fi
read -r -a workers <<< "$WORKERS"
read -r -a precisions <<< "${PRECISIONS:-float32 bf16x3}"

# run PRECISION WORKERS OPTIONS...: adds a line to the table.
run() {
    local precision=$1 n=$2 name=$1.$2 begin end words=()
    shift 2
    [ "$n" -eq 1 ] || words=("${launch[@]}" -n $((n + 1)))
    rm -f "$folder/$name.h5" "$folder/$name.evaluation.h5"
    begin=$(date +%s.%N)
    "${words[@]}" "$knockout" run "$folder/scaling.yaml" -o "$folder/$name.h5" --precision "$precision" --progress none --log-level debug \
        "$@" 2> "$folder/$name.log" || { cat "$folder/$name.log" >&2; return 1; }
    end=$(date +%s.%N)
    "$knockout" status "$folder/$name.h5" > "$folder/$name.status" || { cat "$folder/$name.status"; return 1; }
    awk -v wall="$(awk -v a="$begin" -v b="$end" 'BEGIN { print b - a }')" -v precision="$precision" -v n="$n" '
        function number(name) { if (!match($0, name "=[0-9.]+")) { print "scaling.sh: no " name " in: " $0 > "/dev/stderr"; bad = 1; exit 1 }
                                return substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 1) + 0 }
        BEGIN { open = load = plan = of_sweep = evaluate = 0 }
        / start mpi_seconds=/ { start = number("mpi_seconds") + number("gpus_seconds"); seen++ }
        / prepare_seconds=/ { plan += number("prepare_seconds") }
        / open_seconds=/ { t = number("open_seconds"); if (t > open) open = t }
        / evaluate seconds=/ { evaluate = number("seconds"); load += number("worker_load") }
        / sweep seconds=/ { sweep = number("seconds"); of_sweep = number("worker_load"); load += of_sweep
                            compute = number("worker_compute"); commit = number("worker_commit"); seen++ }
        / end seconds=/ { last = number("seconds"); total = number("total_seconds"); seen++ }
        END {
            if (bad) exit 1
            if (seen != 3) { print "scaling.sh: the log lacks a line" > "/dev/stderr"; exit 1 }
            first = evaluate > 0 ? evaluate - open - (load - of_sweep) : 0
            rest = sweep - compute - of_sweep - (evaluate > 0 ? 0 : open)
            OFS = "\t"
            print precision, n, wall, wall - total, start, plan, open, load, first, compute, rest, last, commit, sweep
        }' "$folder/$name.log" >> "$table"
}

sweep_inputs "$shape" scaling 2000 all "$folder" "$prompts" "$tokenizer"
cat "${CHECKPOINT:-$folder/$shape}"/*.safetensors > /dev/null # into the system's cache
: > "$table"
for ((round = 0; round < ${ROUNDS:-1}; round++)); do
    for precision in "${precisions[@]}"; do
        for n in "${workers[@]}"; do
            run "$precision" "$n" "$@"
            [ "$n" = "${workers[0]}" ] || same_cubes "$folder/$precision.${workers[0]}.h5" "$folder/$precision.$n.h5"
        done
    done
done

awk -F '\t' '
    { key = $1 SUBSEP $2; if (!(key in wall)) order[++rows] = key
      if (!(key in wall) || $3 < wall[key]) { wall[key] = $3; row[key] = $0; sweep[key] = $14 }
      if (!($1 in first)) { first[$1] = key; n[$1] = $2 } }
    END {
        head = "launch start plan open load evaluate compute wait end commit"
        printf "%-9s %7s %8s", "precision", "workers", "wall"
        split(head, name, " ")
        for (k = 1; k <= 10; k++) printf " %8s", name[k]
        printf " %8s %10s %10s\n", "speed-up", "efficiency", "of sweep"
        for (r = 1; r <= rows; r++) {
            split(row[order[r]], v, "\t")
            base = first[v[1]]; share = v[2] / n[v[1]]
            printf "%-9s %7d %8.2f", v[1], v[2], v[3]
            for (k = 4; k <= 13; k++) printf " %8.2f", v[k]
            up = wall[base] / v[3]
            printf " %8.2f %8.1f %% %8.1f %%\n", up, 100 * up / share, 100 * sweep[base] / v[14] / share
        }
    }' "$table"
