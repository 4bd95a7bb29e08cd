#include "src/tokenizer/byte_level.h"
#include "src/tokenizer/component.h"

static const struct ko_component_type *const types[] = {&ko_byte_level_post_processor};

const struct ko_component_type *const *ko_post_processor_types(size_t *n)
{
    *n = sizeof types / sizeof types[0];
    return types;
}
