#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "src/models/family.h"
#include "src/models/weights.h"

enum { CHUNK = 1 << 12 };

/* Uniform in (-1, 1), a function of key and index alone (the finaliser of splitmix64: Steele, Lea &
 * Flood 2014). */
static double uniform(uint64_t key, uint64_t index)
{
    uint64_t z = key + (index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return ((double)(z >> 11) + 0.5) * 0x1p-52 - 1;
}

enum kind { KIND_MATRIX, KIND_CONV, KIND_DECAY, KIND_STEP_BIAS, KIND_BIAS, KIND_GAIN };

static enum kind kind_of(const struct ko_weight *weight)
{
    if (weight->transform == KO_NEG_EXP_TRANSPOSED || weight->transform == KO_DECAY_NORMS)
        return KIND_DECAY;
    if (weight->n_dims == 3)
        return KIND_CONV;
    if (weight->n_dims == 2)
        return KIND_MATRIX;
    if (ko_name_ends(weight->tensor, "dt_proj.bias") || ko_name_ends(weight->tensor, ".dt_bias"))
        return KIND_STEP_BIAS;
    return ko_name_ends(weight->tensor, ".bias") ? KIND_BIAS : KIND_GAIN;
}

/* Element i of the tensor, as the models are initialised: Glorot's matrices; A_log = log(1 + n)
   (S4D-real), moved by channel so that channels decay differently; steps of 0.001 to 0.1 through
   the inverse of softplus. */
static double value(const struct ko_weight *weight, enum kind kind, uint64_t key, int64_t i)
{
    int64_t columns = ko_weight_elements(weight) / weight->shape[0];
    double u = uniform(key, (uint64_t)i), step;
    switch (kind) {
    case KIND_MATRIX:
        return u * sqrt(6.0 / (double)(weight->shape[0] + weight->shape[1]));
    case KIND_CONV:
        return u * sqrt(3.0 / (double)columns);
    case KIND_DECAY:
        return log1p((double)(i % columns)) + 0.1 * u +
               1.5 * uniform(~key, (uint64_t)(i / columns));
    case KIND_STEP_BIAS:
        step = exp(log(1e-2) + u * log(10.0));
        return step + log(-expm1(-step));
    case KIND_BIAS:
        return 0.02 * u;
    default:
        return 1 + 0.1 * u;
    }
}

void ko_model_fill_random(const struct ko_model *model, uint64_t seed, float *arena)
{
    float values[CHUNK];
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        /* By name, so that a decay's weight and its norms come from the same values. */
        uint64_t key = XXH3_64bits_withSeed(weight->tensor, strlen(weight->tensor), seed);
        enum kind kind = kind_of(weight);
        int64_t total = ko_weight_elements(weight);
        for (int64_t first = 0; first < total; first += CHUNK) {
            int64_t n = total - first < CHUNK ? total - first : CHUNK;
            for (int64_t i = 0; i < n; i++)
                values[i] = (float)value(weight, kind, key, first + i);
            ko_weight_place(weight, first, n, values, arena + weight->offset);
        }
    }
    if (model->family->derive)
        model->family->derive(model, arena);
}
