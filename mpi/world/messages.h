/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between coordinator and workers. Waiting ranks poll with short sleeps: Open MPI spins
   otherwise, and ranks share cores. */
#ifndef KO_MPI_WORLD_MESSAGES_H
#define KO_MPI_WORLD_MESSAGES_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"

/* Every tag of the program. Messages are two int64 values unless said. */
enum ko_tag {
    /* coordinator -> worker */
    KO_TAG_MODEL = 1, /* value: model on the plan's axis: load its weights (all workers together) */
    KO_TAG_BATCH,     /* value: batch to compute */
    KO_TAG_GIVE_UP,   /* value: batch of a model that could not be loaded: its cells failed */
    KO_TAG_ROUND,     /* join a commit round at once; value: cells computed in this run, extra: its
                          share of the work in millionths */
    KO_TAG_STOP,      /* drop the batch in hand */
    KO_TAG_END,       /* close the cube (all workers together) and leave the phase */
    /* worker -> coordinator */
    KO_TAG_LOADED,    /* value: the model */
    KO_TAG_UNLOADED,  /* a struct ko_error in bytes: the model cannot be loaded, on no worker */
    KO_TAG_FINISHED,  /* value: batch computed; extra: microseconds */
    KO_TAG_REACHED,   /* value: batch in hand; extra: the share of it that is done, in millionths */
    KO_TAG_FAILED,    /* a struct ko_error in bytes: a prompt or batch failed and is recorded */
    KO_TAG_DROPPED,   /* value: batches dropped after KO_TAG_STOP */
    KO_TAG_COMMITTED, /* value: batches committed; extra: microseconds */
    KO_TAG_ERROR,     /* a struct ko_error in bytes: this worker goes on obeying */
    KO_TAG_BROKEN     /* likewise: it does not, the job has to be aborted */
};

struct ko_message {
    enum ko_tag tag;
    int rank; /* who sent it */
    int64_t value, extra;
    struct ko_error error; /* of the tags that carry one */
};

KO_MUST_CHECK enum ko_code ko_message_send(MPI_Comm comm, int to, enum ko_tag tag, int64_t value,
                                           int64_t extra, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_message_send_failure(MPI_Comm comm, int to, enum ko_tag tag,
                                                   const struct ko_error *error,
                                                   struct ko_error *err);
/* Takes a waiting message, if there is one (*got). */
KO_MUST_CHECK enum ko_code ko_message_poll(MPI_Comm comm, struct ko_message *message, bool *got,
                                           struct ko_error *err);
/* Waits for a message, asleep most of the time. */
KO_MUST_CHECK enum ko_code ko_message_wait(MPI_Comm comm, struct ko_message *message,
                                           struct ko_error *err);

#endif
