#!/usr/bin/env bash
# The demo of heads and sublayers: its sweep finishes, the strongest heads that docs/parts.md quotes are those, and cells computed alone
# agree.
source "$(dirname "$0")/small_spec.inc"

timeout "$((120 * slow))" "$KNOCKOUT" run "$KO_SOURCE_DIR/jobs/heads/demo.yaml" -o "$scratch/heads.h5" --progress none --log-level warn ||
    fail "the sweep"
"$KNOCKOUT" status "$scratch/heads.h5" >"$scratch/out" || { cat "$scratch/out"; fail "the cube is not complete"; }

# The commands of docs/parts.md that print something, and what they print.
"$python" - "$KO_SOURCE_DIR/docs/parts.md" "$scratch" <<'PY' || fail "docs/parts.md"
import pathlib
import re
import sys

text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
blocks = re.findall(r"^    \$ knockout (show heads\.h5 .*)\n((?:    .*\n|\n(?=    ))*)", text, re.M)
assert len(blocks) == 1, f"{len(blocks)} quoted commands"
for k, (command, output) in enumerate(blocks):
    pathlib.Path(sys.argv[2], "command").write_text(command)
    lines = [line.removeprefix("    ") for line in output.rstrip("\n").split("\n")]
    pathlib.Path(sys.argv[2], "expected").write_text("\n".join(lines) + "\n")
PY
command=$(sed "s#heads\.h5#$scratch/heads.h5#" "$scratch/command")
eval "\"\$KNOCKOUT\" $command" >"$scratch/shown" || fail "show"
# Means, intervals and p-values may differ in the last digit on another processor: heads, layers and their order may not.
heads_of() { awk '$1 ~ /-facts$/ {print $1, $2, $3, $4, int($5 + ($5 < 0 ? -0.5 : 0.5))}' "$1"; }
diff <(heads_of "$scratch/expected" | head -n 3) <(heads_of "$scratch/shown" | head -n 3) || fail "docs/parts.md quotes other heads"
[ "$(heads_of "$scratch/expected" | wc -l)" -eq "$(heads_of "$scratch/shown" | wc -l)" ] || fail "docs/parts.md quotes more or fewer heads"
"$KNOCKOUT" verify "$scratch/heads.h5" --sample 60 >"$scratch/out" || { cat "$scratch/out"; fail "verify"; }
