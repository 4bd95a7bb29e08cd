#!/usr/bin/env bash
# faults.sh [K]: something fails at the N-th chance on one rank of three: an allocation, opening or mapping a checkpoint's file, an
# HDF5 write, a message (of an unknown kind, or cut off), a kernel (an error, memory, logits that are not finite); and the disk is full.
# Every time: no hang (30 s), a message that names rank and cause, and a cube that --resume completes to that of an undisturbed run.
# KO_FAULT_KINDS names some of the kinds. Two N of a kind and rank are tried; with K every K-th, so with 1 all that there are.
source "$(dirname "$0")/small_spec.inc"
every=${1:-}
faulty=$(dirname "$KNOCKOUT")/tests/knockout_faults
[ -x "$faulty" ] || { echo "skipped: $faulty is not built"; exit 77; }

mkdir "$scratch/ck"
cp -r "$KO_SOURCE_DIR/tests/data/variants/falcon-mamba-sharded" "$KO_SOURCE_DIR/tests/data/variants/qwen2" "$scratch/ck/"
head -n 3 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
cat >"$scratch/spec.yaml" <<YAML
models: [$scratch/ck/falcon-mamba-sharded, $scratch/ck/qwen2]
prompts: {file: $scratch/facts.jsonl}
routes: ['last<-subject', 'last<-each']
windows: {sizes: [1, 2], starts: {every: 2}}
row-budget: 128
YAML
run() {
    "$KO_LAUNCH" 30 3 "$1" run "$scratch/spec.yaml" -o "$2" --resume --threads 1 --progress none --log-level error \
        --commit-seconds 0.01
}
run "$KNOCKOUT" "$scratch/whole.h5" || fail "the undisturbed run"

# words KIND: what the message must say.
words() {
    case $1 in
    allocation | kernel-memory) echo 'out of memory' ;;
    read) echo 'Input/output error' ;;
    write) echo 'cannot write\|cannot bring the file to disk\|cannot flush the file to disk' ;;
    message | short-message) echo 'message with tag' ;;
    kernel) echo 'injected kernel error' ;;
    *) echo 'the distribution over the vocabulary is not finite' ;;
    esac
}

trials=0 failures=0 recorded=0 harmless=0
# trial KIND RANK N
trial() {
    local kind=$1 rank=$2 n=$3 status=0 where="$1 number $3 on rank $2"
    rm -f "$scratch"/cube.*
    KO_FAULT=$kind:$rank:$n run "$faulty" "$scratch/cube.h5" 2>"$scratch/err" || status=$?
    trials=$((trials + 1))
    case $status in
    0) harmless=$((harmless + 1)) ;;
    3)
        recorded=$((recorded + 1))
        "$KNOCKOUT" status "$scratch/cube.h5" >"$scratch/status" && fail "$where: status does not say that cells failed"
        grep -q "$(words "$kind")" "$scratch/status" || { cat "$scratch/status"; fail "$where: status does not give the reason"; }
        ;;
    1 | 2)
        failures=$((failures + 1))
        grep -a '^knockout: ' "$scratch/err" | grep -q "$(words "$kind")" || { cat "$scratch/err"; fail "$where: no word of the cause"; }
        # What is wrong with the input is wrong for all ranks; before ranks know each other none is named.
        [ "$status" -eq 2 ] || grep -a '^knockout: ' "$scratch/err" | grep -q "rank [0-2]" || { cat "$scratch/err"; fail "$where: the rank is not named"; }
        ;;
    124 | 137) fail "$where: it hangs" ;;
    *) cat "$scratch/err"; fail "$where: exit $status" ;;
    esac
    run "$KNOCKOUT" "$scratch/cube.h5" 2>"$scratch/err" || { cat "$scratch/err"; fail "$where: the cube does not resume"; }
    cubes same "$scratch/whole.h5" "$scratch/cube.h5" >"$scratch/out" || { cat "$scratch/out"; fail "$where: the finished cube is another one"; }
}

