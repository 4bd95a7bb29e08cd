#!/usr/bin/env bash
# Sourced after jobs/install.sh. ko_install_for_tests LONG: installs what only tests use, where apt is at hand and allowed. What is still
# missing afterwards is no failure: its test or step is skipped with the reason. LONG (true or false): also what `tests/run.sh --long` uses.

# ko_want PACKAGES COMMAND...: notes that the packages are wanted unless the command succeeds.
ko_want() {
    local packages=$1
    shift
    "$@" >/dev/null 2>&1 || ko_wanted+=("$packages")
}

# ko_have_any COMMAND...: whether one of them is there.
ko_have_any() {
    local command
    for command in "$@"; do
        command -v "$command" && return 0
    done
    return 1
}

ko_list_wanted() {
    local long=$1 tool
    ko_wanted=()
    # The daemons of a real Slurm of virtual nodes.
    ko_want "slurmctld slurmd slurm-client" eval 'command -v slurmctld && command -v slurmd && command -v sbatch'
    # tests/static.sh, whose lists of findings are made for Debian 12's versions.
    for tool in clang-format clang-tidy cppcheck shellcheck; do
        ko_want "$tool" ko_have_any "$tool-14" "$tool"
    done
    # Fuzzing: clang with libFuzzer; the thread sanitizer with OpenMP's tool Archer.
    ko_want "clang libclang-rt-dev libomp-dev" ko_have_any clang
    # tests/readers/: the languages and tools that open cubes; half a minute and 103 MB to fetch on Debian 12.
    ko_want "r-cran-ncdf4" Rscript -e 'library(ncdf4)'
    ko_want "octave octave-netcdf" octave --no-gui --eval 'pkg load netcdf'
    ko_want "netcdf-bin" command -v ncdump
    ko_want "hdf5-tools" command -v h5dump
    ko_want "python3-xarray python3-h5netcdf python3-netcdf4" "$KO_PYTHON" -c 'import xarray, h5netcdf, netCDF4'
    # tests/analysis/: what it compares and looks with; 106 MB to fetch.
    ko_want "python3-scipy" "$KO_PYTHON" -c 'import scipy'
    ko_want "python3-jsonschema python3-yaml" "$KO_PYTHON" -c 'import jsonschema, yaml'
    ko_want "mandoc" ko_have_any mandoc
    ko_want "zsh fish" eval 'command -v zsh && command -v fish'
    ko_want "python3-nbclient python3-ipykernel" "$KO_PYTHON" -c 'import nbclient, ipykernel'
    ko_want "python3-tqdm" "$KO_PYTHON" -c 'import tqdm'
    ko_want "mkdocs-material" "$KO_PYTHON" -c 'import mkdocs, material'
    ko_want "chromium-headless-shell" ko_have_any chromium chromium-headless-shell chromium-browser google-chrome
    if $long; then
        ko_want "valgrind" ko_have_any valgrind
        ko_want "gcovr" ko_have_any gcovr
    fi
}

ko_install_for_tests() {
    local packages ko_wanted
    ko_list_wanted "$1"
    [ ${#ko_wanted[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null || [ -n "${LOADEDMODULES:-}" ] || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
        echo "not installed, so their tests are skipped: ${ko_wanted[*]}"
        return 0
    fi
    echo "installing with apt-get what only tests use: ${ko_wanted[*]}"
    if ! ko_apt update; then
        echo "not installed, so their tests are skipped: ${ko_wanted[*]}"
        return 0
    fi
    # All at once is fastest; where a release lacks one of them, those that it has.
    # shellcheck disable=SC2048,SC2086
    if ! ko_apt install ${ko_wanted[*]} 2>/dev/null; then
        for packages in "${ko_wanted[@]}"; do
            # shellcheck disable=SC2086
            ko_apt install $packages 2>/dev/null || echo "cannot be installed, so its tests are skipped: $packages"
        done
    fi
    hash -r
}
