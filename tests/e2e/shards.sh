#!/usr/bin/env bash
# Shards of a sweep, computed one by one, merge into the very cube of one job; what does not belong together is refused by name.
source "$(dirname "$0")/small_spec.inc"
"$python" -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: Python lacks h5py or numpy"; exit 77; }
quiet=(--threads 1 --progress none --log-level warn)
unset SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_MAX SLURM_ARRAY_TASK_COUNT

# refused STATUS WORDS COMMAND...: the command exits with this status and says the words.
refused() {
    local expected=$1 words=$2 status=0
    shift 2
    "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" -eq "$expected" ] || { cat "$scratch/out" "$scratch/err"; fail "exit $status instead of $expected: $*"; }
    grep -q -- "$words" "$scratch/err" || { cat "$scratch/err"; fail "'$words' is not said: $*"; }
}
shard() { "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" --shard "$@"; }
file() { printf '%s/parts.shard-%04d-of-%04d.h5' "$scratch" "$1" "$2"; }

# The evaluation comes once, before the shards: they say so.
refused 2 'knockout evaluate' "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --shard 1/4 "${quiet[@]}"
[ ! -e "$scratch/parts.evaluation.h5" ] && [ ! -e "$(file 1 4)" ] || fail "a refused shard leaves a file"
"$KO_LAUNCH" 120 3 "$KNOCKOUT" evaluate "$scratch/spec.yaml" -o "$scratch/evaluation.h5" "${quiet[@]}" || fail "evaluate"
cp "$scratch/evaluation.h5" "$scratch/half.h5"
cubes unfinish "$scratch/half.h5"
refused 2 'is incomplete' "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --evaluation "$scratch/half.h5" --shard 1/4 "${quiet[@]}"
"$KO_LAUNCH" 120 2 "$KNOCKOUT" evaluate "$scratch/spec.yaml" -o "$scratch/half.h5" "${quiet[@]}" --resume || fail "resuming an evaluation"
cubes same "$scratch/evaluation.h5" "$scratch/half.h5"
evaluated=$(cksum <"$scratch/evaluation.h5")
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/whole.h5" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" || fail "one job"
[ ! -e "$scratch/whole.evaluation.h5" ] || fail "--evaluation evaluates again"

for k in 3 1 4 2; do
    shard "$k/4" || fail "shard $k"
done
[ "$evaluated" = "$(cksum <"$scratch/evaluation.h5")" ] || fail "a run changed the evaluation that it read"
[ ! -e "$scratch/parts.h5" ] || fail "a shard made the cube itself"
"$KNOCKOUT" merge -o "$scratch/merged.h5" "$(file 2 4)" "$(file 4 4)" "$(file 1 4)" "$(file 3 4)" || fail "merge"
cubes same "$scratch/whole.h5" "$scratch/merged.h5"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/merged.h5" --evaluation "$scratch/evaluation.h5" --threads 1 --progress none --resume \
    2>"$scratch/err" || fail "resuming a merged cube"
grep -q 'complete already' "$scratch/err" || fail "a merged cube is not complete to --resume"

# A shard's file is a cube of its own.
"$KNOCKOUT" status "$(file 2 4)" >/dev/null || fail "status of a shard"
"$KNOCKOUT" show "$(file 2 4)" >"$scratch/out" || fail "show of a shard"
"$KNOCKOUT" verify "$(file 2 4)" --sample 8 --threads 1 >"$scratch/out" || { cat "$scratch/out"; fail "verify of a shard"; }
refused 2 'exists already' shard 2/4
before=$(cksum <"$(file 2 4)")
shard 2/4 --resume || fail "resuming a complete shard"
[ "$before" = "$(cksum <"$(file 2 4)")" ] || fail "resuming a complete shard changed it"
shard 2/4 --overwrite || fail "overwriting a shard"
cp "$(file 2 4)" "$(file 2 5)"
refused 2 'the shard' shard 2/5 --resume

