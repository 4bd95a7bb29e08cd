/* SPDX-License-Identifier: Apache-2.0 */
/* Names of token sets. */
#ifndef KO_PROMPTS_SET_NAME_H
#define KO_PROMPTS_SET_NAME_H

#include <stddef.h>

#include "src/base/error.h"
#include "src/base/text.h"

enum ko_set {
    KO_SET_FIRST,
    KO_SET_BOS,
    KO_SET_FIRST_TEXT,
    KO_SET_LAST,
    KO_SET_SUBJECT,
    KO_SET_SUBJECT_LAST,
    KO_SET_RELATION,
    KO_SET_CONTEXT,
    KO_SET_AFTER_SUBJECT,
    KO_SET_ALL,
    KO_N_SETS
};

extern const char *const ko_set_names[KO_N_SETS];

/* The set of n bytes of name, or -1. */
int ko_set_find(const char *name, size_t n);
/* Checks that a prompt file may give a span this name: it can be written in a route and is not the
   name of a set. KO_E_INPUT "NAME: ...". */
KO_MUST_CHECK enum ko_code ko_span_name_check(const char *name, struct ko_error *err);
/* Fails with KO_E_INPUT and suggests the nearest known set or span. */
enum ko_code ko_set_unknown(const char *name, const struct ko_strings *span_names,
                            struct ko_error *err);

#endif
