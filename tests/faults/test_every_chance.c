/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a call for memory, of the system, of HDF5 or MPI answers: an operation says so in one
   line or is not harmed by it, and gives back all memory. Each operation runs once undisturbed,
   which counts its chances to fail, and then once for each of them, or for KO_FAULT_TRIALS (default
   150, 0: all) of a kind that are spread over them. The cubes that commands read are made by the
   program itself. */
#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "mpi/cube/reuse.h"
#include "src/cli/cli.h"
#include "src/cube/create/create.h"
#include "src/cube/read/done.h"
#include "src/cube/read/read.h"
#include "src/cube/read/view_taken.h"
#include "src/cube/run/run_table.h"
#include "src/forward/forward.h"
#include "src/forward/means.h"
#include "src/forward/streamed_weights.h"
#include "src/models/model_random.h"
#include "src/run/inputs_plan.h"
#include "src/tree/batch.h"
#include "tests/faults/chances.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

static char *folder;
static FILE *nowhere; /* what commands print */

static void path_in(char buffer[4096], const char *name)
{
    (void)snprintf(buffer, 4096, "%s/%s", folder, name);
}

/* ----------------------------------------------------------------------------------------------
   operations */

static const char *words; /* the command line at hand, @ for the folder */

/* A command as main starts it. */
static enum ko_code run_command(struct ko_error *err)
{
    static char text[4096], argument[24][4096];
    char *argv[26] = {(char *)"knockout"};
    char **arguments = argv;
    int argc = 1, status = 0;
    struct ko_options options = {0};
    bool help = false, version = false;

    /* Where the system did not let it be removed. */
    path_in(text, "merged.lock");
    (void)remove(text);
    (void)snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok(text, " "); word && argc < 25; word = strtok(NULL, " "), argc++) {
        const char *at = strchr(word, '@');
        argv[argc] = argument[argc - 1];
        if (at) {
            (void)snprintf(argv[argc], 4096, "%.*s%s%s", (int)(at - word), word, folder, at + 1);
        } else {
            (void)snprintf(argv[argc], 4096, "%s", word);
        }
    }
    enum ko_code code = ko_options_parse(argc, argv, &options, &help, &version, err);
    struct ko_cli cli = {.options = &options, .argc = &argc, .argv = &arguments, .out = nowhere};
    static const struct {
        const char *name;
        ko_command *command;
    } commands[] = {{"plan", ko_command_plan},       {"merge", ko_command_merge},
                    {"status", ko_command_status},   {"show", ko_command_show},
                    {"verify", ko_command_verify},   {"export", ko_command_export},
                    {"inspect", ko_command_inspect}, {"bench", ko_command_bench}};
    for (size_t k = 0; k < sizeof commands / sizeof *commands && code == KO_OK; k++) {
        if (strcmp(options.command, commands[k].name) == 0) {
            code = commands[k].command(&cli, &status, err);
        }
    }
    ko_options_free(&options);
    return code;
}

/* Creates a cube, writes one round into it and what a run leaves beside it. */
static enum ko_code make_cube(const char *name, struct ko_error *err)
{
    const struct ko_cube_attribute attributes[] = {{"backend", "cpu"}, {"precision", "float32"}};
    struct ko_plan *plan = small_plan_sweep(true);
    const struct ko_cube_content content = {
        .plan = plan, .attribute = attributes, .n_attributes = 2};
    const struct ko_cube_run run = {.ranks = 1, .host = "here", .job = "7", .log = "one line\n"};
    struct ko_record record = {0};
    struct ko_cube *cube = NULL;
    struct ko_error closing = {0};
    char path[4096];

