#!/usr/bin/env bash
# `status`, asked from beside a run: speed, time left and each model's share while it is under way, and none of it afterwards.
source "$(dirname "$0")/small_spec.inc"
sed -i 's/n: 12/n: 600/' "$scratch/spec.yaml"
cube=$scratch/cube.h5
# json EXPRESSION: prints it of the latest status, `j`.
json() { "$python" -c 'import json, sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$scratch/status.json" "$1"; }
ask() { "$KNOCKOUT" status "$cube" --json >"$scratch/status.json" 2>"$scratch/err"; }
# start [OPTIONS]: a run of three ranks in the background.
start() {
    "$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --threads 1 --progress none --commit-seconds 0.1 \
        --log-level warn "$@" &
    run=$!
}

start
seen=0 early=0 cells=0
while kill -0 $run 2>/dev/null; do
    status=0
    ask || status=$?
    [ "$status" -ne 1 ] || { cat "$scratch/err"; fail "status fails beside a run"; }
    if [ "$status" -eq 4 ] && [ "$(json 'j["kind"]')" = evaluation ]; then
        early=$((early + 1))
    elif [ "$status" -eq 4 ] && [ "$(json 'j["run"].get("cells_per_second") is not None and j["run"]["seconds_left"] is not None')" = True ]; then
        [ "$(json "j['run']['under_way'] and j['run']['cells'] >= $cells and 0 < j['run']['work_share'] <= 1")" = True ] ||
            { cat "$scratch/status.json"; fail "a run under way is shown wrongly"; }
        [ "$(json 'j["total"]["done"] >= j["run"]["cells"] * 0.5 and 0 < max(m["complete"] for m in j["models"]) <= 1')" = True ] ||
            { cat "$scratch/status.json"; fail "the cells of the run are not those of the cube"; }
        cells=$(json 'j["run"]["cells"]')
        seen=$((seen + 1))
    fi
    sleep 0.05
done
wait $run || fail "the run under watch exits with $?"
[ "$seen" -ge 2 ] || fail "status showed a run under way $seen times"
echo "under way: seen $seen times, before that the evaluation $early times"
ask || fail "a complete cube has status $?"
[ "$(json 'j["run"]["under_way"]')" = False ] || fail "a run that has ended is shown as under way"
[ "$(json 'all(m["complete"] == 1 for m in j["models"])')" = True ] || fail "models are not complete"
"$KNOCKOUT" status "$cube" | grep -q 'under way' && fail "a complete cube speaks of runs"

echo "== a stopped run is not under way"
status=0
"$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --overwrite --threads 1 --progress none --log-level error \
    --commit-seconds 0.1 --stop-at $(($(date +%s) + 3 * slow)) || status=$?
[ "$status" -eq 75 ] || { echo "skipped: the run ended with $status before it was stopped"; exit 77; }
ask && fail "a stopped run leaves nothing to do"
[ "$(json 'j["run"]["under_way"]')" = False ] || fail "a stopped run is shown as under way"
if [ -e "$cube" ]; then # the stop may have come during the evaluation
    "$KNOCKOUT" status "$cube" >"$scratch/text" || true # 4: incomplete
    grep -q 'no run is under way' "$scratch/text" || fail "it is not said that no run is under way"
fi
