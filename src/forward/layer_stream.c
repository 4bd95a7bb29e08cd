/* SPDX-License-Identifier: Apache-2.0 */
/* The threads and the slots. All threads are alike: the one that finds an empty slot starts the
   next layer in it, all read pieces of it, and the one that reads the last piece ends it. */
#include "src/forward/layer_stream.h"

#include <pthread.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/models/weights.h"

enum slot_state { EMPTY, FILLING, READY, USED };

struct slot {
    enum slot_state state;
    int32_t number; /* of the layer among those that stream */
};

/* A thread, and its lane of the copier. */
struct reader {
    struct ko_layer_stream *stream;
    int lane;
    pthread_t thread;
};

/* Numbers that one thread reads at once. */
struct piece {
    size_t weight, first, n;
};

struct ko_layer_stream {
    struct ko_layer_stream_config c;
    struct ko_copier *copier; /* NULL: the slots are host memory */
    size_t *at;               /* [n_weights] */
    struct piece *piece;      /* by layer */
    size_t *first_piece;      /* [n_layers + 1] */
    int entered;              /* slot that is USED; -1: none */
    struct reader *reader;    /* [n_threads] */
    int n_threads;            /* that have started */
    pthread_mutex_t lock;     /* of everything below */
    pthread_cond_t changed;
    bool quit;
    struct slot slot[KO_COPIER_MOST_SLOTS]; /* the layout's n_slots */
    int next_slot;                          /* that is filled next, or is FILLING */
    int32_t next_number; /* of the layer that is filled next; -1: no layer is wanted */
    size_t next_piece, end_piece;
    int n_reading; /* threads that read a piece */
    struct ko_error failure;
};

/* ---- Pieces. */

static size_t piece_numbers(const struct ko_layer_stream *s, size_t weight)
{
    return KO_LAYER_PIECE_BYTES / ko_element_bytes(s->c.layout->place[weight].raw);
}

static size_t count_pieces(const struct ko_layer_stream *s, size_t weight)
{
    const size_t most = piece_numbers(s, weight);
    return (s->c.layout->model->weights[weight].n + most - 1) / most;
}

static bool is_in_layer(const struct ko_layer_layout *layout, size_t weight, int32_t number)
{
    const struct ko_weight *w = &layout->model->weights[weight];
    return w->matrix && w->layer == layout->layer[number] &&
           layout->place[weight].residence != KO_RESIDENT;
}

static enum ko_code list_pieces(struct ko_layer_stream *s, struct ko_error *err)
{
    const struct ko_layer_layout *layout = s->c.layout;
    const struct ko_model *model = layout->model;
    size_t n = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        n += model->weights[w].matrix ? count_pieces(s, w) : 0;
    }
    s->piece = ko_new(n, sizeof *s->piece, err);
    s->first_piece = ko_new((size_t)layout->size.n_layers + 1, sizeof *s->first_piece, err);
    if (!s->piece || !s->first_piece) {
        return KO_E_MEMORY;
    }
    n = 0;
    for (int32_t k = 0; k < layout->size.n_layers; k++) {
        s->first_piece[k] = n;
        for (size_t w = 0; w < model->n_weights; w++) {
            const size_t all = model->weights[w].n, most = piece_numbers(s, w);
            for (size_t first = 0; is_in_layer(layout, w, k) && first < all; first += most) {
                const size_t left = all - first;
                s->piece[n++] = (struct piece){w, first, left < most ? left : most};
            }
        }
    }
    s->first_piece[layout->size.n_layers] = n;
    return KO_OK;
}

static unsigned char *slot_memory(const struct ko_layer_stream *s, int slot)
{
    const struct ko_layer_sizes *size = &s->c.layout->size;
    return s->c.matrices + size->resident + (size_t)slot * size->slot;
}

/* Reads a piece into the slot, through host memory of the thread's own where the slot is elsewhere. */
static enum ko_code move_piece(const struct ko_layer_stream *s, int lane, int slot,
                               const struct piece *piece, struct ko_error *err)
{
    const struct ko_layer_source *source = &s->c.source;
    const struct ko_weight *weight = &s->c.layout->model->weights[piece->weight];
    const struct ko_layer_place *place = &s->c.layout->place[piece->weight];
    const size_t size = ko_element_bytes(place->raw);
    void *const to = slot_memory(s, slot) + place->raw_at + piece->first * size;
    void *host = to;
    enum ko_code code = s->copier ? s->copier->buffer(s->copier, lane, &host, err) : KO_OK;
    if (code == KO_OK) {
        code = source->read(source->context, weight, piece->first, piece->n, place->raw, host, err);
    }
    if (code == KO_OK && s->copier) {
        code = s->copier->send(s->copier, lane, to, piece->n * size, err);
    }
    return code;
}

/* ---- The threads. These functions hold the lock when they are called and when they return. */

