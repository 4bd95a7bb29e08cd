#!/usr/bin/env bash
# The README's first sweep, as it stands there: its spec, its commands in their order, and the number of cells that it states.
source "$(dirname "$0")/small_spec.inc"
page=$KO_SOURCE_DIR/README.md
cd "$scratch"
ln -s "$KO_SOURCE_DIR/jobs" jobs
ln -s "$KO_SOURCE_DIR/analysis" analysis
sed -n '/^```yaml$/,/^```$/p' "$page" | sed '/^```/d' >first.yaml
grep -E '^    (knockout|analysis/knockout-figures) [a-z]* *first' "$page" >commands
[ "$(wc -l <commands)" = 6 ] || { cat commands; fail "the README has other commands than six"; }
PATH=$(dirname "$KNOCKOUT"):$PATH
export PATH MPLCONFIGDIR=$scratch
n=0
while IFS= read -r command; do
    n=$((n + 1))
    bash -c "$command" >"out.$n" 2>"err.$n" || { cat "out.$n" "err.$n"; fail "$command"; }
done <commands
cells=$(sed -n 's/.*# \([0-9,]*\) cells$/\1/p' commands)
grep -q "^total  *$cells  .* $cells\$" <("$KNOCKOUT" status first.h5) || { "$KNOCKOUT" status first.h5; fail "the sweep has not $cells cells"; }
grep -q "minus mean of 1 last<-random-like" out.4 || { cat out.4; fail "the control is not subtracted"; }
grep -q "cells agree with separate forward passes" out.5 || { cat out.5; fail "verify says something else"; }
[ -s figures/report.html ] || fail "there is no report"

echo "== the spec of its figure"
COUNTERFACT=$scratch/jobs/facts.jsonl "$KNOCKOUT" plan "$KO_SOURCE_DIR/jobs/smollm2.yaml" --set "models=[models/llama-facts]" >out ||
    fail "jobs/smollm2.yaml"
grep -q 'relation\\last\\first' out || { cat out; fail "the spec's routes"; }
