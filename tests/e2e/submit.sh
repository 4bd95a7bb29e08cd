#!/usr/bin/env bash
# What slurm/submit.sh would submit, and what it refuses; no Slurm is needed. And the scripts' own shape, where shellcheck is here.
source "$(dirname "$0")/small_spec.inc"
cd "$scratch"
export KNOCKOUT
submit() { "$KO_SOURCE_DIR/slurm/submit.sh" "$@"; }

# has TEXT...: the last dry run printed every text.
has() {
    local words
    for words in "$@"; do
        grep -qF -- "$words" out || { cat out; fail "'$words' is not printed"; }
    done
}

echo "== the commands"
submit spec.yaml -o cube.h5 --tasks 16 --at-once 4 --partition=gpu --account=me --gpus-per-node=4 --ntasks-per-node=5 --time=8:00:00 \
    --merge-with --partition=small --evaluate-with=--nodes=2 --dry-run -- --threads 2 --set 'windows={sizes: [1], starts: all}' >out
[ "$(ls)" = "out
spec.yaml" ] || fail "a dry run leaves files: $(ls)"
[ "$(grep -c 'sbatch --parsable' out)" -eq 3 ] || { cat out; fail "not three jobs"; }
has 'mkdir -p cube.logs' "KNOCKOUT=$KNOCKOUT" "KO_SLURM=$KO_SOURCE_DIR/slurm" 'KO_SHARDS=16' \
    '--array=1-16%4' '--output=cube.logs/array-%A_%a.log' '--dependency=afterok:$evaluation_job' '--kill-on-invalid-dep=yes' \
    '--dependency=afterany:$array_job' 'spec.yaml -o cube.evaluation.h5 --threads 2' \
    'spec.yaml -o cube.h5 --evaluation cube.evaluation.h5 --threads 2' 'merge.sbatch cube.h5 16'
for variable in evaluation array; do
    line=$(grep "^${variable}_job=" out)
    for words in --partition=gpu --account=me --gpus-per-node=4 --ntasks-per-node=5 --time=8:00:00; do
        [[ $line = *" $words "* ]] || fail "the $variable lacks $words"
    done
done
[[ $(grep '^evaluation_job=' out) = *' --nodes=2 '* ]] || fail "--evaluate-with is lost"
[[ $(grep '^array_job=' out) != *' --nodes=2 '* ]] || fail "--evaluate-with reaches the array"
line=$(grep '^merge_job=' out)
[[ $line = *' --partition=gpu --account=me --partition=small '* ]] || fail "the merge's options: $line"
[[ $line != *gpus* && $line != *ntasks* && $line != *8:00* ]] || fail "the merge asks for the sweep's resources: $line"

# What is printed is what a shell would run.
mkdir bin
cat >bin/sbatch <<'S'
#!/bin/sh
printf '%s\n' "$@" >>calls
echo "$(wc -l <calls);cluster"
S
chmod +x bin/sbatch
PATH=$PWD/bin:$PATH bash -eu out
tr '\n' '|' <calls | grep -qF 'cube.evaluation.h5|--threads|2|--set|windows={sizes: [1], starts: all}|--parsable' || fail "arguments do not survive: $(cat calls)"
rm -rf calls cube.logs

# And what is run without --dry-run: the cluster's name behind a job's number is cut off.
PATH=$PWD/bin:$PATH submit spec.yaml -o cube.h5 --tasks 2 >out
has 'evaluation: job' 'array: job' 'merge: job'
grep -q '^--dependency=afterok:[0-9]*$' calls || fail "the dependency: $(cat calls)"
[ -d cube.logs ] || fail "there is no folder for the logs"
rm -rf calls cube.logs

submit spec.yaml -o cube.h5 --tasks 9 --only 3,5-7 --evaluation spec.yaml --dry-run >out
has '--array=3,5-7' '--evaluation spec.yaml' 'KO_SHARDS=9'
! grep -q 'evaluation_job\|afterok' out || { cat out; fail "an evaluation that is there is made again"; }

# Cells are reused by the array; the evaluation has none.
submit spec.yaml -o cube.h5 --tasks 2 --dry-run -- --threads 2 --reuse old.h5 --reuse=older.h5 >out
has 'spec.yaml -o cube.evaluation.h5 --threads 2)' '--evaluation cube.evaluation.h5 --threads 2 --reuse old.h5 --reuse=older.h5)'

printf '#!/bin/sh\nshift\nexec "$@"\n' >bin/container
chmod +x bin/container
KO_WRAP="$PWD/bin/container image" submit spec.yaml -o cube.h5 --tasks 2 --dry-run >out
has "KO_WRAP=$PWD/bin/container\ image" "KNOCKOUT=$KNOCKOUT"
status=0
KO_WRAP="$PWD/bin/container image" KNOCKOUT=/nowhere/knockout submit spec.yaml -o cube.h5 --tasks 2 --dry-run >out 2>err || status=$?
[ "$status" -ne 0 ] || fail "the spec was not checked in the container"

echo "== refusals"
# refused WORDS ARGUMENT...: exit 2, one line with the words, nothing submitted or made.
refused() {
    local words=$1 status=0
    shift
    PATH=$PWD/bin:$PATH submit "$@" >out 2>err || status=$?
    [ "$status" -eq 2 ] || { cat err; fail "'$*' exits with $status, not 2"; }
    [ "$(wc -l <err)" -eq 1 ] || { cat err; fail "'$*': more than one line"; }
    grep -qF -- "$words" err || { cat err; fail "'$*' does not say '$words'"; }
    [ ! -e calls ] && [ ! -e cube.logs ] || fail "'$*' submits or makes something"
}
good=(spec.yaml -o cube.h5 --tasks 4)
sed 's/last<-subject/last<-subjekt/' spec.yaml >wrong.yaml
echo there >there.h5
refused "no spec"
refused "--output: missing" spec.yaml --tasks 4
refused "-o: needs a value" spec.yaml --tasks 4 -o
refused "--tasks: '' is no number" spec.yaml -o cube.h5
refused "--tasks: '0' is no number" spec.yaml -o cube.h5 --tasks 0
refused "--at-once: 'x'" "${good[@]}" --at-once x
refused "numbered 1 to 4, not 5" "${good[@]}" --only 2,5
refused "numbered 1 to 4, not 0" "${good[@]}" --only 0-2
refused "'gpu': a second spec?" "${good[@]}" --partition gpu
refused "none.yaml: is no file" none.yaml -o cube.h5 --tasks 4
refused "there is no folder 'none'" spec.yaml -o none/cube.h5 --tasks 4
refused "there.h5: exists already" spec.yaml -o there.h5 --tasks 4
refused "none.h5: is no file" "${good[@]}" --evaluation none.h5
refused "--array=1-3: is set here" "${good[@]}" --array=1-3
refused "--resume: is set here" "${good[@]}" -- --resume
refused "did you mean 'subject'" wrong.yaml -o cube.h5 --tasks 4

echo "== what fits no node"
cat >bin/sinfo <<'S'
#!/bin/sh
# Two partitions: small, the default, of nodes with 4 cores; gpu of nodes with 32 cores and 4 GPUs.
case " $* " in
*' -o %R '*) printf 'small\ngpu\n' ;;
*' --partition=gpu '*) echo 'gpu|1-00:00:00|32|gpu:h200:4(S:0-1)' ;;
*' --partition=long '*) echo 'long|infinite|64|(null)' ;;
*' --partition=small '*) echo 'small*|8:00:00|4|(null)' ;;
*--partition=*) ;;
*) printf 'small*|8:00:00|4|(null)\ngpu|1-00:00:00|32|gpu:h200:4(S:0-1)\n' ;;
esac
S
chmod +x bin/sinfo
refused "the evaluation needs 20 cores on a node (5 tasks of 4), the nodes of small have at most 4" "${good[@]}"
refused "the evaluation needs 20 cores on a node" "${good[@]}" -psmall
refused "the array asks for 12:00:00 of time, small allows 480 minutes: choose --time" "${good[@]}" --ntasks-per-node=2 --cpus-per-task=2
refused "the evaluation needs 8 GPUs on a node, the nodes of gpu have at most 4" "${good[@]}" --partition=gpu --gpus-per-node=8
refused "the evaluation asks for 1-00:01 of time, gpu allows 1440 minutes" "${good[@]}" --partition=gpu --time=1-00:01
refused "there is no partition 'gpus', sinfo knows gpu small" "${good[@]}" --partition=gpus
refused "the merge: there is no partition 'none'" "${good[@]}" --partition=gpu --merge-with --partition=none
for options in "--partition=gpu" "--partition=gpu --gres=gpu:4 --time=1-0" "--ntasks-per-node=4 --cpus-per-task=1 --time=8:00:00" "-plong --time=90-0" \
    "--partition=small --unchecked"; do
    # shellcheck disable=SC2086 # words
    PATH=$PWD/bin:$PATH submit "${good[@]}" $options >out || fail "$options: exit $?"
    has 'array: job'
    rm -rf calls cube.logs