static void note_failure(struct ko_layer_stream *s, enum ko_code code, const struct ko_error *error)
{
    if (code != KO_OK && s->failure.code == KO_OK) {
        s->failure = *error;
        s->failure.code = code;
    }
}

static bool can_start(const struct ko_layer_stream *s)
{
    return s->next_number >= 0 && s->failure.code == KO_OK && s->slot[s->next_slot].state == EMPTY;
}

static enum ko_code check_layer(const struct ko_layer_stream *s, int32_t number,
                                struct ko_error *err)
{
    const struct ko_layer_source *source = &s->c.source;
    enum ko_code code = KO_OK;
    for (size_t k = s->first_piece[number]; code == KO_OK && k < s->first_piece[number + 1]; k++) {
        const struct piece *piece = &s->piece[k];
        if (piece->first == 0) {
            code = source->check(source->context, &s->c.layout->model->weights[piece->weight], err);
        }
    }
    return code;
}

/* After the layer's last piece. A layer that failed leaves an empty slot. */
static void end_layer(struct ko_layer_stream *s)
{
    struct ko_error error = {0};
    struct slot *slot = &s->slot[s->next_slot];
    if (s->failure.code == KO_OK) {
        note_failure(s, check_layer(s, slot->number, &error), &error);
    }
    if (s->copier) {
        note_failure(s, s->copier->end(s->copier, s->next_slot, &error), &error);
    }
    slot->state = s->failure.code == KO_OK ? READY : EMPTY;
    s->next_slot = (s->next_slot + 1) % s->c.layout->n_slots;
    pthread_cond_broadcast(&s->changed);
}

static void start_layer(struct ko_layer_stream *s)
{
    struct ko_error error = {0};
    const int32_t number = s->next_number;
    s->slot[s->next_slot] = (struct slot){FILLING, number};
    s->next_number = (number + 1) % s->c.layout->size.n_layers;
    s->next_piece = s->first_piece[number];
    s->end_piece = s->first_piece[number + 1];
    if (s->copier) {
        note_failure(s, s->copier->begin(s->copier, s->next_slot, &error), &error);
    }
    if (s->failure.code != KO_OK) {
        s->next_piece = s->end_piece;
        end_layer(s);
    }
    pthread_cond_broadcast(&s->changed);
}

static void read_piece(struct ko_layer_stream *s, int lane)
{
    const struct piece piece = s->piece[s->next_piece++];
    const int slot = s->next_slot;
    struct ko_error error = {0};
    s->n_reading++;
    pthread_mutex_unlock(&s->lock);
    const enum ko_code code = move_piece(s, lane, slot, &piece, &error);
    pthread_mutex_lock(&s->lock);
    s->n_reading--;
    note_failure(s, code, &error);
    if (s->failure.code != KO_OK) {
        s->next_piece = s->end_piece;
    }
    if (s->next_piece == s->end_piece && s->n_reading == 0) {
        end_layer(s);
    }
}

