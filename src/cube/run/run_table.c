/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a run's row and log lines into the run table of a cube, when the run begins and when it
   ends. If another program has the cube open, it tries again for a while. */
#include "src/cube/run/run_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/cube/format/check.h"
#include "src/cube/format/datasets.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/run/run_kept.h"

/* The run table of an existing file. */
struct table {
    hid_t file;
    const char *path;
    struct ko_cube_lengths lengths; /* of the axes run, run_log_byte and label_length */
};

/* The length of an axis, read from a dataset that has values; 0 if it cannot be read. The axis's
   own scale is not opened: it has no values, and HDF5 would allocate them, collectively, in a file
   that several ranks have open. */
static hsize_t axis_length(hid_t file, const char *dataset, int n_axes, int axis)
{
    enum ko_code code = KO_OK;
    hsize_t n[H5S_MAX_RANK] = {0};
    hid_t id = H5Dopen2(file, dataset, H5P_DEFAULT), space = id >= 0 ? H5Dget_space(id) : id;

    if (space < 0 || H5Sget_simple_extent_ndims(space) != n_axes ||
        H5Sget_simple_extent_dims(space, n, NULL) != n_axes) {
        n[axis] = 0;
    }
    ko_hdf5_close(space, &code, "", NULL);
    ko_hdf5_close(id, &code, "", NULL);
    return code == KO_OK ? n[axis] : 0;
}

/* Elements [first, first + n) of a dataset, whole in its further axes. One of `to` and `from` is
   NULL. */
struct slice {
    const char *name;
    hsize_t first, n;
    void *to;
    const void *from;
};

static enum ko_code transfer_slice(const struct table *table, const struct slice *slice,
                                   struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = ko_cube_find(slice->name);
    hsize_t begin[2] = {slice->first, 0},
            count[2] = {slice->n, table->lengths.n[KO_AXIS_LABEL_LENGTH]};
    hsize_t elements = ko_cube_n_axes(dataset) == 2 ? slice->n * count[1] : slice->n;
    hid_t id = H5I_INVALID_HID, space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    hid_t type = ko_cube_new_type(dataset->type);
    enum ko_code code =
        ko_cube_open_dataset(table->file, table->path, dataset, &table->lengths, &id, err);
    herr_t done = -1;

    if (code == KO_OK) {
        space = H5Dget_space(id);
        memory = H5Screate_simple(1, &elements, NULL);
        if (space >= 0 && memory >= 0 && type >= 0 &&
            H5Sselect_hyperslab(space, H5S_SELECT_SET, begin, NULL, count, NULL) >= 0) {
            done = slice->from ? H5Dwrite(id, type, memory, space, H5P_DEFAULT, slice->from)
                               : H5Dread(id, type, memory, space, H5P_DEFAULT, slice->to);
        }
        if (done < 0) {
            code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot %s dataset '%s'", table->path,
                                slice->from ? "write" : "read", slice->name);
        }
    }
    ko_hdf5_close(type, &code, table->path, err);
    ko_hdf5_close(memory, &code, table->path, err);
    ko_hdf5_close(space, &code, table->path, err);
    ko_hdf5_close(id, &code, table->path, err);
    return code;
}

static enum ko_code write_cell(const struct table *table, const char *name, hsize_t row,
                               const void *value, struct ko_error *err)
{
    const struct slice slice = {.name = name, .first = row, .n = 1, .from = value};
    return transfer_slice(table, &slice, err);
}

/* The first row that no run has filled; the last one where all are. */
static enum ko_code find_row(const struct table *table, hsize_t *row, struct ko_error *err)
{
    hsize_t n = table->lengths.n[KO_AXIS_RUN];
    int32_t ranks[KO_CUBE_RUNS] = {0};
    enum ko_code code;

