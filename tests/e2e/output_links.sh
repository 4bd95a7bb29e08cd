#!/usr/bin/env bash
# An output that is a symbolic link: the file that it names is written or replaced, in that file's folder, and the link stays.
source "$(dirname "$0")/small_spec.inc"

cat >"$scratch/spec.yaml" <<YAML
models: [$KO_SOURCE_DIR/jobs/models/gpt2-facts]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 3, seed: 1}}
routes: ['last<-subject']
windows: {sizes: [1], starts: all}
YAML
quiet=(--progress none --log-level warn)
cd "$scratch"
mkdir disk
# check LINK FILE: the link is one still, and leads to the file.
check() {
    [ -L "$1" ] || fail "$1 is no link any more"
    [ -f "$2" ] && [ "$1" -ef "$2" ] || fail "$1 does not lead to $2"
}
ln -s disk/real.h5 cube.h5
"$KNOCKOUT" run spec.yaml -o cube.h5 "${quiet[@]}" || fail "a run into a link that leads nowhere yet"
check cube.h5 disk/real.h5
[ -f disk/real.evaluation.h5 ] || fail "the evaluation lies beside the link"
"$KNOCKOUT" status cube.h5 >/dev/null || fail "status of a link"
"$KNOCKOUT" run spec.yaml -o cube.h5 "${quiet[@]}" --resume || fail "resuming a link"
before=$(stat -c %i disk/real.h5)
"$KNOCKOUT" run spec.yaml -o cube.h5 "${quiet[@]}" --overwrite --set 'windows={sizes: [2]}' || fail "replacing what a link names"
check cube.h5 disk/real.h5
[ "$(stat -c %i disk/real.h5)" != "$before" ] || fail "--overwrite replaced nothing"

for k in 1 2; do
    "$KNOCKOUT" run spec.yaml -o part.h5 --evaluation disk/real.evaluation.h5 --set 'windows={sizes: [2]}' "${quiet[@]}" --shard "$k/2" ||
        fail "shard $k"
done
ln -s disk/merged.h5 merged.h5
"$KNOCKOUT" merge -o merged.h5 part.shard-*-of-0002.h5 || fail "merging into a link that leads nowhere yet"
"$KNOCKOUT" merge -o merged.h5 --overwrite part.shard-*-of-0002.h5 || fail "merging over what a link names"
check merged.h5 disk/merged.h5
cubes same disk/merged.h5 disk/real.h5

for kind in --csv --compress; do
    ln -s "$scratch/disk/out$kind" "out$kind"
    "$KNOCKOUT" export cube.h5 "$kind" -o "out$kind" || fail "export $kind into a link that leads nowhere yet"
    "$KNOCKOUT" export cube.h5 "$kind" -o "out$kind" --overwrite || fail "export $kind over what a link names"
    check "out$kind" "disk/out$kind"
done

ln -s nodir/real.h5 lost.h5
status=0
"$KNOCKOUT" run spec.yaml -o lost.h5 "${quiet[@]}" 2>err || status=$?
[ "$status" -eq 2 ] && grep -q "nodir/real.h5: folder 'nodir': .*, create it first" err || fail "a link into a folder that is not there: $(cat err)"
[ -z "$(find disk -name '*new-*' -o -name '*.lock' -o -name '*.replaced')" ] || fail "something is left: $(ls disk)"
