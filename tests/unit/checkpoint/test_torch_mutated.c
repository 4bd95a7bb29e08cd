/* SPDX-License-Identifier: Apache-2.0 */
/* Changed copies of a real file and of its pickle: each is read or refused, and what is read lies
   in the file. KO_MUTATIONS is how many of each; the sanitizers' builds see more than others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/checkpoint/torch/torch_file.h"
#include "src/checkpoint/torch/zip_archive.h"
#include "tests/support/folder.h"
#include "tests/support/zip_bytes.h"

#define VARIANT KO_SOURCE_DIR "/tests/data/variants/mamba-original/pytorch_model.bin"

enum { DEFAULT_MUTATIONS = 500 };

struct counts {
    long n, read;
};

static long n_mutations(void)
{
    const char *text = getenv("KO_MUTATIONS");
    return text ? strtol(text, NULL, 10) : DEFAULT_MUTATIONS;
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t n)
{
    return (size_t)(draw(state) % n);
}

/* One to four changes in bytes[0, *n), which may grow by 8 bytes each. */
static void mutate(uint64_t *state, char *bytes, size_t *n)
{
    static const unsigned char telling[] = {0, 1, 0x7f, 0x80, 0xff, '(', 't', 'R', 'Q', 'u', '.'};
    for (size_t i = below(state, 4) + 1; i > 0 && *n > 16; i--) {
        size_t at = below(state, *n - 8), length = below(state, 8) + 1, from;
        switch (below(state, 6)) {
        case 0:
            bytes[at] = (char)(bytes[at] ^ 1 << below(state, 8));
            break;
        case 1:
            bytes[at] = (char)telling[below(state, sizeof telling)];
            break;
        case 2:
            memset(bytes + at, (int)below(state, 256), length);
            break;
        case 3: /* take out */
            memmove(bytes + at, bytes + at + length, *n - at - length);
            *n -= length;
            break;
        case 4: /* double */
            memmove(bytes + at + length, bytes + at, *n - at);
            *n += length;
            break;
        default:
            from = below(state, *n - 8);
            memmove(bytes + at, bytes + from, length);
        }
    }
}

/* Opens the file; every byte that a tensor claims is looked at. */
static void open_mutant(const char *folder, const char *bytes, size_t n, struct counts *counts)
{
    struct ko_error err = {0};
    struct ko_torch_file file;
    uint32_t sum = 0;
    test_folder_write(folder, "m.bin", bytes, n);
    char *path = test_folder_path(folder, "m.bin");
    enum ko_code code = ko_torch_file_open(path, "toy", &file, &err);
    for (size_t i = 0; code == KO_OK && i < file.n; i++) {
        const struct ko_tensor *t = &file.tensors[i];
        const char *data = t->data, *map = file.map.data;
        if (data < map || t->data_bytes > file.map.bytes - (size_t)(data - map)) {
            fail_msg("mutation %ld: %s lies outside the file", counts->n, t->name);
        }
        for (size_t b = 0; b < t->data_bytes; b += 64) {
            sum += (unsigned char)data[b];
        }
    }
    if (code != KO_OK && (code != KO_E_INPUT || strncmp(err.text, "toy: ", 5) != 0 || sum != 0)) {
        fail_msg("mutation %ld: code %d, '%s'", counts->n, (int)code, err.text);
    }
    ko_torch_file_close(&file);
    free(path);
    counts->n++;
    counts->read += code == KO_OK;
}

static void mutated_files_are_read_or_refused(void **state)
{
    size_t n = 0;
    struct counts counts = {0};
    uint64_t random = 1;
    char *bytes = test_read(VARIANT, &n), *copy = malloc(n + 64);
    assert_non_null(copy);
    size_t head = 8192, tail = 8192; /* the pickle and the directory; between them are values */
    assert_true(n > head + tail);
    while (counts.n < n_mutations()) {
        size_t now = n, part = head;
        memcpy(copy, bytes, n);
        if (draw(&random) % 3 == 0) {
            mutate(&random, copy, &part);
            memmove(copy + part, bytes + head, n - head);
            now = n - head + part;
        } else {
            part = tail;
            mutate(&random, copy + n - tail, &part);
            now = n - tail + part;
        }
        if (draw(&random) % 16 == 0) {
            now = below(&random, now);
        }
        open_mutant(*state, copy, now, &counts);
    }
    print_message("%ld mutated files, %ld read\n", counts.n, counts.read);
    free(copy);
    free(bytes);
}

enum { MOST_ENTRIES = 64 };

/* The entries of a file as they are, their sums known; its pickle's number in *pickle. */
static size_t list_entries(const struct ko_mapping *map, const struct ko_zip_archive *zip,
                           struct test_zip_entry list[MOST_ENTRIES], size_t *pickle)
{
    size_t n = 0;
    const struct ko_zip_entry *entries = ko_zip_entries(zip, &n);
    assert_in_range(n, 1, MOST_ENTRIES);
    for (size_t i = 0; i < n; i++) {
        const char *bytes = (const char *)map->data + entries[i].begin;
        list[i] = (struct test_zip_entry){.name = entries[i].name,
                                          .bytes = bytes,
                                          .n = entries[i].bytes,
                                          .crc = test_crc32(bytes, entries[i].bytes)};
        if (strstr(entries[i].name, "data.pkl")) {
            *pickle = i;
        }
    }
    return n;
}

/* A changed pickle in an otherwise whole archive: its CRC-32 is that of the change. */
static void mutated_pickles_are_read_or_refused(void **state)
{
    struct counts counts = {0};
    uint64_t random = 2;
    struct ko_error err = {0};
    struct ko_mapping map;
    struct ko_zip_archive *zip = NULL;
    struct test_zip_entry list[MOST_ENTRIES];
    size_t pickle = MOST_ENTRIES;
    if (ko_mapping_open(VARIANT, "toy", &map, &err) || ko_zip_open(&map, "toy", &zip, &err)) {
        fail_msg("%s", err.text);
    }
    size_t n = list_entries(&map, zip, list, &pickle);
    assert_true(pickle < n);
    const struct test_zip_entry whole = list[pickle];
    char *copy = malloc(whole.n + 64);
    assert_non_null(copy);
    while (counts.n < n_mutations()) {
        size_t n_bytes = 0, n_copy = whole.n;
        memcpy(copy, whole.bytes, n_copy);
        mutate(&random, copy, &n_copy);
        list[pickle] = (struct test_zip_entry){.name = whole.name, .bytes = copy, .n = n_copy};
        char *bytes = test_zip(list, n, &n_bytes);
        open_mutant(*state, bytes, n_bytes, &counts);
        free(bytes);
    }
    free(copy);
    ko_zip_close(zip);
    ko_mapping_close(&map);
    print_message("%ld mutated pickles, %ld read\n", counts.n, counts.read);
}

static int make_folder(void **state)
{
    *state = test_folder_make();
    return 0;
}

static int remove_folder(void **state)
{
    test_folder_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_files_are_read_or_refused),
        cmocka_unit_test(mutated_pickles_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