    if (n == 0 || n > KO_CUBE_RUNS) {
        return ko_fail(err, KO_E_INPUT, "%s: the run table has %llu rows, expected 1 to %d",
                       table->path, (unsigned long long)n, KO_CUBE_RUNS);
    }
    code = transfer_slice(table, &(struct slice){.name = "run_ranks", .n = n, .to = ranks}, err);
    if (code != KO_OK) {
        return code;
    }
    *row = 0;
    while (*row < n - 1 && ranks[*row] >= 0) {
        ++*row;
    }
    return KO_OK;
}

static enum ko_code write_text(const struct table *table, const char *name, hsize_t row,
                               const char *text, struct ko_error *err)
{
    size_t width = (size_t)table->lengths.n[KO_AXIS_LABEL_LENGTH];
    size_t n = strnlen(text, width);
    char *bytes = ko_new(width, 1, err);

    if (!bytes) {
        return KO_E_MEMORY;
    }
    while (n && !ko_utf8_valid(text, n)) { /* do not cut a character */
        n--;
    }
    memcpy(bytes, text, n);
    enum ko_code code = write_cell(table, name, row, bytes, err);
    free(bytes);
    return code;
}

struct number {
    const char *name;
    const double *value;
};

static enum ko_code write_names(const struct table *table, hsize_t row, const char *host,
                                const char *job, struct ko_error *err)
{
    const enum ko_code code = write_text(table, "run_host", row, host ? host : "", err);
    return code == KO_OK ? write_text(table, "run_job", row, job ? job : "", err) : code;
}

/* Appends as much of the log as fits. */
static enum ko_code write_log(const struct table *table, const char *log, struct ko_error *err)
{
    size_t room = (size_t)table->lengths.n[KO_AXIS_RUN_LOG_BYTE], n = log ? strlen(log) : 0;

    if (n == 0 || room == 0) {
        return KO_OK;
    }
    char *bytes = ko_new(room, 1, err);
    if (!bytes) {
        return KO_E_MEMORY;
    }
    enum ko_code code =
        transfer_slice(table, &(struct slice){.name = "run_log", .n = room, .to = bytes}, err);
    if (code == KO_OK) {
        size_t used = strnlen(bytes, room);
        n = n < room - used ? n : room - used;
        if (n) {
            code = transfer_slice(
                table, &(struct slice){.name = "run_log", .first = used, .n = n, .from = log}, err);
        }
    }
    free(bytes);
    return code;
}

static enum ko_code write_row(const struct table *table, const struct ko_cube_run *run,
                              struct ko_error *err)
{
    const struct number number[] = {{"run_start", &run->start_epoch},
                                    {"run_wall_seconds", &run->wall_seconds},
                                    {"run_device_seconds", &run->device_seconds}};
    hsize_t row = 0;
    enum ko_code code = find_row(table, &row, err);

    for (size_t i = 0; i < sizeof number / sizeof *number && code == KO_OK; i++) {
        code = write_cell(table, number[i].name, row, number[i].value, err);
    }
    if (code == KO_OK) {
        code = write_names(table, row, run->host, run->job, err);
    }
    if (code == KO_OK) {
        code = write_log(table, run->log, err);
    }
    /* Last: this number marks the row as used. */
    if (code == KO_OK) {
        code = write_cell(table, "run_ranks", row, &run->ranks, err);
    }
    return code;
}

static void read_lengths(struct table *table)
{
    table->lengths.n[KO_AXIS_RUN] = axis_length(table->file, "run_start", 1, 0);
    table->lengths.n[KO_AXIS_RUN_LOG_BYTE] = axis_length(table->file, "run_log", 1, 0);
    table->lengths.n[KO_AXIS_LABEL_LENGTH] = axis_length(table->file, "run_host", 2, 1);
}

enum ko_code ko_cube_run_row(hid_t file, const char *path, hsize_t *row, struct ko_error *err)
{
    struct table table = {.file = file, .path = path};

    read_lengths(&table);
    return find_row(&table, row, err);
}

