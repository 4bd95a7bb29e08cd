#!/usr/bin/env bash
# A stopped run exits with 75 and goes on exactly where it was; a finished one is left alone; another spec is refused.
source "$(dirname "$0")/small_spec.inc"
sed -i 's/n: 12/n: 400/' "$scratch/spec.yaml"

"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/whole.h5" --threads 1 --progress none --log-level warn

stopped=0
for ranks in 1 4 1 4; do
    status=0
    "$KO_LAUNCH" 120 "$ranks" "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --resume --threads 1 --progress none \
        --commit-seconds 0.2 --log-level warn --stop-at $(($(date +%s) + 3 * slow)) 2>"$scratch/err" || status=$?
    [ "$status" -eq 75 ] || [ "$status" -eq 0 ] || { cat "$scratch/err"; fail "a stopped run exits with $status"; }
    [ "$status" -eq 0 ] || stopped=$((stopped + 1))
done
[ "$stopped" -gt 0 ] || fail "no run was stopped early enough to test anything"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --resume --threads 1 --progress none --log-level warn ||
    fail "the last part"
cubes same "$scratch/whole.h5" "$scratch/parts.h5"

# The selection is the cube's: the evaluation is not looked at any more, whether it is gone or another one; a changed selection is
# refused all the same.
cp "$scratch/whole.evaluation.h5" "$scratch/frozen.evaluation.h5"
for _ in $(seq 20); do
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/frozen.h5" --resume --threads 1 --progress none --log-level warn \
        --commit-seconds 0.1 --stop-at $(($(date +%s) + 3 * slow)) || [ $? -eq 75 ] || fail "the run that is to lose its evaluation"
    [ ! -e "$scratch/frozen.h5" ] || break
done
rm "$scratch/frozen.evaluation.h5"
for other in '{file: FACTS, select: all, sample: {n: 400, seed: 1}}' '{file: FACTS, select: correct-by-all, sample: {n: 400, seed: 3}}'; do
    status=0
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/frozen.h5" --resume --progress none \
        --set "prompts=${other/FACTS/$KO_SOURCE_DIR/jobs/facts.jsonl}" 2>"$scratch/err" || status=$?
    cat "$scratch/err"
    [ "$status" -eq 2 ] || fail "another selection is not refused (exit $status)"
    grep -q "the selection of block 1 is 'select: correct-by-all, sample: {n: 400, seed: 1}' in the cube and 'select: " "$scratch/err" ||
        fail "the refusal does not name both selections"
done
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/frozen.h5" --resume --threads 1 --progress none --log-level warn --stop-at \
    $(($(date +%s) + 1)) || [ $? -eq 75 ] || fail "a resume without its evaluation"
[ ! -e "$scratch/frozen.evaluation.h5" ] || fail "a resume evaluates again"
cp "$scratch/whole.evaluation.h5" "$scratch/frozen.evaluation.h5"
cubes change "$scratch/frozen.evaluation.h5" eval_target_rank 7
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/frozen.h5" --resume --threads 1 --progress none --log-level warn ||
    fail "a resume beside another evaluation"
cubes same "$scratch/whole.h5" "$scratch/frozen.h5"

before=$(cksum <"$scratch/parts.h5")
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --resume --threads 1 --progress none 2>"$scratch/err" ||
    fail "resuming a complete cube"
grep -q 'complete already' "$scratch/err" || fail "a complete cube is not said to be complete"
[ "$before" = "$(cksum <"$scratch/parts.h5")" ] || fail "resuming a complete cube changed it"

status=0
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --resume --set 'windows={sizes: [2], starts: all}' --progress none \
    2>"$scratch/err" || status=$?
cat "$scratch/err"
[ "$status" -eq 2 ] || fail "another spec is not refused (exit $status)"
