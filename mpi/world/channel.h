/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the coordinator and its workers: over MPI between ranks, or through two queues
   where both run in one process. */
#ifndef KO_MPI_WORLD_CHANNEL_H
#define KO_MPI_WORLD_CHANNEL_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

/* Every tag of the program. */
enum ko_tag {
    /* coordinator -> worker */
    KO_TAG_MODEL = 1, /* value: model on the plan's axis. Load its weights (all workers together) */
    KO_TAG_BATCH,     /* value: batch to compute */
    KO_TAG_GIVE_UP,   /* value: batch of a model that could not be loaded. Record it as failed */
    KO_TAG_ROUND,     /* join a commit round at once. value: cells computed in this run; extra: the
                         share of its work that is done, in millionths */
    KO_TAG_STOP,      /* drop all batches that are not finished */
    KO_TAG_END,       /* the job has ended */
    /* worker -> coordinator */
    KO_TAG_LOADED,    /* value: the model */
    KO_TAG_UNLOADED,  /* error: no worker can load the model */
    KO_TAG_FINISHED,  /* value: the batch, which waits for a commit round */
    KO_TAG_REACHED,   /* value: the batch being computed; extra: the share of it that is done, in
                         millionths */
    KO_TAG_FAILED,    /* error: of a prompt or batch, which is recorded as failed */
    KO_TAG_DROPPED,   /* value: batches dropped after KO_TAG_STOP */
    KO_TAG_COMMITTED, /* value: batches committed */
    KO_TAG_ERROR,     /* error: ends the job; the worker still follows the coordinator */
    KO_TAG_BROKEN     /* error: the worker follows no more, the job must be aborted */
};

enum { KO_COORDINATOR = 0 }; /* worker w is party w + 1; over MPI these are the ranks */

struct ko_message {
    enum ko_tag tag;
    int party;             /* the sender where it was received, the receiver where it is sent */
    int64_t value, extra;  /* 0 where the tag lists an error */
    struct ko_error error; /* of the tags that list one */
};

/* Messages that wait within the process, oldest first. {0} is empty. */
struct ko_message_queue {
    struct ko_message *message; /* [n]; owned */
    size_t n, capacity;
};
void ko_message_queue_free(struct ko_message_queue *queue); /* leaves {0} */

/* One party's end. Set up by one of the two functions below. */
struct ko_channel {
    enum ko_code (*send)(struct ko_channel *channel, const struct ko_message *message,
                         struct ko_error *err);
    /* Takes the next message, if one waits (*got). */
    enum ko_code (*poll)(struct ko_channel *channel, struct ko_message *message, bool *got,
                         struct ko_error *err);
    /* Whether a message with this tag waits. It stays. */
    bool (*has)(struct ko_channel *channel, enum ko_tag tag);
    double report_seconds;             /* between two KO_TAG_REACHED of a worker */
    MPI_Comm comm;                     /* over MPI */
    struct ko_message_queue *in, *out; /* within a process; borrowed */
    int peer;                          /* within a process: the other party */
};

struct ko_channel ko_channel_over_mpi(MPI_Comm comm);
struct ko_channel ko_channel_in_process(struct ko_message_queue *in, struct ko_message_queue *out,
                                        int peer);

KO_MUST_CHECK enum ko_code ko_channel_send(struct ko_channel *channel, int to, enum ko_tag tag,
                                           int64_t value, int64_t extra, struct ko_error *err);
/* Sends an error, with its code. `error` may be `err`. */
KO_MUST_CHECK enum ko_code ko_channel_send_failure(struct ko_channel *channel, int to,
                                                   enum ko_tag tag, const struct ko_error *error,
                                                   struct ko_error *err);

#endif
