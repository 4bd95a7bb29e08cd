/* SPDX-License-Identifier: Apache-2.0 */
/* A cube. The input says which one (a sweep, an evaluation, a shard, a compressed copy) and what to
   write over which of its bytes: pairs of a place (3 bytes, among those that are no measured
   values), a length and as many bytes.

   As in the program a process of its own reads the file first. Where the HDF5 library crashes
   there, or does not come to an end, the program says so and reads no further: no finding. Whatever
   else ends that process is one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/cube/create/create.h"
#include "src/cube/format/datasets.h"
#include "src/cube/merge/copy.h"
#include "src/cube/read/read.h"
#include "src/cube/read/shard.h"
#include "src/export/export_csv.h"
#include "src/show/curve_filter.h"
#include "src/show/curves.h"
#include "src/status/cell_counts.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/small_plan.h"

enum { N_CUBES = 4, MOST_RANGES = 512, LARGE = 4096, LIBRARY = 93, SECONDS = 10 };

/* One good cube, and where in it are bytes that matter. */
struct base {
    char *bytes;
    size_t n;
    struct {
        size_t begin, end;
    } range[MOST_RANGES];
    size_t n_ranges, n_places;
};

static struct base base[N_CUBES];
static struct {
    char path[128]; /* HDF5 wants a name that leads somewhere, as a memfd's does not */
} file;
static FILE *nowhere;

/* Values that nobody looks up by: results and the log. */
static int is_dull(const struct ko_cube_dataset *dataset)
{
    return dataset->field < KO_FIELD_STATUS || dataset->field == KO_FIELD_RUN_LOG ||
           dataset->field == KO_FIELD_DEPTH;
}

static void add_range(struct base *cube, size_t begin, size_t end)
{
    if (begin >= end) {
        return;
    }
    FUZZ_CHECK(cube->n_ranges < MOST_RANGES);
    cube->range[cube->n_ranges].begin = begin;
    cube->range[cube->n_ranges++].end = end;
    cube->n_places += end - begin;
}

/* What lies between the large dull datasets, in the order of the file. */
static void find_places(struct base *cube, const char *path)
{
    hid_t id = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    size_t at = 0;

    FUZZ_CHECK(id >= 0);
    for (;;) {
        size_t begin = cube->n, end = cube->n;
        for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
            if (!is_dull(&ko_cube_table[i]) ||
                H5Lexists(id, ko_cube_table[i].name, H5P_DEFAULT) <= 0) {
                continue;
            }
            hid_t dataset = H5Dopen2(id, ko_cube_table[i].name, H5P_DEFAULT);
            const haddr_t from = H5Dget_offset(dataset);
            const hsize_t bytes = H5Dget_storage_size(dataset);
            if (from != HADDR_UNDEF && bytes >= LARGE && from >= at && from < begin) {
                begin = (size_t)from;
                end = (size_t)(from + bytes);
            }
            H5Dclose(dataset);
        }
        add_range(cube, at, begin);
        if (begin == cube->n) {
            break;
        }
        at = end;
    }
    H5Fclose(id);
}

static void take(struct base *cube, const char *path)
{
    FILE *from = fopen(path, "rb");

    FUZZ_CHECK(from && fseek(from, 0, SEEK_END) == 0);
    cube->n = (size_t)ftell(from);
    cube->bytes = malloc(cube->n);
    rewind(from);
    FUZZ_CHECK(cube->bytes && fread(cube->bytes, 1, cube->n, from) == cube->n);
    (void)fclose(from);
    find_places(cube, path);
}

static void make(const struct ko_plan *plan, const struct ko_plan *whole, const char *path)
{
    const struct ko_cube_attribute attribute[] = {{"backend", "cpu"}, {"precision", "float32"}};
    float numbers[64] = {0};
    int32_t ranks[64] = {0};
    const struct ko_cube_evaluation evaluation = {numbers, ranks, ranks, NULL, NULL, NULL};
    const struct ko_cube_evaluation *of = plan->kind == KO_PLAN_SWEEP ? &evaluation : NULL;
    const struct ko_cube_content outline = {.plan = whole, .evaluation = of};
    const struct ko_cube_content content = {.plan = plan,
                                            .attribute = attribute,
                                            .n_attributes = 2,
                                            .evaluation = of,
                                            .whole = whole ? &outline : NULL};
    struct ko_error err;

    FUZZ_CHECK((size_t)(plan->n_models * plan->n_facts) <= sizeof ranks / sizeof *ranks);
    FUZZ_CHECK(ko_cube_create(path, &content, &err) == KO_OK);
}

