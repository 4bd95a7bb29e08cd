/* SPDX-License-Identifier: Apache-2.0 */
/* Makes messages and passes them to the channel's functions. Also the channel within a process. */
#include "mpi/world/channel.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

static const double PROCESS_REPORT_SECONDS = 0.1; /* a redrawn progress line is updated every 0.2 */

enum ko_code ko_channel_send(struct ko_channel *channel, int to, enum ko_tag tag, int64_t value,
                             int64_t extra, struct ko_error *err)
{
    const struct ko_message message = {.tag = tag, .party = to, .value = value, .extra = extra};
    return channel->send(channel, &message, err);
}

enum ko_code ko_channel_send_failure(struct ko_channel *channel, int to, enum ko_tag tag,
                                     const struct ko_error *error, struct ko_error *err)
{
    const struct ko_message message = {.tag = tag, .party = to, .error = *error};
    return channel->send(channel, &message, err);
}

void ko_message_queue_free(struct ko_message_queue *queue)
{
    free(queue->message);
    *queue = (struct ko_message_queue){0};
}

static enum ko_code send_in_process(struct ko_channel *channel, const struct ko_message *message,
                                    struct ko_error *err)
{
    struct ko_message_queue *queue = channel->out;
    struct ko_message *grown =
        ko_grow(queue->message, &queue->capacity, queue->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    queue->message = grown;
    queue->message[queue->n++] = *message;
    return KO_OK;
}

static enum ko_code poll_in_process(struct ko_channel *channel, struct ko_message *message,
                                    bool *got, struct ko_error *err)
{
    struct ko_message_queue *queue = channel->in;
    (void)err;
    *got = queue->n > 0;
    if (*got) {
        *message = queue->message[0];
        message->party = channel->peer;
        queue->n--;
        memmove(queue->message, queue->message + 1, queue->n * sizeof *queue->message);
    }
    return KO_OK;
}

static bool has_in_process(struct ko_channel *channel, enum ko_tag tag)
{
    bool found = false;
    for (size_t k = 0; k < channel->in->n; k++) {
        found = found || channel->in->message[k].tag == tag;
    }
    return found;
}

struct ko_channel ko_channel_in_process(struct ko_message_queue *in, struct ko_message_queue *out,
                                        int peer)
{
    return (struct ko_channel){.send = send_in_process,
                               .poll = poll_in_process,
                               .has = has_in_process,
                               .report_seconds = PROCESS_REPORT_SECONDS,
                               .comm = MPI_COMM_NULL,
                               .in = in,
                               .out = out,
                               .peer = peer};
}
