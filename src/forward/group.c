/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the mixers of a group, then finishes its sublayers, so that all of them read the same rows. */
#include "src/forward/group.h"

#include "src/models/removal.h"

/* The number of the sublayer after the group that begins with i. */
static size_t end_of_group(const struct ko_model *model, size_t i)
{
    size_t end = i + 1;
    while (end < model->n_sublayers && model->sublayer[end].parallel) {
        end++;
    }
    return end;
}

enum ko_code ko_pass_mix(const struct ko_pass *pass, size_t i, struct ko_stream *stream,
                         struct ko_error *err)
{
    const struct ko_model *model = pass->model;
    const size_t end = end_of_group(model, i);
    int32_t left = 0;
    enum ko_code code = KO_OK;
    for (size_t k = i; k < end; k++) {
        left += model->sublayer[k].kind->mix != NULL;
    }
    stream->n_mixed = 0;
    for (size_t k = i; code == KO_OK && k < end; k++) {
        const struct ko_sublayer *sublayer = &model->sublayer[k];
        struct ko_pass own = *pass;
        int32_t widths[KO_N_BUFFERS] = {0};
        if (!sublayer->kind->mix) {
            continue;
        }
        if (--left > 0) {
            own.buffer[1] = pass->buffer[KO_KEPT_BUFFER];
        }
        sublayer->kind->widths(sublayer, model->shape.d_model, widths);
        stream->mixed[stream->n_mixed++] = (struct ko_mixed){own.buffer[1], widths[1]};
        code = sublayer->kind->mix(&own, sublayer, err);
    }
    return code;
}

static enum ko_code finish_sublayer(const struct ko_pass *pass, size_t i,
                                    const struct ko_stream *stream, const struct ko_mixed *mixed,
                                    struct ko_error *err)
{
    return ko_removal_finish(pass, &pass->model->sublayer[i], stream->n, stream->x, mixed->data,
                             mixed->ld, err);
}

enum ko_code ko_pass_finish_from(const struct ko_pass *pass, size_t i,
                                 const struct ko_stream *stream, size_t *next, struct ko_error *err)
{
    static const struct ko_mixed none = {NULL, 0};
    const struct ko_model *model = pass->model;
    const size_t end = end_of_group(model, i);
    const struct ko_mixed *first = stream->n_mixed > 0 ? &stream->mixed[0] : &none;
    int32_t n_mixed = 1;
    enum ko_code code = KO_OK;
    for (size_t k = i + 1; code == KO_OK && k < end; k++) {
        const bool mixes = model->sublayer[k].kind->mix != NULL;
        code = finish_sublayer(pass, k, stream, mixes ? &stream->mixed[n_mixed] : &none, err);
        n_mixed += mixes;
    }
    if (code == KO_OK) {
        code = finish_sublayer(pass, i, stream, first, err);
    }
    *next = end;
    return code;
}