static void pack(const char *from, const char *to)
{
    struct ko_cube_view *view = NULL;
    struct ko_error err;
    bool incomplete = false;

    FUZZ_CHECK(ko_cube_view_open(from, &view, &err) == KO_OK);
    FUZZ_CHECK(ko_cube_compress(view, LARGE, to, &incomplete, &err) == KO_OK);
    ko_cube_view_close(view);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const name[N_CUBES] = {"sweep.h5", "evaluation.h5", "shard.h5", "packed.h5"};
    struct ko_plan *sweep = small_plan_sweep(true), *evaluation = small_plan_evaluation(),
                   *part = NULL;
    const char *folder = fuzz_folder();
    char path[N_CUBES][128];
    struct ko_error err;

    (void)argc;
    (void)argv;
    for (int k = 0; k < N_CUBES; k++) {
        (void)snprintf(path[k], sizeof path[k], "%s/%s", folder, name[k]);
    }
    FUZZ_CHECK(ko_shard_take(sweep, (struct ko_shard){1, 2}, &part, &err) == KO_OK);
    make(sweep, NULL, path[0]);
    make(evaluation, NULL, path[1]);
    make(part, sweep, path[2]);
    pack(path[0], path[3]);
    for (int k = 0; k < N_CUBES; k++) {
        take(&base[k], path[k]);
    }
    ko_plan_free(sweep);
    ko_plan_free(evaluation);
    ko_plan_free(part);
    (void)snprintf(file.path, sizeof file.path, "%s/input.h5", folder);
    nowhere = fopen("/dev/null", "w");
    FUZZ_CHECK(nowhere != NULL);
    return 0;
}

/* ----------------------------------------------------------------------------------------------
   the process that reads first */

/* Whether what happens now happens in the library: its frames lie above ours. */
static int in_library(void)
{
    void *frame[64];
    const int n = backtrace(frame, 64);

    for (int k = 1; k < n; k++) {
        Dl_info info;
        if (dladdr(frame[k], &info) == 0 || !info.dli_fname) {
            continue;
        }
        if (strstr(info.dli_fname, "hdf5")) {
            return 1;
        }
        if (info.dli_sname && strncmp(info.dli_sname, "ko_", 3) == 0) {
            return 0;
        }
    }
    return 0;
}

