#include "tests/support/configured.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(int true_here, const char *what)
{
    if (true_here)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

struct ko_model *test_configured(const char *model_type, const char *config, struct ko_error *err)
{
    struct ko_model *model = NULL;
    json_object *root = json_tokener_parse(config);
    need(root != NULL, config);
    if (model_type)
        json_object_object_add(root, "model_type", json_object_new_string(model_type));
    enum ko_code code = ko_model_from_config("toy", root, &model, err);
    json_object_put(root);
    need(code == KO_OK ? model != NULL : code == KO_E_INPUT && model == NULL, config);
    return model;
}

size_t test_refusals(const char *model_type, const struct test_refusal *rows, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(model_type, rows[i].config, &err);
        ko_model_free(model);
        if (!model && strcmp(err.text, rows[i].text) == 0)
            continue;
        fprintf(stderr, "%s: '%s' is not '%s'\n", rows[i].config, err.text, rows[i].text);
        bad++;
    }
    return bad;
}
