#!/usr/bin/env bash
# What other work on the same cores costs a run: a sweep of two bundled models and a `plan`, pinned to two cores, alone, beside one
# and beside two busy loops, with one rank of two threads and with three ranks (two workers of one thread). Needs the built program,
# bash, taskset and, for three ranks, mpirun; the cores must have nothing else to do.
#
#   tests/bench/busy.sh [--cores A,B] [--rounds N] [--limit SECONDS] [CASE...]
#
# A CASE is "LABEL PROGRAM [VARIABLE=VALUE...]": a build, or one build under another environment. Without any: build/release under
# its own choice, spins before sleeping of several lengths, passive waiting, and what GNU's OpenMP does by itself (300,000 tries).
# The cases take turns, and each round begins with another one. No round begins after SECONDS (240).
#
# A line: seconds of the sweep, median over the rounds [smallest, largest], and "of fair": that median over the fair share's time,
# which is the fastest case's time alone, times (2 + loops) / 2. Beside two loops it is to be 1.3 or less; alone, the difference to
# the fastest case is what the case costs an idle machine. The last columns: seconds that `plan` takes, and the time it predicts.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
cores=0,1 rounds=5 limit=240
# shellcheck source=tests/bench/words.inc
. "$here/tests/bench/words.inc"
take_options 'cores rounds limit' "$@" || { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2; }
set -- "${rest[@]}"
program=$here/build/release/bin/knockout
cases=("$@")
[ $# -gt 0 ] || cases=("default $program" "spin-300 $program GOMP_SPINCOUNT=300" "spin-1000 $program GOMP_SPINCOUNT=1000"
    "spin-3000 $program GOMP_SPINCOUNT=3000" "spin-10000 $program GOMP_SPINCOUNT=10000" "passive $program OMP_WAIT_POLICY=passive"
    "gnu-own $program GOMP_SPINCOUNT=300000")
command -v taskset >/dev/null || { echo "busy.sh: taskset is missing (package util-linux)" >&2 && exit 2; }
unset OMP_NUM_THREADS OMP_WAIT_POLICY GOMP_SPINCOUNT KMP_BLOCKTIME

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ko-busy.XXXXXX")
loops=()
end_loops() {
    [ ${#loops[@]} -eq 0 ] || { kill "${loops[@]}" && wait "${loops[@]}"; } 2>/dev/null || true
    loops=()
}
trap 'end_loops; rm -rf "$scratch"' EXIT
start_loops() {
    local k
    for ((k = 0; k < $1; k++)); do
        taskset -c "$cores" bash -c 'while :; do :; done' &
        loops+=($!)
    done
}

cat >"$scratch/spec.yaml" <<YAML
models: [$here/jobs/models/gpt2-facts, $here/jobs/models/mamba-facts]
prompts: {file: $here/jobs/facts.jsonl, sample: {n: ${KO_BUSY_PROMPTS:-200}, seed: 1}}
routes: ['last<-subject', 'last<-relation', 'last<-first', 'subject<-context']
windows: {sizes: [3]}
YAML
read -r _ first _ <<<"${cases[0]}"
taskset -c "$cores" "$first" evaluate "$scratch/spec.yaml" -o "$scratch/evaluation.h5" --progress none --log-level warn


sweep() { # RANKS PROGRAM VARIABLE=VALUE...
    local ranks=$1 program=$2
    shift 2
    local launch=()
    [ "$ranks" -eq 1 ] || launch=("$here/tests/launch.sh" 120 "$ranks")
    env "$@" taskset -c "$cores" "${launch[@]}" "$program" run "$scratch/spec.yaml" --evaluation "$scratch/evaluation.h5" \
        -o "$scratch/cube.h5" --overwrite --progress none 2>"$scratch/log" || { cat "$scratch/log" >&2 && exit 1; }
    sed -n 's/.* sweep seconds=\([0-9.]*\).*/\1/p' "$scratch/log"
}
plan() { # PROGRAM VARIABLE=VALUE...: what it took, and what it predicts
    local program=$1 begin=${EPOCHREALTIME/./}
    shift
    env "$@" taskset -c "$cores" "$program" plan "$scratch/spec.yaml" --evaluation "$scratch/evaluation.h5" --json >"$scratch/plan.json"
    awk -v t=$((${EPOCHREALTIME/./} - begin)) 'BEGIN { printf "%.2f ", t / 1e6 }'
    sed -n 's/.*"makespan_seconds": *\([0-9.e+-]*\).*/\1/p' "$scratch/plan.json"
}
median() { sort -g "$1" | awk '{ v[NR] = $1 } END { printf "%.3f %.3f %.3f\n", v[int((NR + 1) / 2)], v[1], v[NR] }'; }
all_ranks=(1)
if command -v "${MPIEXEC:-mpirun}" >/dev/null; then all_ranks+=(3); else echo "(no mpirun: one rank alone)"; fi

SECONDS=0
done_rounds=0
for ((round = 0; round < rounds && (round == 0 || SECONDS < limit); round++)); do
    for n_loops in 0 1 2; do
        start_loops "$n_loops"
        for ((k = 0; k < ${#cases[@]}; k++)); do
            read -r -a words <<<"${cases[(k + round) % ${#cases[@]}]}"
            for ranks in "${all_ranks[@]}"; do
                sweep "$ranks" "${words[@]:1}" >>"$scratch/run.${words[0]}.$ranks.$n_loops"
            done
            plan "${words[@]:1}" >"$scratch/planned"
            cut -d' ' -f1 "$scratch/planned" >>"$scratch/plan.${words[0]}.$n_loops"
            cut -d' ' -f2 "$scratch/planned" >>"$scratch/says.${words[0]}.$n_loops"
        done
        end_loops
    done
    done_rounds=$((done_rounds + 1))
done

echo "two cores ($cores) of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $done_rounds rounds, $SECONDS s"
for ranks in "${all_ranks[@]}"; do
    best=$(for c in "${cases[@]}"; do median "$scratch/run.${c%% *}.$ranks.0"; done | sort -g | awk 'NR == 1 { print $1 }')
    for n_loops in 0 1 2; do
        printf '\n%-12s %-22s %8s  %-18s' "$ranks rank$([ "$ranks" -eq 1 ] || echo s)" "$n_loops busy loops, sweep" "of fair" "plan takes"
        echo "plan predicts (1 rank)"
        for c in "${cases[@]}"; do
            label=${c%% *}
            printf '%-12s ' "$label"
            median "$scratch/run.$label.$ranks.$n_loops" | awk -v best="$best" -v loops="$n_loops" \
                '{ printf "%6.2f [%5.2f, %5.2f] s %8.2f  ", $1, $2, $3, $1 / best / ((2 + loops) / 2) }'
            median "$scratch/plan.$label.$n_loops" | awk '{ printf "%.2f [%.2f, %.2f] s  ", $1, $2, $3 }'
            median "$scratch/says.$label.$n_loops" | awk '{ printf "%.2f [%.2f, %.2f] s\n", $1, $2, $3 }'
        done
    done
done
