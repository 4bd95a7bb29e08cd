/* SPDX-License-Identifier: Apache-2.0 */
/* Takes components out of rows. A whole component: x keeps what it was before the sublayer added its
   output, or gets that and what replaces the output. One head: its part of the input of the output
   projection becomes zero, or what replaces it. */
#include "src/models/removal.h"

/* What takes the place of a component. */
enum replacement { NOTHING, A_MEAN, OF_A_DONOR, N_REPLACEMENTS };

/* Which rows lose a component of a sublayer. */
struct place {
    const struct ko_pass *pass;
    int32_t sublayer;  /* its number */
    uint8_t component; /* one kind */
    int32_t n_heads;   /* > 0: lists the removals of single heads, else those of the whole */
    int32_t width;     /* of a head, or of the whole */
};

/* The rows that lose the component, those with the same replacement side by side. */
struct listed {
    int32_t n, first[N_REPLACEMENTS + 1];
    /* [n] in pass->list: the row, the column where the part begins, and the row of the replacement,
       counted in parts of the place's width */
    int32_t *row, *column, *from;
};

static enum replacement replacement_of(const struct ko_removal *removal)
{
    return removal->mean >= 0 ? A_MEAN : removal->donor >= 0 ? OF_A_DONOR : NOTHING;
}

static bool place_has(const struct place *place, const struct ko_removal *removal)
{
    return (removal->components & place->component) && place->sublayer >= removal->begin &&
           place->sublayer < removal->end &&
           (!removal->within || removal->within[place->sublayer]) &&
           (removal->head >= 0) == (place->n_heads > 0);
}

/* Where the replacement of position i lies: among the means of the sublayer, or among the rows. */
static int32_t row_of_replacement(const struct place *place, const struct ko_removal *removal,
                                  int32_t i)
{
    const int32_t parts = place->n_heads > 0 ? place->n_heads : 1;
    const int32_t head = place->n_heads > 0 ? removal->head : 0;
    const struct ko_rows *rows = place->pass->rows;
    switch (replacement_of(removal)) {
    case A_MEAN:
        return removal->mean * parts + head;
    case OF_A_DONOR:
        return (rows->trunk_first[removal->donor] + removal->donor_at[i]) * parts + head;
    default:
        return 0;
    }
}

/* The rows of a branch that are left: row first_row is of position first. */
struct rows_left {
    int32_t first_row, first, end;
};

/* Behind the last mixers only the last rows of each branch may be left, behind those of the
   trunks. */
static struct rows_left rows_left_of(const struct ko_pass *pass, int32_t b)
{
    const struct ko_rows *rows = pass->rows;
    const struct ko_branch *branch = &rows->branches[b];
    const int32_t run = rows->n_prompts + b, end = ko_branch_end(branch);
    if (!pass->only_last) {
        return (struct rows_left){branch->first_row, branch->first_position, end};
    }
    const int32_t next = b + 1 < rows->n_branches ? pass->first_last[run + 1] : pass->n_last;
    return (struct rows_left){pass->first_last[run], end - (next - pass->first_last[run]), end};
}

static void list_branch(const struct place *place, int32_t b, struct listed *out)
{
    const struct ko_rows *rows = place->pass->rows;
    const struct ko_removal *removal = &rows->removals[rows->branches[b].removal];
    const struct rows_left left = rows_left_of(place->pass, b);
    for (int32_t i = left.first; i < left.end; i++) {
        if (removal->at[i]) {
            const int32_t k = out->n++;
            out->row[k] = left.first_row + i - left.first;
            out->column[k] = place->n_heads > 0 ? removal->head * place->width : 0;
            out->from[k] = row_of_replacement(place, removal, i);
        }
    }
}

static struct listed list_rows(const struct place *place)
{
    const struct ko_rows *rows = place->pass->rows;
    int32_t *list = place->pass->list;
    struct listed out = {
        .row = list, .column = list + rows->n_rows, .from = list + 2 * (size_t)rows->n_rows};
    for (int r = 0; rows->n_removals > 0 && r < N_REPLACEMENTS; r++) {
        out.first[r] = out.n;
        for (int32_t b = 0; b < rows->n_branches; b++) {
            const int32_t removal = rows->branches[b].removal;
            if (removal >= 0 && place_has(place, &rows->removals[removal]) &&
                replacement_of(&rows->removals[removal]) == (enum replacement)r) {
                list_branch(place, b, &out);
            }
        }
    }
    out.first[N_REPLACEMENTS] = out.n;
    return out;
}