/* Takes no HDF5 lock, like the collective writes: a reader in a notebook must not fail a run. The
   lock file beside the cube decides who may write. */
static enum ko_code open_table(const char *path, struct table *table, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    ko_hdf5_quiet();
    *table = (struct table){.file = H5I_INVALID_HID, .path = path};
    hid_t access = ko_hdf5_access(false, path, err);
    if (access < 0) {
        return err->code;
    }
    table->file = H5Fopen(path, H5F_ACC_RDWR, access);
    if (table->file < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot be opened for writing", path);
    } else {
        read_lengths(table);
    }
    ko_hdf5_close(access, &code, path, err);
    return code;
}

/* Flushes and closes the file. Keeps an error that *code has already. */
static void close_table(const struct table *table, enum ko_code *code, struct ko_error *err)
{
    if (*code == KO_OK && H5Fflush(table->file, H5F_SCOPE_GLOBAL) < 0) {
        *code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot flush the file to disk", table->path);
    }
    ko_hdf5_close_file(table->file, code, table->path, err);
}

enum ko_code ko_cube_begin_run(const char *path, double start_epoch, const char *host,
                               const char *job, struct ko_error *err)
{
    const double none = (double)NAN, zero = 0;
    const struct number number[] = {{"run_start", &start_epoch}, {"run_updated", &start_epoch},
                                    {"run_cells", &zero},        {"run_work_share", &zero},
                                    {"run_wall_seconds", &none}, {"run_device_seconds", &none}};
    struct table table;
    hsize_t row = 0;
    enum ko_code code = open_table(path, &table, err);

    if (code == KO_OK) {
        code = find_row(&table, &row, err);
    }
    for (size_t i = 0; i < sizeof number / sizeof *number && code == KO_OK; i++) {
        code = write_cell(&table, number[i].name, row, number[i].value, err);
    }
    if (code == KO_OK) {
        code = write_names(&table, row, host, job, err);
    }
    close_table(&table, &code, err);
    return code;
}

/* Writes lines that earlier runs could not write. *any: whether there were any. */
static enum ko_code write_kept(const struct table *table, bool *any, struct ko_error *err)
{
    char *lines = NULL;
    enum ko_code code = ko_run_kept_read(table->path, &lines, err);

    *any = lines != NULL;
    if (code == KO_OK && lines) {
        code = write_log(table, lines, err);
    }
    free(lines);
    return code;
}

static enum ko_code log_once(const char *path, const struct ko_cube_run *run, struct ko_error *err)
{
    struct table table;
    bool kept = false;
    enum ko_code code = open_table(path, &table, err);

    if (code == KO_OK) {
        code = write_kept(&table, &kept, err);
    }
    if (code == KO_OK) {
        code = write_row(&table, run, err);
    }
    close_table(&table, &code, err);
    if (code == KO_OK && kept) {
        ko_run_kept_remove(path);
    }
    return code;
}

/* Writes the line into the file beside the cube. */
static enum ko_code keep_line(const char *path, const struct ko_cube_run *run, struct ko_error *err)
{
    char *name = ko_run_kept_path(path, err);
    enum ko_code code = name ? ko_run_kept_add(path, run->log, err) : KO_E_MEMORY;

    if (code == KO_OK) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: another program has it open (a notebook?), so the line of this run is "
                       "kept in %s; the next run writes it into the cube",
                       path, name);
    }
    free(name);
    return code;
}

enum ko_code ko_cube_log_run(const char *path, const struct ko_cube_run *run, struct ko_error *err)
{
    const double until = ko_now() + KO_CUBE_BUSY_SECONDS;
    enum ko_code code = log_once(path, run, err);

    while (code != KO_OK && ko_hdf5_is_busy(err) && ko_now() < until) {
        ko_nap(0.2);
        code = log_once(path, run, err);
    }
    return code != KO_OK && run->log && ko_hdf5_is_busy(err) ? keep_line(path, run, err) : code;
}