done

echo "== a submission that is refused leaves nothing"
mv bin/sbatch bin/accepts
printf '#!/bin/sh\nexit 1\n' >bin/sbatch
printf '#!/bin/sh\n' >bin/scancel
chmod +x bin/sbatch bin/scancel
status=0
PATH=$PWD/bin:$PATH submit "${good[@]}" --partition=gpu >out 2>err || status=$?
[ "$status" -eq 1 ] && grep -q 'the evaluation was not accepted; nothing is submitted' err || { cat err; fail "exit $status"; }
[ ! -e cube.logs ] || fail "an empty folder for logs is left"
mv bin/accepts bin/sbatch

echo "== a cube that is there"
cat >one.yaml <<YAML
models: [$KO_SOURCE_DIR/tests/data/variants/gpt2-bare]
prompts: {file: $KO_SOURCE_DIR/jobs/facts.jsonl, sample: {n: 2, seed: 1}}
routes: ['last<-subject']
windows: {sizes: [1], starts: [0]}
YAML
touch -d '1 minute ago' one.yaml
OMP_NUM_THREADS=1 "$KNOCKOUT" run one.yaml -o done.h5 --progress none --log-level warn
PATH=$PWD/bin:$PATH submit one.yaml -o done.h5 --tasks 2 --partition=gpu >out || fail "a complete cube again: exit $?"
has 'done.h5: is complete already, nothing is submitted'
[ ! -e calls ] || fail "a complete cube is submitted again"
touch -d '1 minute' one.yaml
refused "done.h5: is complete, but one.yaml was changed after it" one.yaml -o done.h5 --tasks 2
touch -d '1 minute ago' one.yaml
"$python" - done.h5 <<'PY'
import h5py, sys
with h5py.File(sys.argv[1], "r+") as f:
    f["status"][...] = 1 # pending
