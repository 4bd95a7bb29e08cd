/* SPDX-License-Identifier: Apache-2.0 */
/* Predicts the device memory of a model by purpose. Where a row budget does not fit, the error
   proposes one that does. Also adds up what a worker takes that computes in host memory. */
#include "src/forward/device_memory.h"

#include <math.h>

#include "src/base/text.h"
#include "src/forward/forward.h"
#include "src/forward/layer_layout.h"
#include "src/tree/batch.h"
#include "src/tree/cost.h"

enum { ROUND_ROWS = 256 }; /* proposed budgets are multiples of this where possible */

static double mask_bytes(const struct ko_device_model *m)
{
    const struct ko_sublayer *featured = ko_model_featured(m->model);
    if (!featured) {
        return 0;
    }
    const struct ko_sizes *size = &featured->size;
    const double n = ko_plan_n_masks(m->plan, m->plan_model);
    return n * m->model->n_stages * ((double)size->n_features + (double)size->conv_channels);
}

static double matrix_bytes(const struct ko_device_model *m)
{
    const enum ko_element type = m->kernels->matrix_type(m->precision);
    struct ko_layer_sizes sizes;
    if (m->slots == 0) {
        return (double)ko_model_matrix_bytes(m->model, type, m->model->matrix_elements);
    }
    ko_layer_sizes_of(m->model, type, true, &sizes);
    return (double)ko_layer_bytes(&sizes, m->slots);
}

static double row_floats(const struct ko_device_model *m)
{
    return (double)ko_model_row_floats(m->model) +
           (double)ko_plan_component_arrays(m->plan) * m->model->shape.d_model;
}

void ko_device_memory_predict(const struct ko_device_model *m, int32_t max_rows,
                              struct ko_device_memory *out)
{
    const struct ko_limits limits = ko_engine_limits(m->plan, m->plan_model, m->model, max_rows);
    *out = (struct ko_device_memory){.matrices = matrix_bytes(m),
                                     .values = (double)m->model->value_floats * sizeof(float),
                                     .masks = mask_bytes(m),
                                     .rows = row_floats(m) * sizeof(float) * (double)max_rows,
                                     .reserved =
                                         (double)m->kernels->reserved_bytes(m->precision, &limits),
                                     .context = KO_DEVICE_CONTEXT_BYTES};
}

double ko_device_memory_total(const struct ko_device_memory *memory)
{
    return memory->matrices + memory->values + memory->masks + memory->rows + memory->reserved +
           memory->context;
}

static double total_of(const struct ko_device_model *model, int32_t max_rows)
{
    struct ko_device_memory memory;
    ko_device_memory_predict(model, max_rows, &memory);
    return ko_device_memory_total(&memory);
}

