#!/usr/bin/env bash
# The statistics of `show` against scipy's and numpy's and those of analysis/, on a cube with controls, foils, relations, prompts that
# are vacuous on some routes, and one that cannot be run.
source "$(dirname "$0")/small_spec.inc"

# The program's own Python, else the system's.
for python in "$python" /usr/bin/python3 none; do
    [ "$python" != none ] || { echo "skipped: there is no Python with h5py, numpy and scipy"; exit 77; }
    ! "$python" -c 'import h5py, numpy, scipy' 2>/dev/null || break
done

"$python" - "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/foils.jsonl" <<'PY'
import json
import sys

rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")][::40][:24]
for row, other in zip(rows, rows[7:] + rows[:7]):
    if row["id"] % 3:
        row["foil"] = other["target"]
rows.append(dict(rows[3], id="absent", subject="Nowhere"))
print(*map(json.dumps, rows), sep="\n")
PY
cat >"$scratch/statistics.yaml" <<YAML
models: [$KO_SOURCE_DIR/jobs/models/mamba-facts, $KO_SOURCE_DIR/jobs/models/gpt2-facts]
prompts: {file: foils.jsonl, select: all}
routes: ['last<-subject', 'last<-relation', 'last<-random-like:subject:0', 'last<-random-like:subject:7', 'subject<-context', 'last<-context']
features: [all, slow-third, 'fast-third+conv', 'random-third:0', 'random-third:1', 'random-third:4+conv']
windows: {sizes: [1, 5], starts: {every: 3}}
YAML
"$KNOCKOUT" run "$scratch/statistics.yaml" -o "$scratch/statistics.h5" --progress none --log-level error
"$python" "$KO_SOURCE_DIR/tests/e2e/statistics.py" "$scratch/statistics.h5"

echo "== JSON"
"$KNOCKOUT" show "$scratch/statistics.h5" --csv --minus-control --by relation >"$scratch/curves.csv"
"$KNOCKOUT" show "$scratch/statistics.h5" --json --minus-control --by relation >"$scratch/curves.json"
"$python" - "$scratch/curves.csv" "$scratch/curves.json" <<'PY' || fail "JSON and CSV differ"
import csv
import json
import sys

flat = []
report = json.load(open(sys.argv[2]))
for curve in report["curves"]:
    for window in curve["windows"]:
        flat.append({"metric": report["metric"], **curve, **window})
rows = list(csv.DictReader(open(sys.argv[1])))
assert rows and len(rows) == len(flat)
names = {"model", "route", "feature_class", "window_size", "metric", "relation", "minus"}
for row, window in zip(rows, flat):
    assert all(row[k] == str(window[k]) for k in names) and int(row["window_start"]) == window["start"], (row, window)
    for name in ("depth", "value", "low", "high", "n", "p", "p_holm"):
        assert (row[name] == "") == (window[name] is None), (name, row, window)
        assert window[name] is None or abs(float(row[name]) - window[name]) <= 2e-8 * abs(window[name]), (name, row, window)
PY

echo "== the threads do not change the resamples"
for threads in 1 3; do
    OMP_NUM_THREADS=$threads "$KNOCKOUT" show "$scratch/statistics.h5" --csv --interval bootstrap >"$scratch/$threads.csv"
done
cmp "$scratch/1.csv" "$scratch/3.csv" || fail "one thread and three print other intervals"

echo "== what is refused"
refused() {
    local words=$1
    shift
    if "$KNOCKOUT" show "$@" >/dev/null 2>"$scratch/err"; then fail "show $* is taken"; fi
    grep -qF -- "$words" "$scratch/err" || { cat "$scratch/err"; fail "show $*: '$words' is not said"; }
}
refused "has no control of these curves" "$scratch/statistics.h5" --source relation --feature all --minus-control
refused "no second curve to subtract" "$scratch/statistics.h5" --source relation --minus-source relation
refused "choose one" "$scratch/statistics.h5" --csv --json
refused "it is an evaluation" "$scratch/statistics.evaluation.h5" --by relation
