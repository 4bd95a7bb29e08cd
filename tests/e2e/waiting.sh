#!/usr/bin/env bash
# For how long a thread that waits spins before it sleeps: for a short while, unless the user says how threads wait.
source "$(dirname "$0")/small_spec.inc"
unset OMP_NUM_THREADS OMP_WAIT_POLICY GOMP_SPINCOUNT KMP_BLOCKTIME KMP_LIBRARY

# GNU's runtime prints what it has read, once a start of the process; LLVM's has no such number.
spins() { OMP_DISPLAY_ENV=VERBOSE "$KNOCKOUT" plan "$scratch/spec.yaml" --backend cpu 2>&1 >/dev/null | sed -n "s/.*GOMP_SPINCOUNT = '\([0-9]*\)'.*/\1/p" | tail -1; }
if [ -z "$(spins)" ]; then
    echo "skipped: not GNU's OpenMP"
    exit 77
fi
[ "$(spins)" = 1000 ] || fail "a waiting thread tries $(spins) times"
[ "$(OMP_WAIT_POLICY=passive spins)" = 0 ] || fail "OMP_WAIT_POLICY=passive is overruled"
[ "$(OMP_WAIT_POLICY=active spins)" -gt 1000000 ] || fail "OMP_WAIT_POLICY=active is overruled"
[ "$(GOMP_SPINCOUNT=77 spins)" = 77 ] || fail "GOMP_SPINCOUNT=77 is overruled"
