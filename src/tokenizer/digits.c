/* SPDX-License-Identifier: Apache-2.0 */
/* `Digits`: tokenizers/src/pre_tokenizers/digits.rs. */
#include "src/formats/json.h"
#include "src/tokenizer/splitter.h"

/* Rust's char::is_numeric: category N, of Unicode 17. */
static const char number[] = "[\\p{N}\\x{11de0}-\\x{11de9}\\x{16ff4}-\\x{16ff6}]";

static enum ko_code open_digits(json_object *spec, const char *where, void **state,
                                struct ko_error *err)
{
    static const char *const keys[] = {"individual_digits", "type"};
    bool individual = false;
    enum ko_code code = ko_keys_check(spec, keys, 2, 1, where, err);
    if (code == KO_OK) {
        code = ko_json_bool(spec, "individual_digits", &individual, where, err);
    }
    return code != KO_OK
               ? code
               : ko_splitter_open(number, individual ? KO_SPLIT_ISOLATED : KO_SPLIT_CONTIGUOUS,
                                  where, state, err);
}

const struct ko_component_type ko_digits_pre_tokenizer = {
    .name = "Digits",
    .open = open_digits,
    .on_pieces = ko_splitter_on_pieces,
    .close = ko_splitter_close,
};
