#!/usr/bin/env bash
# The whole paper at the real shapes of its 17 checkpoints, from spec to finished cube: random weights (119 GB are written first, so
# FOLDER is best a file system in memory), a sample of 672 prompts in place of those that every model answers correctly.
#
#   tests/bench/paper_job.sh FOLDER PROMPTS TOKENIZERS [MPIRUN...] -- [KNOCKOUT OPTIONS...]
#
# FOLDER gets the checkpoints (kept: a second call uses them again), the spec and the cube; TOKENIZERS has a folder with tokenizer.json
# for each of gpt-neox-20b, falcon, gpt2, llama3 and mistral. KNOCKOUT names the program (default: knockout), SAMPLE the number of
# prompts (672), MODELS those of the 17 that are swept (default: all).
# e.g.  paper_job.sh /dev/shm/paper counterfact.jsonl tokenizers mpirun -n 3 -- --precision bf16x3
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/bench/words.inc
. "$here/words.inc"

if [ $# -lt 4 ]; then
    sed -n 's/^#   tests/usage: tests/p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
folder=$1 prompts=$2 tokenizers=$3 models=()
split_words "${@:4}"
knockout=${KNOCKOUT:-knockout}
[ -z "${MODELS:-}" ] || models=(--models "$MODELS")

begin=$(date +%s)
python3 "$here/paper_job.py" --prompts "$prompts" --tokenizers "$tokenizers" --sample "${SAMPLE:-672}" \
    "${models[@]}" -o "$folder"
echo "checkpoints: $(($(date +%s) - begin)) s"

rm -f "$folder/paper.h5" "$folder/paper.evaluation.h5"
begin=$(date +%s.%N)
"${ahead[@]}" "$knockout" run "$folder/paper.yaml" -o "$folder/paper.h5" --log-level info "${behind[@]}"
end=$(date +%s.%N)
"$knockout" status "$folder/paper.h5"
awk -v a="$begin" -v b="$end" 'BEGIN { printf "wall time, from spec to finished cube: %.1f s\n", b - a }'
