/* SPDX-License-Identifier: Apache-2.0 */
/* Specs from texts, in one scratch folder a program. The functions abort where the machine fails
   them. */
#ifndef TESTS_SUPPORT_SPEC_TEXT_H
#define TESTS_SUPPORT_SPEC_TEXT_H

#include "src/spec/spec.h"

/* A spec that is right; tests replace parts of it. */
#define MODELS  "models: [models/a, models/b]\n"
#define PROMPTS "prompts: {file: facts.jsonl}\n"
#define ROUTES  "routes: [last<-subject]\n"
#define WINDOWS "windows: {sizes: [9]}\n"
#define RIGHT   MODELS PROMPTS ROUTES WINDOWS

/* The folder's beginning and end, for cmocka_run_group_tests: 0. */
int spec_text_begin(void **state);
int spec_text_end(void **state);
/* The path of a file in the folder, good for the next three calls; borrowed. */
const char *spec_text_path(const char *name);
void spec_text_write(const char *name, const char *text);
/* ko_spec_read of spec.yaml with that text. */
KO_MUST_CHECK enum ko_code spec_text_read(const char *text, struct ko_options *options,
                                          struct ko_spec **spec, struct ko_error *err);

#endif
