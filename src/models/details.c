/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the particulars of a model: those of both ends, of all sublayers, and of each kind. */
#include "src/models/details.h"

#include <stdarg.h>
#include <stdio.h>

#include "src/base/mixer.h"

void ko_details_add(struct ko_details *details, const char *format, ...)
{
    char text[160];
    va_list args;
    if (details->code != KO_OK) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    details->code = ko_strings_intern(details->list, text, NULL, details->err);
}

static void add_ends(const struct ko_model *model, struct ko_details *out)
{
    const struct ko_ends *ends = &model->ends;
    if (ends->embedding_scale != 1) {
        ko_details_add(out, "embeddings times %g", (double)ends->embedding_scale);
    }
    if (ends->embedding_width != model->shape.d_model) {
        ko_details_add(out, "embeddings of width %d", ends->embedding_width);
    }
    if (ends->head_bias != KO_NO_WEIGHT) {
        ko_details_add(out, "a bias of the unembedding");
    }
    if (ends->logit_scale != 1) {
        ko_details_add(out, "logits times %g", (double)ends->logit_scale);
    }
    if (ends->logit_cap > 0) {
        ko_details_add(out, "logits capped at %g", (double)ends->logit_cap);
    }
}

/* Kinds of mixers that some layers lack. */
static void add_mixers(const struct ko_model *model, struct ko_details *out)
{
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer_kind *kind = model->sublayer[i].kind;
        size_t first = 0;
        int32_t n = 0;
        while (model->sublayer[first].kind != kind) {
            first++;
        }
        for (size_t k = i; first == i && k < model->n_sublayers; k++) {
            n += model->sublayer[k].kind == kind;
        }
        if (kind->mixer && first == i && n < model->shape.n_layers) {
            ko_details_add(out, "%s in %d of %d layers", kind->name, n, model->shape.n_layers);
        }
    }
}

/* Where only some attention sublayers have a window, or some another one: the shortest. */
static void add_windows(const struct ko_model *model, struct ko_details *out)
{
    int32_t shortest = INT32_MAX, n = 0, n_shortest = 0;
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sizes *size = &model->sublayer[i].size;
        if (model->sublayer[i].kind->mixer != KO_MIXER_ATTENTION) {
            continue;
        }
        n++;
        n_shortest = size->reach < shortest ? 0 : n_shortest;
        shortest = size->reach < shortest ? size->reach : shortest;
        n_shortest += size->reach == shortest;
    }
    if (n_shortest < n) {
        ko_details_add(out, "a window of %d in %d of %d layers with attention", shortest,
                       n_shortest, n);
    }
}

static void add_outputs(const struct ko_sublayer *sublayer, struct ko_details *out)
{
    if (sublayer->parallel) {
        ko_details_add(out, "parallel sublayers");
    }
    if (sublayer->post_norm.kind != KO_NO_NORM) {
        ko_details_add(out, "norms of outputs");
    }
    if (sublayer->out_scale != 1) {
        ko_details_add(out, "outputs times %g", (double)sublayer->out_scale);
    }
    if (sublayer->sum_norm.kind != KO_NO_NORM) {
        ko_details_add(out, "norms after additions");
    }
}

enum ko_code ko_model_details(const struct ko_model *model, struct ko_strings *list,
                              struct ko_error *err)
{
    struct ko_details details = {list, err, KO_OK};
    add_mixers(model, &details);
    add_windows(model, &details);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        if (sublayer->kind->details) {
            sublayer->kind->details(model, sublayer, &details);
        }
        add_outputs(sublayer, &details);
    }
    add_ends(model, &details);
    return details.code;
}
