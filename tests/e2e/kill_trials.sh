#!/usr/bin/env bash
# kill_trials.sh [N] [SEED]: N runs of four ranks, each killed at random moments (SIGKILL to one rank, to all, to mpirun; USR1), in its
# evaluation too, and resumed until it is done. See kill_trials.py for what must hold. Default: 20 trials, 5 where everything is slow (KO_TIME_FACTOR).
: "${KO_SOURCE_DIR:=$(cd "$(dirname "$0")/../.." && pwd)}" "${KNOCKOUT:=$KO_SOURCE_DIR/build/release/bin/knockout}"
export KO_SOURCE_DIR KNOCKOUT
source "$(dirname "$0")/small_spec.inc"

"$python" -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: Python lacks h5py or numpy"; exit 77; }
head -n 300 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
sed -i "s|$KO_SOURCE_DIR/jobs/facts.jsonl|$scratch/facts.jsonl|; s/n: 12/n: 40/" "$scratch/spec.yaml"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_btl_tcp_if_include=lo
# What a killed mpirun leaves behind goes to a folder that is removed.
mkdir "$scratch/mpi"
export OMPI_MCA_btl_vader_backing_directory=$scratch/mpi OMPI_MCA_orte_tmpdir_base=$scratch/mpi
trials=20
[ "${KO_TIME_FACTOR:-1}" = 1 ] || trials=5
"$python" "$KO_SOURCE_DIR/tests/e2e/kill_trials.py" "$scratch" "${1:-$trials}" "${2:-1}"