for kind in ${KO_FAULT_KINDS:-allocation read write message short-message kernel kernel-memory not-finite not-finite-cell}; do
    rm -f "$scratch"/cube.* "$scratch"/count.*
    KO_FAULT=$kind:0:0 KO_FAULT_COUNTS=$scratch/count run "$faulty" "$scratch/cube.h5" || fail "counting $kind"
    cubes same "$scratch/whole.h5" "$scratch/cube.h5" >/dev/null
    for rank in 0 1; do
        total=$(cat "$scratch/count.$rank")
        [ "$total" -gt 0 ] || continue
        echo "== $kind on rank $rank: $total chances"
        # About the last ones messages and allocations differ from run to run.
        if [ -n "$every" ]; then
            chosen=$(seq 1 "$every" "$total")
        else
            chosen=$(printf '%s\n' $((total / 3 + 1)) $((total * 4 / 5 + 1)) | sort -nu)
        fi
        for n in $chosen; do
            trial "$kind" "$rank" "$n"
        done
    done
done
echo "$trials faults: $failures ended the run, $recorded were recorded, $harmless did no harm; all resumed"
[ -n "${KO_FAULT_KINDS:-}" ] || { [ "$failures" -gt 0 ] && [ "$recorded" -gt 0 ]; } || fail "nothing was tested"

echo "== a stop comes while a model cannot be loaded: the next one is left for --resume, not given up too"
sed "s|$scratch/ck/qwen2|$KO_SOURCE_DIR/tests/data/variants/qwen2|" "$scratch/spec.yaml" >"$scratch/two.yaml"
alone() {
    "$KO_LAUNCH" 30 1 "$1" run "$scratch/two.yaml" -o "$2" --evaluation "$scratch/two.evaluation.h5" --resume --threads 1 --progress none \
        --log-level error
}
"$KNOCKOUT" run "$scratch/two.yaml" -o "$scratch/two.h5" --threads 1 --progress none --log-level error
rm -f "$scratch"/count.*
KO_FAULT=read-and-stop:0:0 KO_FAULT_COUNTS=$scratch/count alone "$faulty" "$scratch/counted.h5" || fail "counting read-and-stop"
status=0
KO_FAULT=read-and-stop:0:$(cat "$scratch/count.0") alone "$faulty" "$scratch/stopped.h5" 2>"$scratch/err" || status=$?
[ "$status" -eq 75 ] || { cat "$scratch/err"; fail "a stop while a model cannot be loaded: exit $status, not 75"; }
"$KNOCKOUT" status "$scratch/stopped.h5" --json >"$scratch/status" || [ $? -eq 4 ] || fail "status of the stopped cube"
"$python" - "$scratch/status" <<'PY' || { cat "$scratch/status"; fail "the stopped run gave up other models than the one that cannot be loaded"; }
import json, sys
models = {m["model"]: m for m in json.load(open(sys.argv[1]))["models"]}
failed = {name: m["failed"] for name, m in models.items()}
sys.exit(not (failed["falcon-mamba-sharded"] > 0 and failed["qwen2"] == 0))
PY
alone "$KNOCKOUT" "$scratch/stopped.h5" || fail "the stopped run does not resume"
cubes same "$scratch/two.h5" "$scratch/stopped.h5" >/dev/null || fail "the stopped run ends with another cube"

echo "== the disk is full"
mkdir "$scratch/small"
if ! mount -t tmpfs -o size=4m tmpfs "$scratch/small" 2>/dev/null; then
    echo "skipped: a small disk cannot be mounted here"
    exit 0
fi
trap 'umount "$scratch/small"; rm -rf "$scratch"' EXIT
need=$(($(stat -c %s "$scratch/whole.h5") + $(stat -c %s "$scratch/whole.evaluation.h5")))
for share in 10 45 60 90 99; do
    rm -f "$scratch"/small/*
    mount -o "remount,size=$((need * share / 100))" "$scratch/small"
    status=0
    run "$KNOCKOUT" "$scratch/small/cube.h5" 2>"$scratch/err" || status=$?
    [ "$status" -eq 1 ] || { cat "$scratch/err"; fail "a disk of $share % of the need: exit $status, not 1"; }
    grep -a '^knockout: ' "$scratch/err" | grep -q 'No space left on device' || { cat "$scratch/err"; fail "a full disk is not named"; }
    mount -o "remount,size=$((need * 2 + 4000000))" "$scratch/small"
    run "$KNOCKOUT" "$scratch/small/cube.h5" || fail "the run does not go on when there is room"
    cubes same "$scratch/whole.h5" "$scratch/small/cube.h5" >/dev/null || fail "after a full disk the cube is another one"
done
