/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON schema of a sweep spec, by which editors complete and check one. */
#ifndef KO_SPEC_SCHEMA_H
#define KO_SPEC_SCHEMA_H

#include <stdio.h>

#include "src/base/error.h"

/* Prints the schema (draft 2020-12). Its keys are those that the reader knows. KO_E_FAILED if one of
   them has no description in schema.c. */
KO_MUST_CHECK enum ko_code ko_spec_schema_print(FILE *out, struct ko_error *err);

#endif
