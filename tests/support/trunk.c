/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/trunk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/forward/group.h"
#include "src/models/pass.h"

static void need(int true_here, const char *what)
{
    if (true_here) {
        return;
    }
    fprintf(stderr, "%s\n", what);
    abort();
}

static float *filled_with_nan(size_t n)
{
    float *values = malloc(n * sizeof *values);
    need(values != NULL, "memory");
    memset(values, 0xff, n * sizeof *values);
    return values;
}

static int32_t *counted(int32_t n, int32_t first, int32_t step)
{
    int32_t *values = malloc((size_t)n * sizeof *values);
    need(values != NULL, "memory");
    for (int32_t i = 0; i < n; i++) {
        values[i] = first + i * step;
    }
    return values;
}

void test_run_trunk(const struct ko_model *model, const float *floats, const int32_t *tokens,
                    int32_t n, float *x)
{
    const int32_t stages = model->n_stages, first = 0;
    int32_t *position = counted(n, 0, 1), *previous = counted(n, -1, 1), *trunk = counted(n, -1, 0);
    int32_t *prompt = counted(n, 0, 0), *rows_of = counted(stages, n, 0);
    int32_t *branches_of = counted(stages, 0, 0);
    struct ko_rows rows = {
        .n_rows = n,
        .n_trunk_rows = n,
        .n_embedded = n,
        .n_prompts = 1,
        .n_stages = stages,
        .max_tokens = n,
        .position = position,
        .previous = previous,
        .branch = trunk,
        .prompt = prompt,
        .parent_row = trunk,
        .token = tokens,
        .trunk_first = &first,
        .n_tokens = &n,
        .n_projected = rows_of,
        .n_convolved = rows_of,
        .n_active = rows_of,
        .n_branches_active = branches_of,
    };
    struct ko_error err = {0};
    struct ko_backend_config config = {.threads = 1, .precision = KO_FLOAT32};
    struct ko_pass pass = {.model = model,
                           .arena = ko_model_host_arena(model, floats),
                           .kernels = &ko_kernels_plain,
                           .rows = &rows,
                           .x = x};
    int32_t widths[KO_N_BUFFERS];
    ko_model_widths(model, widths);
    for (int b = 0; b < KO_N_BUFFERS; b++) {
        pass.buffer[b] = filled_with_nan((size_t)n * (size_t)widths[b] + 1);
    }

    enum ko_code code = pass.kernels->open(&config, &pass.be, &err);
    if (code == KO_OK) {
        code = pass.kernels->set_rows(pass.be, &rows, &err);
    }
    if (code == KO_OK) {
        code = ko_pass_embed(&pass, &err);
    }
    struct ko_stream stream = {.n = n, .x = x};
    for (size_t i = 0; i < model->n_sublayers && code == KO_OK;) {
        code = ko_pass_mix(&pass, i, &stream, &err);
        if (code == KO_OK) {
            code = ko_pass_finish_from(&pass, i, &stream, &i, &err);
        }
    }
    const float *out = x;
    if (code == KO_OK) {
        code = ko_pass_final(&pass, n, x, &out, &err);
    }
    if (code == KO_OK && out != x) {
        memcpy(x, out, (size_t)n * (size_t)model->ends.embedding_width * sizeof *x);
    }
    need(code == KO_OK, err.text);

    pass.kernels->close(pass.be);
    for (int b = 0; b < KO_N_BUFFERS; b++) {
        free(pass.buffer[b]);
    }
    free(position);
    free(previous);
    free(trunk);
    free(prompt);
    free(rows_of);
    free(branches_of);
}

const float *test_place(const struct ko_model *model, const float *floats,
                        const struct ko_weight *weight)
{
    return floats + weight->offset + (weight->matrix ? model->value_floats : 0);
}

const float *test_weight(const struct ko_model *model, const float *floats, const char *tensor)
{
    for (size_t w = 0; w < model->n_weights; w++) {
        if (strcmp(model->weights[w].tensor, tensor) == 0) {
            return test_place(model, floats, &model->weights[w]);
        }
    }
    need(0, tensor);
    return NULL;
}