static void *read_layers(void *argument)
{
    const struct reader *reader = argument;
    struct ko_layer_stream *s = reader->stream;
    pthread_mutex_lock(&s->lock);
    while (!s->quit) {
        if (s->next_piece < s->end_piece) {
            read_piece(s, reader->lane);
        } else if (s->n_reading == 0 && can_start(s)) {
            start_layer(s);
        } else {
            pthread_cond_wait(&s->changed, &s->lock);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static enum ko_code start_threads(struct ko_layer_stream *s, struct ko_error *err)
{
    s->reader = ko_new((size_t)s->c.n_threads, sizeof *s->reader, err);
    if (!s->reader) {
        return KO_E_MEMORY;
    }
    while (s->n_threads < s->c.n_threads) {
        struct reader *reader = &s->reader[s->n_threads];
        reader->stream = s;
        reader->lane = s->n_threads;
        if (pthread_create(&reader->thread, NULL, read_layers, reader) != 0) {
            return ko_fail(err, KO_E_FAILED, "thread that reads weights: cannot be started");
        }
        s->n_threads++;
    }
    return KO_OK;
}

/* ---- The pass. */

enum ko_code ko_layer_stream_new(const struct ko_layer_stream_config *config,
                                 struct ko_layer_stream **out, struct ko_error *err)
{
    const struct ko_layer_layout *layout = config->layout;
    struct ko_layer_stream *s = ko_new(1, sizeof *s, err);
    if (!s) {
        return KO_E_MEMORY;
    }
    s->c = *config;
    s->entered = s->next_number = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->at = ko_new(layout->model->n_weights, sizeof *s->at, err);
    enum ko_code code = s->at ? list_pieces(s, err) : KO_E_MEMORY;
    for (size_t w = 0; code == KO_OK && w < layout->model->n_weights; w++) {
        s->at[w] = layout->place[w].at;
    }
    if (code == KO_OK && config->kernels->own_memory) {
        code = config->kernels->copier_open(config->be, config->n_threads, KO_LAYER_PIECE_BYTES,
                                            &s->copier, err);
    }
    if (code == KO_OK) {
        code = start_threads(s, err);
    }
    if (code != KO_OK) {
        ko_layer_stream_free(s);
        return code;
    }
    *out = s;
    return KO_OK;
}

void ko_layer_stream_free(struct ko_layer_stream *s)
{
    if (!s) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->quit = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    for (int t = 0; t < s->n_threads; t++) {
        pthread_join(s->reader[t].thread, NULL);
    }
    if (s->copier) {
        s->copier->close(s->copier);
    }
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->reader);
    free(s->at);
    free(s->piece);
    free(s->first_piece);
    free(s);
}

const size_t *ko_layer_stream_at(const struct ko_layer_stream *s)
{
    return s->at;
}

/* The slot that has the layer in this state; -1: none. */
static int find_slot(const struct ko_layer_stream *s, enum slot_state state, int32_t number)
{
    for (int k = 0; k < s->c.layout->n_slots; k++) {
        if (s->slot[k].state == state && s->slot[k].number == number) {
            return k;
        }
    }
    return -1;
}

/* Forgets the layers that wait in slots. They are not those that the pass needs now: the last pass
   ended early. */
static void drop_ready(struct ko_layer_stream *s)
{
    for (int k = 0; k < s->c.layout->n_slots; k++) {
        if (s->slot[k].state == READY) {
            s->slot[k].state = EMPTY;
        }
    }
}

/* Waits for the layer to be READY in a slot, and takes it. */
static enum ko_code await_layer(struct ko_layer_stream *s, int32_t number, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    int found = -1;
    pthread_mutex_lock(&s->lock);
    while (code == KO_OK && (found = find_slot(s, READY, number)) < 0) {
        const bool filling = s->next_piece < s->end_piece || s->n_reading > 0;
        if (s->failure.code != KO_OK && !filling) {
            code = s->failure.code;
            if (err) {
                *err = s->failure;
            }
            s->failure = (struct ko_error){0};
            s->next_number = -1;
            drop_ready(s);
            continue;
        }
        if (find_slot(s, FILLING, number) < 0 && s->failure.code == KO_OK) {
            drop_ready(s);
            s->next_number = number;
            pthread_cond_broadcast(&s->changed);
        }
        pthread_cond_wait(&s->changed, &s->lock);
    }
    if (code == KO_OK) {
        s->slot[found].state = USED;
        s->entered = found;
    }
    pthread_mutex_unlock(&s->lock);
    return code;
}

/* Points to the layer's matrices, and converts those that the backend has in another type. */
static enum ko_code open_layer(const struct ko_layer_stream *s, int32_t number,
                               struct ko_error *err)
{
    const struct ko_layer_layout *layout = s->c.layout;
    unsigned char *slot = slot_memory(s, s->entered);
    enum ko_code code = KO_OK;
    for (size_t k = s->first_piece[number]; code == KO_OK && k < s->first_piece[number + 1]; k++) {
        const size_t w = s->piece[k].weight;
        const struct ko_weight *weight = &layout->model->weights[w];
        const struct ko_layer_place *place = &layout->place[w];
        int32_t n_out = 0, n_in = 0;
        if (s->piece[k].first > 0) {
            continue;
        }
        if (place->residence == KO_DIRECT) {
            s->at[w] = (size_t)(slot - s->c.matrices) + place->at;
            continue;
        }
        ko_weight_sides(weight, &n_out, &n_in);
        const struct ko_import all = {.to = s->c.matrices + place->at,
                                      .type = ko_weight_type(weight, layout->type),
                                      .run = ko_matrix_run(n_out, n_in, weight->in_first),
                                      .from = slot + place->raw_at,
                                      .from_type = place->raw,
                                      .n = weight->n};
        code = s->c.kernels->convert(s->c.be, &all, err);
    }
    return code;
}

enum ko_code ko_layer_stream_enter(struct ko_layer_stream *s, int32_t layer, struct ko_error *err)
{
    const int32_t number = s ? s->c.layout->number[layer] : -1;
    if (!s || (s->entered >= 0 && s->slot[s->entered].number == number)) {
        return KO_OK;
    }
    ko_layer_stream_leave(s);
    if (number < 0) {
        return KO_OK;
    }
    enum ko_code code = await_layer(s, number, err);
    if (code == KO_OK && s->copier) {
        code = s->copier->take(s->copier, s->entered, err);
    }
    if (code == KO_OK) {
        code = open_layer(s, number, err);
    }
    if (code != KO_OK) {
        ko_layer_stream_leave(s);
    }
    return code;
}

void ko_layer_stream_leave(struct ko_layer_stream *s)
{
    struct ko_error error = {0};
    if (!s || s->entered < 0) {
        return;
    }
    const enum ko_code code = s->copier ? s->copier->leave(s->copier, s->entered, &error) : KO_OK;
    pthread_mutex_lock(&s->lock);
    note_failure(s, code, &error);
    s->slot[s->entered].state = EMPTY;
    s->entered = -1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}
