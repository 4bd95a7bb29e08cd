/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/coordinator/many.h"

static const int64_t LOWER = ((int64_t)1 << 32) - 1;

static enum ko_code send_many(struct ko_channel *channel, const struct ko_message *message,
                              struct ko_error *err)
{
    struct many_channel *many = (struct many_channel *)channel;
    const int64_t worker = message->party - 1;
    struct ko_message passed = *message;
    if (message->extra < 0 || message->extra > LOWER) {
        return ko_fail(err, KO_E_FAILED, "simulation: tag %d has an extra value of %lld",
                       (int)message->tag, (long long)message->extra);
    }
    passed.party = many->root ? 1 + (int)(worker % many->n_players) : KO_COORDINATOR;
    passed.extra |= worker << 32;
    many->n_sent++;
    many->n_rounds += message->tag == KO_TAG_ROUND && worker == 0;
    return many->ranks.send(&many->ranks, &passed, err);
}

static enum ko_code poll_many(struct ko_channel *channel, struct ko_message *message, bool *got,
                              struct ko_error *err)
{
    struct many_channel *many = (struct many_channel *)channel;
    const enum ko_code code = many->ranks.poll(&many->ranks, message, got, err);
    if (code == KO_OK && *got) {
        message->party = (int)(message->extra >> 32) + 1;
        message->extra &= LOWER;
        many->n_received++;
    }
    return code;
}

void many_open(MPI_Comm comm, int n_players, struct many_channel *out)
{
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    *out = (struct many_channel){.channel = {.send = send_many, .poll = poll_many, .comm = comm},
                                 .ranks = ko_channel_over_mpi(comm),
                                 .n_players = n_players,
                                 .root = rank == 0};
    out->channel.report_seconds = out->ranks.report_seconds;
}
