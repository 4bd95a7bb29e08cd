#!/usr/bin/env bash
# Every figure of the paper in miniature, from its spec to its picture: the specs of jobs/paper over bundled checkpoints, facts and smaller
# windows (miniature.py), one evaluation, one cube for figures 1-10 and 12-20, and cubes of their own for figure 11, Sharma's variant, the
# released code's classes and the controls.
# Usage: paper_figures.sh [FOLDER]   FOLDER takes the pictures as the documentation shows them
source "$(dirname "$0")/small_spec.inc"
shown=${1:+$(realpath "$1")}
mini() { "$python" "$KO_SOURCE_DIR/tests/e2e/miniature.py" "$@"; }
run() { "$KO_LAUNCH" 300 3 "$KNOCKOUT" "$@" --threads 1 --progress none 2>"$scratch/log" || { cat "$scratch/log"; fail "$*"; }; }
draw() { MPLCONFIGDIR=$scratch "$python" "$KO_SOURCE_DIR/analysis/knockout-figures" "$@" --format png,svg >>"$scratch/drawn" || fail "knockout-figures $*"; }
sizes() { printf -- '--window-size %s ' "$@"; }
figures() { printf -- '--figure fig%s ' "$@"; }

export KNOCKOUT_CHECKPOINTS=$scratch/checkpoints KNOCKOUT_PROMPTS=$scratch/prompts.jsonl
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
# shellcheck disable=SC2046
{
    draw paper-all.h5 -o pictures --no-report $(figures 01 02 03 04 05 06 07 12 13 16 17) $(sizes 5)
    draw paper-all.h5 -o pictures --no-report $(figures 08 09 10 14 15) $(sizes 1 2 3 5 6 8)
    draw paper-all.h5 -o pictures --no-report $(figures 18 19 20) $(sizes 1 3 5 8)
    draw paper-fig11.h5 -o pictures --no-report $(figures 11) $(sizes 5)
    draw paper-sharma.h5 -o pictures --no-report --figure sharma $(sizes 5)
    draw paper-released-classes.h5 -o pictures --no-report --figure released-classes $(sizes 5)
    draw controls-fig06.h5 -o controls --kind features --kind controls
}
mini check pictures
[ "$(grep -c '<img\|<svg' controls/report.html)" -ge 1 ] || fail "the report shows no picture"
mini ink controls/*.png

if [ -n "$shown" ]; then
    controls=(controls/*controls*.png)
    cp "${controls[0]}" pictures/controls.png
    mini shrink pictures "$shown"
    ls -l "$shown"
fi
