#!/usr/bin/env bash
# The wheel of cmake/wheel.sh in a bare system with nothing but Python and pip: a user's pip installs it from PyPI's packages, the notebook
# runs there in one process, its sweep in three too, each cube has the bits of the checkout's, and uninstalling leaves nothing.
# KO_CHROOT, KO_SUITE: see bare_system.inc.
source "$(dirname "$0")/small_spec.inc"
# shellcheck source=tests/e2e/bare_system.inc
source "$(dirname "$0")/bare_system.inc"

echo "== the wheel"
if ! "$KO_SOURCE_DIR/cmake/wheel.sh" "$scratch/dist" >"$scratch/log" 2>&1; then
    tail "$scratch/log"
    fail "the wheel is not built"
fi
wheel=$(ls "$scratch"/dist/knockout-*.whl)

echo "== a bare system"
bare_system python3,python3-venv,ca-certificates
[ -z "$(within sh -c 'command -v cc gcc mpirun h5dump')" ] || fail "the system is not bare"
home=$system/home/visitor
rm -rf "$home"/*.h5 "$home/venv" # of a system that is kept
cat >"$scratch/notebook.py" <<'PY'
"""The code of the notebook, and its sweep once more in three processes."""
import json
import sys

with open(sys.argv[1]) as file:
    cells = [cell["source"] for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
for cell in cells:
    exec("".join(cell))
assert cube.complete and len(cube.to_pandas()) > 1000, cube
three = knockout.run(spec, "three.h5", ranks=3)
assert three.complete
PY
cp "$scratch/notebook.py" "$KO_SOURCE_DIR/analysis/first-sweep.ipynb" "$wheel" "$home"
mkdir "$scratch/here"
(cd "$scratch/here" && MPLBACKEND=agg PYTHONPATH=$KO_SOURCE_DIR/analysis KNOCKOUT_PROGRAM=$KNOCKOUT KNOCKOUT_LAUNCHER="$MPIEXEC --oversubscribe --bind-to none -n {ranks}" \
    "$python" ../notebook.py "$KO_SOURCE_DIR/analysis/first-sweep.ipynb" 2>"$scratch/log") || { cat "$scratch/log"; fail "the notebook in the checkout"; }

echo "== a user's pip"
begin=$SECONDS
as_user "python3 -m venv venv && venv/bin/pip install -q --disable-pip-version-check ./$(basename "$wheel")" >"$scratch/log" 2>&1 || { tail "$scratch/log"; fail "pip install"; }
echo "installed in $((SECONDS - begin)) s: the wheel $(du -m "$wheel" | cut -f1) MB, the environment $(du -sm "$home/venv" | cut -f1) MB"
[[ "$(as_user venv/bin/knockout --version)" == "knockout $(<"$KO_SOURCE_DIR/VERSION") ("* ]] || fail "the command is of another version"
for file in share/man/man1/knockout-run.1 share/bash-completion/completions/knockout; do
    [ -s "$home/venv/$file" ] || fail "$file is not installed"
done
! as_user "ldd venv/lib/python3*/site-packages/knockout/bin/knockout" | grep 'not found' || fail "a library is not found"

echo "== the notebook"
begin=$SECONDS
as_user "MPLBACKEND=agg venv/bin/python notebook.py first-sweep.ipynb" 2>"$scratch/log" || { cat "$scratch/log"; fail "the notebook"; }
for cube in first heads three; do
    cubes same "$scratch/here/$cube.h5" "$home/$cube.h5" checkpoint_path tokenizer_path || fail "the wheel's $cube.h5 differs from the checkout's"
done
echo "ran in $((SECONDS - begin)) s"

echo "== the command line in three processes"
as_user "PATH=\$PWD/venv/bin:\$PATH; mpirun --oversubscribe --bind-to none -n 3 knockout run venv/lib/python3*/site-packages/knockout/jobs/demo.yaml -o demo.h5 --threads 1 --progress none --log-level warn" \
    2>"$scratch/said" || { cat "$scratch/said"; fail "mpirun"; }
[ ! -s "$scratch/said" ] || { cat "$scratch/said"; fail "mpirun prints something"; }
as_user "venv/bin/python -m knockout.mpirun --version" >"$scratch/said" 2>&1 || fail "python -m knockout.mpirun"
[[ "$(<"$scratch/said")" == "mpirun (Open MPI) 5."* ]] || { cat "$scratch/said"; fail "python -m knockout.mpirun"; }
"$KNOCKOUT" run "$KO_SOURCE_DIR/jobs/demo.yaml" -o "$scratch/demo.h5" --threads 1 --progress none --log-level error
cubes same "$scratch/demo.h5" "$home/demo.h5" checkpoint_path tokenizer_path || fail "the wheel's demo differs from the checkout's"

echo "== uninstalled"
as_user "venv/bin/pip uninstall -q -y knockout"
left=$(find "$home/venv" -iname '*knockout*')
[ -z "$left" ] || fail "pip uninstall leaves $left"
