/* SPDX-License-Identifier: Apache-2.0 */
/* Changed copies of the repository's checkpoints. */
#ifndef TESTS_SUPPORT_CHECKPOINT_EDIT_H
#define TESTS_SUPPORT_CHECKPOINT_EDIT_H

#include <stddef.h>

/* Copies config.json and model.safetensors of `from` into `folder`. config: a JSON object whose
   members replace config.json's (the string "absent" removes one); NULL: unchanged. In the header
   the first `find` becomes `replace`; NULL: unchanged. n bytes of `more` follow the data (with the
   header's new entry for them in `replace`). Aborts where that fails. */
struct test_edit {
    const char *config, *find, *replace;
    const void *more;
    size_t n_more;
};
void test_checkpoint_edit(const char *from, const char *folder, const struct test_edit *edit);
/* Copies the weights of `from` as they are, whatever files they are in, with config.json changed by
   the members of `config`. */
void test_checkpoint_reconfigure(const char *from, const char *folder, const char *config);

#endif
