/* SPDX-License-Identifier: Apache-2.0 */
/* What a folder without tokenizer.json is told. */
#ifndef KO_TOKENIZER_MISSING_H
#define KO_TOKENIZER_MISSING_H

#include "src/base/error.h"

/* Whether the file is there, as far as that can be told before it is opened. Where its folder is
   and the file is not: KO_E_INPUT "FOLDER: ...", what the folder has instead and where a tokenizer
   comes from. */
KO_MUST_CHECK enum ko_code ko_tokenizer_check_there(const char *file, struct ko_error *err);

#endif
