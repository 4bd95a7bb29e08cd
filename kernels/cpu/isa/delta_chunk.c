/* SPDX-License-Identifier: Apache-2.0 */
/* A chunk of rows of the gated delta rule over a block of columns of one head's state. Like every
   file of this folder, it is compiled once for each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

/* The columns of one register, and how many registers of a row are computed at once, so that FOUR
   rows of sums stay in registers. */
#if defined(__AVX512F__)
enum { WIDTH = 16, SEVERAL = 4 };
#elif defined(__AVX__)
enum { WIDTH = 8, SEVERAL = 2 };
#else
enum { WIDTH = 4, SEVERAL = 2 };
#endif
enum { FOUR = 4, ROWS = KO_DELTA_ROWS, BLOCK = KO_DELTA_BLOCK };
typedef float lanes __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

KO_LANE float sum_of(lanes x)
{
    float part[WIDTH];
    memcpy(part, &x, sizeof part);
    for (size_t half = WIDTH / 2; half > 0; half /= 2) {
        for (size_t k = 0; k < half; k++) {
            part[k] += part[k + half];
        }
    }
    return part[0];
}

/* before = F(i) k(i) and F(i) q(i), all = F(last) */
static void decay_from_start(const struct ko_delta_chunk *chunk)
{
    const size_t n = (size_t)chunk->n, ld = chunk->ld;
    float *all = chunk->all;
    for (size_t s = 0; s < ld; s++) {
        all[s] = 1.0F;
    }
    for (size_t i = 0; i < n; i++) {
        const float *k = chunk->k + i * ld, *q = chunk->q + i * ld, *decay = chunk->decay + i * ld;
        float *k_before = chunk->before + i * ld, *q_before = k_before + ROWS * ld;
#pragma omp simd
        for (size_t s = 0; s < ld; s++) {
            all[s] *= decay[s];
            k_before[s] = all[s] * k[s];
            q_before[s] = all[s] * q[s];
        }
    }
    size_t past = (n + FOUR - 1) / FOUR * FOUR;
    memset(chunk->before + n * ld, 0, (past - n) * ld * sizeof(float));
    memset(chunk->before + (ROWS + n) * ld, 0, (past - n) * ld * sizeof(float));
}

/* key <- decay key. Then key . k(i) and key . q(i) of row i. */
KO_LANE void multiply_row(const struct ko_delta_chunk *chunk, size_t i, float *key, float *by_k,
                          float *by_q)
{
    const size_t ld = chunk->ld;
    const float *k = chunk->k + i * ld, *q = chunk->q + i * ld, *decay = chunk->decay + i * ld;
    lanes k_sum = {0.0F}, q_sum = {0.0F};
    for (size_t s = 0; s < ld; s += WIDTH) {
        lanes *to = (void *)(key + s);
        const lanes own = *to * *(const lanes *)(const void *)(decay + s);
        *to = own;
        k_sum += own * *(const lanes *)(const void *)(k + s);
        q_sum += own * *(const lanes *)(const void *)(q + s);
    }
    *by_k = sum_of(k_sum);
    *by_q = sum_of(q_sum);
}

void ko_isa_delta_products(const struct ko_delta_chunk *chunk)
{
    const size_t n = (size_t)chunk->n, ld = chunk->ld;
    decay_from_start(chunk);
    for (size_t j = 0; j < n; j++) {
        const float *k = chunk->k + j * ld;
        float *key = chunk->after + j * ld; /* D(j, i) k(j), with i up to the last row */
        memcpy(key, k, ld * sizeof *key);
        chunk->read[j * ROWS + j] = ko_lane_dot(ld, k, chunk->q + j * ld);
        for (size_t i = j + 1; i < n; i++) {
            multiply_row(chunk, i, key, &chunk->erase[i * ROWS + j], &chunk->read[i * ROWS + j]);
        }
    }
}

/* to [FOUR, n] = rows [FOUR, d_key] from [d_key, n], for n vectors of columns; n is a constant. */
KO_LANE void multiply_state(const struct ko_delta_chunk *chunk, const float *rows,
                            const float *from, size_t n, float *to)
{
    const size_t d_key = (size_t)chunk->d_key, ld = chunk->ld;
    lanes sum[FOUR][SEVERAL];
    for (size_t r = 0; r < FOUR; r++) {
        for (size_t v = 0; v < n; v++) {
            sum[r][v] = (lanes){0.0F};
        }
    }
    for (size_t s = 0; s < d_key; s++) {
        const lanes *state = (const void *)(from + s * BLOCK);
        for (size_t r = 0; r < FOUR; r++) {
            for (size_t v = 0; v < n; v++) {
                sum[r][v] += rows[r * ld + s] * state[v];
            }
        }
    }
    for (size_t r = 0; r < FOUR; r++) {
        for (size_t v = 0; v < n; v++) {
            ((lanes *)(void *)(to + r * BLOCK))[v] = sum[r][v];
        }
    }
}

