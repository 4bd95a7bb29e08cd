#!/usr/bin/env bash
# A model that cannot be loaded in the sweep does not take the rest: its cells are recorded as failed with the reason, the others are
# those of an undisturbed run, `status` lists it, and --resume tries it again. In the evaluation it ends the run by name.
source "$(dirname "$0")/small_spec.inc"

# json FILE EXPRESSION: prints it, `j` being the file's content.
json() { "$python" -c 'import json, sys; j = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }
# expect STATUS COMMAND...: its output in $scratch/out, its stderr in $scratch/err.
expect() {
    local expected=$1 status=0
    shift
    "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" -eq "$expected" ] || { cat "$scratch/out" "$scratch/err"; fail "'$*' exits with $status, expected $expected"; }
}
has() { grep -qF -- "$2" "$1" || { cat "$1"; fail "'$2' is not printed"; }; }

cp -r "$KO_SOURCE_DIR/jobs/models/mamba-facts" "$scratch/good"
cp -r "$scratch/good" "$scratch/ck"
sed "s|$KO_SOURCE_DIR/jobs/models/mamba-facts|{name: mamba-facts, path: $scratch/ck}|" "$scratch/spec.yaml" >"$scratch/ck.yaml"
run() { "$KO_LAUNCH" 120 "$ranks" "$KNOCKOUT" run "$scratch/ck.yaml" --threads 1 --progress none --commit-seconds 0.1 "$@"; }
overwrite() { cp "$scratch/good/model.safetensors" "$scratch/ck/"; [ $# -eq 0 ] || cubes overwrite "$scratch/ck" "$@"; }

ranks=1
run -o "$scratch/whole.h5" --log-level warn
"$KNOCKOUT" status "$scratch/whole.h5" --json >"$scratch/out"
[ "$(json "$scratch/out" 'j["failures"]')" = "[]" ] || fail "an undisturbed run has failures"

for ranks in 1 4; do
    cube=$scratch/failed-$ranks.h5

    echo "== values that are not finite, on $ranks ranks"
    overwrite backbone.layers.7.mixer.D nan
    expect 3 run -o "$cube" --evaluation "$scratch/whole.evaluation.h5"
    has "$scratch/err" 'backbone.layers.7.mixer.D: element 0 is not finite'
    expect 3 "$KNOCKOUT" status "$cube"
    has "$scratch/out" 'mamba-facts: 15 prompts: the weights cannot be loaded'
    has "$scratch/out" 'backbone.layers.7.mixer.D: element 0 is not finite'
    expect 3 "$KNOCKOUT" status "$cube" --json
    [ "$(json "$scratch/out" 'j["total"]["pending"], len(j["failures"]), j["failures"][0]["reason_code"], len(j["failures"][0]["prompts"])')" = \
        "(0, 1, 101, 15)" ] || { cat "$scratch/out"; fail "status --json of a failed model"; }
    cubes failed "$scratch/whole.h5" "$cube" mamba-facts

    echo "== still so on --resume"
    expect 3 run -o "$cube" --evaluation "$scratch/whole.evaluation.h5" --resume
    cubes failed "$scratch/whole.h5" "$cube" mamba-facts

    echo "== other weights than were evaluated"
    overwrite backbone.layers.3.mixer.D 0.75
    expect 3 run -o "$cube" --evaluation "$scratch/whole.evaluation.h5" --resume
    has "$scratch/err" 'content hash'
    cubes failed "$scratch/whole.h5" "$cube" mamba-facts

    echo "== right again"
    overwrite
    expect 0 run -o "$cube" --evaluation "$scratch/whole.evaluation.h5" --resume
    cubes same "$scratch/whole.h5" "$cube"
    expect 0 "$KNOCKOUT" status "$cube"
    grep -q 'failed, --resume' "$scratch/out" && fail "a complete cube still lists failures"
    ls "$scratch" | grep '\.lock' && fail "a lock is left behind"

    echo "== in the evaluation"
    overwrite backbone.layers.7.mixer.D nan
    expect 1 run -o "$scratch/none-$ranks.h5"
    has "$scratch/err" 'mamba-facts: backbone.layers.7.mixer.D: element 0 is not finite'
    [ ! -e "$scratch/none-$ranks.h5" ] || fail "a sweep was begun without a whole evaluation"
    overwrite
    expect 0 run -o "$scratch/none-$ranks.h5" --resume
    cubes same "$scratch/whole.h5" "$scratch/none-$ranks.h5"
done
