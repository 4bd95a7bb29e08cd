#!/usr/bin/env bash
# read.sh READER FOLDER: the reader's mean curves of the cube in the folder, and of its compressed copy, are those of `knockout show`.
# Exit 77 with the reason where the reader is not here.
set -euo pipefail
reader=$1 folder=$2
here=$(dirname "${BASH_SOURCE[0]}")
source "$KO_SOURCE_DIR/jobs/install.sh"
python=${KO_PYTHON:-$(ko_python)}
scripts=$KO_SOURCE_DIR/analysis/readers

skip() {
    echo "skipped: $1"
    exit 77
}
need() { command -v "$1" >/dev/null || skip "there is no $1 here"; }
module() { "$python" -c "import $1" 2>/dev/null || skip "$python has no module $1"; }

case $reader in
c)
    # Built with the tests. An example in few lines, which ends without freeing what it has read.
    command=(env ASAN_OPTIONS=detect_leaks=0 "$(dirname "$KNOCKOUT")/tests/mean_curve") ;;
r)
    need Rscript
    Rscript -e 'library(ncdf4)' >/dev/null 2>&1 || skip "R has no package ncdf4"
    command=(Rscript "$scripts/mean_curve.R") ;;
octave)
    need octave
    octave --no-gui --eval 'pkg load netcdf' >/dev/null 2>&1 || skip "Octave has no package netcdf"
    command=(octave --no-gui --quiet "$scripts/mean_curve.m") ;;
h5py)
    module h5py
    command=("$python" "$scripts/mean_curve_h5py.py") ;;
xarray_netcdf4)
    module xarray
    module netCDF4
    command=("$python" "$scripts/mean_curve_xarray.py") ;;
xarray_h5netcdf)
    module xarray
    module h5netcdf
    command=("$python" "$scripts/mean_curve_xarray.py") ;;
ncdump | h5dump)
    need "$reader"
    module numpy
    command=("$python" "$here/dumps.py" "$reader") ;;
*)
    echo "read.sh: unknown reader $reader" >&2
    exit 2 ;;
esac

curves=$(mktemp)
trap 'rm -f "$curves"' EXIT
for cube in "$folder/cube.h5" "$folder/copy.h5"; do
    arguments=("$cube")
    case $reader in xarray_*) arguments+=("${reader#xarray_}") ;; esac
    "${command[@]}" "${arguments[@]}" >"$curves"
    "$python" "$here/compare.py" "$folder/show.csv" "$curves"
done