PY
refused "done.h5: exists already and is not complete" one.yaml -o done.h5 --tasks 2

echo "== from another folder, and the merge's hint"
mkdir elsewhere spool
cp "$KO_SOURCE_DIR"/slurm/merge.sbatch "$KO_SOURCE_DIR"/slurm/one-node.sbatch spool
printf '#!/bin/sh\necho "   Command=%s/slurm/$SCRIPT spec.yaml -o x.h5"\n' "$KO_SOURCE_DIR" >bin/scontrol
printf '#!/bin/sh\necho "$@" >srun.words\n' >bin/srun
printf '#!/bin/sh\n' >bin/squeue
chmod +x bin/*
(cd elsewhere && SLURM_JOB_ID=7 SCRIPT=one-node.sbatch PATH=$scratch/bin:$PATH bash "$scratch/spool/one-node.sbatch" spec.yaml -o x.h5) 2>err ||
    { cat err; fail "one-node.sbatch from another folder: exit $?"; }
grep -q 'run spec.yaml -o x.h5 --resume' elsewhere/srun.words || fail "it runs something else: $(cat elsewhere/srun.words)"
status=0
(cd elsewhere && SLURM_JOB_ID=7 SCRIPT=nowhere/one-node.sbatch PATH=$scratch/bin:$PATH bash "$scratch/spool/one-node.sbatch" spec.yaml) 2>err || status=$?
[ "$status" -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q 'export KO_SLURM=/path/to/slurm' err || { cat err; fail "without its folder: exit $status"; }
status=0
(cd elsewhere && SLURM_JOB_ID=7 SCRIPT=merge.sbatch KO_SUBMITTED="slurm/submit.sh spec.yaml --tasks 2" PATH=$scratch/bin:$PATH \
    bash "$scratch/spool/merge.sbatch" x.h5 2) 2>err || status=$?
[ "$status" -eq 2 ] && grep -q "the same command again goes on .*: slurm/submit.sh spec.yaml --tasks 2$" err || { cat err; fail "the merge's hint: exit $status"; }
rm bin/scontrol bin/srun bin/squeue
PATH=$PWD/bin:$PATH submit spec.yaml -o "a b.h5" --tasks 4 --only 3 --partition=gpu --dry-run >out
grep -q "KO_SUBMITTED=.*submit.sh.*--tasks.*4.*--partition=gpu" out && ! grep -q 'KO_SUBMITTED=.*--only' out || { cat out; fail "what the hint repeats"; }

echo "== the scripts"
if command -v shellcheck >/dev/null; then
    (cd "$KO_SOURCE_DIR" && shellcheck -x slurm/* tests/support/mini_slurm.sh) || fail "shellcheck"
else
    echo "not checked: shellcheck is missing"
fi
for script in "$KO_SOURCE_DIR"/slurm/*.sbatch; do
    bash -n "$script"
    ! grep -qE '^#SBATCH.*(account|partition|qos|mail)' "$script" || fail "$script names a site's account or partition"
    grep -q '^#SBATCH --open-mode=append' "$script" || fail "$script: a restart would empty the log"
done
