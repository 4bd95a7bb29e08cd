/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks say to each other: agreement on errors, broadcasts, messages, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/compute/weights_load.h"
#include "mpi/world/agree.h"
#include "mpi/world/broadcast.h"
#include "mpi/world/channel.h"
#include "mpi/world/world.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/models/model_load.h"

static struct ko_world world;
static struct ko_compute *compute; /* of the workers */

/* True where every rank's verdict is: no rank may leave a test alone. */
static bool everywhere(bool verdict)
{
    int mine = verdict, all = 0;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_LAND, world.all);
    return all;
}

static void all_ranks_return_the_lowest_failing_rank_s_error(void **state)
{
    struct ko_error err = {0};
    const int failing = world.n_ranks > 2 ? world.n_ranks - 2 : world.n_ranks - 1;
    enum ko_code code = KO_OK;
    (void)state;
    if (world.rank >= failing) {
        code = ko_fail(&err, KO_E_FAILED, "disk %d is full", world.rank);
    }
    code = ko_agree(world.all, code, &err);
    char expected[64];
    snprintf(expected, sizeof expected, "disk %d is full", failing);
    assert_true(everywhere(code == KO_E_FAILED && strstr(err.text, expected)));
    snprintf(expected, sizeof expected, "rank %d on ", failing);
    assert_true(everywhere(world.alone || strncmp(err.text, expected, strlen(expected)) == 0));
}

static void input_errors_name_no_rank(void **state)
{
    struct ko_error err = {0};
    enum ko_code code = KO_OK;
    (void)state;
    if (world.root) {
        code = ko_fail(&err, KO_E_INPUT, "spec.yaml: no such file");
    }
    code = ko_agree(world.all, code, &err);
    assert_true(everywhere(code == KO_E_INPUT && strcmp(err.text, "spec.yaml: no such file") == 0));
}

static void a_rank_is_named_once(void **state)
{
    struct ko_error err = {0};
    (void)state;
    (void)ko_fail(&err, KO_E_FAILED, "lost");
    ko_error_name_rank(&err, 3);
    char once[KO_ERROR_TEXT];
    snprintf(once, sizeof once, "%s", err.text);
    ko_error_name_rank(&err, 0);
    assert_true(everywhere(strcmp(once, err.text) == 0));
    assert_true(everywhere(strncmp(once, "rank 3 on ", 10) == 0));
}

static void no_failure_is_agreed_on_too(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_true(everywhere(ko_agree(world.all, KO_OK, &err) == KO_OK));
}

static void broadcast_bytes_arrive_whole(void **state)
{
    enum { N = 300001 };
    struct ko_error err = {0};
    char *data = NULL;
    size_t n = 0;
    (void)state;
    if (world.root) {
        n = N;
        data = ko_new(N, 1, &err);
        for (size_t k = 0; k < N; k++) {
            data[k] = (char)(k * 7);
        }
    }
    const enum ko_code code = ko_broadcast_bytes(world.all, &data, &n, &err);
    bool right = code == KO_OK && n == N;
    for (size_t k = 0; right && k < N; k++) {
        right = data[k] == (char)(k * 7);
    }
    free(data);
    assert_true(everywhere(right));
}

static void messages_carry_values_and_errors(void **state)
{
    struct ko_channel channel = ko_channel_over_mpi(world.all);
    struct ko_error err = {0};
    struct ko_message message;
    bool right = true;
    (void)state;
    if (world.root) {
        int n_values = 0, n_errors = 0;
        while (right && n_values + n_errors < 2 * (world.n_ranks - 1)) {
            bool got = false;
            right = channel.poll(&channel, &message, &got, &err) == KO_OK;
            if (!got) {
                ko_nap(0.001);
                continue;
            }
            if (message.tag == KO_TAG_ERROR) {
                n_errors++;
                right = right && message.error.code == KO_E_FAILED &&
                        strcmp(message.error.text, "broken") == 0;
            } else {
                n_values++;
                right = right && message.tag == KO_TAG_FINISHED && message.value == message.party &&
                        message.extra == INT64_C(1) << 40;
            }
        }
    } else {
        struct ko_error told = {0};
        (void)ko_fail(&told, KO_E_FAILED, "broken");
        right = ko_channel_send(&channel, 0, KO_TAG_FINISHED, world.rank, INT64_C(1) << 40, &err) ==
                    KO_OK &&
                ko_channel_send_failure(&channel, 0, KO_TAG_ERROR, &told, &err) == KO_OK;
    }
    assert_true(everywhere(right));
}

