/* SPDX-License-Identifier: Apache-2.0 */
/* Takes components out of rows. A whole component: x keeps what it was before the sublayer added its
   output. One head: its part of the input of the output projection becomes zero. */
#include "src/models/removal.h"

/* Which rows lose a component of a sublayer. */
struct place {
    const struct ko_pass *pass;
    int32_t sublayer;  /* its number */
    uint8_t component; /* one kind */
    bool head;         /* lists the removals of single heads, else those of the whole */
    int32_t width;     /* of a head; 0 otherwise */
};

static bool place_has(const struct place *place, const struct ko_removal *removal)
{
    return (removal->components & place->component) && place->sublayer >= removal->begin &&
           place->sublayer < removal->end && (removal->head >= 0) == place->head;
}

/* Lists the rows and the first columns of what is taken out, in pass->list. In the last stage only
   the last row of each branch is left, behind those of the trunks. Returns their number. */
static int32_t list_rows(const struct place *place)
{
    const struct ko_rows *rows = place->pass->rows;
    int32_t *row = place->pass->list, *column = row + rows->n_rows, n = 0;
    for (int32_t b = 0; b < rows->n_branches; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        const struct ko_removal *removal =
            branch->removal < 0 ? NULL : &rows->removals[branch->removal];
        if (!removal || !place_has(place, removal)) {
            continue;
        }
        const int32_t end = branch->first_position + branch->n_rows;
        const int32_t first = place->pass->only_last ? end - 1 : branch->first_position;
        for (int32_t i = first; i < end; i++) {
            if (removal->at[i]) {
                row[n] = place->pass->only_last ? rows->n_prompts + b
                                                : branch->first_row + i - branch->first_position;
                column[n++] = place->head ? removal->head * place->width : 0;
            }
        }
    }
    return n;
}

/* to [rows, ld]: the listed parts become the rows of from [n, d], or zeros for NULL. */
static void scatter_rows(struct ko_steps *steps, int32_t n, int32_t d, const float *from, float *to,
                         int32_t ld)
{
    const int32_t *row = steps->pass->list;
    ko_step_scatter(steps, &(const struct ko_scatter){.n = n,
                                                      .d = d,
                                                      .from = from,
                                                      .ld_from = d,
                                                      .row = row,
                                                      .column = row + steps->pass->rows->n_rows,
                                                      .to = to,
                                                      .ld_to = ld});
}

static int32_t number_of(const struct ko_pass *pass, const struct ko_sublayer *sublayer)
{
    return (int32_t)(sublayer - pass->model->sublayer);
}

static int32_t count_heads(const struct ko_sublayer *sublayer)
{
    return sublayer->kind->mixer == KO_MIXER_ATTENTION ? sublayer->size.n_heads
                                                       : sublayer->size.n_ssm_heads;
}

/* The heads of the input of the output projection [n, ld_mixed] lie side by side. */
static void take_heads(struct ko_steps *steps, const struct ko_sublayer *sublayer, float *mixed,
                       int32_t ld_mixed)
{
    const int32_t n_heads = count_heads(sublayer);
    if (n_heads == 0) {
        return;
    }
    const struct place place = {.pass = steps->pass,
                                .sublayer = number_of(steps->pass, sublayer),
                                .component = sublayer->kind->mixer,
                                .head = true,
                                .width = ld_mixed / n_heads};
    const int32_t n = list_rows(&place);
    if (n > 0) {
        scatter_rows(steps, n, place.width, NULL, mixed, ld_mixed);
    }
}

void ko_step_take_out(struct ko_steps *steps, const struct ko_sublayer *sublayer, uint8_t component,
                      float *output)
{
    const struct ko_pass *pass = steps->pass;
    const int32_t d = pass->model->shape.d_model;
    const struct place place = {
        .pass = pass, .sublayer = number_of(pass, sublayer), .component = component};
    const int32_t n = pass->rows->n_removals > 0 ? list_rows(&place) : 0;
    if (n > 0) {
        scatter_rows(steps, n, d, NULL, output, d);
    }
}

/* pass->removed = the listed rows of x. */
static void keep_rows(struct ko_steps *steps, int32_t n, const float *x)
{
    const int32_t d = steps->pass->model->shape.d_model;
    ko_step_gather(steps, &(const struct ko_gather){.from = x,
                                                    .ld_from = d,
                                                    .index = steps->pass->list,
                                                    .n = n,
                                                    .d = d,
                                                    .to = steps->pass->removed,
                                                    .ld_to = d});
}

/* The rows of x that lose the output get their old values back. The norm of the sum follows, so that
   it sees x without the output. */
static enum ko_code finish_without(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                   int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                                   struct ko_error *err)
{
    const int32_t d = pass->model->shape.d_model;
    struct ko_steps steps = {pass, n, err, KO_OK};
    struct ko_sublayer unnormed = *sublayer;
    const struct place place = {.pass = pass,
                                .sublayer = number_of(pass, sublayer),
                                .component = sublayer->kind->components};
    const int32_t n_removed = list_rows(&place);
    unnormed.sum_norm.kind = KO_NO_NORM;
    if (n_removed > 0) {
        keep_rows(&steps, n_removed, x);
    }
    if (steps.code == KO_OK) {
        steps.code = sublayer->kind->finish(pass, &unnormed, n, x, mixed, ld_mixed, err);
    }
    if (n_removed > 0) {
        scatter_rows(&steps, n_removed, d, pass->removed, x, d);
    }
    ko_step_norm(&steps, &sublayer->sum_norm, x, x);
    return steps.code;
}

enum ko_code ko_removal_finish(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                               int32_t n, float *x, float *mixed, int32_t ld_mixed,
                               struct ko_error *err)
{
    const uint8_t components = sublayer->kind->components;
    const bool single = (components & (components - 1)) == 0;
    struct ko_steps steps = {pass, n, err, KO_OK};
    if (pass->rows->n_removals == 0) {
        return sublayer->kind->finish(pass, sublayer, n, x, mixed, ld_mixed, err);
    }
    if (sublayer->kind->mixer) {
        take_heads(&steps, sublayer, mixed, ld_mixed);
    }
    if (steps.code != KO_OK) {
        return steps.code;
    }
    return single ? finish_without(pass, sublayer, n, x, mixed, ld_mixed, err)
                  : sublayer->kind->finish(pass, sublayer, n, x, mixed, ld_mixed, err);
}
