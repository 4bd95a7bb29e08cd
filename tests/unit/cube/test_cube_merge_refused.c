/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>

#include "tests/unit/cube/shard_set.h"

enum harm {
    TWICE,
    MISSING,
    INCOMPLETE,
    WHOLE,
    NO_OUTLINE,
    OTHER_HASH,
    OTHER_N,
    OVERLAP,
    NUMBER,
    FORM,
    BACKEND,
    PRECISION,
    CHECKPOINT,
    TOKENIZER,
    NAME,
    WEIGHTS,
    INDEX,
    ORDER,
    LABEL,
    STATUS,
    STRANGE_STATUS,
    LENGTHS,
    TYPE
};

static void replace(hid_t file, const char *name, hid_t type, int n_axes, const hsize_t *shape)
{
    hid_t space = H5Screate_simple(n_axes, shape, NULL);

    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    hid_t id = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(id >= 0);
    H5Dclose(id);
    H5Sclose(space);
}

/* Another string for every model, in the outline of the whole cube. */
static void set_strings(hid_t file, const char *name)
{
    const char *other[] = {"0123456789abcdef", "0123456789abcdef"};
    hid_t type = ko_cube_new_type(KO_TYPE_STRING);

    write_all(file, name, type, other);
    H5Tclose(type);
}

static void harm_file(hid_t file, enum harm harm)
{
    const hsize_t one = 1, three[3] = {1, 1, 1};

    if (harm == INCOMPLETE) {
        set_number(file, "status", KO_DONE, KO_PENDING);
    } else if (harm == NO_OUTLINE) {
        assert_true(H5Ldelete(file, "whole", H5P_DEFAULT) >= 0);
    } else if (harm == OTHER_HASH) {
        set_text(file, "plan_hash", other_hash);
    } else if (harm == OTHER_N) {
        set_text(file, "shard", "2/7");
    } else if (harm == NUMBER) {
        set_text(file, "shard", "9/3");
    } else if (harm == FORM) {
        set_text(file, "plan_hash", "short");
    } else if (harm == BACKEND) {
        set_text(file, "backend", "cuda");
    } else if (harm == PRECISION) {
        set_text(file, "precision", "tf32");
    } else if (harm == CHECKPOINT) {
        set_strings(file, "whole/fingerprint");
    } else if (harm == TOKENIZER) {
        set_strings(file, "whole/tokenizer_fingerprint");
    } else if (harm == NAME) {
        set_strings(file, "whole/model"), set_strings(file, "model");
    } else if (harm == INDEX) {
        set_number(file, "model_whole_index", 0, 77);
    } else if (harm == ORDER) {
        set_number(file, "prompt_whole_index", 0, 3);
    } else if (harm == STATUS) {
        set_number(file, "status", KO_DONE, KO_NOT_PLANNED);
    } else if (harm == STRANGE_STATUS) {
        set_number(file, "status", KO_DONE, 77);
    } else if (harm == LENGTHS) {
        replace(file, "whole/status", H5T_NATIVE_UINT8, 3, three);
    } else if (harm == TYPE) {
        replace(file, "model_whole_index", H5T_NATIVE_DOUBLE, 1, &one);
    } else if (harm == WEIGHTS) {
        hid_t type = ko_cube_new_type(KO_TYPE_CHAR);
        char hashes[64];
        memcpy(hashes, other_hash, 32);
        memcpy(hashes + 32, other_hash, 32);
        write_all(file, "content_hash", type, hashes);
        H5Tclose(type);
    } else if (harm == LABEL) {
        hid_t type = ko_cube_new_type(KO_TYPE_STRING);
        const char *labels[] = {"somebody-else", "somebody-else"};
        write_all(file, "model", type, labels);
        H5Tclose(type);
    }
}

/* The second shard's file has the first one's prompts, under its own number. */
static void put_first_in_second(const struct set *set)
{
    char buffer[4096];
    size_t n;
    FILE *from = fopen(set->shard.item[0], "rb"), *to = fopen(set->shard.item[1], "wb");

    assert_non_null(from);
    assert_non_null(to);
    while ((n = fread(buffer, 1, sizeof buffer, from)) > 0) {
        assert_int_equal(fwrite(buffer, 1, n, to), n);
    }
    assert_int_equal(ferror(from), 0);
    (void)fclose(from);
    assert_int_equal(fclose(to), 0);
    hid_t file = open_file(set->shard.item[1]);
    set_text(file, "shard", "2/3");
    H5Fclose(file);
}

