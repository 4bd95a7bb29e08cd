#include "src/tokenizer/byte_level.h"
#include "src/tokenizer/component.h"

static const struct ko_component_type *const types[] = {&ko_byte_level_pre_tokenizer};

const struct ko_component_type *const *ko_pre_tokenizer_types(size_t *n)
{
    *n = sizeof types / sizeof types[0];
    return types;
}
