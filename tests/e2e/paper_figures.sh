#!/usr/bin/env bash
# Every figure of the paper in miniature, from its spec to its picture: the specs of jobs/paper over bundled checkpoints, facts and smaller
# windows (miniature.py), one evaluation, one cube for figures 1-10 and 12-20, and cubes of their own for figure 11, Sharma's variant, the
# released code's classes and the controls.
# Usage: paper_figures.sh [FOLDER]   FOLDER takes the pictures as the documentation shows them
source "$(dirname "$0")/small_spec.inc"
shown=${1:+$(realpath "$1")}
mini() { "$python" "$KO_SOURCE_DIR/tests/e2e/miniature.py" "$@"; }
run() { "$KO_LAUNCH" 300 3 "$KNOCKOUT" "$@" --threads 1 --progress none 2>"$scratch/log" || { cat "$scratch/log"; fail "$*"; }; }

export KNOCKOUT_CHECKPOINTS=$scratch/checkpoints COUNTERFACT=$scratch/prompts.jsonl
mini inputs "$scratch"
cd "$scratch"

echo "== cubes"
run evaluate paper/all.yaml -o paper.evaluation.h5
for spec in paper/all paper/fig11 paper/sharma paper/released-classes controls/fig06; do
    cube=${spec////-}.h5
    run run $spec.yaml -o "$cube" --evaluation paper.evaluation.h5
    "$KNOCKOUT" status "$cube" >state || { cat state; fail "$cube is not complete"; }
    tail -n 1 state
done
run run paper/fig12.yaml -o fig12.h5 --evaluation paper.evaluation.h5 --reuse paper-all.h5
grep -q 'sweep complete already' log || { cat log; fail "a figure's cells are not all in the cube of all figures"; }

echo "== pictures"
MPLCONFIGDIR=$scratch mini draw . ${shown:+85} >drawn || { tail -n 20 drawn; fail "the pictures"; }
mini check pictures
[ "$(grep -c '<img\|<svg' controls/report.html)" -ge 1 ] || fail "the report shows no picture"
if [ -n "$shown" ]; then
    mini shrink pictures "$shown"
    ls -l "$shown"
fi
