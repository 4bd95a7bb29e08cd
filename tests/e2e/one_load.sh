#!/usr/bin/env bash
# A run loads its sweep's first model once: its weights stay from the evaluation. The cubes are those of `evaluate` and a `run` that reads
# its evaluation, which load every model, bit for bit. A checkpoint that was written in between is loaded again and checked.
source "$(dirname "$0")/small_spec.inc"

declare -A path
for name in mamba-facts gpt2-facts mamba2-facts; do
    cp -r "$KO_SOURCE_DIR/jobs/models/$name" "$scratch/$name"
    path[$name]=$scratch/$name
done
# spec FILE MODEL...: the small spec over these models.
spec() {
    local file=$1 list=
    shift
    for name in "$@"; do list+="${list:+, }${path[$name]}"; done
    sed "s|^models: .*|models: [$list]|; s|, after-softmax||" "$scratch/spec.yaml" >"$scratch/$file.yaml"
}
# run RANKS ARGUMENTS...: its log in $scratch/log.
run() {
    local ranks=$1
    shift
    workers=$((ranks > 1 ? ranks - 1 : 1))
    "$KO_LAUNCH" 120 "$ranks" "$KNOCKOUT" run "$@" --threads 1 --progress none --commit-seconds 0.1 --log-level debug 2>"$scratch/log"
}
# loads MODEL LOADED KEPT: how often every worker has loaded it, and how often it had stayed.
loads() {
    local loaded kept
    loaded=$(grep -c "load model=\"$1\" seconds=" "$scratch/log" || true)
    kept=$(grep -c "load model=\"$1\" kept" "$scratch/log" || true)
    [ "$loaded $kept" = "$(($2 * workers)) $(($3 * workers))" ] || {
        grep 'load model' "$scratch/log" || true
        fail "$workers workers have loaded $1 $loaded times and kept it $kept times, not $2 and $3 times each"
    }
}

spec one mamba-facts
spec two mamba-facts gpt2-facts
spec three mamba-facts gpt2-facts mamba2-facts
head -n 20 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
cat >"$scratch/none.yaml" <<YAML
models: [$KO_SOURCE_DIR/tests/data/variants/qwen2, ${path[gpt2-facts]}]
prompts: {file: $scratch/facts.jsonl, select: correct}
routes: ['last<-subject']
windows: {sizes: [1], starts: [0]}
YAML
for models in one two three; do
    "$KNOCKOUT" evaluate "$scratch/$models.yaml" -o "$scratch/$models.evaluation.h5" --threads 1 --progress none --log-level warn
    "$KNOCKOUT" run "$scratch/$models.yaml" -o "$scratch/$models.h5" --evaluation "$scratch/$models.evaluation.h5" --threads 1 \
        --progress none --log-level warn
    for ranks in 1 2 4; do
        echo "== $models, on $ranks ranks"
        run "$ranks" "$scratch/$models.yaml" -o "$scratch/cube.h5" --overwrite || { cat "$scratch/log"; fail "the run"; }
        cubes same "$scratch/$models.h5" "$scratch/cube.h5"
        cubes same "$scratch/$models.evaluation.h5" "$scratch/cube.evaluation.h5"
        loads mamba-facts 1 1
        [ "$models" = one ] || loads gpt2-facts 2 0
        [ "$models" != three ] || loads mamba2-facts 2 0
        [ "$models" != one ] || grep -q 'sweep seconds=.* worker_load=0.00 ' "$scratch/log" || fail "the sweep says that it has loaded"
    done
done

