/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of a tile of queries that share most of their keys: products of queries and keys, and of
   weights and values, with an online softmax between them (Milakov & Gimelshein 2018; Dao et al.
   2022, FlashAttention). Like every file of this folder, it is compiled once for each instruction
   set.

   A query's result does not depend on the queries beside it: its sums have the same order wherever it
   lies, and blocks of keys begin at multiples of BLOCK on every path. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

/* The numbers of one register, and how many registers of a row are computed at once, so that the
   sums of ROWS rows stay in registers. */
#if defined(__AVX512F__)
enum { WIDTH = 16, SEVERAL = 4 };
#elif defined(__AVX__)
enum { WIDTH = 8, SEVERAL = 2 };
#else
enum { WIDTH = 4, SEVERAL = 2 };
#endif
enum {
    ROWS = KO_ATTEND_ROWS,
    PANEL = KO_ATTEND_PANEL,
    BLOCK = KO_ATTEND_BLOCK,
    PAD = KO_ATTEND_PAD,
    CHANNELS = 64 /* whose products are summed apart: sums of more would lose accuracy */
};
typedef float lanes __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

static int32_t smaller_of(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t greater_of(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* score [ROWS, columns] = q [d, ROWS]^T keys [d, columns], for SEVERAL registers of columns; with
   `more` it is added to score. */
KO_LANE void multiply_keys(size_t d, const float *q, const float *keys, bool more, float *score)
{
    lanes sum[ROWS][SEVERAL];
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t v = 0; v < SEVERAL; v++) {
            sum[r][v] = (lanes){0.0F};
        }
    }
    for (size_t c = 0; c < d; c++) {
        const lanes *key = (const void *)(keys + c * PANEL);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t v = 0; v < SEVERAL; v++) {
                sum[r][v] += q[c * ROWS + r] * key[v];
            }
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        lanes *to = (void *)(score + r * BLOCK);
        for (size_t v = 0; v < SEVERAL; v++) {
            if (more) {
                sum[r][v] += to[v];
            }
            to[v] = sum[r][v];
        }
    }
}

/* o [ROWS, columns] = scale [ROWS] o + weight [ROWS, from .. to) values [from .. to), columns], for n
   registers of columns; n is a constant. */
KO_LANE void multiply_values(const float *weight, size_t from, size_t to, const float *values,
                             size_t width, const float *scale, float *o, size_t n)
{
    lanes sum[ROWS][SEVERAL];
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t v = 0; v < n; v++) {
            sum[r][v] = scale[r] * ((const lanes *)(const void *)(o + r * width))[v];
        }
    }
    for (size_t j = from; j < to; j++) {
        const lanes *value = (const void *)(values + j * width);
        for (size_t r = 0; r < ROWS; r++) {
            for (size_t v = 0; v < n; v++) {
                sum[r][v] += weight[r * BLOCK + j] * value[v];
            }
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t v = 0; v < n; v++) {
            ((lanes *)(void *)(o + r * width))[v] = sum[r][v];
        }
    }
}

/* What a query has seen so far: its greatest score, the sum of exp(score - top), and whether it
   keeps any edge. */
struct state {
    float top, sum;
    bool keeps;
};

/* A group of ROWS queries in one block of keys. Positions are counted from the block's first. */
struct group {
    const struct ko_attend_query *query; /* [n] */
    size_t n;                            /* 1 to ROWS */
    const float *q;                      /* [d_head, ROWS] */
    float *score;                        /* [ROWS, BLOCK] scores, then weights */
    float *o;                            /* [ROWS, width] */
    float own[ROWS * KO_ATTEND_OWN];     /* weights of own keys */
    float scale[ROWS];                   /* what the sums so far are multiplied by */
    /* What each query sees here, [low, high); from `split` on its own keys. */
    int32_t low[ROWS], split[ROWS], high[ROWS];
    int32_t from, shared, to; /* the smallest low, the largest split and high */
};

/* Where the queries of the group see keys of the block that begins at `first`. */
static void find_ranges(struct group *group, int32_t first)
{
    group->from = BLOCK;
    group->shared = group->to = 0;
    for (size_t r = 0; r < group->n; r++) {
        const struct ko_attend_query *query = &group->query[r];
        const int32_t low = greater_of(query->first - first, 0);
        const int32_t high = smaller_of(query->position + 1 - first, BLOCK);
        group->low[r] = low, group->high[r] = greater_of(low, high);
        group->split[r] = greater_of(low, smaller_of(query->own - first, high));
        if (low < high) {
            group->from = smaller_of(group->from, low);
            group->to = greater_of(group->to, high);
            group->shared = greater_of(group->shared, group->split[r]);
        }
    }
}

