/* SPDX-License-Identifier: Apache-2.0 */
/* A config.json: the first byte chooses whether and as which family it is read, so that every
   family is reached from every input. */
#include "src/formats/json.h"
#include "src/models/families.h"
#include "src/models/model_open.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_WEIGHTS = 1 << 20 };

static void check_model(const struct ko_model *model)
{
    FUZZ_CHECK(model->shape.n_layers > 0 && model->shape.d_model > 0 &&
               model->shape.vocabulary > 0);
    FUZZ_CHECK(model->n_weights > 0 && model->n_weights < MAX_WEIGHTS);
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        size_t room = weight->matrix ? model->matrix_elements : model->value_floats;
        FUZZ_CHECK(weight->offset <= room && weight->n <= room - weight->offset);
    }
    FUZZ_CHECK(ko_model_floats(model) >= model->value_floats);
    FUZZ_CHECK(ko_model_row_floats(model) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_error err;
    struct ko_model *model = NULL;
    json_object *config = NULL;
    size_t n_families = 0;
    while (ko_families[n_families]) {
        n_families++;
    }
    if (size == 0 ||
        ko_json_parse((const char *)data + 1, size - 1, "config.json", &config, &err)) {
        return 0;
    }
    size_t family = (size_t)data[0] - '0';
    if (family < n_families && json_object_is_type(config, json_type_object)) {
        json_object_object_add(config, "model_type",
                               json_object_new_string(ko_families[family]->model_types[0]));
    }
    if (!ko_model_from_config("fuzz", config, &model, &err)) {
        check_model(model);
        ko_model_free(model);
    }
    json_object_put(config);
    return 0;
}
