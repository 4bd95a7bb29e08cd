#!/usr/bin/env bash
# `run --reuse` of a cube that has a part of a larger sweep: its cells are copied to the bit and marked, the others are computed, whatever
# the number of ranks, and after a kill.
source "$(dirname "$0")/small_spec.inc"
"$python" -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: Python lacks h5py or numpy"; exit 77; }
check() { "$python" "$KO_SOURCE_DIR/tests/e2e/reuse_check.py" "$@"; }
quiet=(--threads 1 --progress none)
run() { "$KNOCKOUT" run "$@" "${quiet[@]}"; }
head -n 60 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
# spec NAME N ROUTES SIZES STARTS [MODELS]: writes $scratch/NAME.yaml
spec() {
    cat >"$scratch/$1.yaml" <<YAML
models: [${6:-$KO_SOURCE_DIR/jobs/models/mamba-facts}]
prompts: {file: $scratch/facts.jsonl, select: all, sample: {n: $2, seed: 1}}
routes: [$3]
features: [all, slow-third+conv]
windows: {sizes: [$4], starts: $5}
row-budget: 512
YAML
}
# said WORDS...: the latest run's log has a line with all of them.
said() {
    local line words
    while read -r line; do
        for words; do
            grep -qF -- "$words" <<<"$line" || continue 2
        done
        return 0
    done <"$scratch/log"
    cat "$scratch/log"
    fail "the log does not say: $*"
}
# number KEY: of the line on reused cells.
number() { sed -n "s/.* reuse .* *$1=\([0-9,]*\).*/\1/p" "$scratch/log" | tr -d ,; }

routes="'last<-relation', 'last<-subject', 'last<-each'"
spec old 20 "$routes" 3 '{every: 2}'
spec larger 30 "'last<-first', $routes" '3, 5' '{every: 2}'
evaluation=$scratch/old.evaluation.h5
run "$scratch/old.yaml" -o "$scratch/old.h5" --log-level warn
run "$scratch/larger.yaml" -o "$scratch/whole.h5" --evaluation "$evaluation" --log-level warn
reuse() { "$KO_LAUNCH" 120 "$1" "$KNOCKOUT" run "$scratch/larger.yaml" -o "$scratch/$2.h5" --evaluation "$evaluation" "${@:3}" "${quiet[@]}"; }

echo "== one size, one route, ten prompts more"
for ranks in 1 3; do
    reuse $ranks larger$ranks --reuse "$scratch/old.h5" 2>"$scratch/log"
    said 'level=info' 'it lacks window size 5 (' "it lacks route last<-first (" 'it lacks prompt '
    read -r marked other < <(check cells "$scratch/larger$ranks.h5" "$scratch/old.h5")
    [ "$marked" -eq "$(number cells)" ] && [ "$other" -eq "$(number to_compute)" ] && [ "$marked" -gt 1000 ] ||
        { cat "$scratch/log"; fail "$marked cells are marked and $other are not"; }
    grep -q " sweep cells=$(sed -E ':a;s/([0-9])([0-9]{3})($|,)/\1,\2\3/;ta' <<<"$other") " "$scratch/log" ||
        { cat "$scratch/log"; fail "not $other cells were computed"; }
    check close "$scratch/larger$ranks.h5" "$scratch/whole.h5" 1e-4
done
cubes same "$scratch/larger1.h5" "$scratch/larger3.h5"
"$KNOCKOUT" verify "$scratch/larger3.h5" --sample 16 >/dev/null || fail "the cube does not verify"
"$KNOCKOUT" status "$scratch/larger3.h5" >/dev/null || fail "the cube is not complete"

echo "== killed and resumed, with --reuse again or without"
killed=0
for again in "" "--reuse $scratch/old.h5" "" "--reuse $scratch/old.h5" "" "--reuse $scratch/old.h5"; do
    [ "$killed" -lt 2 ] || break
    rm -f "$scratch/killed.h5"
    "$KNOCKOUT" run "$scratch/larger.yaml" -o "$scratch/killed.h5" --evaluation "$evaluation" --reuse "$scratch/old.h5" \
        --commit-seconds 0 --log-level warn "${quiet[@]}" &
    pid=$!
    # At least one batch beyond what was taken.
    while kill -0 $pid 2>/dev/null; do
        done=$("$KNOCKOUT" status "$scratch/killed.h5" --json 2>/dev/null | tr -d ' \n' | sed 's/.*"total":{[^}]*"done":\([0-9]*\).*/\1/') || done=0
        [ "${done:-0}" -le "$marked" ] || break
    done
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid || true
    # shellcheck disable=SC2086
    reuse 2 killed --resume $again 2>"$scratch/log"
    cubes same "$scratch/larger1.h5" "$scratch/killed.h5"
done
[ "$killed" -gt 0 ] || fail "no run was killed early enough to test anything"