for ranks in 1 4; do
    echo "== the second model is the first of the sweep, on $ranks ranks"
    run "$ranks" "$scratch/two.yaml" -o "$scratch/second.h5" --overwrite --set 'sweeps=[{models: [gpt2-facts], features: [all]}]' || { cat "$scratch/log"; fail "the second model"; }
    loads mamba-facts 1 0
    loads gpt2-facts 1 1

    echo "== no prompt of the first model is selected, which nobody knows before it is evaluated, on $ranks ranks"
    run "$ranks" "$scratch/none.yaml" -o "$scratch/none.h5" --overwrite || { cat "$scratch/log"; fail "no prompt of one model"; }
    grep -q 'qwen2: no prompt is selected' "$scratch/log" || fail "qwen2 has a prompt"
    loads qwen2 1 0
    loads gpt2-facts 2 0

    echo "== an evaluation that is continued, on $ranks ranks"
    rm -f "$scratch"/again.*
    cp "$scratch/two.evaluation.h5" "$scratch/again.evaluation.h5"
    cubes unfinish "$scratch/again.evaluation.h5"
    run "$ranks" "$scratch/two.yaml" -o "$scratch/again.h5" --resume || { cat "$scratch/log"; fail "the rest of the evaluation"; }
    cubes same "$scratch/two.h5" "$scratch/again.h5"
    cubes same "$scratch/two.evaluation.h5" "$scratch/again.evaluation.h5"
    loads mamba-facts 1 1
    loads gpt2-facts 2 0

    echo "== a sweep that is continued, on $ranks ranks"
    cubes unfinish "$scratch/again.h5"
    run "$ranks" "$scratch/two.yaml" -o "$scratch/again.h5" --resume || { cat "$scratch/log"; fail "the rest of the sweep"; }
    cubes same "$scratch/two.h5" "$scratch/again.h5"
    [ "$(grep -c 'load model=.* kept' "$scratch/log")" -eq 0 ] || fail "weights are kept without an evaluation"

    echo "== shards that begin with either model, on $ranks ranks"
    for k in 1 2 3 4; do
        run "$ranks" "$scratch/two.yaml" -o "$scratch/parts-$ranks.h5" --shard $k/4 --set 'prompts.select=all' || { cat "$scratch/log"; fail "shard $k"; }
        [ "$(grep 'load model' "$scratch/log" | grep -c kept)" -eq "$workers" ] || { grep 'load model' "$scratch/log"; fail "shard $k loads its first model twice"; }
    done

    echo "== the sweep's first model fails in the evaluation, on $ranks ranks"
    rm -f "$scratch"/again.*
    cp "${path[mamba-facts]}/model.safetensors" "$scratch/good"
    cubes overwrite "${path[mamba-facts]}" backbone.layers.7.mixer.D nan
    status=0
    run "$ranks" "$scratch/two.yaml" -o "$scratch/again.h5" || status=$?
    [ "$status" -eq 1 ] || { cat "$scratch/log"; fail "a model that cannot be evaluated: exit $status, not 1"; }
    [ ! -e "$scratch/again.h5" ] || fail "a sweep was begun without a whole evaluation"
    loads gpt2-facts 1 0
    cp "$scratch/good" "${path[mamba-facts]}/model.safetensors"
    run "$ranks" "$scratch/two.yaml" -o "$scratch/again.h5" --resume || { cat "$scratch/log"; fail "the run does not go on"; }
    cubes same "$scratch/two.h5" "$scratch/again.h5"
    loads mamba-facts 1 1
    loads gpt2-facts 1 0
done

# while_evaluating RANKS BYTES: a run whose first model's file gets these bytes while that model is evaluated; its status.
while_evaluating() {
    local status=0 job
    cp "$scratch/good" "${path[mamba-facts]}/model.safetensors"
    rm -f "$scratch"/again.* "$scratch/log"
    run "$1" "$scratch/one.yaml" -o "$scratch/again.h5" --set 'prompts.select=all' &
    job=$!
    until grep -q 'load model="mamba-facts" seconds=' "$scratch/log" 2>/dev/null; do
        kill -0 "$job" 2>/dev/null || fail "the run has ended before it has loaded"
        sleep 0.01
    done
    cat "$2" >"${path[mamba-facts]}/model.safetensors"
    wait "$job" || status=$?
    workers=$(($1 > 1 ? $1 - 1 : 1))
    grep -q 'evaluate cells=' "$scratch/log" || fail "the evaluation has not ended"
    echo "$status"
}
cp "${path[mamba-facts]}/model.safetensors" "$scratch/good"
cubes overwrite "${path[mamba-facts]}" backbone.layers.3.mixer.D 0.75
cp "${path[mamba-facts]}/model.safetensors" "$scratch/other"
for ranks in 1 4; do
    echo "== other weights in the middle of the evaluation, on $ranks ranks"
    [ "$(while_evaluating "$ranks" "$scratch/other")" -eq 3 ] || { cat "$scratch/log"; fail "other weights than were evaluated are not refused"; }
    grep -q 'content hash' "$scratch/log" || fail "the reason is not named"
    echo "== the same bytes once more"
    [ "$(while_evaluating "$ranks" "$scratch/good")" -eq 0 ] || { cat "$scratch/log"; fail "the same bytes are refused"; }
    workers=$((ranks > 1 ? ranks - 1 : 1))
    loads mamba-facts 2 0
done
