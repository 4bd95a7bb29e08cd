#!/usr/bin/env bash
# Several right answers and options of prompts that are matrices of embeddings: the oracle's cells and the bits of the same prompts as
# text, under every score; cells of transformers' classes; answers of one token; correct prompts, ranks, resume, verify and export.
source "$(dirname "$0")/small_spec.inc"
"$python" "$KO_SOURCE_DIR/tests/e2e/embedded_answers.py" "$scratch"
runs_alike llama-facts-knocked
