/* SPDX-License-Identifier: Apache-2.0 */
/* Sends, polls and waits for messages of MPI. */
#include "mpi/world/messages.h"

#include <string.h>

#include "mpi/world/check.h"
#include "mpi/world/nap.h"

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
