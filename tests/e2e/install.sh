#!/usr/bin/env bash
# What `cmake --install` leaves runs and can be read: every link of every document leads somewhere, there and in the sources, the
# bundled sweep runs and draws from any folder, and `uninstall` leaves nothing.
source "$(dirname "$0")/small_spec.inc"
build=$(cd "$(dirname "$KNOCKOUT")/.." && pwd)
links() { "$python" "$KO_SOURCE_DIR/tests/e2e/links.py" "$@"; }

# The build folder's own notes of an installation outlive this one, and the sources lose what this test puts there.
mkdir "$scratch/kept"
for name in install_manifest.txt install_folders.txt; do
    [ ! -e "$build/$name" ] || mv "$build/$name" "$scratch/kept"
done
left=("$KO_SOURCE_DIR/analysis/build/ko-left" "$KO_SOURCE_DIR/analysis/ko-left.egg-info")
finish() {
    rm -rf "${left[@]}" "$build"/install_manifest.txt "$build"/install_folders.txt
    rmdir "$KO_SOURCE_DIR/analysis/build" 2>/dev/null || true
    [ -z "$(ls "$scratch/kept")" ] || mv "$scratch"/kept/* "$build"
    rm -rf "$scratch"
}
trap finish EXIT

install_to() { cmake --install "$build" --prefix "$1" >"$scratch/log" || { cat "$scratch/log"; fail "cmake --install --prefix $1"; }; }
uninstall() { cmake --build "$build" --target uninstall >"$scratch/log" || { cat "$scratch/log"; fail "uninstall"; }; }

echo "== links of the sources"
links "$KO_SOURCE_DIR" --except "$KO_SOURCE_DIR/build" --root "$KO_SOURCE_DIR" || fail "links of the documents"
printf '[here](#a-b) [gone](gone.md) [no heading](other.md#c), and docs/none.md\n\n# A b\n' >"$scratch/some.md"
echo '{"cells": [{"cell_type": "markdown", "source": ["[lost](lost.md)"]}, {"cell_type": "code", "source": ["[no](link)"]}]}' >"$scratch/some.ipynb"
echo "text" >"$scratch/other.md"
! links "$scratch" --root "$KO_SOURCE_DIR" >"$scratch/said" || fail "dead links are not seen"
for words in 'gone.md: no such file' 'other.md#c: no such heading' 'lost.md: no such file' 'docs/none.md: named in the text'; do
    grep -q "$words" "$scratch/said" || fail "dead links are not named"
done
grep -q '4 links, 4 lead nowhere' "$scratch/said" || { cat "$scratch/said"; fail "links are miscounted"; }

echo "== installed"
mkdir -p "${left[@]}" # as `pip install ./analysis` leaves them
touch "${left[@]/%//some.py}"
installed=$scratch/prefix
install_to "$installed"
[ -z "$(find "$installed" -name '*ko-left*' -o -name __pycache__)" ] || fail "what pip left in the sources is installed"
for folder in share/doc/knockout share/doc/knockout/jobs share/knockout share/knockout/docs; do
    links "$installed/$folder" || fail "links below $folder"
done
for name in README.md docs/spec.md docs/figures/fig01.png CITATION.cff jobs/snakemake/Snakefile jobs/paper/README.md jobs/demo.yaml jobs/models/mamba-facts/config.json; do
    [ -s "$installed/share/doc/knockout/$name" ] || fail "$name is not installed"
done
[ ! -e "$installed/share/knockout/jobs/demo.sh" ] || fail "a script that builds from the sources is installed"

echo "== the module finds its installation"
if command -v tclsh >/dev/null; then
    cat >"$scratch/module.tcl" <<'TCL'
set ModulesCurrentModulefile [lindex [glob [lindex $argv 0]/share/knockout/modulefiles/knockout/*] 0]
foreach command {module-whatis conflict setenv prepend-path} { proc $command args "puts \"$command \$args\"" }
source $ModulesCurrentModulefile
TCL
    tclsh "$scratch/module.tcl" "$installed" >"$scratch/out"
    [ -x "$(sed -n 's/^prepend-path PATH //p' "$scratch/out")/knockout" ] || { cat "$scratch/out"; fail "the module's PATH has no program"; }
    [ -d "$(sed -n 's/^prepend-path PYTHONPATH //p' "$scratch/out")/knockout" ] || { cat "$scratch/out"; fail "the module's Python finds no package"; }
else
    echo "skipped: there is no tclsh to read the module with"
fi

echo "== the installed program runs the installed sweep"
cd "$scratch"
"$installed/bin/knockout" run "$installed/share/knockout/jobs/demo.yaml" -o first.h5 --progress none --log-level error \
    --set 'prompts={file: facts.jsonl, select: correct, sample: {n: 5, seed: 1}}' || fail "the bundled sweep"
MPLCONFIGDIR=$scratch "$python" "$installed/bin/knockout-figures" first.h5 -o figures --format png --dpi 40 >/dev/null || fail "its figures"
[ -s figures/report.html ] || fail "there is no report"

echo "== uninstalled"
install_to "$installed" # once more, over the first
PYTHONPATH=$installed/share/knockout/analysis "$python" -c 'import knockout_figures.palette' # leaves __pycache__
uninstall
[ ! -e "$installed" ] || { find "$installed"; fail "uninstall leaves something"; }
mkdir -p "$installed/bin" "$installed/share/doc/other"
install_to "$installed"
uninstall
[ "$(cd "$installed" && find . | sort | tr '\n' ' ')" = ". ./bin ./share ./share/doc ./share/doc/other " ] ||
    { find "$installed"; fail "uninstall does not leave what was there before"; }

echo "== into a package's folder, which is not there yet"
export DESTDIR=$scratch/package
timeout 60 cmake --install "$build" --prefix /opt/knockout >"$scratch/log" || { tail -n 3 "$scratch/log"; fail "cmake --install with DESTDIR"; }
links "$DESTDIR/opt/knockout/share/doc/knockout" || fail "links of the package"
"$DESTDIR/opt/knockout/bin/knockout" --version >/dev/null || fail "the package's program"
uninstall
[ -z "$(find "$DESTDIR" -mindepth 1)" ] || { find "$DESTDIR"; fail "uninstall leaves something of the package"; }
unset DESTDIR
