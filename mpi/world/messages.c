/* SPDX-License-Identifier: Apache-2.0 */
/* Sends, polls and waits for messages of MPI. It also broadcasts a block of bytes and sleeps
   between polls. */
#define _GNU_SOURCE
#include "mpi/world/messages.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mpi/world/agree.h"
#include "mpi/world/world.h"
#include "src/base/memory.h"

enum { MESSAGE_BYTES = sizeof(struct ko_error) > 16 ? sizeof(struct ko_error) : 16 };

enum ko_code ko_message_send(MPI_Comm comm, int to, enum ko_tag tag, int64_t value, int64_t extra,
                             struct ko_error *err)
{
    const int64_t pair[2] = {value, extra};
    return ko_mpi_check(MPI_Send(pair, (int)sizeof pair, MPI_BYTE, to, (int)tag, comm), "MPI_Send",
                        err);
}

enum ko_code ko_message_send_failure(MPI_Comm comm, int to, enum ko_tag tag,
                                     const struct ko_error *error, struct ko_error *err)
{
    struct ko_error copy = *error; /* error may be err */
    return ko_mpi_check(MPI_Send(&copy, (int)sizeof copy, MPI_BYTE, to, (int)tag, comm), "MPI_Send",
                        err);
}

static bool carries_error(int tag)
{
    return tag == KO_TAG_ERROR || tag == KO_TAG_BROKEN || tag == KO_TAG_UNLOADED ||
           tag == KO_TAG_FAILED;
}

enum ko_code ko_message_poll(MPI_Comm comm, struct ko_message *message, bool *got,
                             struct ko_error *err)
{
    int flag = 0, n = 0;
    MPI_Status status;
    *got = false;
    enum ko_code code = ko_mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &flag, &status),
                                     "MPI_Iprobe", err);
    if (code != KO_OK || !flag) {
        return code;
    }
    MPI_Get_count(&status, MPI_BYTE, &n);
    const bool is_error = carries_error(status.MPI_TAG);
    char buffer[MESSAGE_BYTES] = {0};
    if (n != (int)(is_error ? sizeof(struct ko_error) : 2 * sizeof(int64_t))) {
        return ko_fail(err, KO_E_FAILED, "MPI: message with tag %d from rank %d has %d bytes",
                       status.MPI_TAG, status.MPI_SOURCE, n);
    }
    code = ko_mpi_check(
        MPI_Recv(buffer, n, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, comm, MPI_STATUS_IGNORE),
        "MPI_Recv", err);
    if (code != KO_OK) {
        return code;
    }
    *message = (struct ko_message){.tag = (enum ko_tag)status.MPI_TAG, .rank = status.MPI_SOURCE};
    if (is_error) {
        memcpy(&message->error, buffer, sizeof message->error);
        message->error.text[sizeof message->error.text - 1] = '\0';
    } else {
        memcpy(&message->value, buffer, sizeof message->value);
        memcpy(&message->extra, buffer + sizeof message->value, sizeof message->extra);
    }
    *got = true;
    return KO_OK;
}

enum ko_code ko_message_wait(MPI_Comm comm, struct ko_message *message, struct ko_error *err)
{
    bool got = false;
    enum ko_code code = ko_message_poll(comm, message, &got, err);
    while (code == KO_OK && !got) {
        ko_nap(0.0005);
        code = ko_message_poll(comm, message, &got, err);
    }
    return code;
}

enum ko_code ko_broadcast_bytes(MPI_Comm comm, char **data, size_t *n, struct ko_error *err)
{
    enum { CHUNK = 1 << 30 };
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    uint64_t total = *n;
    enum ko_code code = ko_meet(comm, err);
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Bcast(&total, 1, MPI_UINT64_T, 0, comm), "MPI_Bcast", err);
    }
    if (code != KO_OK) {
        return code;
    }
    char *bytes = rank == 0 ? *data : ko_new((size_t)total + 1, 1, err);
    code = ko_agree(comm, bytes || total == 0 ? KO_OK : KO_E_MEMORY, err);
    for (uint64_t at = 0; code == KO_OK && at < total; at += CHUNK) {
        const uint64_t left = total - at;
        code = ko_mpi_check(
            MPI_Bcast(bytes + at, (int)(left < CHUNK ? left : CHUNK), MPI_BYTE, 0, comm),
            "MPI_Bcast", err);
    }
    if (rank != 0 && code != KO_OK) {
        free(bytes);
    } else if (rank != 0) {
        *data = bytes;
        *n = (size_t)total;
    }
    return code;
}

void ko_nap(double seconds)
{
    const struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}