echo "== a write that fails while cells are taken: values, marks, flags"
faulty=$(dirname "$KNOCKOUT")/tests/knockout_faults
again() { "$1" run "$scratch/old.yaml" -o "$scratch/torn.h5" --evaluation "$evaluation" --resume "${@:2}" "${quiet[@]}" --log-level error; }
if [ -x "$faulty" ]; then
    unsettled=0
    KO_FAULT=write:0:0 KO_FAULT_COUNTS=$scratch/count again "$faulty" --reuse "$scratch/old.h5"
    n=$(cat "$scratch/count.0")
    check cells "$scratch/torn.h5" "$scratch/old.h5"
    for back in 1 2 3 4 5 6 7 8 12 20; do
        rm "$scratch/torn.h5"
        ! KO_FAULT=write:0:$((n - back)) again "$faulty" --reuse "$scratch/old.h5" 2>/dev/null || continue
        rm -f "$scratch/torn.lock"
        [ -e "$scratch/torn.h5" ] || continue
        unsettled=$((unsettled + $(check unsettled "$scratch/torn.h5")))
        again "$KNOCKOUT"
        "$KNOCKOUT" status "$scratch/torn.h5" >/dev/null || fail "the cube is not complete"
        [ "$(check taken "$scratch/torn.h5" "$scratch/old.h5" 1e-5)" -eq 40 ] || fail "a cell is not the old cube's"
    done
    [ "$unsettled" -gt 0 ] || fail "no write failed between the marks and the flags"
fi

echo "== more starts: those in between are computed"
spec starts 20 "$routes" 3 all
run "$scratch/starts.yaml" -o "$scratch/starts.whole.h5" --evaluation "$evaluation" --log-level warn
run "$scratch/starts.yaml" -o "$scratch/starts.h5" --evaluation "$evaluation" --reuse "$scratch/old.h5" 2>"$scratch/log"
said 'it lacks window start 1 and others ('
read -r marked other < <(check cells "$scratch/starts.h5" "$scratch/old.h5")
[ "$marked" -eq "$(number cells)" ] && [ "$other" -eq "$(number to_compute)" ] || fail "$marked cells are marked and $other are not"
check close "$scratch/starts.h5" "$scratch/starts.whole.h5" 1e-4

echo "== a share of depth is so many layers; fewer of everything computes nothing"
spec fewer 10 "'last<-each', 'last<-subject'" '25%' '[0, 4]'
run "$scratch/fewer.yaml" -o "$scratch/fewer.h5" --evaluation "$evaluation" --reuse "$scratch/starts.h5" 2>"$scratch/log"
said ' to_compute=0'
said 'sweep complete already'
read -r marked other < <(check cells "$scratch/fewer.h5" "$scratch/starts.h5")
[ "$other" -eq 0 ] || fail "$other cells were computed although all are there"

echo "== shards take their part, and merge into the cube of one job"
for k in 1 2 3; do
    run "$scratch/larger.yaml" -o "$scratch/parts.h5" --evaluation "$evaluation" --reuse "$scratch/old.h5" --shard $k/3 --log-level warn
done
"$KNOCKOUT" merge -o "$scratch/merged.h5" "$scratch"/parts.shard-000?-of-0003.h5 >/dev/null || fail "merge"
cubes same "$scratch/larger1.h5" "$scratch/merged.h5"

echo "== nothing is taken: a warning says why"
spec other 20 "$routes" 2 '{every: 2}'
run "$scratch/other.yaml" -o "$scratch/other.h5" --evaluation "$evaluation" --reuse "$scratch/old.h5" 2>"$scratch/log"
said 'level=warn' 'nothing is taken' 'cells are computed: it lacks window size 2 ('
spec gpt 20 "$routes" 3 '{every: 2}' "$KO_SOURCE_DIR/jobs/models/gpt2-facts"
sed -i 's/features: .*/features: [all]/' "$scratch/gpt.yaml"
run "$scratch/gpt.yaml" -o "$scratch/gpt.h5" --reuse "$scratch/old.h5" 2>"$scratch/log"
said 'level=warn' 'nothing is taken' 'it lacks model gpt2-facts ('

echo "== a cube that was begun without --reuse takes whole prompts alone"
run "$scratch/larger.yaml" -o "$scratch/plain.h5" --evaluation "$evaluation" --commit-seconds 0 --stop-at "$(date +%s)" --log-level warn ||
    [ $? -eq 75 ] || fail "a run that is stopped"
if [ -e "$scratch/plain.h5" ]; then
    run "$scratch/larger.yaml" -o "$scratch/plain.h5" --evaluation "$evaluation" --resume --reuse "$scratch/old.h5" 2>"$scratch/log"
    said 'level=warn' 'was begun without --reuse'
    cubes same "$scratch/whole.h5" "$scratch/plain.h5"
fi
