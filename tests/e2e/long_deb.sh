#!/usr/bin/env bash
# The Debian package in a bare system of the same release: apt installs it with what it depends on, a user runs the demo's sweep in one
# process and in three, draws it and reads it in Python, and purging leaves nothing. Takes root, debootstrap and Debian's mirror.
# KO_CHROOT names a folder to keep the bare system in, or to take it from.
source "$(dirname "$0")/small_spec.inc"
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null || ! command -v dpkg-shlibdeps >/dev/null; then
    echo "skipped: needs root, debootstrap and dpkg-dev"
    exit 77
fi
system=${KO_CHROOT:-$scratch/system}
# shellcheck source=/dev/null
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -n 's/^URIs: *//p; s/^deb \(\[.*\] \)\?\([^ ]*\) .*/\2/p' | sed -n 1p) || true
within() { chroot "$system" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
as_user() { chroot "$system" su - visitor -c "$*"; }

echo "== the package"
cd "$KO_SOURCE_DIR"
if ! { cmake --preset package && cmake --build --preset package; } >"$scratch/log" 2>&1; then
    tail "$scratch/log"
    fail "the package is not built"
fi
package=$(ls "$KO_SOURCE_DIR"/build/package/knockout_*.deb)

echo "== a bare system"
if [ ! -x "$system/usr/bin/apt-get" ]; then
    mkdir -p "$system"
    debootstrap --variant=minbase "$suite" "$system" "$mirror" >"$scratch/log" 2>&1 || { tail -n 3 "$scratch/log"; echo "skipped: no bare system from $mirror"; exit 77; }
fi
cp /etc/resolv.conf "$system/etc/resolv.conf"
cp /etc/apt/apt.conf.d/* "$system/etc/apt/apt.conf.d/" 2>/dev/null || true
mount -t proc proc "$system/proc"
mount --bind /dev "$system/dev"
trap 'umount "$system/proc" "$system/dev"; rm -rf "$scratch"' EXIT
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
within id visitor >/dev/null 2>&1 || within useradd -m visitor
as_user "rm -f demo.h5 demo.evaluation.h5; knockout run /usr/share/knockout/jobs/demo.yaml -o demo.h5 --progress none --log-level error" || fail "the demo"
as_user "mpirun --oversubscribe --bind-to none -n 3 knockout run /usr/share/knockout/jobs/demo.yaml -o three.h5 --overwrite --progress none --log-level error" ||
    fail "the demo in three processes"
cubes same "$system/home/visitor/demo.h5" "$system/home/visitor/three.h5" || fail "three processes give other cells"
as_user "knockout-figures demo.h5 -o figures --format png --dpi 40" >/dev/null || fail "the figures"
as_user "python3 -c \"import knockout; c = knockout.run('/usr/share/knockout/jobs/demo.yaml', 'python.h5', overwrite=True, progress=False); print(c); assert len(c.to_pandas()) > 10000\"" ||
    fail "Python"
for file in share/man/man1/knockout-run.1 share/bash-completion/completions/knockout share/doc/knockout/docs/spec.md share/knockout/spec.schema.json; do
    [ -s "$system/usr/$file" ] || [ -s "$system/usr/$file.gz" ] || case $file in share/man/* | share/doc/*) ;; *) fail "$file is not installed" ;; esac
    within dpkg -L knockout | grep -qx "/usr/$file" || fail "$file is not in the package"
done

echo "== purged"
within apt-get purge -y -q knockout >"$scratch/log" 2>&1 || { tail "$scratch/log"; fail "purge"; }
left=$(within find /usr /etc /opt -iname '*knockout*' | grep -v __pycache__) || true
[ -z "$left" ] || fail "purging leaves $left"
