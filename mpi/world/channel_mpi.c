/* SPDX-License-Identifier: Apache-2.0 */
/* The channel between ranks. A message travels as two int64 values, or as a struct ko_error. */
#include "mpi/world/channel.h"

#include <string.h>

#include "mpi/world/check.h"

enum { MESSAGE_BYTES = sizeof(struct ko_error) > 16 ? sizeof(struct ko_error) : 16 };

static const double RANK_REPORT_SECONDS = 1;

static bool carries_error(int tag)
{
    return tag == KO_TAG_ERROR || tag == KO_TAG_BROKEN || tag == KO_TAG_UNLOADED ||
           tag == KO_TAG_FAILED;
}

static enum ko_code send_over_mpi(struct ko_channel *channel, const struct ko_message *message,
                                  struct ko_error *err)
{
    const int64_t pair[2] = {message->value, message->extra};
    const bool is_error = carries_error((int)message->tag);
    const void *data = is_error ? (const void *)&message->error : pair;
    const int n = (int)(is_error ? sizeof message->error : sizeof pair);
    return ko_mpi_check(
        MPI_Send(data, n, MPI_BYTE, message->party, (int)message->tag, channel->comm), "MPI_Send",
        err);
}

static enum ko_code poll_over_mpi(struct ko_channel *channel, struct ko_message *message, bool *got,
                                  struct ko_error *err)
{
    int flag = 0, n = 0;
    MPI_Status status;
    *got = false;
    enum ko_code code = ko_mpi_check(
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, channel->comm, &flag, &status), "MPI_Iprobe", err);
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
    code = ko_mpi_check(MPI_Recv(buffer, n, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG,
                                 channel->comm, MPI_STATUS_IGNORE),
                        "MPI_Recv", err);
    if (code != KO_OK) {
        return code;
    }
    *message = (struct ko_message){.tag = (enum ko_tag)status.MPI_TAG, .party = status.MPI_SOURCE};
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

static bool has_over_mpi(struct ko_channel *channel, enum ko_tag tag)
{
    int flag = 0;
    return MPI_Iprobe(MPI_ANY_SOURCE, (int)tag, channel->comm, &flag, MPI_STATUS_IGNORE) ==
               MPI_SUCCESS &&
           flag;
}

struct ko_channel ko_channel_over_mpi(MPI_Comm comm)
{
    return (struct ko_channel){.send = send_over_mpi,
                               .poll = poll_over_mpi,
                               .has = has_over_mpi,
                               .report_seconds = RANK_REPORT_SECONDS,
                               .comm = comm};
}
