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
# shellcheck source=tests/bench/sweep_job.inc
. "$(dirname "${BASH_SOURCE[0]}")/sweep_job.inc"
sweep_job mamba-2.8b main-job 672 all "$@"