static int32_t count_listed(const struct listed *listed, enum replacement r)
{
    return listed->first[r + 1] - listed->first[r];
}

/* The listed parts of `to` [rows, ld] become the rows of from [n, width], or zeros for NULL. */
static void put_parts(struct ko_steps *steps, const struct place *place,
                      const struct listed *listed, enum replacement r, const float *from, float *to,
                      int32_t ld)
{
    const int32_t first = listed->first[r];
    ko_step_scatter(steps, &(const struct ko_scatter){.n = count_listed(listed, r),
                                                      .d = place->width,
                                                      .from = from,
                                                      .ld_from = place->width,
                                                      .row = listed->row + first,
                                                      .column = listed->column + first,
                                                      .to = to,
                                                      .ld_to = ld});
}

/* to [n, width] = the rows `index` of from, which are one part wide. */
static void take_parts(struct ko_steps *steps, const struct place *place, const float *from,
                       const int32_t *index, int32_t n, float *to)
{
    ko_step_gather(steps, &(const struct ko_gather){.from = from,
                                                    .ld_from = place->width,
                                                    .index = index,
                                                    .n = n,
                                                    .d = place->width,
                                                    .to = to,
                                                    .ld_to = place->width});
}

static void add_rows(struct ko_steps *steps, int32_t n, int32_t d, float scale, const float *x,
                     float *y)
{
    const struct ko_add_scaled add = {
        .n = n, .d = d, .x = x, .ldx = d, .scale = scale, .y = y, .ldy = d};
    if (n > 0) {
        ko_step_add_scaled(steps, &add);
    }
}

static int32_t number_of(const struct ko_pass *pass, const struct ko_sublayer *sublayer)
{
    return (int32_t)(sublayer - pass->model->sublayer);
}

static const float *means_of(const struct place *place)
{
    const struct ko_pass *pass = place->pass;
    return pass->means + ko_plan_mean_place(pass->plan_model, pass->n_means, place->sublayer,
                                            place->component, place->n_heads > 0);
}

static void note_part(struct ko_steps *steps, const struct place *place, enum ko_note note,
                      const float *data, int32_t width)
{
    const struct ko_recorder *recorder = steps->pass->recorder;
    const struct ko_noted noted = {
        note, place->sublayer, place->component, place->n_heads > 0, data, width};
    if (recorder && steps->code == KO_OK) {
        steps->code = recorder->note(recorder->self, steps->pass, &noted, steps->err);
    }
}

/* Replaces parts that lie in memory [rows, ld] themselves: heads of the input of an output projection,
   or an output that is not yet added. */
static void replace_parts(struct ko_steps *steps, const struct place *place, float *memory,
                          int32_t ld)
{
    note_part(steps, place, KO_NOTE_ITSELF, memory, ld);
    const struct listed listed = list_rows(place);
    float *values = steps->pass->values;
    const int32_t n_means = count_listed(&listed, A_MEAN);
    const int32_t n_donors = count_listed(&listed, OF_A_DONOR);
    if (count_listed(&listed, NOTHING) > 0) {
        put_parts(steps, place, &listed, NOTHING, NULL, memory, ld);
    }
    if (n_means > 0) {
        take_parts(steps, place, means_of(place), listed.from + listed.first[A_MEAN], n_means,
                   values);
        put_parts(steps, place, &listed, A_MEAN, values, memory, ld);
    }
    if (n_donors > 0) {
        take_parts(steps, place, memory, listed.from + listed.first[OF_A_DONOR], n_donors, values);
        put_parts(steps, place, &listed, OF_A_DONOR, values, memory, ld);
    }
}

static bool is_needed(const struct ko_pass *pass)
{
    return pass->rows->n_removals > 0 || pass->recorder;
}

