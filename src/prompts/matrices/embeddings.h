/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices of embeddings: prompts that are rows of numbers in place of tokens. They are tensors of
   safetensors files, which are mapped and never read whole. */
#ifndef KO_PROMPTS_MATRICES_EMBEDDINGS_H
#define KO_PROMPTS_MATRICES_EMBEDDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/checkpoint/safetensors/safetensors.h"
#include "src/prompts/facts.h"

enum { KO_EMBEDDING_FILES = 64 };

struct ko_embeddings {
    struct ko_safetensors *file; /* [n] mapped; owned */
    char **path;                 /* [n]; owned */
    size_t n;
};

/* Maps the files and reads their headers. Each tensor is a matrix [T, d] of F32, F16 or BF16 with the
   id of its prompt as its name; or [1 + n, T, d]: the matrix, and n further ones for layers 0 to
   n - 1, behind which they are added to the rows (DeepStack). KO_E_INPUT for another shape or type,
   T beyond KO_FACT_POSITIONS, n beyond KO_FACT_ADDED, and an id in two files. Free with
   ko_embeddings_close. */
KO_MUST_CHECK enum ko_code ko_embeddings_open(const struct ko_strings *paths,
                                              struct ko_embeddings *out, struct ko_error *err);
void ko_embeddings_close(struct ko_embeddings *embeddings); /* leaves {0} */

/* The matrix of a prompt, and its file; NULL: there is none. Borrowed. */
const struct ko_tensor *ko_embeddings_find(const struct ko_embeddings *embeddings, const char *id,
                                           const char **path);

/* Gives the prompts of a file that are matrices the shapes of these, and adds to their texts where
   each is from. hash: reads all their numbers too, which must be finite, and hashes them. KO_E_INPUT
   "FILE:LINE: ..." for a prompt without a matrix, and for spans and position_ids that do not fit
   it. */
KO_MUST_CHECK enum ko_code ko_embeddings_attach(const struct ko_embeddings *embeddings,
                                                struct ko_facts *facts, bool hash,
                                                struct ko_error *err);

/* Adds a line for each file: "PATH (123 bytes, XXH3-128 of its header 0123...)". */
void ko_embeddings_describe(const struct ko_embeddings *embeddings, struct ko_text *out);

/* Reads the matrix of a prompt into rows [T, d]. KO_E_FAILED if it is not the one with this hash. */
KO_MUST_CHECK enum ko_code ko_embeddings_read(const struct ko_embeddings *embeddings,
                                              const char *id, const char hash[33], float *rows,
                                              struct ko_error *err);

/* Reads the further matrix for a layer into rows [T, d]. Its hash was checked by ko_embeddings_read. */
KO_MUST_CHECK enum ko_code ko_embeddings_read_added(const struct ko_embeddings *embeddings,
                                                    const char *id, int32_t layer, float *rows,
                                                    struct ko_error *err);

/* Whether a prompt has this text. The hash in the text of a matrix is not compared if the fact's
   is not known. */
bool ko_fact_has_text(const struct ko_fact *fact, const char *text);

#endif
