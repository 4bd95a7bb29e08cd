#!/usr/bin/env bash
# The standard streams: results that could not be written are an error; closed descriptors are in nobody's way; names that hold control
# characters reach no terminal as they are, and files as they are.
source "$(dirname "$0")/small_spec.inc"
export OMP_NUM_THREADS=1
cube=$scratch/cube.h5
variants=$KO_SOURCE_DIR/tests/data/variants
sed -i -e "s/n: 12/n: 3/" -e '/^sweeps/,$d' "$scratch/spec.yaml"
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$cube" --progress none --log-level warn

commands=("show $cube" "show $cube --csv" "show $cube --json" "export $cube --csv" "status $cube" "status $cube --json" "plan $scratch/spec.yaml"
    "plan $scratch/spec.yaml --json" "inspect $variants/gpt2-bare" "inspect $variants/gpt2-bare --json" "verify $cube --sample 2"
    "bench --help" --help "run --help" --version)

echo "== results that cannot be written"
for command in "${commands[@]}"; do
    status=0
    # shellcheck disable=SC2086 # words
    "$KNOCKOUT" $command >/dev/full 2>"$scratch/err" || status=$?
    [ "$status" -eq 1 ] || fail "$command > /dev/full: exit $status, not 1"
    [ "$(cat "$scratch/err")" = 'knockout: standard output: cannot be written: No space left on device' ] ||
        { cat "$scratch/err"; fail "$command > /dev/full says something else"; }
    status=0
    # shellcheck disable=SC2086
    "$KNOCKOUT" $command >&- 2>"$scratch/err" || status=$?
    [ "$status" -eq 1 ] && [ "$(wc -l <"$scratch/err")" -eq 1 ] || { cat "$scratch/err"; fail "$command >&-: exit $status"; }
done

echo "== a reader that has seen enough"
# A pipe holds 64 KiB, fewer than the listing has.
[ "$("$KNOCKOUT" export "$cube" --csv | wc -c)" -gt 100000 ] ||
    fail "the listing fits into a pipe: the test needs a larger cube"
for handler in default ignored; do
    set +e
    ([ $handler = default ] || trap '' PIPE && "$KNOCKOUT" export "$cube" --csv 2>"$scratch/err" | head -n 1 >"$scratch/out"
        exit "${PIPESTATUS[0]}")
    status=$?
    set -e
    [ $handler = default ] && wanted=141 || wanted=1
    [ "$status" -eq "$wanted" ] || fail "a closed pipe, $handler: exit $status, not $wanted"
    [ ! -s "$scratch/err" ] || { cat "$scratch/err"; fail "a closed pipe is reported"; }
    [ "$(wc -l <"$scratch/out")" -eq 1 ] || fail "the reader has no line"
done

echo "== closed descriptors"
export_of() { "$KNOCKOUT" export "$1" --csv | sha256sum; }
wanted=$(export_of "$cube")
for closed in 0 1 2 "1 2" "0 1 2"; do
    rm -f "$scratch"/closed*
    (
        for descriptor in $closed; do
            eval "exec $descriptor>&-"
        done
        exec "$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/closed.h5" --progress none
    ) 2>"$scratch/err" || { cat "$scratch/err"; fail "a run with $closed closed: exit $?"; }
    [ "$(export_of "$scratch/closed.h5")" = "$wanted" ] || fail "with $closed closed the cube is another one"
    "$KNOCKOUT" status "$scratch/closed.h5" | grep -q complete || fail "with $closed closed the cube is not complete"
done
[ "$("$KNOCKOUT" show "$cube" <&- 2>&- | sha256sum)" = "$("$KNOCKOUT" show "$cube" | sha256sum)" ] || fail "show with closed descriptors"

echo "== names"
cat >"$scratch/names.yaml" <<YAML
models: [{name: "a\\e[31mRED\\e]0;title\\a \\u202Eback", path: $variants/gpt2-bare}]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 2, seed: 1}}
routes: ['last<-subject']
features: [all]
windows: {sizes: [1], starts: [0]}
YAML
safe='a\u001b[31mRED\u001b]0;title\u0007 \u202eback'
named=$scratch/$'out\e[31m.h5'
"$KNOCKOUT" run "$scratch/names.yaml" -o "$named" --progress plain --log-level debug >"$scratch/log" 2>&1
"$KNOCKOUT" plan "$scratch/names.yaml" >>"$scratch/log" 2>&1
for command in status show "show --json" "status --json" "show --model none"; do
    # shellcheck disable=SC2086
    "$KNOCKOUT" $command "$named" >"$scratch/out" 2>&1 || [ "$command" = "show --model none" ] || fail "$command"
    cat "$scratch/out" >>"$scratch/log"
    [[ $command == status* || $command == *none ]] && { grep -qF 'out\u001b[31m.h5' "$scratch/out" || fail "$command does not name the cube"; }
    grep -qF "$safe" "$scratch/out" || { cat -v "$scratch/out"; fail "$command does not print the name"; }
done
"$python" - "$scratch/log" <<'PY' || fail "control characters are printed"
import sys
text = open(sys.argv[1], "rb").read().decode("utf-8")
bad = {c for c in text if c != "\n" and c != "\t" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066")}
print(len(text), "characters,", bad or "all safe")
sys.exit(bool(bad) or len(text) < 1000)
PY
"$KNOCKOUT" show "$named" --json >"$scratch/out"
"$KNOCKOUT" show "$named" --csv >"$scratch/csv"
"$python" - "$scratch/out" "$scratch/csv" "$named" <<'PY' || fail "JSON, CSV or the cube hold another name"
import csv, h5py, json, sys
name = "a\x1b[31mRED\x1b]0;title\x07 \u202eback"
def strings(x):
    if isinstance(x, dict):
        x = list(x.values())
    return [x] if isinstance(x, str) else [s for y in x for s in strings(y)] if isinstance(x, list) else []
of_csv = {row["model"] for row in csv.DictReader(open(sys.argv[2], newline=""))}
of_cube = h5py.File(sys.argv[3])["model"][0].decode()
print(name in strings(json.load(open(sys.argv[1]))), of_csv == {name}, of_cube == name)
sys.exit(not (name in strings(json.load(open(sys.argv[1]))) and of_csv == {name} and of_cube == name))
PY
