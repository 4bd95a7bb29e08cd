#!/usr/bin/env bash
# Sourced after jobs/install.sh. ko_install_readers: installs the languages and tools that tests/readers/ opens cubes with, and what
# tests/analysis/ compares and looks with (scipy, a Chromium without a window), where apt is at hand and allowed (half a minute and
# 103 MB to fetch for the first, 106 MB for the second, on Debian 12). What is still missing afterwards is no failure: its test is skipped with the reason.

# ko_want PACKAGES COMMAND...: notes that the packages are wanted unless the command succeeds.
ko_want() {
    local packages=$1
    shift
    "$@" >/dev/null 2>&1 || ko_wanted+=("$packages")
}

ko_have_chromium() {
    command -v chromium || command -v chromium-headless-shell || command -v chromium-browser || command -v google-chrome
}

ko_install_readers() {
    local packages ko_wanted=()
    ko_want "r-cran-ncdf4" Rscript -e 'library(ncdf4)'
    ko_want "octave octave-netcdf" octave --no-gui --eval 'pkg load netcdf'
    ko_want "netcdf-bin" command -v ncdump
    ko_want "hdf5-tools" command -v h5dump
    ko_want "python3-xarray python3-h5netcdf python3-netcdf4" "$(ko_python)" -c 'import xarray, h5netcdf, netCDF4'
    ko_want "python3-scipy" "$(ko_python)" -c 'import scipy'
    ko_want "chromium-headless-shell" ko_have_chromium
    [ ${#ko_wanted[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null || [ -n "${LOADEDMODULES:-}" ] || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
        echo "not installed, so their tests are skipped: ${ko_wanted[*]}"
        return 0
    fi
    echo "installing what tests of readers and figures use with apt-get: ${ko_wanted[*]}"
    ko_apt update || return 0
    # All at once is fastest; where a release lacks one of them, those that it has.
    # shellcheck disable=SC2048,SC2086
    ko_apt install ${ko_wanted[*]} 2>/dev/null && return 0
    for packages in "${ko_wanted[@]}"; do
        # shellcheck disable=SC2086
        ko_apt install $packages 2>/dev/null || echo "cannot be installed, so its tests are skipped: $packages"
    done
}