    path_in(path, name);
    enum ko_code code = ko_cube_create(path, &content, err);
    if (code == KO_OK) {
        code = ko_cube_begin_run(path, 1000, "here", "7", err);
    }
    if (code == KO_OK) {
        code = ko_cube_open(path, plan, MPI_COMM_SELF, &cube, err);
    }
    if (code == KO_OK) {
        code = ko_cube_write_content_hash(cube, 0, "00112233445566778899aabbccddeeff", err);
    }
    for (int32_t fact = 0; fact < plan->n_facts && code == KO_OK; fact++) {
        code = ko_record_new(plan, 0, fact, &record, err);
        record.clean = (struct ko_metrics){-1, -2, 0, 1, 7};
        for (int64_t s = 0; s < record.n_statuses && code == KO_OK; s++) {
            for (int64_t k = 0; k < plan->n_starts && record.status[s] == KO_DONE; k++) {
                record.value[s * plan->n_starts + k] = (struct ko_metrics){-3, -4, 0.5F, 2, 9};
            }
        }
        if (code == KO_OK) {
            ko_cube_set_progress(cube, 4, 0.5);
        }
        if (code == KO_OK) {
            code = ko_cube_commit(cube, &record, 1, err);
        }
        ko_record_free(&record);
    }
    const enum ko_code closed = cube ? ko_cube_close(cube, &closing) : KO_OK;
    if (code == KO_OK && closed != KO_OK) {
        *err = closing;
        code = closed;
    }
    if (code == KO_OK) {
        code = ko_cube_log_run(path, &run, err);
    }
    ko_plan_free(plan);
    return code;
}

static enum ko_code run_make_cube(struct ko_error *err)
{
    return make_cube("made.h5", err);
}

/* What --resume asks of a cube. */
static enum ko_code run_resume(struct ko_error *err)
{
    struct ko_plan *plan = small_plan_sweep(true);
    struct ko_cube_view *view = NULL;
    uint8_t done[10];
    char path[4096], *log = NULL;

