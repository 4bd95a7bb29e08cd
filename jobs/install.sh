#!/usr/bin/env bash
# Installs what building, testing and drawing need and is not here yet. On Debian and Ubuntu the packages come from apt, without
# recommended ones, as root or with `sudo -n`. Where there is no apt, where environment modules are loaded, or without those rights
# nothing is installed: what is missing is named and the exit status is 2. Sourced, it only defines its functions:
#   ko_install_missing   the above
#   ko_python            prints a Python that has what analysis/ needs (ko_python_modules); status 1 where there is none
#   ko_release, ko_mirror
# KNOCKOUT_PYTHON names a Python to try first. The system's Python is never changed by pip: what apt does not have goes to build/venv.

ko_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ko_missing=()  # "kind name package", one entry a thing
ko_python_modules=(numpy h5py matplotlib pandas xarray)

# ko_need KIND NAME PACKAGE COMMAND...: notes that NAME is missing unless the command succeeds.
ko_need() {
    local kind=$1 name=$2 package=$3
    shift 3
    "$@" >/dev/null 2>&1 || ko_missing+=("$kind $name $package")
}

# A compiler alone is not enough: without libc6-dev it links nothing.
ko_have_compiler() {
    local cc
    cc=$(command -v cc || command -v gcc) && [ -e "$("$cc" -print-file-name=crt1.o)" ]
}

ko_have_openblas() {
    if command -v dpkg-query >/dev/null; then # Debian has three flavours; the program's threads are OpenMP's
        compgen -G '/usr/lib/*/openblas-openmp/libopenblas.so' && return
    fi
    [ -n "${KNOCKOUT_OPENBLAS_LIBRARY:-}" ] || { ! command -v apt-get >/dev/null && pkg-config --exists openblas; }
}

ko_have_parallel_hdf5() {
    pkg-config --exists hdf5-openmpi || command -v h5pcc || command -v h5pcc.openmpi || [ -n "${HDF5_ROOT:-}" ]
}

# ko_has_modules PYTHON: whether it has all the modules. Looked up, not imported: importing takes a second.
ko_has_modules() {
    "$1" - "${ko_python_modules[@]}" 2>/dev/null <<'PY'
import sys
from importlib.util import find_spec
sys.exit(any(find_spec(m) is None for m in sys.argv[1:]))
PY
}

ko_python() {
    local python
    for python in "${KNOCKOUT_PYTHON:-}" "$ko_root/build/venv/bin/python3" python3 /usr/bin/python3; do
        if [ -n "$python" ] && ko_has_modules "$python"; then
            command -v "$python"
            return 0
        fi
    done
    return 1
}

ko_look() {
    ko_missing=()
    ko_need command gcc "gcc libc6-dev" ko_have_compiler
    ko_need command cmake cmake command -v cmake
    ko_need command ninja ninja-build command -v ninja
    ko_need command pkg-config pkg-config command -v pkg-config
    ko_need command mpicc libopenmpi-dev command -v mpicc
    ko_need command mpirun openmpi-bin command -v mpirun
    ko_need pkg-config json-c libjson-c-dev pkg-config --exists json-c
    ko_need pkg-config yaml-0.1 libyaml-dev pkg-config --exists yaml-0.1
    ko_need pkg-config libpcre2-8 libpcre2-dev pkg-config --exists libpcre2-8
    ko_need pkg-config libutf8proc libutf8proc-dev pkg-config --exists libutf8proc
    ko_need pkg-config libzip libzip-dev pkg-config --exists libzip
    ko_need pkg-config libxxhash libxxhash-dev pkg-config --exists libxxhash
    ko_need pkg-config cmocka libcmocka-dev pkg-config --exists cmocka
    ko_need library OpenBLAS "libopenblas-openmp-dev" ko_have_openblas
    ko_need library "parallel-HDF5" libhdf5-openmpi-dev ko_have_parallel_hdf5
    ko_need python3 "$(IFS=,; echo "${ko_python_modules[*]}")" "python3 ${ko_python_modules[*]/#/python3-}" ko_python
}

ko_packages() {
    local entry
    for entry in "${ko_missing[@]}"; do
        cut -d' ' -f3- <<<"$entry"
    done | tr ' ' '\n' | sort -u | tr '\n' ' ' | sed 's/ $//'
}

# ko_refuse WHY: names what is missing; status 2.
ko_refuse() {
    local entry kind name package
    {
        echo "knockout: missing: $(for entry in "${ko_missing[@]}"; do cut -d' ' -f2 <<<"$entry"; done | paste -sd, | sed 's/,/, /g')"
        for entry in "${ko_missing[@]}"; do
            read -r kind name package <<<"$entry"
            printf '  %-11s %-24s Debian and Ubuntu: %s\n' "$kind" "$name" "$package"
        done
        echo "$1"
    } >&2
    return 2
}

# Where the modules of apt do not serve: a virtual environment in the build folder, which sees the system's packages.
ko_make_venv() {
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || ko_apt install python3-venv || return
    /usr/bin/python3 -m venv --system-site-packages "$ko_root/build/venv" &&
        "$ko_root/build/venv/bin/python3" -m pip install --quiet --disable-pip-version-check "${ko_python_modules[@]}"
}

# ko_release, ko_mirror: the code name of this machine's Debian or Ubuntu, and the first mirror that apt is told of.
ko_release() {
    # shellcheck source=/dev/null
    (. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

ko_mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -n 's/^URIs: *//p; s/^deb \(\[.*\] \)\?\([^ ]*\) .*/\2/p' | sed -n 1p || true
}

# ko_apt update, ko_apt install PACKAGE...: as root or through sudo.
ko_apt() {
    local verb=$1 prefix=()
    shift
    [ "$(id -u)" = 0 ] || prefix=(sudo -n)
    # Packages' own remarks on stderr are shown only where apt-get fails.
    local said status=0
    said=$("${prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$verb" -q -y --no-install-recommends \
        -o=Dpkg::Use-Pty=0 "$@" 2>&1 >/dev/null) || status=$?
    [ "$status" = 0 ] || printf '%s\n' "$said" >&2
    return "$status"
}

ko_install_missing() {
    local packages
    ko_look
    [ ${#ko_missing[@]} -gt 0 ] || return 0
    packages=$(ko_packages)
    command -v apt-get >/dev/null || { ko_refuse "Nothing was installed: there is no apt-get here. Install them or load their modules."; return; }
    [ -z "${LOADEDMODULES:-}" ] || { ko_refuse "Nothing was installed: environment modules are loaded ($LOADEDMODULES). Load those that bring them."; return; }
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        ko_refuse "Nothing was installed, because that takes root or sudo without a password. As root:
  apt-get update && apt-get install --no-install-recommends $packages"
        return
    fi
    echo "installing with apt-get, which takes a minute or two: $packages"
    ko_apt update || return 1
    # shellcheck disable=SC2086
    ko_apt install $packages || return 1
    hash -r
    ko_python >/dev/null || ko_make_venv || return 1
    ko_look
    [ ${#ko_missing[@]} -eq 0 ] || ko_refuse "They are still not found, although apt-get has installed $packages. Is PATH or PKG_CONFIG_PATH narrowed?"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    ko_install_missing
    echo "everything needed is here; Python with ${ko_python_modules[*]}: $(ko_python)"
fi
