#!/usr/bin/env bash
# A model whose layers have different sliding windows: routes are vacuous at some starts of a window size and not at others. Every
# command knows such cells from cells that are missing.
source "$(dirname "$0")/small_spec.inc"
quiet=(--threads 1 --progress none --log-level warn)

# Layers 0, 2 and 4 of this model see five positions, the others all.
cat >"$scratch/spec.yaml" <<YAML
models: [$KO_SOURCE_DIR/tests/data/variants/gemma2]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 6, seed: 1}}
routes: ['last<-first', 'last<-subject', 'last<-last', 'last<-each']
features: [all, after-softmax]
windows: {sizes: [1, 2], starts: all}
row-budget: 256
YAML
run() { "$KNOCKOUT" run "$scratch/spec.yaml" -o "$1" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" "${@:2}"; }
complete() { "$KNOCKOUT" status "$1" >"$scratch/out" || { cat "$scratch/out"; fail "$1 is not complete"; }; }
table() { "$KNOCKOUT" export "$1" --csv -o "$2"; }

"$KNOCKOUT" evaluate "$scratch/spec.yaml" -o "$scratch/evaluation.h5" "${quiet[@]}" || fail "evaluate"
"$KO_LAUNCH" 120 2 "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/whole.h5" --evaluation "$scratch/evaluation.h5" "${quiet[@]}" || fail "run"
complete "$scratch/whole.h5"
"$KNOCKOUT" verify "$scratch/whole.h5" --sample 40 --threads 1 >"$scratch/out" || { cat "$scratch/out"; fail "verify"; }
table "$scratch/whole.h5" "$scratch/whole.csv" || fail "export"

# last<-first, a window of one layer: vacuous in the layers that slide, a change in the others.
for layer in 0 1 2 3 4; do
    found=$(awk -F, -v l="$layer" '$3 == "last<-first" && $4 == "all" && $6 == 1 && $7 == l {print $9}' "$scratch/whole.csv" | sort -u)
    [ "$found" = "$([ $((layer % 2)) -eq 0 ] && echo vacuous || echo 'done')" ] || fail "layer $layer alone is '$found'"
done
awk -F, '$9 == "pending" || $9 == "failed" {bad = 1} $9 == "vacuous" && $10 != "" {bad = 1} $9 == "done" && $10 == "" {bad = 1} END {exit bad}' \
    "$scratch/whole.csv" || fail "the table has cells without a state or value"
[ "$(awk -F, '$9 == "vacuous"' "$scratch/whole.csv" | wc -l)" -gt 100 ] || fail "few cells are vacuous"

# What `plan` says before is what the cube has.
vacuous=$("$KNOCKOUT" plan "$scratch/spec.yaml" --json --threads 1 | "$python" -c 'import json, sys; print(json.load(sys.stdin)["models"][0]["cells"]["vacuous"])')
[ "$vacuous" = "$(awk -F, '$9 == "vacuous"' "$scratch/whole.csv" | wc -l)" ] || fail "plan counts $vacuous vacuous cells"

# A finished cube has nothing to resume, and gives all its cells to another.
run "$scratch/whole.h5" --resume --log-level info 2>"$scratch/err" || fail "resume"
grep -q 'complete already' "$scratch/err" || { cat "$scratch/err"; fail "the cube is not complete to --resume"; }
run "$scratch/again.h5" --reuse "$scratch/whole.h5" --log-level info 2>"$scratch/err" || fail "reuse"
grep -q ' to_compute=0$' "$scratch/err" || { cat "$scratch/err"; fail "cells were not taken"; }
complete "$scratch/again.h5"
table "$scratch/again.h5" "$scratch/again.csv"
cmp "$scratch/whole.csv" "$scratch/again.csv" || fail "the taken cells differ"

# Shards, of which one is missing at first.
for k in 1 2 3; do
    run "$scratch/parts.h5" --shard "$k/3" || fail "shard $k"
    complete "$(printf '%s/parts.shard-%04d-of-0003.h5' "$scratch" "$k")"
done
"$KNOCKOUT" merge --partial -o "$scratch/merged.h5" "$scratch"/parts.shard-000[13]-of-0003.h5 && fail "a merge of two shards is complete"
run "$scratch/merged.h5" --resume || fail "resuming a merged cube"
complete "$scratch/merged.h5"
"$KNOCKOUT" merge -o "$scratch/merged.h5" --overwrite "$scratch"/parts.shard-*.h5 || fail "merge"
complete "$scratch/merged.h5"
table "$scratch/merged.h5" "$scratch/merged.csv"
cmp "$scratch/whole.csv" "$scratch/merged.csv" || fail "the merged cells differ"
