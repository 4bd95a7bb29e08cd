#!/usr/bin/env bash
# What is made from the program's own lists: manual pages, completions, and the schema of the spec.
source "$(dirname "$0")/small_spec.inc"
made=$scratch/manual
"$python" -B "$KO_SOURCE_DIR/cmake/manual.py" "$KNOCKOUT" "$KO_SOURCE_DIR" "$made"
"$KNOCKOUT" help --json >"$scratch/list.json"

echo "== pages"
"$python" - "$scratch/list.json" "$made" <<'PY' || fail "manual pages"
import json
import re
import sys
from pathlib import Path

listed, made = json.load(open(sys.argv[1])), Path(sys.argv[2])
plain = lambda path: path.read_text().replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
main = plain(made / "man/man1/knockout.1")
assert len(listed["commands"]) >= 10
for command in listed["commands"]:
    assert re.search(rf"^{command['name']}\b", main, re.M) and command["help"] in main, command["name"]
    page = plain(made / f"man/man1/knockout-{command['name']}.1")
    assert command["options"] and all(f"--{o['name']}" in page and o["help"].replace("\\", "\\e") in page for o in command["options"])
    for completion in (made / "completions").iterdir():
        missing = [o["name"] for o in command["options"] if o["name"] not in completion.read_text()]
        assert not missing, (completion, missing)
for status in ("0", "1", "2", "3", "4", "75"):
    assert status in listed["exit_status"]
for name, words in (("spec", ["row-budget", "correct-by-all", "routes: [last<-subject"]), ("cube", ["heat_vacuous", "plan_hash", "cube.logprob"])):
    page = plain(made / f"man/man5/knockout-{name}.5")
    assert all(word in page for word in words), name
    assert "```" not in page and not re.search(r"\]\([\w./#-]+\.md", page), name
PY
if command -v mandoc >/dev/null; then
    for page in "$made"/man/man?/*; do
        ! mandoc -T lint -W error "$page" >"$scratch/out" || continue
        cat "$scratch/out"
        fail "$page"
    done
    mandoc -T ascii "$made/man/man1/knockout-run.1" | sed 's/.\x08//g' >"$scratch/out"
    grep -q 'continue the file if it exists, otherwise start it' "$scratch/out" || fail "what man shows"
else
    echo "skipped: there is no mandoc to check the pages with"
fi

echo "== completion"
cat >"$scratch/complete.sh" <<'SH'
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_knockout
printf '%s\n' "${COMPREPLY[@]}"
SH
completed() { (cd "$scratch" && bash complete.sh "$made/completions/knockout.bash" "$@" | sort | tr '\n' ' '); }
touch "$scratch/one.h5" "$scratch/two.yaml" "$scratch/three.txt"
mkdir "$scratch/folder"
is() { [ "$1" = "$2" ] || fail "completed '$1' in place of '$2'"; }
is "$(completed knockout e)" "evaluate export "
is "$(completed knockout run --prec)" "--precision "
is "$(completed knockout run --precision bf)" "bf16x3 bfloat16 "
is "$(completed knockout run --precision '')" "bf16x3 bfloat16 float32 tf32 "
is "$(completed knockout run t)" "two.yaml "
is "$(completed knockout show o)" "one.h5 "
is "$(completed knockout show t)" " "
is "$(completed knockout inspect f)" "folder "
is "$(completed knockout run --evaluation '')" "folder manual one.h5 "
is "$(completed knockout help ver)" "verify "
"$KNOCKOUT" run "$scratch/spec.yaml" -o "$scratch/folder/some.h5" --set 'routes=[last<-subject, last<-relation\last]' --set 'sweeps=[{}]' \
    --progress none --log-level error || fail "the cube whose columns are completed"
columns() { completed "$KNOCKOUT" show folder/some.h5 "$@"; }
is "$(columns --model g)" "gpt2-facts "
is "$(columns --minus-model '')" "gpt2-facts mamba-facts "
is "$(columns --source '')" 'relation\\last subject '
is "$(columns --target '')" "last "
is "$(columns --route last)" 'last\<-relation\\last last\<-subject '
is "$(completed "$KNOCKOUT" export folder/some.h5 --model m)" "mamba-facts "
is "$(completed "$KNOCKOUT" show two.yaml --model '')" " "
for shell in zsh fish; do
    command -v "$shell" >/dev/null || { echo "skipped: there is no $shell"; continue; }
    "$shell" -n "$made/completions/$([ "$shell" = zsh ] && echo _knockout || echo knockout.fish)" || fail "$shell reads no completion"
done
if command -v fish >/dev/null; then
    HOME=$scratch fish -c "source $made/completions/knockout.fish; complete -C 'knockout run --precision bf'" >"$scratch/out"
    [ "$(cut -f1 "$scratch/out" | sort | tr '\n' ' ')" = "bf16x3 bfloat16 " ] || { cat "$scratch/out"; fail "fish completes no choice"; }
    (cd "$scratch" && HOME=$scratch PATH=$(dirname "$KNOCKOUT"):$PATH fish -c \
        "source $made/completions/knockout.fish; complete -C 'knockout show folder/some.h5 --source '") >"$scratch/out"
    [ "$(cut -f1 "$scratch/out" | sort | tr '\n' ' ')" = 'relation\last subject ' ] || { cat "$scratch/out"; fail "fish completes no column"; }
fi

echo "== schema"
"$python" -c 'import jsonschema, yaml' 2>/dev/null || { echo "skipped: $python has no jsonschema or yaml"; exit 77; }
"$python" "$KO_SOURCE_DIR/tests/e2e/schema.py" "$made/spec.schema.json" "$KNOCKOUT" "$KO_SOURCE_DIR/jobs" || fail "the schema"
