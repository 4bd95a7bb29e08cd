#!/usr/bin/env bash
# `pip install .` into an environment of its own: the package runs, plans and draws with the program that it brought. Long: it builds everything.
source "$(dirname "$0")/small_spec.inc"
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || { echo "skipped: there is no python3-venv"; exit 77; }
/usr/bin/python3 -m venv "$scratch/venv"
pip() { "$scratch/venv/bin/pip" --disable-pip-version-check "$@"; }
pip download -q --no-deps -d "$scratch" scikit-build-core >/dev/null 2>&1 || { echo "skipped: pip reaches no packages"; exit 77; }
git -C "$KO_SOURCE_DIR" status --porcelain >"$scratch/before"
pip install -q "$KO_SOURCE_DIR" || fail "pip install"
git -C "$KO_SOURCE_DIR" status --porcelain >"$scratch/after"
cmp "$scratch/before" "$scratch/after" || fail "pip leaves something in the sources"

cd "$scratch"
unset KNOCKOUT_PROGRAM PYTHONPATH
[ "$(venv/bin/knockout --version)" = "$("$KNOCKOUT" --version)" ] || fail "the command is of another version"
"$KNOCKOUT" run spec.yaml -o cli.h5 --progress none --log-level error
MPLCONFIGDIR=$scratch venv/bin/python - <<'PY' || fail "the package"
from pathlib import Path

import knockout
import knockout_figures

assert Path(knockout.program.find()).resolve().is_relative_to(Path("venv").resolve()), knockout.program.find()
for ranks in (1, 3):
    cube = knockout.run("spec.yaml", f"pip{ranks}.h5", ranks=ranks, progress=False)
    assert cube.complete and len(cube.to_pandas()) > 1000, cube
assert knockout.figures.flow(cube).table.n.min() > 0
assert (Path(knockout.__file__).parent / "py.typed").exists()
PY
for ranks in 1 3; do
    cubes same cli.h5 "pip$ranks.h5" || fail "the package's cube of $ranks ranks differs"
done
pip uninstall -q -y knockout
[ -z "$(find venv -iname '*knockout*')" ] || { find venv -iname '*knockout*'; fail "pip uninstall leaves something"; }
