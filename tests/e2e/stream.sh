#!/usr/bin/env bash
# Weights that stream: the same cubes as weights that stay, on one rank and on several; `auto` and --memory-limit; less memory; errors;
# a run that stops in between; a file that is cut while its weights stream.
source "$(dirname "$0")/small_spec.inc"
export OMP_NUM_THREADS=1
spec=$scratch/spec.yaml
variants=$KO_SOURCE_DIR/tests/data/variants
sed -i -e "s#^models: .*#models: [$KO_SOURCE_DIR/jobs/models/mamba-facts, $variants/zamba2, $variants/gpt-oss]#" -e 's/correct-by-all/all/' "$spec"

# run CUBE OPTIONS...
run() {
    local cube=$1
    shift
    "$KNOCKOUT" run "$spec" -o "$scratch/$cube.h5" --overwrite --progress none --log-level debug "$@" 2>"$scratch/$cube.log" ||
        { tail -n 5 "$scratch/$cube.log" >&2; fail "run of $cube: exit $?"; }
}

echo "== the same cubes"
run resident --weights resident
run stream --weights stream
cubes same "$scratch/resident.h5" "$scratch/stream.h5"
grep -q 'load model="zamba2" .*weights=stream' "$scratch/stream.log" || fail "the log does not say that weights stream"
grep -q 'load model="zamba2" .*weights=resident' "$scratch/resident.log" || fail "the log does not say that weights stay"
run default
grep -q weights=stream "$scratch/default.log" && fail "small weights stream without need"
"$KO_LAUNCH" 240 3 "$KNOCKOUT" run "$spec" -o "$scratch/ranks.h5" --progress none --log-level warn --weights stream
cubes same "$scratch/resident.h5" "$scratch/ranks.h5"

for options in '--weights stream' '--memory-limit 1kB' '--weights resident'; do
    # shellcheck disable=SC2086 # words
    "$KNOCKOUT" verify "$scratch/stream.h5" --sample 6 --log-level warn $options >"$scratch/verified.${options##* }" || fail "verify $options"
done
cmp "$scratch/verified.stream" "$scratch/verified.resident" || fail "verify with weights that stream finds other values"

echo "== auto and a limit"
peak() { "$KNOCKOUT" plan "$spec" --json "$@" | "$python" -c 'import json, sys; print(int(json.load(sys.stdin)["peak_bytes"]))'; }
needs=$(peak --weights resident) streams=$(peak --weights stream)
[ "$streams" -lt "$needs" ] || fail "weights that stream need $streams bytes, resident ones $needs"
run limit --memory-limit $((needs - 1))
grep -q weights=stream "$scratch/limit.log" || fail "nothing streams within $((needs - 1)) bytes"
cubes same "$scratch/resident.h5" "$scratch/limit.h5"
"$KNOCKOUT" plan "$spec" --memory-limit $((needs - 1)) --color never >"$scratch/plan"
grep -q '^weights .*: stream, ' "$scratch/plan" || fail "plan does not say what streams"
if [ "$(nproc)" -gt 1 ]; then # the rows of two workers of a node need more than those of one
    "$KNOCKOUT" plan "$spec" --memory-limit $((needs + 4096)) --threads 1 --workers 1 --color never >"$scratch/plan"
    grep -q '^weights .*: stream, ' "$scratch/plan" && fail "weights stream although one worker has room for them"
    "$KNOCKOUT" plan "$spec" --memory-limit $((needs + 4096)) --threads 1 --workers 2 --color never >"$scratch/plan"
    grep -q '^weights .*: stream, ' "$scratch/plan" || fail "plan counts one of two workers of a node"
fi
for limit in 1MiB $((streams - 4096)); do
    status=0
    "$KNOCKOUT" run "$spec" -o "$scratch/none.h5" --memory-limit $limit 2>"$scratch/err" || status=$?
    [ $status -eq 2 ] || fail "--memory-limit $limit: exit $status"
    grep -qx 'knockout: memory-limit: .* needs at least .* a node although its weights stream, .* choose a smaller --row-budget' "$scratch/err" ||
        fail "--memory-limit $limit: $(cat "$scratch/err")"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "more than one line"
    [ ! -e "$scratch/none.h5" ] || fail "a cube was made"
done
for size in 6Gib -1 0 x 'nan' 6GiBs; do
    "$KNOCKOUT" plan "$spec" --memory-limit="$size" 2>"$scratch/err" && fail "--memory-limit $size was taken"
    grep -q "^knockout: --memory-limit: expected a size such as 6GiB or 24GB, got '$size'" "$scratch/err" || fail "$(cat "$scratch/err")"
done

echo "== a stop in between"
status=0
"$KNOCKOUT" run "$spec" -o "$scratch/stopped.h5" --weights stream --progress none --log-level warn --stop-at 1 2>/dev/null || status=$?
[ $status -eq 75 ] || fail "--stop-at: exit $status"
"$KNOCKOUT" run "$spec" -o "$scratch/stopped.h5" --weights resident --resume --progress none --log-level warn
cubes same "$scratch/resident.h5" "$scratch/stopped.h5"

echo "== less memory"
if grep -qa __asan_init "$KNOCKOUT"; then exit 0; fi
mkdir "$scratch/wide"
cp "$KO_SOURCE_DIR/jobs/models/mamba-facts/tokenizer.json" "$scratch/wide"
"$python" "$KO_SOURCE_DIR/tests/e2e/wide_checkpoint.py" olmoe "$scratch/wide"
cat >"$spec" <<YAML
models: [$scratch/wide]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: all, sample: {n: 4, seed: 0}}
routes: [last<-subject]
windows: {sizes: [2], starts: all}
YAML
for weights in resident stream; do
    "$python" - "$(peak --weights $weights)" "$KNOCKOUT" run "$spec" -o "$scratch/wide-$weights.h5" --weights $weights --progress none \
        --log-level error <<'PY' || fail "$weights: the prediction is off"
import resource
import subprocess
import sys

subprocess.run(sys.argv[2:], check=True)
predicted, measured = int(sys.argv[1]), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(f"{sys.argv[sys.argv.index('--weights') + 1]}: peak memory {measured / 2**20:.0f} MiB, predicted {predicted / 2**20:.0f} MiB: {measured / predicted:.2f}")
sys.exit(not 0.8 <= measured / predicted <= 1.2)
PY
done
cubes same "$scratch/wide-resident.h5" "$scratch/wide-stream.h5"
[ $((5 * $(peak --weights stream))) -lt $((4 * $(peak --weights resident))) ] || fail "streaming saves little"
