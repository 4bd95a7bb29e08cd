#!/usr/bin/env bash
# Prompts that are matrices of embeddings: the bits of the same prompts as text, the golden cells of tiny vision-language models, every
# bad input in one line, and changed files.
source "$(dirname "$0")/small_spec.inc"
"$python" "$KO_SOURCE_DIR/tests/e2e/embeddings.py" "$scratch"