/* sum [ROWS] += q [n, ROWS] . k [c .. c + n) of each row */
KO_LANE void add_products(size_t n, const float *q, const float *const *k, size_t c, float *sum)
{
    float part[ROWS] = {0.0F};
    for (size_t at = 0; at < n; at++) {
        for (size_t r = 0; r < ROWS; r++) {
            part[r] += q[at * ROWS + r] * k[r][c + at];
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        sum[r] += part[r];
    }
}

/* q . k of the group's own keys, all queries side by side, summed in the order of multiply_keys. */
static void score_own(const struct ko_attend_tile *tile, const struct group *group, int32_t first)
{
    int32_t most_own = 0;
    for (size_t r = 0; r < group->n; r++) {
        most_own = greater_of(most_own, group->high[r] - group->split[r]);
    }
    for (int32_t at = 0; at < most_own; at++) {
        const float *k[ROWS];
        float sum[ROWS] = {0.0F};
        for (size_t r = 0; r < ROWS; r++) {
            const bool has = r < group->n && group->split[r] + at < group->high[r];
            const struct ko_attend_query *query = &group->query[has ? r : 0];
            const int32_t own = has ? first + group->split[r] + at - query->own : 0;
            k[r] = has ? tile->k + (size_t)query->own_row[own] * tile->ld : query->q;
        }
        for (size_t c = 0; c < (size_t)tile->d_head; c += CHANNELS) {
            const size_t left = (size_t)tile->d_head - c;
            add_products(left < CHANNELS ? left : CHANNELS, group->q + c * ROWS, k, c, sum);
        }
        for (size_t r = 0; r < group->n; r++) {
            if (group->split[r] + at < group->high[r]) {
                group->score[r * BLOCK + (size_t)(group->split[r] + at)] = sum[r];
            }
        }
    }
}

static void score_group(const struct ko_attend_tile *tile, const struct group *group, int32_t first)
{
    const size_t d = (size_t)tile->d_head;
    const struct ko_attend_panel *panel = tile->panels + first / PANEL;
    for (int32_t at = group->from / PANEL * PANEL; at < group->shared; at += PANEL) {
        for (size_t c = 0; c < d; c += CHANNELS) {
            const size_t n = c + CHANNELS < d ? CHANNELS : d - c;
            const float *keys = panel[at / PANEL].keys + c * PANEL;
            for (size_t column = 0; column < PANEL; column += (size_t)WIDTH * SEVERAL) {
                multiply_keys(n, group->q + c * ROWS, keys + column, c > 0,
                              group->score + (size_t)at + column);
            }
        }
    }
    score_own(tile, group, first);
}

/* Whether the edge from this key to the query is removed. */
KO_LANE bool is_removed(const struct ko_attend_query *query, int32_t position)
{
    return query->removed && query->removed[position] &&
           !(query->keeps_itself && position == query->position);
}

/* score = value where the edge from the key to the query is removed. */
static void replace_removed(const struct group *group, size_t r, int32_t first, float value)
{
    const struct ko_attend_query *query = &group->query[r];
    const uint8_t *removed = query->removed + first;
    const int32_t low = group->low[r], high = group->high[r], itself = query->position - first;
    float *score = group->score + r * BLOCK;
    const bool spared = query->keeps_itself && itself >= low && itself < high;
    const float kept = spared ? score[itself] : 0.0F;
#pragma omp simd
    for (int32_t j = low; j < high; j++) {
        score[j] = removed[j] ? value : score[j];
    }
    if (spared) {
        score[itself] = kept;
    }
}

/* -inf where the query does not see the key, or where the edge is removed before the softmax. */
static void mask_row(const struct group *group, size_t r, int32_t from, int32_t to, int32_t first)
{
    const struct ko_attend_query *query = &group->query[r];
    float *score = group->score + r * BLOCK;
    for (int32_t j = from; j < smaller_of(group->low[r], to); j++) {
        score[j] = -INFINITY;
    }
    for (int32_t j = greater_of(group->high[r], from); j < to; j++) {
        score[j] = -INFINITY;
    }
    if (query->removed && !query->after_softmax) {
        replace_removed(group, r, first, -INFINITY);
    }
}

/* Whether the query keeps the edge from any of the keys that it sees in the block. */
static bool keeps_any(const struct group *group, size_t r, int32_t first)
{
    const struct ko_attend_query *query = &group->query[r];
    const int32_t low = group->low[r], high = group->high[r];
    if (low >= high || !query->removed) {
        return low < high;
    }
    return (query->keeps_itself && query->position - first < high) ||
           memchr(query->removed + first + low, 0, (size_t)(high - low)) != NULL;
}

/* The weights of one row from its scores, and their sum. Sums go by columns modulo PAD, so that
   further columns with weights of 0 change nothing. */
static float weigh_row(float *score, size_t from, size_t to, float top)
{
    float part[PAD] __attribute__((aligned(64))) = {0.0F};
    for (size_t at = from; at < to; at += PAD) {
#pragma omp simd
        for (size_t k = 0; k < PAD; k++) {
            const float weight = ko_lane_exp(score[at + k] - top);
            score[at + k] = weight;
            part[k] += weight;
        }
    }
    for (size_t half = PAD / 2; half > 0; half /= 2) {
        for (size_t k = 0; k < half; k++) {
            part[k] += part[k + half];
        }
    }
    return part[0];
}

static float top_of(const float *score, size_t from, size_t to, float top)
{
    float part[PAD] __attribute__((aligned(64)));
    for (size_t k = 0; k < PAD; k++) {
        part[k] = top;
    }
    for (size_t at = from; at < to; at += PAD) {
#pragma omp simd
        for (size_t k = 0; k < PAD; k++) {
            part[k] = score[at + k] > part[k] ? score[at + k] : part[k];
        }
    }
    for (size_t k = 0; k < PAD; k++) {
        top = part[k] > top ? part[k] : top;
    }
    return top;
}

/* Scales and caps the scores. */
static void scale_row(const struct ko_attend_tile *tile, float *score, size_t from, size_t to)
{
    const float scale = tile->scale, cap = tile->cap;
#pragma omp simd
    for (size_t j = from; j < to; j++) {
        score[j] *= scale;
    }
    if (cap > 0.0F) {
        const float inner = 1.0F / cap;
#pragma omp simd
        for (size_t j = from; j < to; j++) {
            score[j] = cap * ko_lane_tanh(inner * score[j]);
        }
    }
}

/* Turns a row's scores into weights. The weights of its own keys are moved aside; weights that are
   zeroed after the softmax become 0. */
static void soften_row(const struct ko_attend_tile *tile, struct group *group, size_t r,
                       struct state *state, int32_t first)
{
    const int32_t from = group->from / PAD * PAD, to = (group->to + PAD - 1) / PAD * PAD;
    const struct ko_attend_query *query = &group->query[r];
    float *score = group->score + r * BLOCK;
    scale_row(tile, score, (size_t)from, (size_t)to);
    mask_row(group, r, from, to, first);
    const float top = top_of(score, (size_t)from, (size_t)to, state->top);
    /* Where nothing has been seen yet, every score is -inf, and its weight is 0. */
    const float base = top > -INFINITY ? top : 0.0F;
    const float sum = weigh_row(score, (size_t)from, (size_t)to, base);
    group->scale[r] = ko_lane_exp(state->top - base);
    state->sum = state->sum * group->scale[r] + sum;
    state->top = top;
    state->keeps = state->keeps || keeps_any(group, r, first);
    if (query->removed && query->after_softmax) {
        replace_removed(group, r, first, 0.0F);
    }
    for (int32_t j = group->split[r]; j < group->high[r]; j++) {
        group->own[r * KO_ATTEND_OWN + (size_t)(first + j - query->own)] = score[j];
        score[j] = 0.0F;
    }
}

/* o += weight value for the values that are not removed, one row and key after the other. Such
   values need not be finite. */
static void mix_rows(const struct ko_attend_tile *tile, const struct group *group, int32_t first)
{
    const size_t width = ko_attend_width(tile->d_value);
    for (size_t r = 0; r < group->n; r++) {
        float *o = group->o + r * width;
        for (size_t c = 0; c < width; c++) {
            o[c] *= group->scale[r];
        }
        for (int32_t j = group->low[r]; j < group->split[r]; j++) {
            if (!is_removed(&group->query[r], first + j)) {
                const struct ko_attend_panel *panel = tile->panels + (first + j) / PANEL;
                ko_isa_add_scaled(width, group->score[r * BLOCK + (size_t)j],
                                  panel->values + (size_t)(j % PANEL) * width, o);
            }
        }
    }
}

/* The same for the queries' own keys. */
static void mix_own(const struct ko_attend_tile *tile, const struct group *group, int32_t first)
{
    const size_t width = ko_attend_width(tile->d_value);
    for (size_t r = 0; r < group->n; r++) {
        const struct ko_attend_query *query = &group->query[r];
        for (int32_t j = group->split[r]; j < group->high[r]; j++) {
            const size_t k = (size_t)(first + j - query->own);
            if (!is_removed(query, first + j)) {
                ko_isa_add_scaled((size_t)tile->d_value, group->own[r * KO_ATTEND_OWN + k],
                                  tile->v + (size_t)query->own_row[k] * tile->ld_v,
                                  group->o + r * width);
            }
        }
    }
}

static bool values_are_finite(const struct ko_attend_tile *tile, const struct group *group,
                              int32_t first)
{
    bool finite = true;
    for (int32_t at = group->from / PANEL * PANEL; at < group->shared; at += PANEL) {
        finite = finite && *tile->panels[(first + at) / PANEL].finite;
    }
    return finite;
}

/* Adds the weighted values of the keys that the queries share. All ROWS rows are computed; those
   without a query have weights of 0. */
static void mix_shared(const struct ko_attend_tile *tile, const struct group *group, int32_t first)
{
    const size_t width = ko_attend_width(tile->d_value);
    static const float one[] = {1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F};
    _Static_assert(sizeof one == ROWS * sizeof *one, "one factor a row");
    const float *scale = group->scale;
    int32_t at = group->from;
    do {
        const int32_t panel = at / PANEL * PANEL;
        const size_t from = (size_t)(at - panel);
        const size_t to =
            (size_t)greater_of(smaller_of(group->shared - panel, PANEL), (int32_t)from);
        const float *values = tile->panels[(first + panel) / PANEL].values;
        const float *weight = group->score + panel;
        size_t column = 0;
        for (; column + (size_t)SEVERAL * WIDTH <= width; column += (size_t)SEVERAL * WIDTH) {
            multiply_values(weight, from, to, values + column, width, scale, group->o + column,
                            SEVERAL);
        }
        for (; column < width; column += WIDTH) {
            multiply_values(weight, from, to, values + column, width, scale, group->o + column, 1);
        }
        scale = one;
        at = panel + PANEL;
    } while (at < group->shared);
}

/* One block of keys for one group. */
static void attend_block(const struct ko_attend_tile *tile, struct group *group,
                         struct state *state, int32_t first)
{
    find_ranges(group, first);
    if (group->from >= group->to) {
        return;
    }
    score_group(tile, group, first);
    for (size_t r = 0; r < group->n; r++) {
        soften_row(tile, group, r, &state[r], first);
    }
    if (values_are_finite(tile, group, first)) {
        mix_shared(tile, group, first);
    } else {
        mix_rows(tile, group, first);
    }
    mix_own(tile, group, first);
}

/* out = o / sum, with the sink in the sum; zeros where the query keeps no key. */
static void finish_query(const struct ko_attend_query *query, const struct state *state,
                         size_t d_value, const float *o)
{
    float sum = state->sum;
    if (query->sink) {
        sum += ko_lane_exp(*query->sink - state->top);
    }
    if (!state->keeps || sum == 0.0F) {
        memset(query->out, 0, d_value * sizeof *query->out);
        return;
    }
    const float share = 1.0F / sum;
    for (size_t c = 0; c < d_value; c++) {
        query->out[c] = o[c] * share;
    }
}

/* q [d, ROWS] from the queries of a group; zeros in rows without a query. */
static void pack_queries(const struct ko_attend_query *query, size_t n, size_t d, float *q)
{
    if (n < ROWS) {
        memset(q, 0, d * ROWS * sizeof *q);
    }
    for (size_t r = 0; r < n; r++) {
        for (size_t c = 0; c < d; c++) {
            q[c * ROWS + r] = query[r].q[c];
        }
    }
}

void ko_isa_attend_tile(const struct ko_attend_tile *tile)
{
    const size_t width = ko_attend_width(tile->d_value), d = (size_t)tile->d_head;
    const size_t n = (size_t)tile->n, rows = (n + ROWS - 1) / ROWS * ROWS;
    struct state state[KO_ATTEND_QUERIES];
    int32_t first = INT32_MAX, end = 0;
    memset(tile->o, 0, rows * width * sizeof *tile->o);
    for (size_t at = 0; at < n; at++) {
        state[at] = (struct state){.top = -INFINITY};
        first = smaller_of(first, tile->query[at].first);
        end = greater_of(end, tile->query[at].position + 1);
    }
    for (size_t at = 0; at < n; at += ROWS) {
        pack_queries(tile->query + at, at + ROWS <= n ? ROWS : n - at, d, tile->q + at * d);
    }
    for (first = first / BLOCK * BLOCK; first < end; first += BLOCK) {
        for (size_t at = 0; at < n; at += ROWS) {
            struct group group = {.query = tile->query + at,
                                  .n = at + ROWS <= n ? ROWS : n - at,
                                  .q = tile->q + at * d,
                                  .score = tile->score,
                                  .o = tile->o + at * width};
            attend_block(tile, &group, state + at, first);
        }
    }
    for (size_t at = 0; at < n; at++) {
        finish_query(&tile->query[at], &state[at], (size_t)tile->d_value, tile->o + at * width);
    }
}