static void on_crash(int number)
{
    if (in_library()) {
        _exit(LIBRARY);
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* AddressSanitizer calls it before it ends the process; no other build has it. */
void __asan_set_error_report_callback(void (*callback)(const char *)) __attribute__((weak));

static void on_report(const char *report)
{
    (void)report;
    if (in_library()) {
        _exit(LIBRARY);
    }
}

/* LLVM's OpenMP names every process in /dev/shm, and one that ends by _exit leaves its name behind.
 */
static void remove_traces(pid_t process)
{
    char name[64];

    (void)snprintf(name, sizeof name, "/dev/shm/__KMP_REGISTERED_LIB_%d_%d", (int)process,
                   (int)getuid());
    (void)unlink(name); /* there is none elsewhere */
}

/* How the file was read: 0, LIBRARY, or what else a wait says. */
static int read_first(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
    int status = 0;
    const pid_t process = fork();

    FUZZ_CHECK(process >= 0);
    if (process == 0) {
        struct ko_error err;
        for (size_t k = 0; k < sizeof crashes / sizeof *crashes; k++) {
            (void)signal(crashes[k], on_crash);
        }
        if (__asan_set_error_report_callback) {
            __asan_set_error_report_callback(on_report);
        }
        (void)!freopen("/dev/null", "w", stderr);
        (void)alarm(SECONDS);
        (void)!ko_cube_view_read_all(file.path, &err);
        _exit(0);
    }
    pid_t ended;
    do { /* libFuzzer has alarms of its own */
        ended = waitpid(process, &status, 0);
    } while (ended < 0 && errno == EINTR);
    FUZZ_CHECK(ended == process);
    remove_traces(process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ----------------------------------------------------------------------------------------------
   what the commands do */

/* A filter that lets everything through: free() its model alone. */
static struct ko_curve_filter no_filter(const struct ko_cube_view *view)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const size_t n = axes->model.n + axes->route.n + axes->heat_route.n + axes->feature_class.n +
                     (size_t)axes->n_sizes + 1;
    uint8_t *all = malloc(n);

    FUZZ_CHECK(all != NULL);
    memset(all, 1, n);
    return (struct ko_curve_filter){all, all, all, all, all};
}

static void show(struct ko_cube_view *view, const struct ko_curve_filter *filter)
{
    struct ko_cube_part part = {0};
    struct ko_curve_query query = {.minus = {.model = -1, .class = -1}};
    struct ko_error err;

    /* As they are, by relation, and less their controls. */
    if (ko_cube_part_of(view, false, &part, &err) == KO_OK) {
        for (int asked = 0; asked < 3; asked++) {
            struct ko_curves curves = {0};
            query.by_relation = asked == 1;
            query.minus.control = asked == 2;
            (void)!ko_curves_read(&part, filter, &query, "nowhere", &curves, &err);
            ko_curves_free(&curves);
        }
    }
}

static void use(struct ko_cube_view *view)
{
    struct ko_curve_filter filter = no_filter(view);
    struct ko_cube_counts counts = {0};
    struct ko_error err;
    char hash[33];

    if (ko_cube_count(view, &counts, &err) == KO_OK) {
        ko_cube_counts_free(&counts);
    }
    if (!ko_cube_view_is_evaluation(view)) {
        show(view, &filter);
    }
    (void)!ko_export_csv(view, &filter, nowhere, "nowhere", &err);
    for (size_t m = 0; m < ko_cube_view_axes(view)->model.n; m++) {
        (void)!ko_cube_view_content_hash(view, (int32_t)m, hash, &err);
    }
    free(filter.model);
}

static void edit(char *bytes, const struct base *cube, const uint8_t *data, size_t size)
{
    while (size > 4) {
        size_t place = (data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % cube->n_places;
        size_t n = 1 + data[3] % 16, range = 0;
        n = n < size - 4 ? n : size - 4;
        while (place >= cube->range[range].end - cube->range[range].begin) {
            place -= cube->range[range].end - cube->range[range].begin;
            range++;
        }
        place += cube->range[range].begin;
        for (size_t k = 0; k < n && place + k < cube->n; k++) {
            bytes[place + k] = (char)data[4 + k];
        }
        data += 4 + n;
        size -= 4 + n;
    }
}

static void fill(const char *bytes, size_t n)
{
    FILE *to = fopen(file.path, "wb");

    FUZZ_CHECK(to && fwrite(bytes, 1, n, to) == n && fclose(to) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_cube_view *view = NULL;
    struct ko_cube_shard shard = {0};
    struct ko_error err = {0};

    if (size == 0) {
        return 0;
    }
    const struct base *cube = &base[data[0] % N_CUBES];
    char *bytes = malloc(cube->n);
    FUZZ_CHECK(bytes != NULL);
    memcpy(bytes, cube->bytes, cube->n);
    edit(bytes, cube, data + 1, size - 1);
    fill(bytes, cube->n);
    free(bytes);
    if (read_first() == LIBRARY) {
        return 0;
    }
    /* Anything else that ended the first reader ends this one too. */
    enum ko_code code = ko_cube_view_read_all(file.path, &err);
    if (size == 1 && code != KO_OK) {
        fprintf(stderr, "%s\n", err.text);
    }
    FUZZ_CHECK(code == KO_OK || size > 1); /* nothing was changed */
    FUZZ_CHECK(code == KO_OK || (err.text[0] != '\0' && !strchr(err.text, '\n')));
    if (code != KO_OK) {
        return 0;
    }
    FUZZ_CHECK(ko_cube_view_open(file.path, &view, &err) == KO_OK);
    use(view);
    ko_cube_view_close(view);
    if (ko_cube_shard_open(file.path, &shard, &err) == KO_OK) {
        ko_cube_shard_close(&shard);
    }
    return 0;
}
