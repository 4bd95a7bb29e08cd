/* SPDX-License-Identifier: Apache-2.0 */
/* The error for a folder without tokenizer.json. */
#ifndef KO_TOKENIZER_MISSING_H
#define KO_TOKENIZER_MISSING_H

#include "src/base/error.h"

/* KO_E_INPUT "FOLDER: ..." if the folder exists but has no tokenizer.json: what it has instead and
   how to get a tokenizer. */
KO_MUST_CHECK enum ko_code ko_tokenizer_check_there(const char *file, struct ko_error *err);

#endif
