#!/bin/sh
# launch.sh SECONDS RANKS PROGRAM [ARGUMENTS]: one MPI job on this machine, ended after SECONDS
# (exit 124), times KO_TIME_FACTOR where that is set. What a killed mpirun would leave behind goes to a folder that is removed here. MPIEXEC
# names another mpirun.
set -u
seconds=$(($1 * ${KO_TIME_FACTOR:-1}))
ranks=$2
shift 2

# The folder's name is short: Unix sockets lie in it.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/ko.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' TERM INT

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_btl_tcp_if_include=lo # Open MPI 5 warns about interfaces that one machine does not need
export OMPI_MCA_btl_vader_backing_directory="$scratch"
export OMPI_MCA_orte_tmpdir_base="$scratch"

timeout --kill-after=10 "$seconds" \
    "${MPIEXEC:-mpirun}" --oversubscribe --bind-to none -n "$ranks" "$@"