# More shards than batches: the empty ones are files like the others. And on several ranks.
for k in $(seq 1 12); do
    ranks=1
    [ "$k" -ne 3 ] || ranks=3
    "$KO_LAUNCH" 120 "$ranks" "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/parts.h5" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" \
        --shard "$k/12" || fail "shard $k of 12"
    "$KNOCKOUT" status "$(file "$k" 12)" >/dev/null || fail "status of shard $k of 12"
    "$KNOCKOUT" show "$(file "$k" 12)" >/dev/null 2>"$scratch/err" || [ $? -eq 2 ] || fail "show of shard $k of 12"
done
"$KNOCKOUT" merge -o "$scratch/merged.h5" --overwrite "$scratch"/parts.shard-*-of-0012.h5 || fail "merging 12 shards"
cubes same "$scratch/whole.h5" "$scratch/merged.h5"

# What is missing, given twice or foreign is named; nothing is written then.
merge() { "$KNOCKOUT" merge -o "$scratch/refused.h5" "$@"; }
refused 2 'shard 2 of 4 is missing.*parts.shard-0002-of-0004.h5' merge "$(file 1 4)" "$(file 3 4)" "$(file 4 4)"
refused 2 'give each once' merge "$(file 1 4)" "$(file 2 4)" "$(file 2 4)" "$(file 3 4)" "$(file 4 4)"
refused 2 'shard 3 of 12' merge "$(file 1 4)" "$(file 3 12)"
refused 2 'is not a shard' merge "$scratch/whole.h5"
refused 2 'is not an HDF5 file' merge "$(file 1 4)" "$scratch/spec.yaml"
refused 2 'nothing-here' merge "$(file 1 4)" "$scratch/nothing-here.h5"
refused 2 'one of the shards' "$KNOCKOUT" merge -o "$(file 1 4)" --overwrite "$(file 1 4)" "$(file 2 4)"
refused 2 'exists already' "$KNOCKOUT" merge -o "$scratch/whole.h5" "$(file 1 4)" "$(file 2 4)" "$(file 3 4)" "$(file 4 4)"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/other.h5" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" --shard 2/4 \
    --set 'windows={sizes: [2], starts: {every: 4}}' || fail "a shard of another sweep"
refused 2 'other.shard-0002-of-0004.h5: is a shard of another sweep' merge "$(file 1 4)" "$scratch/other.shard-0002-of-0004.h5" "$(file 3 4)" "$(file 4 4)"
for change in backend=cuda precision=bfloat16; do
    cp "$(file 2 4)" "$scratch/changed.h5"
    cubes attribute "$scratch/changed.h5" "${change%=*}" "${change#*=}"
    refused 2 "changed.h5: ${change%=*} is '${change#*=}'" merge "$(file 1 4)" "$scratch/changed.h5" "$(file 3 4)" "$(file 4 4)"
done
cp "$(file 2 4)" "$scratch/changed.h5"
cubes attribute "$scratch/changed.h5" shard 3/4
refused 2 'has prompt\|is shard 3 of 4' merge "$(file 1 4)" "$scratch/changed.h5" "$(file 3 4)" "$(file 4 4)"
[ ! -e "$scratch/refused.h5" ] || fail "a refused merge leaves a cube"
compgen -G "$scratch/refused*" >/dev/null && fail "a refused merge leaves something"

# An incomplete shard is named; --partial leaves the rest pending, and a resume completes it to the same cube.
cp "$(file 2 4)" "$scratch/incomplete.h5"
cubes unfinish "$scratch/incomplete.h5"
refused 2 'incomplete.h5 is incomplete: [0-9]* of its [0-9]* prompts and heatmaps are pending' merge "$(file 1 4)" "$scratch/incomplete.h5" "$(file 3 4)" "$(file 4 4)"
refused 4 'incomplete.h5 is incomplete' "$KNOCKOUT" merge -o "$scratch/partial.h5" --partial "$(file 1 4)" "$scratch/incomplete.h5" "$(file 4 4)"
grep -q 'shard 3 of 4 is missing' "$scratch/err" || fail "--partial does not say which shard is missing"
grep -q 'incomplete' "$scratch/out" || fail "--partial calls its cube complete"
"$KNOCKOUT" merge -o "$scratch/first.h5" --partial "$(file 1 4)" 2>/dev/null || [ $? -eq 4 ] || fail "merging one shard"
"$python" - "$scratch/whole.h5" "$scratch/first.h5" <<'PY' || fail "a partial cube does not say what weights were evaluated"
import h5py, sys
whole, first = (h5py.File(path)["content_hash"][:].tolist() for path in sys.argv[1:])
sys.exit(whole != first)
PY
status=0
"$KNOCKOUT" status "$scratch/partial.h5" >/dev/null || status=$?
[ "$status" -eq 4 ] || fail "status of a partial cube exits with $status"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/partial.h5" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" --resume || fail "completing"
cubes same "$scratch/whole.h5" "$scratch/partial.h5"

