/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a cube of any size and fills it by commit rounds, as a run does, with made-up results in
   place of computed ones. Says what each step takes.

   Usage: [mpirun -n RANKS] bench.commit SPEC CUBE PROMPTS [ROUNDS [options of `knockout plan`]]

   Every rank commits PROMPTS prompts of a model in each round. ROUNDS 0, the default, fills the
   whole cube. A model needs a config.json and no weights. Seconds are those of the slowest rank. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "mpi/world/broadcast.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/cube/create/create.h"
#include "src/forward/record.h"
#include "src/plan/pack.h"
#include "src/run/inputs_plan.h"
#include "src/tree/batch.h"

static int rank, n_ranks;

/* The larger number of all ranks, on all. */
static double most(double x)
{
    double all = 0;
    MPI_Allreduce(&x, &all, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return all;
}

static double peak_megabytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}

/* Says how long the batches take to send to another rank, besides the network. */
static enum ko_code pass_batches(const struct ko_plan *plan, const struct ko_batches *batches,
                                 struct ko_error *err)
{
    struct ko_bytes bytes = {0}, from = {0};
    struct ko_batches got = {0};
    const double begin = ko_now();
    ko_batches_pack(batches, &bytes);
    enum ko_code code = ko_text_check(&bytes.data, err);
    if (code == KO_OK) {
        ko_bytes_read_from(&from, bytes.data.data, bytes.data.n);
        code = ko_batches_unpack(&from, plan, NULL, &got, err);
    }
    if (code == KO_OK) {
        printf("pass seconds=%.3f bytes=%zu\n", ko_now() - begin, bytes.data.n);
    }
    ko_batches_free(&got);
    ko_text_free(&bytes.data);
    return code;
}

/* Rank 0: plans the spec, creates the cube, and puts the plan into bytes. */
static enum ko_code create(char **argv, int argc, struct ko_bytes *bytes, struct ko_error *err)
{
    struct ko_options options = {0};
    struct ko_inputs inputs = {0};
    struct ko_plan *plan = NULL;
    struct ko_batches batches = {0};
    bool help = false, version = false;
    char **words = ko_new((size_t)argc + 3, sizeof *words, err);
    int n = 0;
    const double begin = ko_now();
    if (!words) {
        return KO_E_MEMORY;
    }
    words[n++] = argv[0];
    words[n++] = (char[]){"plan"};
    words[n++] = argv[1];
    for (int k = 5; k < argc; k++) {
        words[n++] = argv[k];
    }
    enum ko_code code = ko_options_parse(n, words, &options, &help, &version, err);
    if (code == KO_OK) {
        code = ko_inputs_open(argv[1], &options, KO_MODELS_USED, false, &inputs, err);
    }
    if (code == KO_OK) {
        code = ko_inputs_plan(&inputs, KO_PLAN_SWEEP, NULL, NULL, &plan, err);
    }
    const double planned = ko_now();
    if (code == KO_OK) {
        code = ko_batches_compose(plan, &batches, err);
    }
    const double composed = ko_now();
    if (code == KO_OK) {
        code = pass_batches(plan, &batches, err);
    }
    const double passed = ko_now();
    if (code == KO_OK) {
        const struct ko_cube_attribute attribute[] = {
            {"spec", inputs.spec->resolved}, {"backend", "cpu"}, {"precision", "float32"}};
        const struct ko_cube_content content = {
            .plan = plan, .attribute = attribute, .n_attributes = 3};
        code = ko_cube_create(argv[2], &content, err);
    }
    if (code == KO_OK) {
        printf("plan seconds=%.2f\ncompose seconds=%.2f batches=%d\ncreate seconds=%.2f "
               "values=%lld peak_mb=%.0f\n",
               planned - begin, composed - planned, batches.n, ko_now() - passed,
               (long long)(ko_plan_n_values(plan) * plan->n_facts * plan->n_models),
               peak_megabytes());
        ko_plan_pack(plan, bytes);
        code = ko_text_check(&bytes->data, err);
    }
    ko_batches_free(&batches);
    ko_plan_free(plan);
    ko_inputs_close(&inputs);
    ko_options_free(&options);
    free(words);
    return code;
}

/* The plan of rank 0, on every rank. */
static enum ko_code receive_plan(struct ko_bytes *bytes, struct ko_plan **plan,
                                 struct ko_error *err)
{
    size_t n = bytes->data.n;
    char *data = bytes->data.data;
    enum ko_code code = ko_broadcast_bytes(MPI_COMM_WORLD, &data, &n, err);
    if (code == KO_OK) {
        struct ko_bytes packed = {0};
        ko_bytes_read_from(&packed, data, n);
        code = ko_plan_unpack(&packed, plan, err);
    }
    if (rank == 0) {
        ko_text_free(&bytes->data);
    } else {
        free(data);
    }
    return code;
}

