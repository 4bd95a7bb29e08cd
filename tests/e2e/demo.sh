#!/usr/bin/env bash
# What jobs/demo.sh does once the program is built: the sweep on four ranks with live progress, the table, the figure.
source "$(dirname "$0")/small_spec.inc"

COLUMNS=150 "$KO_LAUNCH" 240 4 "$KNOCKOUT" run "$KO_SOURCE_DIR/jobs/demo.yaml" -o "$scratch/demo.h5" --overwrite --threads 1 \
    --progress line 2>"$scratch/progress" || { cat "$scratch/progress"; fail "the sweep"; }
tr '\r' '\n' <"$scratch/progress" | grep -E 'sweep +[0-9.]+ %  [0-9,]+ of 76,032 cells  [0-9,]+ cells/s  left .*workers busy [0-3]/3' >/dev/null ||
    fail "progress shows no cells, rate, time left and workers"

"$KNOCKOUT" status "$scratch/demo.h5" | grep -E '^total +76,032 +0 +0 +0 +76,032$' || fail "status is not complete"

"$KNOCKOUT" show "$scratch/demo.h5" >"$scratch/table"
[ "$(grep -cE '^ +[0-9]+-[0-9]+ .* 1188( |$)|^ +[0-9]+-[0-9]+ .* 1,188( |$)' "$scratch/table")" -eq 64 ] ||
    { cat "$scratch/table"; fail "the table does not have 64 windows over 1,188 prompts"; }

MPLCONFIGDIR=$scratch "$python" "$KO_SOURCE_DIR/analysis/knockout-figures" "$scratch/demo.h5" -o "$scratch" >"$scratch/figures" ||
    { cat "$scratch/figures"; fail "the figures"; }
head -c 8 "$scratch/demo.png" | cmp -s - <(printf '\x89PNG\r\n\x1a\n') || fail "demo.png is no PNG"
head -c 5 "$scratch/demo.pdf" | grep -q '%PDF-' || fail "demo.pdf is no PDF"
grep -q '</html>' "$scratch/report.html" || fail "report.html is no whole page"

# The figure's extremes are those of the table: both read the cube on their own.
"$KNOCKOUT" show "$scratch/demo.h5" --csv >"$scratch/table.csv"
"$python" - "$scratch/table.csv" "$scratch/figures" <<'PY' || fail "figure and table disagree"
import csv
import re
import sys

largest = {}
for row in csv.DictReader(open(sys.argv[1])):
    key = row["model"], *row["route"].split("<-")
    if key not in largest or abs(float(row["value"])) > abs(largest[key]):
        largest[key] = float(row["value"])
drawn = {}
for line in open(sys.argv[2]):
    if line.startswith("wrote"):  # the first figure
        break
    found = re.match(r"\s+(\S+)\s+(\S+)<-(\S+)\s+([-−]?[0-9.]+) %", line)
    if found:
        drawn[found[1], found[2], found[3]] = float(found[4].replace("−", "-"))
print(len(drawn), "curves")
sys.exit(len(drawn) != 8 or any(abs(drawn[k] - largest[k]) > 0.006 for k in drawn))
PY
