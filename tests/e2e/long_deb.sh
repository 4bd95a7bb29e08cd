#!/usr/bin/env bash
# The Debian package in a bare system of the same release: apt installs it with what it depends on, a user runs the demo's sweep in one
# process and in three, draws it and reads it in Python, and purging leaves nothing. Takes root, debootstrap and Debian's mirror.
# KO_CHROOT, KO_SUITE: see bare_system.inc.
source "$(dirname "$0")/small_spec.inc"
# shellcheck source=tests/e2e/bare_system.inc
source "$(dirname "$0")/bare_system.inc"

echo "== the package"
cd "$KO_SOURCE_DIR"
if ! { cmake --preset package && cmake --build --preset package; } >"$scratch/log" 2>&1; then
    tail "$scratch/log"
    fail "the package is not built"
fi
package=$(ls "$KO_SOURCE_DIR"/build/package/knockout_*.deb)

echo "== a bare system"
bare_system apt
cp "$package" "$system/tmp/knockout.deb"
within apt-get update -q >"$scratch/log" 2>&1 || { tail -n 3 "$scratch/log"; echo "skipped: apt reaches no mirror there"; exit 77; }
within find /usr /etc /opt -not -name '*.pyc' -not -name __pycache__ | sort >"$scratch/before"
begin=$SECONDS
# What it recommends, and not what that recommends in turn: a compiler, among others.
recommended=$(dpkg-deb -f "$package" Recommends | tr -d ,)
# shellcheck disable=SC2086
within apt-get install -y -q --no-install-recommends /tmp/knockout.deb $recommended >"$scratch/log" 2>&1 || { tail -n 20 "$scratch/log"; fail "apt-get install"; }
echo "installed in $((SECONDS - begin)) s: $(grep -E 'Need to get|After this' "$scratch/log" | tr '\n' ' ')"

echo "== a user"
as_user "rm -f demo.h5 demo.evaluation.h5; knockout run /usr/share/knockout/jobs/demo.yaml -o demo.h5 --threads 1 --progress none --log-level error" || fail "the demo"
as_user "mpirun --oversubscribe --bind-to none -n 3 knockout run /usr/share/knockout/jobs/demo.yaml -o three.h5 --threads 1 --overwrite --progress none --log-level error" ||
    fail "the demo in three processes"
cubes same "$system/home/visitor/demo.h5" "$system/home/visitor/three.h5" || fail "three processes give other cells"
as_user "knockout-figures demo.h5 -o figures --format png --dpi 40" >/dev/null || fail "the figures"
as_user "python3 -c \"import knockout; c = knockout.run('/usr/share/knockout/jobs/demo.yaml', 'python.h5', overwrite=True, progress=False); print(c); assert len(c.to_pandas()) > 10000\"" ||
    fail "Python"
within dpkg -L knockout >"$scratch/files" # grep -q ends at once, and dpkg would fail
for file in share/man/man1/knockout-run.1 share/bash-completion/completions/knockout share/doc/knockout/docs/spec.md share/knockout/spec.schema.json; do
    [ -s "$system/usr/$file" ] || [ -s "$system/usr/$file.gz" ] || case $file in share/man/* | share/doc/*) ;; *) fail "$file is not installed" ;; esac
    grep -qx "/usr/$file" "$scratch/files" || fail "$file is not in the package"
done

echo "== purged"
within apt-get purge -y -q knockout >"$scratch/log" 2>&1 || { tail "$scratch/log"; fail "purge"; }
left=$(within find /usr /etc /opt -iname '*knockout*' | grep -v __pycache__) || true
[ -z "$left" ] || fail "purging leaves $left"
