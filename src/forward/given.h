/* SPDX-License-Identifier: Apache-2.0 */
/* The second source of a pass's rows beside the token embedding: matrices of embeddings. They are read
   from their mapped files wave by wave, one at a time. */
#ifndef KO_FORWARD_GIVEN_H
#define KO_FORWARD_GIVEN_H

#include "src/base/error.h"
#include "src/forward/rows.h"
#include "src/models/pass.h"

struct ko_given;

/* Maps the plan's files of embeddings. *out stays NULL if the plan names none. Free with
   ko_given_close. */
KO_MUST_CHECK enum ko_code ko_given_open(const struct ko_plan *plan, int32_t plan_model,
                                         struct ko_given **out, struct ko_error *err);
void ko_given_close(struct ko_given *given);

/* The source of the rows of a wave, or NULL if it has no matrices. Borrowed until the next call; set is
   borrowed as long. KO_E_FAILED while a pass runs if a matrix is not the plan's any more. */
const struct ko_given_source *ko_given_source(struct ko_given *given, const struct ko_row_set *set);

#endif
