/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit of the prompts found that concerns the user: one line a finding, with counts. */
#ifndef KO_RUN_AUDIT_LINES_H
#define KO_RUN_AUDIT_LINES_H

#include "src/base/error.h"
#include "src/base/log.h"
#include "src/base/text.h"
#include "src/plan/plan.h"
#include "src/run/inputs.h"

/* Start from {0}; free with ko_audit_lines_free, also after a failure. */
struct ko_audit_lines {
    struct ko_strings warning; /* unused foils, scored tokens of white space, skipped prompts */
    struct ko_strings note;    /* prompts that end with tokens of their answers */
    struct ko_strings file;    /* contradictions between the files of models and tokenizers */
};

/* Adds the lines on answers and foils, model by model. */
KO_MUST_CHECK enum ko_code ko_audit_lines_answers(const struct ko_plan *plan,
                                                  struct ko_audit_lines *lines,
                                                  struct ko_error *err);
/* Adds a warning for each model and reason why prompts are skipped. */
KO_MUST_CHECK enum ko_code ko_audit_lines_skipped(const struct ko_plan *plan,
                                                  struct ko_audit_lines *lines,
                                                  struct ko_error *err);
/* Adds contradictions between the models' files, and what they say that is ignored. */
KO_MUST_CHECK enum ko_code ko_audit_lines_files(const struct ko_inputs *inputs,
                                                const struct ko_plan *plan,
                                                struct ko_audit_lines *lines, struct ko_error *err);
void ko_audit_lines_free(struct ko_audit_lines *lines); /* leaves {0} */

/* Writes all these lines to the log. */
KO_MUST_CHECK enum ko_code ko_audit_log(const struct ko_inputs *inputs, const struct ko_plan *plan,
                                        const struct ko_log *log, struct ko_error *err);

#endif