/* The heads of the input of the output projection [n, ld_mixed] lie side by side. */
static void take_heads(struct ko_steps *steps, const struct ko_sublayer *sublayer, float *mixed,
                       int32_t ld_mixed)
{
    const int32_t n_heads = ko_sublayer_heads(sublayer);
    if (n_heads == 0) {
        return;
    }
    const struct place place = {.pass = steps->pass,
                                .sublayer = number_of(steps->pass, sublayer),
                                .component = sublayer->kind->mixer,
                                .n_heads = n_heads,
                                .width = ld_mixed / n_heads};
    replace_parts(steps, &place, mixed, ld_mixed);
}

void ko_step_take_out(struct ko_steps *steps, const struct ko_sublayer *sublayer, uint8_t component,
                      float *output)
{
    const struct ko_pass *pass = steps->pass;
    const struct place place = {.pass = pass,
                                .sublayer = number_of(pass, sublayer),
                                .component = component,
                                .width = pass->model->shape.d_model};
    if (is_needed(pass)) {
        replace_parts(steps, &place, output, place.width);
    }
}

/* Before the output is added: keeps the listed rows of x, and those of their donors. */
static void keep_rows(struct ko_steps *steps, const struct place *place,
                      const struct listed *listed, const float *x)
{
    const struct ko_pass *pass = steps->pass;
    const int32_t n_donors = count_listed(listed, OF_A_DONOR);
    if (listed->n > 0) {
        take_parts(steps, place, x, listed->row, listed->n, pass->removed);
    }
    if (n_donors > 0) {
        take_parts(steps, place, x, listed->from + listed->first[OF_A_DONOR], n_donors,
                   pass->before);
    }
}

/* After it is added: the kept rows, and what replaces the output. What the donors got is the
   difference between their rows. */
static void restore_rows(struct ko_steps *steps, const struct place *place,
                         const struct listed *listed, float *x)
{
    const struct ko_pass *pass = steps->pass;
    const int32_t d = place->width, n_means = count_listed(listed, A_MEAN);
    const int32_t n_donors = count_listed(listed, OF_A_DONOR);
    float *of_means = pass->removed + (size_t)listed->first[A_MEAN] * (size_t)d;
    float *of_donors = pass->removed + (size_t)listed->first[OF_A_DONOR] * (size_t)d;
    if (n_means > 0) {
        take_parts(steps, place, means_of(place), listed->from + listed->first[A_MEAN], n_means,
                   pass->values);
        add_rows(steps, n_means, d, 1.0F, pass->values, of_means);
    }
    if (n_donors > 0) {
        take_parts(steps, place, x, listed->from + listed->first[OF_A_DONOR], n_donors,
                   pass->values);
        add_rows(steps, n_donors, d, -1.0F, pass->before, pass->values);
        add_rows(steps, n_donors, d, 1.0F, pass->values, of_donors);
    }
    for (int r = 0; r < N_REPLACEMENTS; r++) {
        if (count_listed(listed, (enum replacement)r) > 0) {
            put_parts(steps, place, listed, (enum replacement)r,
                      pass->removed + (size_t)listed->first[r] * (size_t)d, x, d);
        }
    }
}

/* The norm of the sum comes last, so that it sees the rows without the output. */
static enum ko_code finish_without(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                   int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                                   struct ko_error *err)
{
    struct ko_steps steps = {pass, n, err, KO_OK};
    struct ko_sublayer unnormed = *sublayer;
    const struct place place = {.pass = pass,
                                .sublayer = number_of(pass, sublayer),
                                .component = sublayer->kind->components,
                                .width = pass->model->shape.d_model};
    const struct listed listed = list_rows(&place); /* valid while nothing else is listed */
    unnormed.sum_norm.kind = KO_NO_NORM;
    keep_rows(&steps, &place, &listed, x);
    note_part(&steps, &place, KO_NOTE_BEFORE, x, place.width);
    if (steps.code == KO_OK) {
        steps.code = sublayer->kind->finish(pass, &unnormed, n, x, mixed, ld_mixed, err);
    }
    note_part(&steps, &place, KO_NOTE_AFTER, x, place.width);
    restore_rows(&steps, &place, &listed, x);
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
    if (!is_needed(pass)) {
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
