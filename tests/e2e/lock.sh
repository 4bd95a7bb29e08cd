#!/usr/bin/env bash
# One run at a time writes a cube: a second one is refused and names the first; a run that was killed is in nobody's way; a stop is
# polite once and at once the second time.
source "$(dirname "$0")/small_spec.inc"
# More than a minute of work for two workers, so that every run below is still under way when it is stopped.
sed -i -e "s/n: 12/n: 900/" -e "s/sizes: .1, 3., starts: {every: 2}/sizes: [1, 2, 3, 4, 5, 6], starts: all/" \
    -e "s/'subject<-context'\]/'subject<-context', 'all<-subject', 'all<-relation']/" "$scratch/spec.yaml"
cube=$scratch/cube.h5
run() { "$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --threads 1 --progress none --commit-seconds 0.2 "$@"; }
# A run of one process in the background, that has the lock: its number in $pid.
start_run() {
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --threads 1 --progress none --commit-seconds 0.2 --resume "$@" 2>"$scratch/err" &
    pid=$!
    for _ in $(seq $((200 * slow))); do
        grep -q "\"pid\":$pid," "$scratch/cube.lock" 2>/dev/null && return
        sleep 0.05
    done
    fail "the run does not lock its cube"
}
wait_for() {
    for _ in $(seq $((200 * slow))); do
        [ -e "$1" ] && return
        sleep 0.05
    done
    fail "$1 does not come"
}

echo "== a second run waits, and is refused"
"$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --threads 1 --progress none --commit-seconds 0.2 \
    --stop-at $(($(date +%s) + 40 * slow)) 2>"$scratch/first" &
first=$!
wait_for "$cube"
[ -e "$scratch/cube.lock" ] && [ -e "$scratch/cube.evaluation.lock" ] || fail "there is no lock beside the cube or its evaluation"
status=0
start=$SECONDS
run --resume --log-level error 2>"$scratch/err" || status=$?
cat "$scratch/err"
[ "$status" -eq 2 ] || fail "a second run exits with $status, not 2"
[ $((SECONDS - start)) -ge 14 ] && [ $((SECONDS - start)) -le $((15 + 10 * slow)) ] || fail "a second run is refused after $((SECONDS - start)) s"
"$python" - "$scratch/cube.lock" "$scratch/err" <<'PY' || fail "the refusal does not name host and processes"
import json, sys
lock, text = json.load(open(sys.argv[1])), open(sys.argv[2]).read()
pids = ", ".join(str(p["pid"]) for p in lock["processes"])
print(pids)
sys.exit(len(lock["processes"]) != 3 or f'is in use by a run on {lock["processes"][0]["host"]}, processes {pids}, begun ' not in text)
PY
pids=$("$python" -c 'import json, sys; print(*[p["pid"] for p in json.load(open(sys.argv[1]))["processes"]])' "$scratch/cube.lock")

echo "== killed: the next one goes on at once"
# shellcheck disable=SC2086
kill -9 $pids
start=$SECONDS
status=0
run --resume --log-level error --stop-at $(($(date +%s) + 3 * slow)) 2>"$scratch/err" || status=$?
[ "$status" -eq 75 ] || { cat "$scratch/err"; fail "the run after a killed one exits with $status, not 75"; }
[ $((SECONDS - start)) -le $((15 * slow)) ] || fail "the lock of a killed run was in the way for $((SECONDS - start)) s"
wait "$first" && fail "a killed run exits with 0"
ls "$scratch" | grep -E 'lock|stale' && fail "a stopped run leaves its lock behind"

echo "== signals"
for signal in TERM INT USR1; do
    start_run --log-level info
    sleep "$slow"
    start=$SECONDS
    kill -$signal "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 75 ] || { cat "$scratch/err"; fail "$signal ends a run with $status, not 75"; }
    [ $((SECONDS - start)) -le $((20 * slow)) ] || fail "$signal ends a run after $((SECONDS - start)) s"
    grep -q 'resumes left=' "$scratch/err" || { cat "$scratch/err"; fail "a resumed run does not say how much is left"; }
    [ ! -e "$scratch/cube.lock" ] || fail "$signal leaves the lock behind"
done

echo "== a merge does not take the place of a cube in use"
start_run --log-level error
status=0
"$KNOCKOUT" merge -o "$cube" --overwrite "$KO_SOURCE_DIR/README.md" 2>"$scratch/refusal" || status=$?
kill -KILL "$pid" 2>/dev/null || fail "the run ended before the merge was refused"
wait "$pid" || true
cat "$scratch/refusal"
[ "$status" -eq 2 ] && grep -q 'is in use by a run on' "$scratch/refusal" || fail "a merge into a cube in use exits with $status"

echo "== a second INT ends at once"
# The first one may just have ended the run politely before the second comes: then it is tried again.
ended=0
for _ in 1 2 3 4 5; do
    start_run --log-level error
    sleep 0.5
    for _ in $(seq 10); do
        kill -INT "$pid" 2>/dev/null || break
        sleep 0.005
    done
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 130 ] || [ "$status" -eq 75 ] || { cat "$scratch/err"; fail "two INT end a run with $status"; }
    [ "$status" -ne 130 ] || ended=1
    [ "$ended" -eq 0 ] || break
done
[ "$ended" -eq 1 ] || fail "a second INT does not end a run at once"
status=0
run --resume --log-level error --stop-at $(($(date +%s) + 1)) || status=$?
[ "$status" -eq 75 ] || fail "after a second INT the run does not go on (exit $status)"