/* Every planned cell of the prompt has a value. */
static enum ko_code make_record(const struct ko_plan *plan, int32_t model, int32_t fact,
                                struct ko_record *record, struct ko_error *err)
{
    const enum ko_code code = ko_record_new(plan, model, fact, record, err);
    for (int64_t s = 0; code == KO_OK && s < record->n_statuses; s++) {
        for (int32_t k = 0; k < plan->n_starts && record->status[s] == KO_DONE; k++) {
            const float x = (float)(1 + (fact + s + k) % 100);
            record->value[s * plan->n_starts + k] = (struct ko_metrics){
                .logprob = -x / 16, .kl = x / 64, .target_rank = 1 + k, .top1_id = fact % 50};
        }
    }
    record->clean = (struct ko_metrics){.logprob = -0.5F, .target_rank = 1, .top1_id = 7};
    return code;
}

/* One round: rank r has prompts first + r, first + r + n_ranks, ... */
static enum ko_code commit_round(struct ko_cube *cube, const struct ko_plan *plan, int32_t model,
                                 int32_t first, int32_t n, double *seconds, struct ko_error *err)
{
    struct ko_record *record = ko_new((size_t)n, sizeof *record, err);
    int32_t n_records = 0;
    enum ko_code code = record ? KO_OK : KO_E_MEMORY;
    for (int32_t k = 0; code == KO_OK && k < n; k++) {
        const int32_t fact = first + rank + k * n_ranks;
        if (fact < plan->n_facts && ko_plan_prompt(plan, model, fact)->reason == KO_RUNNABLE) {
            code = make_record(plan, model, fact, &record[n_records], err);
            n_records += code == KO_OK;
        }
    }
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = ko_now();
    if (code == KO_OK) {
        code = ko_cube_commit(cube, record, n_records, err);
    }
    *seconds = most(ko_now() - begin);
    for (int32_t k = 0; k < n_records; k++) {
        ko_record_free(&record[k]);
    }
    free(record);
    return code;
}

static enum ko_code commit_all(struct ko_cube *cube, const struct ko_plan *plan, int32_t n,
                               int32_t rounds, struct ko_error *err)
{
    double sum = 0, longest = 0, seconds = 0;
    int32_t done = 0;
    enum ko_code code = KO_OK;
    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t f = 0; code == KO_OK && f < plan->n_facts && (!rounds || done < rounds);
             f += n * n_ranks) {
            code = commit_round(cube, plan, m, f, n, &seconds, err);
            done++;
            sum += seconds;
            longest = seconds > longest ? seconds : longest;
        }
    }
    const double peak = most(peak_megabytes());
    if (code == KO_OK && rank == 0) {
        printf("commit ranks=%d rounds=%d seconds=%.3f mean=%.4f longest=%.4f "
               "bytes_a_round=%.0f peak_mb=%.0f\n",
               n_ranks, done, sum, sum / done, longest,
               (double)n * n_ranks * (double)ko_plan_n_values(plan) *
                   (double)ko_stored_metrics_bytes(plan->has_foils),
               peak);
    }
    return code;
}

static enum ko_code fill(const char *path, const struct ko_plan *plan, int32_t n, int32_t rounds,
                         struct ko_error *err)
{
    struct ko_cube *cube = NULL;
    const double begin = ko_now();
    enum ko_code code = ko_cube_open(path, plan, MPI_COMM_WORLD, &cube, err);
    const double seconds = most(ko_now() - begin);
    if (code == KO_OK && rank == 0) {
        printf("open ranks=%d seconds=%.3f\n", n_ranks, seconds);
    }
    if (code == KO_OK) {
        code = commit_all(cube, plan, n, rounds, err);
        const double closing = ko_now();
        const enum ko_code closed = ko_cube_close(cube, code == KO_OK ? err : NULL);
        const double close_seconds = most(ko_now() - closing);
        if (code == KO_OK && closed == KO_OK && rank == 0) {
            printf("close seconds=%.3f\n", close_seconds);
        }
        code = code == KO_OK ? closed : code;
    }
    return code;
}

int main(int argc, char **argv)
{
    struct ko_error err = {0};
    struct ko_bytes bytes = {0};
    struct ko_plan *plan = NULL;
    enum ko_code code = KO_OK;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const int32_t n = argc > 3 ? atoi(argv[3]) : 0, rounds = argc > 4 ? atoi(argv[4]) : 0;
    if (n < 1 || rounds < 0) {
        code = ko_fail(&err, KO_E_INPUT,
                       "usage: bench.commit SPEC CUBE PROMPTS [ROUNDS [options of plan]]");
    } else if (rank == 0) {
        code = create(argv, argc, &bytes, &err);
    }
    if (code == KO_OK) {
        code = receive_plan(&bytes, &plan, &err);
    }
    if (code == KO_OK) {
        code = fill(argv[2], plan, n, rounds, &err);
    }
    ko_plan_free(plan);
    if (code != KO_OK) {
        fprintf(stderr, "rank %d: %s\n", rank, err.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Finalize();
    return 0;
}
