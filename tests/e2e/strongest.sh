#!/usr/bin/env bash
# `show --strongest` on the cube of a sweep over heads (made by other labels), against numpy and scipy on the cube's values.
source "$(dirname "$0")/small_spec.inc"

# The program's own Python, else the system's.
for python in "$python" /usr/bin/python3 none; do
    [ "$python" != none ] || { echo "skipped: there is no Python with h5py, numpy and scipy"; exit 77; }
    ! "$python" -c 'import h5py, numpy, scipy' 2>/dev/null || break
done

cat >"$scratch/heads.yaml" <<YAML
models: [{name: hybrid, path: $KO_SOURCE_DIR/jobs/models/mamba-facts}]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, select: all, sample: {n: 30, seed: 5}}
routes: ['last<-subject', 'last<-relation', 'last<-last', 'last<-first']
features: [all, $(printf 'random-third:%d, ' {0..8})'random-third:9']
windows: {sizes: [1, 3], starts: all}
sweeps:
  - {}
  - {prompts: {sample: {n: 2, seed: 1}}, routes: ['last<-each'], features: [all], windows: {sizes: [1]}}
YAML
"$KNOCKOUT" run "$scratch/heads.yaml" -o "$scratch/heads.h5" --progress none --log-level error || fail "run"
"$python" "$KO_SOURCE_DIR/tests/analysis/relabelled.py" heads "$scratch/heads.h5" || fail "relabelled.py"
show() { "$KNOCKOUT" show "$scratch/heads.h5" "$@"; }
check() { # OPTIONS: of `show --strongest 12`, which strongest.py gets too
    show --strongest 12 --csv "$@" >"$scratch/cells.csv" || fail "show $*"
    "$python" "$KO_SOURCE_DIR/tests/e2e/strongest.py" "$scratch/heads.h5" "$scratch/cells.csv" "$@" || fail "show $*"
}
for metric in change delta logprob kl; do
    check --metric "$metric"
    check --metric "$metric" --feature head:each --window-size 1
done
check --route attention@last --feature head:0 --feature head:3
check --feature ssm-head:each --route ssm@last --window-size 3
check --statistic median --feature head:each

echo "== what people read"
show --strongest 5 --route attention@last --feature head:each --window-size 1 >"$scratch/out" || fail "show"
for words in 'the 5 strongest of 24 cells that pass the filters (windows of a curve), by |mean|' 'corrected over all 24 cells' 'p, Holm'; do
    tr '\n' ' ' <"$scratch/out" | grep -F -- "$words" >/dev/null || { cat "$scratch/out"; fail "'$words' is not said"; }
done
[ "$(grep -c '  attention@last  head:' "$scratch/out")" -eq 5 ] || fail "not five heads"
show --strongest 3 --json --minus-feature head:0 --route attention@last >"$scratch/out" || fail "show --json"
"$python" - "$scratch/out" <<'PY' || fail "JSON"
import json
import sys

report = json.load(open(sys.argv[1]))
cells = report["strongest"]
assert len(cells) == 3 and report["tests"] <= report["cells"] and report["cells"] == 84, report
assert all(c["minus"] == "head:0" and c["p_holm"] >= c["p"] for c in cells)
assert sorted(cells, key=lambda c: -abs(c["value"])) == cells
PY

echo "== what is refused"
refused() {
    local words=$1
    shift
    if show "$@" >/dev/null 2>"$scratch/err"; then fail "show $* is taken"; fi
    grep -qF -- "$words" "$scratch/err" || { cat "$scratch/err"; fail "show $*: '$words' is not said"; }
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "show $*: more than a line"
}
refused "hit is not 0 where nothing changes" --strongest 3 --metric hit
refused "--strongest: is for the curves of a sweep's routes" --strongest 3 --source each
refused "--strongest: is for the curves of a sweep's routes" --strongest 3 --route 'last<-each' --csv
refused "expected a whole number" --strongest few
refused "has no route 'mlp@lasst', did you mean 'mlp@last'?" --strongest 3 --route mlp@lasst
# There is a heat map in the cube, but none of this class: it is not the reason.
refused "no cell of it passes these filters together" --strongest 3 --feature ssm-head:0 --route attention@last --route 'last<-each'