static void a_channel_within_a_process_keeps_the_order(void **state)
{
    struct ko_message_queue down = {0}, up = {0};
    struct ko_channel coordinator = ko_channel_in_process(&up, &down, 1);
    struct ko_channel worker = ko_channel_in_process(&down, &up, KO_COORDINATOR);
    struct ko_error err = {0}, told = {0};
    struct ko_message message;
    bool got = true;
    (void)state;
    assert_int_equal(worker.poll(&worker, &message, &got, &err), KO_OK);
    assert_false(got);
    for (int64_t k = 0; k < 100; k++) {
        assert_int_equal(ko_channel_send(&coordinator, 1, KO_TAG_BATCH, k, -k, &err), KO_OK);
    }
    assert_false(worker.has(&worker, KO_TAG_STOP));
    assert_int_equal(ko_channel_send(&coordinator, 1, KO_TAG_STOP, 0, 0, &err), KO_OK);
    assert_true(worker.has(&worker, KO_TAG_STOP));
    assert_int_equal(coordinator.poll(&coordinator, &message, &got, &err), KO_OK);
    assert_false(got);
    for (int64_t k = 0; k < 100; k++) {
        assert_int_equal(worker.poll(&worker, &message, &got, &err), KO_OK);
        assert_true(got && message.tag == KO_TAG_BATCH && message.party == KO_COORDINATOR);
        assert_true(message.value == k && message.extra == -k);
    }
    (void)ko_fail(&told, KO_E_FAILED, "broken");
    assert_int_equal(ko_channel_send_failure(&worker, KO_COORDINATOR, KO_TAG_ERROR, &told, &err),
                     KO_OK);
    assert_int_equal(coordinator.poll(&coordinator, &message, &got, &err), KO_OK);
    assert_true(got && message.tag == KO_TAG_ERROR && message.party == 1);
    assert_int_equal(message.error.code, KO_E_FAILED);
    assert_string_equal(message.error.text, "broken");
    ko_message_queue_free(&down);
    ko_message_queue_free(&up);
}

/* Catches the library's own: how often a rank looks whether the others have come. */
static int n_looks;
int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    n_looks++;
    return PMPI_Test(request, flag, status);
}

/* Ranks that wait for a late one leave the processors to others. */
static void waiting_ranks_sleep(void **state)
{
    struct ko_error err = {0};
    char text[] = "x", *data = world.root ? text : NULL;
    size_t n = sizeof text;
    (void)state;
    for (int way = 0; way < 2; way++) {
        n_looks = 0;
        if (world.root) {
            ko_nap(1);
        }
        bool right = way == 0 ? ko_agree(world.all, KO_OK, &err) == KO_OK
                              : ko_broadcast_bytes(world.all, &data, &n, &err) == KO_OK;
        /* 200 at once and one every 2 ms; without sleep some 100,000, inside a collective none. */
        right = right && (world.alone || (n_looks >= 1 && n_looks < 3000));
        assert_true(everywhere(right));
    }
    if (!world.root) {
        free(data);
    }
}

static void workers_know_their_place(void **state)
{
    (void)state;
    bool right = world.root == (world.rank == 0);
    right = right && world.n_workers == (world.n_ranks == 1 ? 1 : world.n_ranks - 1);
    right = right && (world.alone || world.worker == world.rank - 1);
    if (world.workers != MPI_COMM_NULL) {
        struct ko_threads threads = {0};
        struct ko_error err = {0};
        right = right && ko_world_threads(&world, 3, &threads, &err) == KO_OK && threads.n == 3 &&
                strcmp(threads.from, "--threads") == 0;
        right = right && ko_world_threads(&world, 0, &threads, &err) == KO_OK && threads.n >= 1;
    }
    assert_true(everywhere(right));
}

static enum ko_code load_weights_as(int32_t slots, char *path, char *fingerprint,
                                    struct ko_weights *weights, struct ko_error *err)
{
    char name[] = "mamba-facts";
    const struct ko_plan_model model = {.name = name, .path = path, .fingerprint = fingerprint};
    return ko_weights_load(&world, compute, NULL, &model, slots, weights, err);
}

static enum ko_code load_weights(char *path, char *fingerprint, struct ko_weights *weights,
                                 struct ko_error *err)
{
    return load_weights_as(false, path, fingerprint, weights, err);
}

static char facts_model[] = KO_SOURCE_DIR "/jobs/models/mamba-facts";

static void weights_are_the_same_on_every_worker(void **state)
{
    struct ko_weights weights = {.window = MPI_WIN_NULL};
    struct ko_error err = {0};
    bool right = true;
    (void)state;
    if (world.workers != MPI_COMM_NULL) {
        struct ko_checkpoint *checkpoint = NULL;
        right = ko_checkpoint_open(facts_model, "mamba-facts", &checkpoint, &err) == KO_OK;
        right = right &&
                load_weights(facts_model, (char *)(uintptr_t)ko_checkpoint_fingerprint(checkpoint),
                             &weights, &err) == KO_OK;
        ko_checkpoint_close(checkpoint);
        const struct ko_model *model = weights.model;
        float *own = right ? ko_new(ko_model_floats(model), sizeof *own, &err) : NULL;
        uint64_t *hash = right ? ko_new(model->n_weights, sizeof *hash, &err) : NULL;
        right = own && hash &&
                ko_model_load(model, weights.checkpoint, &(struct ko_load_part){0, 1, 2}, own, hash,
                              &err) == KO_OK &&
                memcmp(own, weights.floats, ko_model_floats(model) * sizeof *own) == 0;
        char text[33] = "";
        if (right) {
            ko_model_content_hash(model, hash, text);
        }
        right = right && strcmp(text, weights.content_hash) == 0;
        free(own);
        free(hash);
        ko_weights_free(&weights);
    }
    assert_true(everywhere(right));
}

