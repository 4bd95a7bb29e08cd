/* SPDX-License-Identifier: Apache-2.0 */
/* Tests the output's folder before the run: all ranks write into one small file and read it back.
   This finds a folder that the ranks do not share before any time is spent. */
#include "mpi/cube/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/text.h"

struct probe {
    const char *path; /* of the cube */
    char *name;       /* of the small file; owned; equal on all ranks */
    MPI_Comm comm;
    int rank, n_ranks;
    char host[MPI_MAX_PROCESSOR_NAME];
};

static enum ko_code fail_probe(const struct probe *probe, const char *what, const char *reason,
                               struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT, "%s: its folder cannot be %s from %s: %s", probe->path, what,
                   probe->host, reason);
}

/* The bytes that a rank writes, and its neighbour must read. */
static uint64_t rank_pattern(int rank)
{
    return 0x6b6e6f636b6f7574u ^ ((uint64_t)(uint32_t)rank * 0x9e3779b97f4a7c15u);
}

/* The first rank creates the file. The others then test whether they share the folder. */
static enum ko_code create_file(const struct probe *probe, struct ko_error *err)
{
    if (probe->rank != 0) {
        return KO_OK;
    }
    int file = open(probe->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        return fail_probe(probe, "written", strerror(errno), err);
    }
    (void)close(file);
    return KO_OK;
}

static enum ko_code open_file(const struct probe *probe, struct ko_error *err)
{
    int file = open(probe->name, O_RDWR | O_CLOEXEC);

    if (file < 0) {
        return fail_probe(probe, "written", strerror(errno), err);
    }
    (void)close(file);
    return KO_OK;
}

static enum ko_code mpi_fail(const struct probe *probe, const char *what, int result,
                             struct ko_error *err)
{
    char reason[MPI_MAX_ERROR_STRING];
    int n = 0;

    if (MPI_Error_string(result, reason, &n) != MPI_SUCCESS) {
        (void)snprintf(reason, sizeof reason, "MPI error %d", result);
    }
    return fail_probe(probe, what, reason, err);
}

static enum ko_code write_all(const struct probe *probe, struct ko_error *err)
{
    uint64_t mine = rank_pattern(probe->rank);
    MPI_File file;
    int result = MPI_File_open(probe->comm, probe->name, MPI_MODE_WRONLY, MPI_INFO_NULL, &file);

    enum ko_code code = ko_agree(
        probe->comm, result == MPI_SUCCESS ? KO_OK : mpi_fail(probe, "written", result, err), err);
    if (code != KO_OK) {
        return code;
    }
    result = MPI_File_write_at_all(file, (MPI_Offset)sizeof mine * probe->rank, &mine,
                                   (int)sizeof mine, MPI_BYTE, MPI_STATUS_IGNORE);
    if (result == MPI_SUCCESS) {
        result = MPI_File_sync(file);
    }
    int closed = MPI_File_close(&file);
    result = result == MPI_SUCCESS ? closed : result;
    return result == MPI_SUCCESS ? KO_OK : mpi_fail(probe, "written", result, err);
}

static enum ko_code read_all(const struct probe *probe, struct ko_error *err)
{
    uint64_t next = 0;
    int neighbour = (probe->rank + 1) % probe->n_ranks;
    MPI_File file;
    int result = MPI_File_open(probe->comm, probe->name, MPI_MODE_RDONLY, MPI_INFO_NULL, &file);

    enum ko_code code = ko_agree(
        probe->comm, result == MPI_SUCCESS ? KO_OK : mpi_fail(probe, "read", result, err), err);
    if (code != KO_OK) {
        return code;
    }
    result = MPI_File_read_at_all(file, (MPI_Offset)sizeof next * neighbour, &next,
                                  (int)sizeof next, MPI_BYTE, MPI_STATUS_IGNORE);
    int closed = MPI_File_close(&file);
    result = result == MPI_SUCCESS ? closed : result;
    if (result != MPI_SUCCESS) {
        return mpi_fail(probe, "read", result, err);
    }
    if (next != rank_pattern(neighbour)) {
        return fail_probe(
            probe, "used",
            "another rank's bytes did not arrive, use a file system that all nodes share", err);
    }
    return KO_OK;
}

/* The name holds the first rank's process number, so that all ranks mean one file. */
static enum ko_code name_file(struct probe *probe, struct ko_error *err)
{
    struct ko_text text = {0};
    long number = (long)getpid();
    enum ko_code code =
        ko_mpi_check(MPI_Bcast(&number, 1, MPI_LONG, 0, probe->comm), "MPI_Bcast", err);

    if (code != KO_OK) {
        return code;
    }
    ko_text_add(&text, "%s.probe-%ld", probe->path, number);
    code = ko_text_check(&text, err);
    if (code == KO_OK) {
        probe->name = text.data;
    } else {
        ko_text_free(&text);
    }
    return code;
}

enum ko_code ko_cube_probe_folder(const char *path, MPI_Comm comm, struct ko_error *err)
{
    struct probe probe = {.path = path, .comm = comm, .n_ranks = 1};
    int n = 0;
    bool created = false;

    MPI_Comm_rank(comm, &probe.rank);
    MPI_Comm_size(comm, &probe.n_ranks);
    MPI_Get_processor_name(probe.host, &n);
    enum ko_code code = ko_agree(comm, name_file(&probe, err), err);
    if (code == KO_OK) {
        code = create_file(&probe, err);
        created = code == KO_OK && probe.rank == 0;
        code = ko_agree(comm, code, err);
    }
    if (code == KO_OK) {
        code = ko_agree(comm, open_file(&probe, err), err);
    }
    if (code == KO_OK) {
        code = ko_agree(comm, write_all(&probe, err), err);
    }
    if (code == KO_OK) {
        code = ko_agree(comm, read_all(&probe, err), err);
    }
    if (created) {
        (void)unlink(probe.name);
    }
    free(probe.name);
    return code;
}
