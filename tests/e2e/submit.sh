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
