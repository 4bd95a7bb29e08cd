/* SPDX-License-Identifier: Apache-2.0 */
/* Describes the processes of this run as the owner of a lock. Decides whether another owner has
   died, from its processes, its Slurm job and its silence. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mpi/lock/lock_file.h"
#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/memory.h"

bool ko_process_state(int64_t pid, char *state, uint64_t *begin)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *file = fopen(path, "r");
    if (!file) {
        return false;
    }
    const size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    /* "pid (name) S 1 2 ...": the name may hold anything, blanks and brackets too. The start is the
       19th number after the state. */
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %c", state) != 1) {
        return false;
    }
    at = strchr(at, *state);
    for (int k = 0; at && k < 19; k++) {
        at = strchr(at + 1, ' ');
    }
    unsigned long long ticks = 0;
    if (!at || sscanf(at, "%llu", &ticks) != 1) {
        return false;
    }
    *begin = ticks;
    return true;
}

static void describe_self(struct ko_lock_process *self)
{
    char state = '?';
    *self = (struct ko_lock_process){.pid = getpid()};
    if (gethostname(self->host, sizeof self->host - 1) != 0) {
        snprintf(self->host, sizeof self->host, "unknown");
    }
    if (readlink("/proc/self/ns/pid", self->space, sizeof self->space - 1) < 0) {
        self->space[0] = '\0';
    }
    if (!ko_process_state(self->pid, &state, &self->begin)) {
        self->begin = 0;
    }
}

static enum ko_code new_owner(int n, struct ko_lock_owner *out, struct ko_error *err)
{
    const char *job = getenv("SLURM_JOB_ID"), *restart = getenv("SLURM_RESTART_COUNT");
    *out = (struct ko_lock_owner){.n = n, .start = (int64_t)time(NULL)};
    snprintf(out->job, sizeof out->job, "%s", job ? job : "");
    out->restart = restart ? strtoll(restart, NULL, 10) : 0;
    out->process = ko_new((size_t)n, sizeof *out->process, err);
    return out->process ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_lock_gather(const struct ko_world *world, struct ko_lock_owner *out,
                            struct ko_error *err)
{
    struct ko_lock_process self;
    struct ko_lock_owner owner;
    enum ko_code code = new_owner(world->n_ranks, &owner, err);
    describe_self(&self);
    code = ko_agree(world->all, code, err);
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Allgather(&self, sizeof self, MPI_BYTE, owner.process, sizeof self,
                                          MPI_BYTE, world->all),
                            "MPI_Allgather", err);
    }
    if (code != KO_OK) {
        ko_lock_owner_free(&owner);
    } else {
        *out = owner;
    }
    return code;
}

enum ko_code ko_lock_gather_alone(struct ko_lock_owner *out, struct ko_error *err)
{
    const enum ko_code code = new_owner(1, out, err);
    if (code == KO_OK) {
        describe_self(out->process);
    }
    return code;
}

void ko_lock_owner_free(struct ko_lock_owner *owner)
{
    free(owner->process);
    *owner = (struct ko_lock_owner){0};
}

/* Whether every process of `other` ran on this host and has ended. Zombies count as ended. */
static bool all_gone(const struct ko_lock_owner *other, const struct ko_lock_process *self)
{
    for (int k = 0; k < other->n; k++) {
        const struct ko_lock_process *process = &other->process[k];
        char state = '?';
        uint64_t begin = 0;
        if (strcmp(process->host, self->host) != 0 || strcmp(process->space, self->space) != 0 ||
            process->space[0] == '\0') {
            return false;
        }
        if (ko_process_state(process->pid, &state, &begin) && state != 'Z' && state != 'X' &&
            (process->begin == 0 || begin == process->begin)) {
            return false;
        }
    }
    return other->n > 0;
}

bool ko_lock_is_stale(const struct ko_lock_owner *other, const struct ko_lock_owner *self,
                      double silence)
{
    if (silence >= KO_LOCK_SILENCE_SECONDS) {
        return true;
    }
    if (other->n == 0) {
        return false; /* cannot be read: it may be half written */
    }
    if (other->job[0] != '\0' && strcmp(other->job, self->job) == 0 &&
        other->restart < self->restart) {
        return true;
    }
    return all_gone(other, self->process);
}
