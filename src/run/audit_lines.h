/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit of the prompts did that a user must hear of, a line each, with counts. */
#ifndef KO_RUN_AUDIT_LINES_H
#define KO_RUN_AUDIT_LINES_H

#include "src/base/error.h"
#include "src/base/log.h"
#include "src/base/text.h"
#include "src/plan/plan.h"
#include "src/run/inputs.h"

/* Start from {0}; free with ko_audit_lines_free, also after a failure. */
struct ko_audit_lines {
    struct ko_strings warning; /* foils that count as none, scored tokens of white space */
    struct ko_strings note;    /* tokens of answers that stand behind prompts */
    struct ko_strings file;    /* what the files of models and tokenizers contradict */
};

/* Adds the lines on answers and foils, model by model; the first prompts concerned are named. */
KO_MUST_CHECK enum ko_code ko_audit_lines_answers(const struct ko_plan *plan,
                                                  struct ko_audit_lines *lines,
                                                  struct ko_error *err);
/* Adds a warning for each model and reason why prompts are skipped. */
KO_MUST_CHECK enum ko_code ko_audit_lines_skipped(const struct ko_plan *plan,
                                                  struct ko_audit_lines *lines,
                                                  struct ko_error *err);
/* Adds what the models' files contradict, and what of them is ignored. */
KO_MUST_CHECK enum ko_code ko_audit_lines_files(const struct ko_inputs *inputs,
                                                const struct ko_plan *plan,
                                                struct ko_audit_lines *lines, struct ko_error *err);
void ko_audit_lines_free(struct ko_audit_lines *lines); /* leaves {0} */

/* All of them, to the log. */
KO_MUST_CHECK enum ko_code ko_audit_log(const struct ko_inputs *inputs, const struct ko_plan *plan,
                                        const struct ko_log *log, struct ko_error *err);

#endif