# auto: the Slurm array's variables, counted from 0 or 1. What may be a part of another array is refused with what to write.
array() { env SLURM_ARRAY_TASK_ID="$1" SLURM_ARRAY_TASK_MIN="$2" SLURM_ARRAY_TASK_MAX="$3" SLURM_ARRAY_TASK_COUNT="$4" \
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/${5:-auto}.h5" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" --shard auto; }
refused 2 'SLURM_ARRAY_TASK_ID is not set' "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/auto.h5" --evaluation "$scratch/evaluation.h5" --shard auto
refused 2 'SLURM_ARRAY_TASK_ID' array x 1 5 5
refused 2 'the array is 3-7 and this task 9' array 9 3 7 5
n_all=', N being the number of all shards, or'
refused 2 "the array is 3-7 with gaps.*: write --shard 3/N$n_all 4/N where the array of all began at 0" array 3 3 7 2
refused 2 "the array is 7-7 and begins neither.*: write --shard 7/N$n_all 8/N where" array 7 7 7 1
refused 2 "the array is 7-8 and begins neither.*: write --shard 8/N$n_all 9/N where" array 8 7 8 2
refused 2 "the array is 5-20 and begins neither.*: write --shard 6/N" array 6 5 20 16
refused 2 "the array is 1-1, one task.*: write --shard 1/N$n_all 2/N where" array 1 1 1 1
refused 2 "the array is 0-0, one task.*: write --shard 1/N, N being the number of all shards$" array 0 0 0 1
compgen -G "$scratch/auto*" >/dev/null && fail "a refused --shard auto leaves something"
for k in 0 1 2 3; do
    array "$k" 0 3 4 || fail "array task $k"
done
# Beside shards of 4 the number is known: the first two of them again, which only their files tell from an array of two.
refused 2 "the array is 1-2 and beside the output lie shards of another number: write --shard 2/4, or 3/4 where" array 2 1 2 2
refused 2 "the array is 4-4 and begins.*: write --shard 4/4$" array 4 4 4 1
: >"$scratch/notes.shard-0001-of-0004.h5.txt" && : >"$scratch/autos.shard-0001-of-0003.h5"
for k in 1 2; do
    array "$k" 1 2 2 notes || fail "array task $k of two"
done
"$KNOCKOUT" merge -o "$scratch/auto.h5" "$scratch"/auto.shard-*-of-0004.h5 || fail "merging an array"
cubes same "$scratch/whole.h5" "$scratch/auto.h5"
for text in 0/4 5/4 4 1/ /4 a/4 1/4/4 -1/4 1/10000; do
    refused 2 'expected K/N' "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/auto.h5" --shard "$text"
done

# A selection that needs no ranks needs no evaluation: each shard makes its own, beside itself.
sed -i 's/, select: correct-by-all//' "$scratch/spec.yaml"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/all.h5" "${quiet[@]}" || fail "one job of all prompts"
for k in 1 2; do
    "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/alone.h5" "${quiet[@]}" --shard "$k/2" || fail "shard $k without an evaluation"
done
"$KNOCKOUT" merge -o "$scratch/alone.h5" "$scratch/alone.shard-0001-of-0002.h5" "$scratch/alone.shard-0002-of-0002.h5" || fail "merging these"
cubes same "$scratch/all.h5" "$scratch/alone.h5"
