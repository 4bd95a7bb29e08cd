#!/usr/bin/env bash
# Every command of docs/walkthrough.md, as it stands there, with bundled checkpoints and facts in the place of what it downloads.
# Usage: walkthrough.sh [PICTURE]   PICTURE takes the figure
source "$(dirname "$0")/small_spec.inc"
page=$KO_SOURCE_DIR/docs/walkthrough.md
picture=${1:+$(realpath -m "$1")}

mkdir -p "$scratch/here/ckpt" "$scratch/bin"
cd "$scratch/here"
ln -s "$KO_SOURCE_DIR/analysis" analysis
ln -s "$KO_SOURCE_DIR/jobs/models/mamba-facts" ckpt/mamba-130m-hf
ln -s "$KO_SOURCE_DIR/jobs/models/gpt2-facts" ckpt/gpt2-medium
"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" >counterfact.json <<'PY'
import json
import sys

facts = [json.loads(line) for line in open(sys.argv[1])][::6]
print(json.dumps([{"case_id": f["id"], "requested_rewrite": {
    "prompt": f["prompt"].replace(f["subject"], "{}", 1), "subject": f["subject"], "relation_id": f["relation"],
    "target_true": {"str": f["target"].strip()}, "target_new": {"str": "London"}}} for f in facts]))
PY
# The program is built already; ranks go by this machine's launcher; Python is one that has the modules.
printf '#!/bin/sh\nexit 0\n' >"$scratch/bin/cmake"
printf '#!/bin/sh\n[ "$1" = -n ] || exit 2\nn=$2; shift 2\nexec "%s" 240 "$n" "$@"\n' "$KO_LAUNCH" >"$scratch/bin/mpirun"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$python" >"$scratch/bin/python3"
ln -s "$KNOCKOUT" "$scratch/bin/knockout"
chmod +x "$scratch"/bin/*
# The launcher and the program must not find these in the place of the real ones.
export MPIEXEC=${MPIEXEC:-$(command -v mpirun)} MPLCONFIGDIR=$scratch OMP_NUM_THREADS=1
export PATH=$scratch/bin:$PATH

sed -n '/^```sh$/,/^```$/{/^```/d;p}' "$page" >"$scratch/commands"
[ "$(grep -c '^knockout \|^mpirun \|^python3 ' "$scratch/commands")" -ge 9 ] || fail "the page has lost its commands"
# shellcheck source=/dev/null
(set -ex; source "$scratch/commands") >"$scratch/out" 2>"$scratch/err" || { tail -n 30 "$scratch/out" "$scratch/err"; fail "a command of the page"; }

grep -q '^total ' "$scratch/out" || fail "status printed no total"
"$KNOCKOUT" status flow.h5 >/dev/null || fail "the cube is not complete"
[ "$(wc -l <flow.csv)" -eq 81 ] || fail "flow.csv has $(wc -l <flow.csv) lines, expected 80 windows and a header"
[ -s figures/report.html ] && [ -s figures/figures.csv ] || fail "no report"
flows=(figures/*controls*.png)
flow=${flows[0]}
head -c 8 "$flow" | cmp -s - <(printf '\x89PNG\r\n\x1a\n') || fail "$flow is no PNG"
if [ -n "$picture" ]; then # the same figure, which says that it is of stand-ins
    "$python" analysis/knockout-figures flow.h5 -o drawn --kind controls --format png --no-report --remark \
        "STAND-INS, NOT A RESULT: mamba-facts and gpt2-facts, bundled toys of 1M parameters, in the place of the two checkpoints" >/dev/null
    mkdir shown && cp "drawn/$(basename "$flow")" shown/walkthrough.png
    "$python" "$KO_SOURCE_DIR/tests/e2e/miniature.py" shrink shown "$(dirname "$picture")"
fi