/* The most rows below `rows` that fit into `available` bytes, 0 where not even one fits. */
static int32_t most_rows(const struct ko_device_model *model, int32_t rows, double available)
{
    int32_t fits = 0, too_many = rows;
    while (too_many - fits > 1) {
        const int32_t middle = fits + (too_many - fits) / 2;
        if (total_of(model, middle) <= available) {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    return fits;
}

enum ko_code ko_device_memory_check(const struct ko_device_model *model, int32_t max_rows,
                                    double available, const char *device, struct ko_error *err)
{
    const double needed = total_of(model, max_rows);
    int32_t smallest = 0;
    char need[32], has[32], least[32];
    if (needed <= available) {
        return KO_OK;
    }
    const enum ko_code code =
        ko_batches_smallest_budget(model->plan, model->plan_model, &smallest, err);
    if (code != KO_OK) {
        return code;
    }
    int32_t fits = most_rows(model, max_rows, available);
    const int32_t round = fits / ROUND_ROWS * ROUND_ROWS;
    fits = round >= smallest && round > 0 ? round : fits;
    ko_bytes_human(needed, need);
    ko_bytes_human(available, has);
    if (fits >= smallest && fits > 0) {
        return ko_fail(err, KO_E_INPUT,
                       "row-budget: %d rows of %s need %s, %s has %s, choose --row-budget %d",
                       max_rows, model->model->name, need, device, has, fits);
    }
    return ko_fail(
        err, KO_E_INPUT,
        "row-budget: %s does not fit%s: its smallest row budget for these prompts, %d, needs "
        "%s and %s has %s, choose %sa GPU with more memory or a narrower precision",
        model->model->name, model->slots > 0 ? ", though its weights stream" : "", smallest,
        ko_bytes_human(total_of(model, smallest), least), device, has,
        model->slots > 0 ? "" : "--weights stream, ");
}

int32_t ko_device_memory_slots(const struct ko_device_model *model, enum ko_weights_mode mode,
                               int32_t max_rows, double available)
{
    struct ko_device_model tried = *model;
    struct ko_layer_sizes sizes;
    tried.slots = 0;
    if (!ko_weights_stream(mode, total_of(&tried, max_rows) <= available)) {
        return 0;
    }
    ko_layer_sizes_of(model->model, model->kernels->matrix_type(model->precision), true, &sizes);
    tried.slots = sizes.n_layers < KO_COPIER_MOST_SLOTS ? sizes.n_layers : KO_COPIER_MOST_SLOTS;
    while (tried.slots > KO_LAYER_LEAST_SLOTS && total_of(&tried, max_rows) > available) {
        tried.slots--;
    }
    return tried.slots > KO_LAYER_LEAST_SLOTS ? tried.slots : KO_LAYER_LEAST_SLOTS;
}

enum ko_code ko_device_memory_choose(struct ko_device_model *model, enum ko_weights_mode mode,
                                     int32_t max_rows, double available, const char *device,
                                     struct ko_error *err)
{
    model->slots = ko_device_memory_slots(model, mode, max_rows, available);
    return ko_device_memory_check(model, max_rows, available, device, err);
}

/* ----------------------------------------------------------------------------------------------
   host memory */

/* Adds the forks of a prompt's trunk, which every wave has. */
static void add_trunk_forks(const struct ko_prompt *prompt, struct ko_attention_load *load)
{
    load->n_branches += ko_prompt_n_sequences(prompt) - 1;
    load->n_branch_rows += ko_prompt_fork_rows(prompt);
    for (int32_t s = 0; s < ko_prompt_n_sequences(prompt); s++) {
        const int32_t n = ko_prompt_n_rows(prompt, s) - ko_prompt_fork_at(prompt, s);
        load->longest_path = n > load->longest_path ? n : load->longest_path;
    }
}

/* The largest wave of a batch. A batch with several waves is one prompt, whose trunk each of them
   has. */
static struct ko_attention_load load_of(const struct ko_host_model *m, const struct ko_batch *batch)
{
    const double budget = m->plan->model[m->plan_model].row_budget;
    const double rows = fmin((double)batch->n_rows, budget);
    const double share = batch->n_rows > 0 ? rows / (double)batch->n_rows : 0.0;
    struct ko_attention_load load = {
        .n_prompts = batch->n_facts,
        .n_rows = (int32_t)rows,
        .n_branches = (int32_t)ceil(share * (double)batch->n_branches),
        .n_branch_rows = (int32_t)ceil(share * (double)batch->n_branch_rows),
        .n_shared_rows = (int32_t)ceil(share * (double)batch->n_shared_rows),
        .longest_path = batch->longest_path};
    for (int32_t k = 0; k < batch->n_facts; k++) {
        const struct ko_prompt *prompt = ko_plan_prompt(m->plan, m->plan_model, batch->fact[k]);
        const int32_t n = ko_prompt_most_rows(prompt);
        load.max_tokens = n > load.max_tokens ? n : load.max_tokens;
        add_trunk_forks(prompt, &load);
    }
    return load;
}

static double attention_bytes(const struct ko_host_model *m)
{
    const struct ko_sizes sizes = ko_model_sizes(m->model);
    double most = 0.0;
    if (!m->kernels->attention_bytes) {
        return 0.0;
    }
    for (int32_t b = 0; b < m->batches->n; b++) {
        const struct ko_batch *batch = &m->batches->batch[b];
        if (batch->model == m->plan_model) {
            struct ko_attention_load load = load_of(m, batch);
            load.n_kv_heads = sizes.n_kv_heads;
            load.d_head = sizes.d_head;
            most = fmax(most, (double)m->kernels->attention_bytes(&load, m->threads));
        }
    }
    return most;
}

double ko_host_memory_worker(const struct ko_host_model *model)
{
    return ko_plan_worker_bytes(model->plan, model->batches, model->plan_model) +
           attention_bytes(model);
}