/* x [i] += sum_j weight[i, j] u[j] for the rows j < end of u. */
KO_LANE void add_rows(const float *weight, const float *u, size_t end, size_t n,
                      lanes (*x)[SEVERAL])
{
    for (size_t j = 0; j < end; j++) {
        const lanes *row = (const void *)(u + j * BLOCK);
        for (size_t v = 0; v < n; v++) {
            (*x)[v] += weight[j] * row[v];
        }
    }
}

/* u(i) = beta(i) (v(i) - F(i) S^T k(i) - sum_{j < i} (k(i) . D(j, i) k(j)) u(j)) */
KO_LANE void solve(const struct ko_delta_chunk *chunk, const struct ko_delta_columns *columns,
                   size_t column, size_t n)
{
    float *u = columns->u + column;
    for (size_t i = 0; i < (size_t)chunk->n; i++) {
        const lanes *value = (const void *)(columns->v + i * BLOCK + column);
        const bool writes = !columns->removed || !columns->removed[i];
        lanes *own = (void *)(u + i * BLOCK), sum[SEVERAL];
        for (size_t v = 0; v < n; v++) {
            sum[v] = own[v];
        }
        add_rows(chunk->erase + i * ROWS, u, i, n, &sum);
        for (size_t v = 0; v < n; v++) {
            sum[v] = -sum[v];
            if (writes) {
                sum[v] += value[v];
            }
            own[v] = chunk->beta[i] * sum[v];
        }
    }
}

/* y(i) = F(i) S^T q(i) + sum_{j <= i} (q(i) . D(j, i) k(j)) u(j) */
KO_LANE void mix(const struct ko_delta_chunk *chunk, const struct ko_delta_columns *columns,
                 size_t column, size_t n)
{
    for (size_t i = 0; i < (size_t)chunk->n; i++) {
        lanes *own = (void *)(columns->y + i * BLOCK + column), sum[SEVERAL];
        for (size_t v = 0; v < n; v++) {
            sum[v] = own[v];
        }
        add_rows(chunk->read + i * ROWS, columns->u + column, i + 1, n, &sum);
        for (size_t v = 0; v < n; v++) {
            own[v] = sum[v];
        }
    }
}

/* S <- F(last) S + sum_j D(j, last) k(j) u(j)^T, for the keys [s, s + keys); keys <= FOUR and n are
   constants. */
KO_LANE void write_keys(const struct ko_delta_chunk *chunk, const struct ko_delta_columns *columns,
                        size_t column, size_t s, size_t keys, size_t n)
{
    const float *after = chunk->after + s;
    lanes sum[FOUR][SEVERAL];
    for (size_t r = 0; r < keys; r++) {
        const lanes *from = (const void *)(columns->from + (s + r) * BLOCK + column);
        for (size_t v = 0; v < n; v++) {
            sum[r][v] = chunk->all[s + r] * from[v];
        }
    }
    for (size_t j = 0; j < (size_t)chunk->n; j++) {
        const lanes *u = (const void *)(columns->u + j * BLOCK + column);
        for (size_t r = 0; r < keys; r++) {
            for (size_t v = 0; v < n; v++) {
                sum[r][v] += after[j * chunk->ld + r] * u[v];
            }
        }
    }
    for (size_t r = 0; r < keys; r++) {
        lanes *to = (void *)(columns->to + (s + r) * BLOCK + column);
        for (size_t v = 0; v < n; v++) {
            to[v] = sum[r][v];
        }
    }
}

KO_LANE void advance(const struct ko_delta_chunk *chunk, const struct ko_delta_columns *columns,
                     size_t column, size_t n)
{
    const size_t rows = (size_t)chunk->n, d_key = (size_t)chunk->d_key;
    const float *from = columns->from + column;
    for (size_t i = 0; i < rows; i += FOUR) {
        multiply_state(chunk, chunk->before + i * chunk->ld, from, n,
                       columns->u + i * BLOCK + column);
    }
    for (size_t i = 0; columns->y && i < rows; i += FOUR) {
        multiply_state(chunk, chunk->before + (ROWS + i) * chunk->ld, from, n,
                       columns->y + i * BLOCK + column);
    }
    solve(chunk, columns, column, n);
    if (columns->y) {
        mix(chunk, columns, column, n);
    }
    size_t s = 0;
    for (; columns->to && s + FOUR <= d_key; s += FOUR) {
        write_keys(chunk, columns, column, s, FOUR, n);
    }
    for (; columns->to && s < d_key; s++) {
        write_keys(chunk, columns, column, s, 1, n);
    }
}

void ko_isa_delta_chunk(const struct ko_delta_chunk *chunk, const struct ko_delta_columns *columns)
{
    size_t column = 0, n = (size_t)columns->n;
    for (; column + (size_t)SEVERAL * WIDTH <= n; column += (size_t)SEVERAL * WIDTH) {
        advance(chunk, columns, column, SEVERAL);
    }
    for (; column < n; column += WIDTH) {
        advance(chunk, columns, column, 1);
    }
}
