#!/usr/bin/env bash
# Figure 1's Mamba-2.8B sweep at its real shape, from spec to finished cube: random weights (a checkpoint of 5.5 GB is
# written first), 672 prompts, four routes, window 9, all 56 starts: 150,528 cells.
#
#   tests/bench/main_job.sh FOLDER PROMPTS TOKENIZER [MPIRUN...] -- [KNOCKOUT OPTIONS...]
#
# FOLDER gets the checkpoint (kept: a second call uses it again) and the cube; PROMPTS is a prompt file, TOKENIZER a
# tokenizer.json. KNOCKOUT names the program (default: knockout), SAMPLE the number of prompts (672).
# e.g.  main_job.sh /scratch/job counterfact.jsonl gpt-neox/tokenizer.json mpirun -n 2 -- --precision tf32
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?usage: main_job.sh FOLDER PROMPTS TOKENIZER [MPIRUN...] -- [OPTIONS...]} prompts=$(realpath "$2") tokenizer=$(realpath "$3")
shift 3
launch=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do launch+=("$1"); shift; done
[ $# -eq 0 ] || shift
knockout=${KNOCKOUT:-knockout} sample=${SAMPLE:-672}
mkdir -p "$folder"
if [ ! -e "$folder/mamba-2.8b/tokenizer.json" ]; then
    python3 "$here/random_mamba.py" --d-model 2560 --layers 64 --vocabulary 50280 --tokenizer "$tokenizer" -o "$folder/mamba-2.8b"
fi
cat > "$folder/main-job.yaml" <<SPEC
models:
  - {name: mamba-2.8b, path: mamba-2.8b}
prompts:
  file: $prompts
  sample: {n: $sample, seed: 0}
routes: [last<-subject, last<-relation, last<-last, last<-first]
windows: {sizes: [9], starts: all}
SPEC
rm -f "$folder"/main-job.h5 "$folder"/main-job.evaluation.h5
begin=$(date +%s.%N)
"${launch[@]}" "$knockout" run "$folder/main-job.yaml" -o "$folder/main-job.h5" --log-level info "$@"
end=$(date +%s.%N)
"$knockout" status "$folder/main-job.h5"
awk -v a="$begin" -v b="$end" 'BEGIN { printf "wall time, from spec to finished cube: %.1f s\n", b - a }'
