#!/usr/bin/env bash
# A run that is suspended loses its lock to another one of the same name. When it wakes it writes nothing more: what the other one has
# made stays as it is, and all ranks end with one line.
source "$(dirname "$0")/small_spec.inc"
sed -i -e "s/n: 12/n: 900/" -e "s/sizes: .1, 3., starts: {every: 2}/sizes: [1, 2, 3, 4, 5, 6], starts: all/" "$scratch/spec.yaml"
sed -e "s/n: 900/n: 3/" -e '/^sweeps/,$d' "$scratch/spec.yaml" >"$scratch/other.yaml"
cube=$scratch/cube.h5
export OMP_NUM_THREADS=1
stopped=()
trap 'kill -KILL "${stopped[@]}" 2>/dev/null || true; rm -rf "$scratch"' EXIT

pids() { "$python" -c 'import json, sys; print(*[p["pid"] for p in json.load(open(sys.argv[1]))["processes"]])' "$1"; }

# wait_for N COMMAND...: until the command succeeds.
wait_for() {
    for _ in $(seq $((400 * slow))); do
        "$@" 2>/dev/null && return
        sleep 0.02
    done
    fail "this does not come true: $*"
}

# suspend LOCK...: stops the processes of the run that has them, as if for more than two minutes.
suspend() {
    read -ra stopped <<<"$(pids "$1")"
    kill -STOP "${stopped[@]}"
    touch -d '3 minutes ago' "$@"
}

# wakes JOB LOCK: the suspended run goes on, ends with 1 and one line, and has changed nothing.
wakes() {
    local before status=0 start=$SECONDS
    [ ! -e "$scratch/cube.lock" ] || fail "the other run leaves its lock behind"
    before=$(sha256sum "$cube")
    kill -CONT "${stopped[@]}"
    wait "$1" || status=$?
    cat "$scratch/err"
    [ "$status" -eq 1 ] || fail "the run that lost its lock exits with $status, not 1"
    [ "$(grep -c '^knockout: ' "$scratch/err")" -eq 1 ] || fail "it says more or less than one line"
    grep -q "^knockout: .*its lock $2 is gone; was this run suspended?" "$scratch/err" || fail "it does not say that it lost its lock"
    [ $((SECONDS - start)) -le $((40 * slow)) ] || fail "it takes $((SECONDS - start)) s to end"
    [ "$before" = "$(sha256sum "$cube")" ] || fail "it has changed the other run's cube"
    ls "$scratch" | grep -E 'lock|stale|new-' && fail "files are left behind"
    "$KNOCKOUT" status "$cube" | grep -q complete || fail "the other run's cube is not complete"
    stopped=()
}

echo "== suspended while it evaluates, one process"
"$KNOCKOUT" evaluate "$scratch/other.yaml" -o "$scratch/e.h5" --progress none --log-level warn
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --progress none --log-level warn 2>"$scratch/err" &
run=$!
wait_for grep -q "\"pid\":$run," "$scratch/cube.lock"
wait_for test -e "$scratch/cube.evaluation.lock"
suspend "$scratch/cube.lock"
"$KNOCKOUT" run "$scratch/other.yaml" -o "$cube" --evaluation "$scratch/e.h5" --progress none --log-level warn
wakes "$run" "$scratch/cube.lock"

echo "== suspended while it sweeps, three ranks; the other one replaces its cube"
rm -f "$cube" "$scratch/cube.evaluation.h5"
"$KNOCKOUT" evaluate "$scratch/spec.yaml" -o "$scratch/all.h5" --progress none --log-level warn
"$KO_LAUNCH" 300 3 "$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --evaluation "$scratch/all.h5" --progress none --log-level warn \
    --commit-seconds 0.2 2>"$scratch/err" &
run=$!
wait_for test -e "$cube"
suspend "$scratch/cube.lock"
"$KNOCKOUT" run "$scratch/other.yaml" -o "$cube" --evaluation "$scratch/e.h5" --overwrite --progress none --log-level warn
wakes "$run" "$scratch/cube.lock"

echo "== the same, and the other one is still on"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/slow.h5" --evaluation "$scratch/all.h5" --progress none --log-level warn \
    --commit-seconds 0.2 2>"$scratch/err" &
run=$!
wait_for test -e "$scratch/slow.h5"
suspend "$scratch/slow.lock"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/slow.h5" --evaluation "$scratch/all.h5" --resume --progress none --log-level warn \
    --commit-seconds 0.2 2>"$scratch/second" &
second=$!
wait_for grep -q "\"pid\":$second," "$scratch/slow.lock"
kill -CONT "${stopped[@]}"
status=0
wait "$run" || status=$?
cat "$scratch/err"
[ "$status" -eq 1 ] || fail "the run that lost its lock exits with $status, not 1"
grep -q "its lock $scratch/slow.lock was taken over by process $second on " "$scratch/err" || fail "it does not say who has the lock"
wait_for grep -q "\"pid\":$second," "$scratch/slow.lock"
kill -TERM "$second"
status=0
wait "$second" || status=$?
[ "$status" -eq 75 ] || { cat "$scratch/second"; fail "the second run ends with $status, not 75"; }
