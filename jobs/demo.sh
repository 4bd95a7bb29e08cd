#!/usr/bin/env bash
# Installs what is missing, builds the program, runs jobs/demo.yaml on four ranks, prints its curves and draws its figures.
# Usage: jobs/demo.sh [FOLDER]   the results go to FOLDER, by default build/demo
set -euo pipefail

case ${1:-} in
-h | --help)
    sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
-*)
    echo "jobs/demo.sh: unknown argument $1; it takes FOLDER" >&2
    exit 2
    ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${1:-$root/build/demo}")
cd "$root"
# shellcheck source=jobs/install.sh
source jobs/install.sh

step() {
    printf '\n==> %s\n' "$1"
}

step "1/5 Install what is missing"
ko_install_missing
python=$(ko_python)
echo "everything needed is here"

step "2/5 Build"
cmake --preset release
cmake --build --preset release --target knockout
knockout=$root/build/release/bin/knockout
"$knockout" --version

# Containers: root may start ranks, and shared memory without the ptrace right. More ranks than cores, so none is bound to a core.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
# One machine: Open MPI 5 warns at every start that it cannot pair the network interfaces, which it does not need.
export OMPI_MCA_btl_tcp_if_include=lo

step "3/5 Run the sweep: one coordinator and three workers"
mkdir -p "$out"
command=(mpirun --oversubscribe --bind-to none -n 4
    "$knockout" run jobs/demo.yaml -o "$out/demo.h5" --overwrite --threads 1 --progress line)
echo "${command[*]}"
"${command[@]}"

step "4/5 Look at the cube"
"$knockout" status "$out/demo.h5"
echo
"$knockout" show "$out/demo.h5"

step "5/5 Draw the figures"
MPLCONFIGDIR=$root/build/matplotlib "$python" analysis/knockout-figures "$out/demo.h5" -o "$out" \
    --remark "bundled toy models of 1M parameters, which learned these facts by heart"

step "Where everything lies"
cat <<EOF
program     $knockout
spec        $root/jobs/demo.yaml
cube        $out/demo.h5
evaluation  $out/demo.evaluation.h5
figure      $out/demo.png
            $out/demo.pdf
all of them $out/report.html
EOF