/* How often a stop was asked for, and whether only the thread that may use MPI did. */
struct asked {
    int n;
    bool in_main, answer;
};

static bool answer_in_main(void *context)
{
    struct asked *asked = context;
    int is_main = 0;
    MPI_Is_thread_main(&is_main);
    asked->in_main = asked->in_main && is_main;
    asked->n++;
    return asked->answer;
}

static void check_stop_of_loading(int32_t slots)
{
    struct ko_weights weights = {.window = MPI_WIN_NULL};
    struct ko_error err = {0};
    struct asked asked = {.in_main = true, .answer = true};
    const struct ko_stop stop = {.wanted = answer_in_main, .context = &asked};
    bool right = true;
    if (world.workers != MPI_COMM_NULL) {
        struct ko_checkpoint *checkpoint = NULL;
        right = ko_checkpoint_open(facts_model, "mamba-facts", &checkpoint, &err) == KO_OK;
        if (world.worker == world.n_workers - 1) {
            world.load_stop = &stop; /* one is enough */
        }
        char *const fingerprint = (char *)(uintptr_t)ko_checkpoint_fingerprint(checkpoint);
        right = right &&
                load_weights_as(slots, facts_model, fingerprint, &weights, &err) == KO_E_STOPPED;
        right = right && asked.in_main && (asked.n > 0 || !world.load_stop);
        asked = (struct asked){.in_main = true};
        right = right &&
                load_weights_as(slots, facts_model, fingerprint, &weights, &err) == KO_OK &&
                asked.in_main && (asked.n > 0 || !world.load_stop);
        world.load_stop = NULL;
        ko_weights_free(&weights);
        ko_checkpoint_close(checkpoint);
    }
    assert_true(everywhere(right));
}

static void a_stop_drops_the_loading_of_weights_on_every_worker(void **state)
{
    (void)state;
    check_stop_of_loading(false);
}

static void a_stop_drops_weights_that_stream_and_is_asked_in_the_thread_of_mpi(void **state)
{
    (void)state;
    check_stop_of_loading(true);
}

static void another_checkpoint_fails_on_every_worker(void **state)
{
    struct ko_weights weights = {.window = MPI_WIN_NULL};
    struct ko_error err = {0};
    bool right = true;
    char fingerprint[] = "0123";
    (void)state;
    if (world.workers != MPI_COMM_NULL) {
        right = load_weights(facts_model, fingerprint, &weights, &err) == KO_E_FAILED &&
                strstr(err.text, "was 0123 when the run began");
    }
    assert_true(everywhere(right));
}

static void a_missing_checkpoint_fails_on_every_worker(void **state)
{
    struct ko_weights weights = {.window = MPI_WIN_NULL};
    struct ko_error err = {0};
    bool right = true;
    char nowhere[] = KO_SOURCE_DIR "/jobs/models/none", fingerprint[] = "";
    (void)state;
    if (world.workers != MPI_COMM_NULL) {
        right = load_weights(nowhere, fingerprint, &weights, &err) == KO_E_FAILED &&
                strstr(err.text, "none");
    }
    assert_true(everywhere(right));
}

int main(int argc, char **argv)
{
    struct ko_error err = {0};
    if (ko_world_open(&argc, &argv, &world, &err) != KO_OK) {
        return 1;
    }
    const struct ko_backend_config config = {.threads = 1};
    if (world.workers != MPI_COMM_NULL &&
        ko_compute_start(&ko_kernels_plain, &config, &compute, &err) != KO_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ranks_return_the_lowest_failing_rank_s_error),
        cmocka_unit_test(input_errors_name_no_rank),
        cmocka_unit_test(a_rank_is_named_once),
        cmocka_unit_test(no_failure_is_agreed_on_too),
        cmocka_unit_test(broadcast_bytes_arrive_whole),
        cmocka_unit_test(messages_carry_values_and_errors),
        cmocka_unit_test(a_channel_within_a_process_keeps_the_order),
        cmocka_unit_test(waiting_ranks_sleep),
        cmocka_unit_test(workers_know_their_place),
        cmocka_unit_test(weights_are_the_same_on_every_worker),
        cmocka_unit_test(a_stop_drops_the_loading_of_weights_on_every_worker),
        cmocka_unit_test(a_stop_drops_weights_that_stream_and_is_asked_in_the_thread_of_mpi),
        cmocka_unit_test(another_checkpoint_fails_on_every_worker),
        cmocka_unit_test(a_missing_checkpoint_fails_on_every_worker),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ko_compute_stop(compute);
    ko_world_close(&world);
    return failed;
}