static int n_files(const char *folder)
{
    DIR *open = opendir(folder);
    int n = 0;

    assert_non_null(open);
    for (const struct dirent *entry; (entry = readdir(open));) {
        n += entry->d_name[0] != '.';
    }
    closedir(open);
    return n;
}

static void what_does_not_belong_together_is_refused_by_name(void **state)
{
    static const struct {
        enum harm harm;
        const char *text;
    } table[] = {
        {TWICE, "cube.shard-0001-of-0003.h5: is shard 1 of 3, as is "},
        {MISSING, "cube.shard-0002-of-0003.h5), compute the rest with run --shard K/N --resume"},
        {INCOMPLETE, "cube.shard-0002-of-0003.h5 is incomplete: 1 of its "},
        {WHOLE, "whole.h5: is not a shard, give files that run --shard wrote"},
        {NO_OUTLINE, "cube.shard-0002-of-0003.h5: has no group 'whole', compute the shard again"},
        {OTHER_HASH, "cube.shard-0002-of-0003.h5: is a shard of another sweep than "},
        {OTHER_N, "cube.shard-0002-of-0003.h5: is shard 2 of 7 and "},
        {OVERLAP, "cube.shard-0001-of-0003.h5 too, give every prompt once"},
        {NUMBER, "cube.shard-0002-of-0003.h5: attribute shard is '9/3', expected K/N"},
        {FORM, "cube.shard-0002-of-0003.h5: attribute plan_hash does not have 32 digits"},
        {BACKEND, "cube.shard-0002-of-0003.h5: backend is 'cuda' and that of "},
        {PRECISION, "cube.shard-0002-of-0003.h5: precision is 'tf32' and that of "},
        {CHECKPOINT,
         "cube.shard-0002-of-0003.h5: the checkpoint's fingerprint of model 'mamba-small' is "
         "0123456789abcdef and in "},
        {TOKENIZER,
         "cube.shard-0002-of-0003.h5: the tokenizer's fingerprint of model 'mamba-small' is "
         "0123456789abcdef and in "},
        {NAME, "cube.shard-0002-of-0003.h5: the name of model '0123456789abcdef' is "
               "0123456789abcdef and in "},
        {WEIGHTS, "cube.shard-0002-of-0003.h5: the weights of model '"},
        {INDEX, "cube.shard-0002-of-0003.h5: axis 'model' does not lie on that of the group"},
        {ORDER, "cube.shard-0002-of-0003.h5: axis 'prompt' does not lie on that of the group"},
        {LABEL, "cube.shard-0002-of-0003.h5: axis 'model' does not lie on that of the group"},
        {STATUS, "has other cells than the whole sweep, compute the shard again"},
        {STRANGE_STATUS, "dataset 'status': value 8: expected 0 to 4, file has 77"},
        {LENGTHS, "cube.shard-0002-of-0003.h5: dataset 'status': expected ["},
        {TYPE, "dataset 'model_whole_index': expected int32, file has float64"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct set set = make_set();
        struct ko_cube_merged merged = {0};
        char *item[SHARDS] = {set.shard.item[0], set.shard.item[1], set.shard.item[2]};
        struct ko_strings given = {.item = item, .n = SHARDS};
        if (table[i].harm == TWICE || table[i].harm == WHOLE) {
            item[1] = table[i].harm == TWICE ? item[0] : set.whole;
        } else if (table[i].harm == MISSING) {
            item[1] = item[2];
            given.n = 2;
        } else if (table[i].harm == OVERLAP) {
            put_first_in_second(&set);
        } else {
            hid_t file = open_file(item[1]);
            harm_file(file, table[i].harm);
            H5Fclose(file);
        }
        /* What is not there yet is left pending by a partial merge; nothing else is forgiven. */
        const int ways = table[i].harm == MISSING || table[i].harm == INCOMPLETE ? 1 : 2;
        for (int partial = 0; partial < ways; partial++) {
            err.text[0] = '\0';
            assert_int_equal(ko_cube_merge(set.merged, &given, partial, NULL, &merged, &err),
                             KO_E_INPUT);
            if (!strstr(err.text, table[i].text) || strchr(err.text, '\n')) {
                fail_msg("'%s' does not say '%s'", err.text, table[i].text);
            }
            assert_int_equal(n_files(set.folder), SHARDS + 1);
        }
        free_set(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_belong_together_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
