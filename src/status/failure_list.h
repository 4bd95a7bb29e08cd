/* SPDX-License-Identifier: Apache-2.0 */
/* The failed prompts of a sweep and why they failed, for `status`. */
#ifndef KO_STATUS_FAILURE_LIST_H
#define KO_STATUS_FAILURE_LIST_H

#include <json-c/json.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/forward/record.h"

/* The prompts of one model that failed for one reason. */
struct ko_failure_group {
    int32_t model;
    enum ko_failure reason;
    int32_t *prompt; /* [n] on the eval_prompt axis, ascending; owned */
    int32_t n;
    char *text; /* the last error about it in the run log; NULL: the log has no such line; owned */
};

struct ko_failure_list {
    struct ko_failure_group *group; /* by model, then reason; owned */
    size_t n, capacity;
};

/* Reads a sweep's cube; empty for an evaluation. Free with ko_failure_list_free. */
KO_MUST_CHECK enum ko_code ko_failure_list_read(struct ko_cube_view *view,
                                                struct ko_failure_list *out, struct ko_error *err);
void ko_failure_list_free(struct ko_failure_list *list); /* leaves {0} */

/* Adds lines for the terminal; nothing where no prompt failed. */
void ko_failure_list_print(const struct ko_failure_list *list, const struct ko_cube_axes *axes,
                           struct ko_text *out);
/* [{"model", "reason_code", "reason", "prompts": [ids], "text"}] */
void ko_failure_list_json(const struct ko_failure_list *list, const struct ko_cube_axes *axes,
                          json_object *to);

#endif
