#!/usr/bin/env bash
# How many threads compute: what the log, the cube and the run log say, what is refused and what is warned of.
source "$(dirname "$0")/small_spec.inc"
unset OMP_NUM_THREADS OMP_THREAD_LIMIT OMP_WAIT_POLICY GOMP_SPINCOUNT KMP_BLOCKTIME KMP_LIBRARY KNOCKOUT_THREADS
command -v h5dump >/dev/null || { echo "skipped: h5dump is not installed"; exit 77; }

head -3 "$KO_SOURCE_DIR/jobs/facts.jsonl" >"$scratch/facts.jsonl"
cat >"$scratch/tiny.yaml" <<YAML
models: [$KO_SOURCE_DIR/jobs/models/mamba-facts]
prompts: {file: facts.jsonl}
routes: ['last<-subject']
windows: {sizes: [1], starts: [0]}
YAML
cube=$scratch/cube.h5
run() { "$KNOCKOUT" run "$scratch/tiny.yaml" -o "$cube" --overwrite --backend cpu --progress none "$@" 2>"$scratch/err"; }
# says N [WARNING]: log, cube and run log all say N threads, and the log warns so, or not at all.
says() {
    local words="$1 threads"
    [ "$1" != 1 ] || words="1 thread"
    grep -q "device=\"OpenBLAS [^\"]*, $words, " "$scratch/err" || { cat "$scratch/err"; fail "the log's device has not $words"; }
    grep -q "sweep .*threads=$1 " "$scratch/err" || { cat "$scratch/err"; fail "the log has not threads=$1"; }
    h5dump -a device "$cube" | grep -q "OpenBLAS .*, $words, " || fail "the attribute device has not $words"
    grep -aq "threads=$1 device=\"OpenBLAS [^\"]*, $words, " "$cube" || fail "run_log has not $words" # bytes of text, not compressed
    if [ $# -gt 1 ]; then
        grep -qF -- "$2" "$scratch/err" || { cat "$scratch/err"; fail "no warning '$2'"; }
    else
        ! grep -q 'level=warn' "$scratch/err" || { cat "$scratch/err"; fail "a warning for $1 threads"; }
    fi
}

echo "== --threads is taken as it is"
run --threads 1 && says 1
more=$(($(nproc) + 1))
run --threads "$more" && says "$more" "--threads $more: this process may use "
echo "== OMP_NUM_THREADS: the first of a list, within the processors"
OMP_NUM_THREADS=1,4 run && says 1
OMP_NUM_THREADS=999 taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')" "$KNOCKOUT" run "$scratch/tiny.yaml" -o "$cube" --overwrite \
    --backend cpu --progress none 2>"$scratch/err"
says 1 "OMP_NUM_THREADS=999: this process may use 1 processor (affinity mask), so it takes 1 thread"
OMP_THREAD_LIMIT=1 run --threads 2
says 1 "OMP_THREAD_LIMIT=1 limits the 2 threads of --threads"
status=0
rm "$cube"
OMP_NUM_THREADS=4,x run || status=$?
[ "$status" -eq 2 ] && [ ! -e "$cube" ] || fail "OMP_NUM_THREADS=4,x ends with $status"
grep -qF "knockout: OMP_NUM_THREADS: expected a whole number from 1, or several with commas, got '4,x'" "$scratch/err" ||
    { cat "$scratch/err"; fail "OMP_NUM_THREADS=4,x is refused with other words"; }
for command in "plan $scratch/tiny.yaml --backend cpu" "bench --backend cpu"; do
    status=0
    # shellcheck disable=SC2086
    OMP_NUM_THREADS=0 "$KNOCKOUT" $command >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" -eq 2 ] && grep -q "OMP_NUM_THREADS: expected" "$scratch/err" || fail "${command%% *} takes OMP_NUM_THREADS=0"
done
echo "== several workers: each says what it has"
"$KO_LAUNCH" 120 3 "$KNOCKOUT" run "$scratch/tiny.yaml" -o "$cube" --overwrite --backend cpu --progress none --threads 2 2>"$scratch/err"
grep -q 'device="OpenBLAS [^"]*, 2 threads, ' "$scratch/err" || { cat "$scratch/err"; fail "three ranks say other threads"; }
grep -q ' threads=2 ' "$scratch/err" || { cat "$scratch/err"; fail "three ranks sweep with other threads"; }

echo "== plan says where and with what it measured, and does not take long"
begin=$SECONDS
"$KNOCKOUT" plan "$scratch/tiny.yaml" --backend cpu --threads 3 --workers 2 >"$scratch/out" 2>"$scratch/err"
[ $((SECONDS - begin)) -le $((10 * slow)) ] || fail "plan takes $((SECONDS - begin)) s"
for words in "time        about " "measured on this machine, '$(hostname)' (OpenBLAS " ", 3 threads, " "each worker with 3 threads" "take extra time"; do
    grep -qF -- "$words" "$scratch/out" || { cat "$scratch/out"; fail "plan does not say '$words'"; }
done
! grep -q "at least" "$scratch/out" || { cat "$scratch/out"; fail "plan takes its time for a bound"; }
"$KNOCKOUT" plan "$scratch/tiny.yaml" --backend cpu --threads 3 --json | tr -d ' \n' >"$scratch/out"
grep -q '"threads":3,.*"host":"'"$(hostname)"'","rounds":[1-9][0-9]*,"median_round":\(1\|0\.\)' "$scratch/out" ||
    { cat "$scratch/out"; fail "plan --json says nothing of its rounds"; }