    path_in(path, "old.h5");
    enum ko_code code = ko_cube_view_open(path, &view, err);
    if (code == KO_OK) {
        code = ko_cube_view_matches(view, plan, "cpu", "float32", err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_done(view, plan, done, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_run_log(view, &log, err);
    }
    free(log);
    ko_cube_view_close(view);
    ko_plan_free(plan);
    return code;
}

static void no_remark(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static enum ko_code run_reuse(struct ko_error *err)
{
    static const char hash[2][33] = {"00112233445566778899aabbccddeeff", ""};
    static const uint8_t nothing[10];
    const struct ko_cube_attribute attributes[] = {{"backend", "cpu"}, {"precision", "float32"}};
    struct ko_plan *plan = small_plan_sweep(true);
    const struct ko_cube_content content = {
        .plan = plan, .attribute = attributes, .n_attributes = 2, .reused = true};
    char from[4096], to[4096];
    uint8_t unsettled[10] = {0};
    struct ko_cube_reuse reuse = {
        .plan = plan, .path = to, .content_hash = hash, .done = nothing, .remark = no_remark};
    struct ko_cube_view *view = NULL;

    path_in(from, "old.h5");
    path_in(to, "reused.h5");
    enum ko_code code = ko_cube_create(to, &content, err);
    if (code == KO_OK) {
        code = ko_cube_view_open(from, &view, err);
    }
    if (code == KO_OK) {
        code = ko_cube_reuse_check(view, "cpu", "float32", err);
    }
    if (code == KO_OK) {
        code = ko_taken_new(plan, &reuse.taken, err);
    }
    if (code == KO_OK) {
        code = ko_cube_reuse_take(view, &reuse, err);
    }
    ko_cube_view_close(view);
    ko_taken_free(reuse.taken);
    reuse.taken = NULL;
    view = NULL;
    if (code == KO_OK) {
        code = ko_cube_view_open(to, &view, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_taken(view, plan, &reuse.taken, unsettled, err);
    }
    ko_cube_view_close(view);
    if (code == KO_OK) {
        code = ko_cube_reuse_settle(&reuse, unsettled, err);
    }
    ko_taken_free(reuse.taken);
    ko_plan_free(plan);
    return code;
}

/* A model's weights, which stay or stream. */
struct weights {
    float *floats;
    struct ko_checkpoint *checkpoint;
    struct ko_streamed_weights *streamed;
    uint64_t *hash;
    struct ko_arena arena;
};

static enum ko_code fill_weights(const struct ko_model *model, struct weights *out,
                                 struct ko_error *err)
{
    out->floats = malloc(ko_model_floats(model) * sizeof *out->floats);
    if (!out->floats) {
        return ko_fail(err, KO_E_MEMORY, "out of memory: weights");
    }
    ko_model_fill_random(model, 1, out->floats);
    out->arena = ko_model_host_arena(model, out->floats);
    return KO_OK;
}

static enum ko_code stream_weights(const struct ko_inputs *inputs, int32_t m, struct ko_backend *be,
                                   struct weights *out, struct ko_error *err)
{
    const struct ko_model *model = inputs->model[m];
    const struct ko_spec_model *from = &inputs->spec->model[inputs->spec_model[m]];
    const struct ko_streaming how = {model, &ko_kernels_cpu,     be, KO_FLOAT32,
                                     1,     KO_LAYER_LEAST_SLOTS};
    out->hash = malloc(model->n_weights * sizeof *out->hash);
    enum ko_code code =
        out->hash ? KO_OK : ko_fail(err, KO_E_MEMORY, "out of memory: hashes of weights");
    if (code == KO_OK) {
        code = ko_checkpoint_open(from->path, from->name, &out->checkpoint, err);
    }
    if (code == KO_OK) {
        code = ko_streamed_weights_new(&how, &out->streamed, err);
    }
    if (code == KO_OK) {
        code = ko_streamed_weights_load(out->streamed, out->checkpoint,
                                        &(struct ko_load_part){0, 1, 2}, out->hash, err);
    }
    if (code == KO_OK) {
        out->arena = *ko_streamed_weights_arena(out->streamed);
    }
    return code;
}

static enum ko_code run_batches(const struct ko_inputs *inputs, const struct ko_plan *plan,
                                int32_t m, bool streams, struct ko_backend *be,
                                struct ko_error *err)
{
    struct ko_batches batches = {0};
    struct ko_engine *engine = NULL;
    struct weights weights = {0};
    const struct ko_model *model = inputs->model[m];
    enum ko_code code = ko_batches_compose(plan, &batches, err);
    if (code == KO_OK) {
        code = streams ? stream_weights(inputs, m, be, &weights, err)
                       : fill_weights(model, &weights, err);
    }
    if (code == KO_OK) {
        code = ko_engine_new(plan, m, model, &weights.arena, &ko_kernels_cpu, be,
                             plan->model[m].row_budget, &engine, err);
    }
    if (code == KO_OK) {
        code = ko_engine_make_means(engine, err);
    }
    for (int32_t b = 0; b < batches.n && code == KO_OK; b++) {
        struct ko_record records[8] = {0};
        if (batches.batch[b].model != m) {
            continue;
        }
        code = ko_engine_run(engine, &batches.batch[b], NULL, records, err);
        for (int32_t k = 0; code == KO_OK && k < batches.batch[b].n_facts; k++) {
            ko_record_free(&records[k]);
        }
    }
    ko_engine_free(engine);
    ko_streamed_weights_free(weights.streamed);
    ko_checkpoint_close(weights.checkpoint);
    free(weights.hash);
    free(weights.floats);
    ko_batches_free(&batches);
    return code;
}

/* A sweep without MPI: spec, checkpoints, tokenizers, plan, batches, waves, records. */
static enum ko_code run_sweep_of(bool streams, struct ko_error *err)
{
    static char spec[4096];
    char *argv[] = {(char *)"knockout", (char *)"plan", spec};
    struct ko_options options = {0};
    struct ko_inputs inputs = {0};
    struct ko_strings warnings = {0};
    struct ko_plan *plan = NULL;
    struct ko_backend *be = NULL;
    bool help = false, version = false;
    const struct ko_backend_config config = {.threads = 1};

    path_in(spec, "spec.yaml");
    enum ko_code code = ko_options_parse(3, argv, &options, &help, &version, err);
    if (code == KO_OK) {
        code = ko_inputs_open(spec, &options, KO_MODELS_USED, true, &inputs, err);
    }
    if (code == KO_OK) {
        code = ko_inputs_plan(&inputs, KO_PLAN_SWEEP, NULL, &warnings, &plan, err);
    }
    if (code == KO_OK) {
        code = ko_kernels_cpu.open(&config, &be, err);
    }
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        code = run_batches(&inputs, plan, m, streams, be, err);
    }
    if (be) {
        ko_kernels_cpu.close(be);
    }
    ko_plan_free(plan);
    ko_strings_free(&warnings);
    ko_inputs_close(&inputs);
    ko_options_free(&options);
    return code;
}

static enum ko_code run_sweep(struct ko_error *err)
{
    return run_sweep_of(false, err);
}

static enum ko_code run_streamed_sweep(struct ko_error *err)
{
    return run_sweep_of(true, err);
}

/* ----------------------------------------------------------------------------------------------
   trials */

static const struct {
    const char *name;
    const char *words; /* of a command; NULL: not one */
    enum ko_code (*run)(struct ko_error *err);
} operations[] = {
    {"plan", "plan @/spec.yaml --assume-prompts 3 --workers 2", run_command},
    {"plan --json", "plan @/spec.yaml --json", run_command},
    {"inspect", "inspect @/bin --tokens one", run_command},
    {"inspect --json", "inspect @/shards --json", run_command},
    {"status", "status @/cube.h5", run_command},
    {"status --json", "status @/cube.h5 --json", run_command},
    {"show", "show @/cube.h5", run_command},
    {"show --csv", "show @/cube.h5 --csv --metric median", run_command},
    {"export", "export @/cube.h5 --csv -o @/out.csv --overwrite", run_command},
    {"export a copy", "export @/cube.h5 --compress -o @/out.h5 --overwrite", run_command},
    {"merge",
     "merge @/one.shard-0001-of-0002.h5 @/one.shard-0002-of-0002.h5 -o @/merged.h5 --overwrite",
     run_command},
    {"verify", "verify @/cube.h5 --sample 6 --threads 1", run_command},
    {"verify a shard", "verify @/one.shard-0002-of-0002.h5 --sample 3 --threads 1", run_command},
    {"a cube made", NULL, run_make_cube},
    {"a cube resumed", NULL, run_resume},
    {"a cube reused", NULL, run_reuse},
    {"a sweep", NULL, run_sweep},
    {"a sweep whose weights stream", NULL, run_streamed_sweep},
};

static long trials_wanted(void)
{
    const char *text = getenv("KO_FAULT_TRIALS");
    return text ? atol(text) : 25;
}

static bool one_line(const char *text)
{
    return text[0] != '\0' && !strchr(text, '\n');
}

/* One trial; what is wrong with it, or NULL. */
static const char *try_one(enum test_chance kind, long at, enum ko_code (*run)(struct ko_error *),
                           bool *harmless, enum ko_code *code, struct ko_error *err)
{
    const long before = test_chances_live();
    bool failed = false;
    *err = (struct ko_error){0};
    test_chances_begin(kind, at);
    *code = run(err);
    (void)test_chances_end(&failed);
    *harmless = *code == KO_OK;
    if (test_chances_live() != before) {
        return "it keeps memory";
    }
    if (*code != KO_OK && !failed) {
        return "it fails by itself";
    }
    if (*code != KO_OK && !one_line(err->text)) {
        return "it says nothing, or several lines";
    }
    if (*code != KO_OK && kind == TEST_CHANCE_ALLOCATION && *code != KO_E_MEMORY) {
        return "a lack of memory is taken for something else";
    }
    return NULL;
}

static void try_kind(enum test_chance kind, const char *kind_name, bool any_is_harmful)
{
    int wrong = 0;
    for (size_t k = 0; k < sizeof operations / sizeof *operations; k++) {
        struct ko_error err = {0};
        enum ko_code code;
        bool harmless = false, failed = false;
        long n_harmless = 0, n = 0;
        words = operations[k].words;
        /* Twice: what is set up once and for all is not of the operation. */
        for (int time = 0; time < 2; time++) {
            test_chances_begin(kind, 0);
            code = operations[k].run(&err);
            n = test_chances_end(&failed);
            if (code != KO_OK) {
                fail_msg("%s: undisturbed: %s", operations[k].name, err.text);
            }
        }
        const long wanted = trials_wanted(), n_trials = wanted > 0 && wanted < n ? wanted : n;
        for (long trial = 0; trial < n_trials; trial++) {
            const long at = 1 + (long)((double)trial * (double)n / (double)n_trials);
            const char *what = try_one(kind, at, operations[k].run, &harmless, &code, &err);
            n_harmless += harmless;
            if (what) {
                print_error("%s: %s %ld of %ld (%s): %s: %d: %s\n", operations[k].name, kind_name,
                            at, n, test_chances_call(), what, code, err.text);
                wrong++;
            }
        }
        print_message("%s: %ld chances of %s, %ld tried, %ld did no harm\n", operations[k].name, n,
                      kind_name, n_trials, n_harmless);
        if (any_is_harmful && n > 0 && n_harmless == n_trials) {
            print_error("%s: no failure of %s shows\n", operations[k].name, kind_name);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void a_lack_of_memory_is_named_and_keeps_nothing(void **state)
{
    (void)state;
    try_kind(TEST_CHANCE_ALLOCATION, "memory", true);
}

static void a_call_of_hdf5_that_fails_is_named(void **state)
{
    (void)state;
    try_kind(TEST_CHANCE_HDF5, "HDF5", true);
}

static void a_call_of_the_system_that_fails_is_named(void **state)
{
    (void)state;
    try_kind(TEST_CHANCE_SYSTEM, "the system", false);
}

static void a_call_of_mpi_that_fails_is_named(void **state)
{
    (void)state;
    try_kind(TEST_CHANCE_MPI, "MPI", false);
}

/* ----------------------------------------------------------------------------------------------
   files */

static int shell(const char *format, ...)
{
    char command[8192];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) == 0) {
        return 0;
    }
    print_error("%s\n", command);
    return -1;
}

/* Before MPI begins here: the program is started for the cubes, which is a job of its own. */
static int make_files(void)
{
    static const char run[] =
        KO_PROGRAM " run %s/spec.yaml -o %s/%s.h5 --threads 1 --progress none --log-level error "
                   "--evaluation %s/cube.evaluation.h5 %s";
    static const char variants[] = KO_SOURCE_DIR "/tests/data/variants";
    struct ko_error err = {0};
    if (shell("head -n 2 " KO_SOURCE_DIR "/jobs/facts.jsonl > %s/facts.jsonl", folder) != 0 ||
        shell("cp -r %s/qwen2 %s/m", variants, folder) != 0 ||
        shell("cp -r %s/falcon-mamba-sharded %s/shards", variants, folder) != 0 ||
        shell("cp -r %s/mamba-original %s/bin", variants, folder) != 0 ||
        shell("cat > %s/spec.yaml <<END\n"
              "models: [%s/shards, %s/m]\n"
              "prompts: {file: %s/facts.jsonl}\n"
              "routes: ['last<-subject', 'last<-random-like:subject:1', 'later<-first', "
              "'last<-each', 'attention@last', 'mlp@each']\n"
              "features: [all, slow-third, random-third:1, all+conv, after-softmax, all~mean, "
              "'head:1~resample:1']\n"
              "windows: {sizes: [1, 2], starts: {every: 2}}\n"
              "row-budget: 256\n"
              "END",
              folder, folder, folder, folder) != 0) {
        return -1;
    }
    if (shell(KO_PROGRAM
              " evaluate %s/spec.yaml -o %s/cube.evaluation.h5 --threads 1 --progress none "
              "--log-level error",
              folder, folder) != 0 ||
        shell(run, folder, folder, "cube", folder, "") != 0 ||
        shell(run, folder, folder, "one", folder, "--shard 1/2") != 0 ||
        shell(run, folder, folder, "one", folder, "--shard 2/2") != 0) {
        return -1;
    }
    if (MPI_Init(NULL, NULL) != MPI_SUCCESS) {
        return -1;
    }
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    if (make_cube("old.h5", &err) != KO_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lack_of_memory_is_named_and_keeps_nothing),
        cmocka_unit_test(a_call_of_hdf5_that_fails_is_named),
        cmocka_unit_test(a_call_of_the_system_that_fails_is_named),
        cmocka_unit_test(a_call_of_mpi_that_fails_is_named),
    };
    folder = test_folder_make();
    nowhere = fopen("/dev/null", "w");
    int failed = nowhere ? make_files() : -1;
    if (failed == 0) {
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    int initialized = 0;
    MPI_Initialized(&initialized);
    if (initialized) {
        MPI_Finalize();
    }
    if (nowhere) {
        (void)fclose(nowhere);
    }
    test_folder_remove(folder);
    return failed;
}
