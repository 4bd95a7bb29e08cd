#!/usr/bin/env bash
# A sweep of Falcon-H1-0.5B at its real shape over what attention and Mamba-2 carry, from spec to finished cube: random weights (a
# checkpoint of 1 GB is written first), 1,000 prompts, four routes, the classes all, attention and ssm, window 9, all 28
# starts: 336,000 cells.
#
#   tests/bench/hybrid_job.sh FOLDER PROMPTS TOKENIZER [MPIRUN...] -- [KNOCKOUT OPTIONS...]
#
# FOLDER gets the checkpoint (kept: a second call uses it again) and the cube; PROMPTS is a prompt file, TOKENIZER a
# tokenizer.json of at most 32,784 tokens. KNOCKOUT names the program (default: knockout), SAMPLE the number of prompts (1000),
# CONFIG a smaller configuration in JSON to try the script with.
# e.g.  hybrid_job.sh /scratch/hybrid jobs/facts.jsonl jobs/models/mamba-facts/tokenizer.json -- --precision tf32
set -euo pipefail
# shellcheck source=tests/bench/sweep_job.inc
. "$(dirname "${BASH_SOURCE[0]}")/sweep_job.inc"
sweep_job falcon-h1-0.5b hybrid-job 1000 'all, attention, ssm' "$@"
