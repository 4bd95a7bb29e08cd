/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/spec/feature_class.h"

/* Ties in three values; expected masks from the oracle's feature_mask. */
static const double tied[] = {0x1.097fdff028f04p-2, 0x1.62681ee33de53p-1,  0x1.097fdff028f04p-2,
                              0x1.72bf1cfda6c87p-7, 0x1.62681ee33de53p-1,  0x1.78b56362cef38p-2,
                              0x1.097fdff028f04p-2, 0x1.43ffbc63ed277p-11, 0x1.62681ee33de53p-1,
                              0x1.72bf1cfda6c87p-7, 0x1.78b56362cef38p-2};
static const double distinct[] = {0x1.1736379c4d5b1p+1, 0x1.546eb556812fep+1, 0x1.05b3f963f388bp+0,
                                  0x1.60c5cb6cc4c68p+0, 0x1.22841e7f6cd25p+1, 0x1.98985d010853dp+0,
                                  0x1.190d52fa28370p+0, 0x1.cf99ce528846ep+0, 0x1.b8fe943cb0d97p+0};

static const struct {
    const char *label;
    const double *norm;
    int32_t n, layer;
    const char *mask;
} masks[] = {
    {"all", tied, 11, 0, "11111111111"},
    {"slow-third", tied, 11, 0, "01001000100"},
    {"slow-third+conv", tied, 11, 5, "01001000100"},
    {"fast-third", tied, 11, 5, "00010001010"},
    {"not-slow-third", tied, 11, 0, "10110111011"},
    {"not-fast-third", tied, 11, 0, "11101110101"},
    {"context-dependent", tied, 11, 0, "01001000100"},
    {"context-independent", tied, 11, 0, "00010001010"},
    {"random-third:0", tied, 11, 0, "10001100000"},
    {"random-third:0", tied, 11, 5, "01010000010"},
    {"random-third:7", tied, 11, 0, "10000100010"},
    {"random-third:7", tied, 11, 5, "00010101000"},
    {"slow-third", distinct, 9, 0, "110010000"},
    {"fast-third", distinct, 9, 63, "001100100"},
    {"not-slow-third", distinct, 9, 63, "001101111"},
    {"not-fast-third", distinct, 9, 0, "110011011"},
    {"random-third:123456789012", distinct, 9, 0, "010010100"},
    {"random-third:123456789012", distinct, 9, 63, "011100000"},
    {"slow-third", distinct, 2, 0, "00"},
    {"not-slow-third", distinct, 2, 0, "11"},
    {"fast-third", tied, 3, 0, "100"}, /* two equal smallest: the first of them */
    {"ssm-head:3", tied, 9, 0, "000100000"},
    {"ssm-head:0", tied, 9, 5, "100000000"},
};

static struct ko_feature_class parse(const char *label)
{
    struct ko_feature_class feature_class;
    struct ko_error err = {0};
    if (ko_feature_class_parse(label, &feature_class, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return feature_class;
}

static void masks_are_those_of_the_oracle(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        struct ko_feature_class feature_class = parse(masks[i].label);
        struct ko_error err = {0};
        uint8_t mask[16];
        char text[17] = "";
        memset(mask, 7, sizeof mask);
        assert_int_equal(
            ko_feature_mask(&feature_class, masks[i].norm, masks[i].n, masks[i].layer, mask, &err),
            KO_OK);
        for (int32_t k = 0; k < masks[i].n; k++) {
            text[k] = (char)('0' + mask[k]);
        }
        assert_string_equal(text, masks[i].mask);
        assert_int_equal(mask[masks[i].n], 7);
    }
}

static void norms_that_are_no_numbers_are_refused(void **state)
{
    (void)state;
    double norm[] = {1.0, 0.0 / 0.0, 2.0};
    uint8_t mask[3];
    struct ko_feature_class slow = parse("slow-third");
    struct ko_error err = {0};
    assert_int_equal(ko_feature_mask(&slow, norm, 3, 4, mask, &err), KO_E_FAILED);
    assert_non_null(strstr(err.text, "layer 4: decay norm of feature 1"));
}

static void labels_are_canonical(void **state)
{
    (void)state;
    static const char *const labels[][2] = {
        {"all", "all"},
        {"all+conv", "all+conv"},
        {"context-dependent", "slow-third"},
        {"context-independent+conv", "fast-third+conv"},
        {"not-slow-third", "not-slow-third"},
        {"not-fast-third+conv", "not-fast-third+conv"},
        {"random-third:7+conv", "random-third:7+conv"},
        {"random-third:9223372036854775807", "random-third:9223372036854775807"},
        {"after-softmax", "after-softmax"},
        {"head:0", "head:0"},
        {"ssm-head:127", "ssm-head:127"},
        {"head:each", "head:each"},
        {"head:2147483647~mean", "head:2147483647~mean"},
        {"all~mean", "all~mean"},
        {"ssm-head:2147483647~resample:9223372036854775807",
         "ssm-head:2147483647~resample:9223372036854775807"},
        {"ssm-head:each~resample:0", "ssm-head:each~resample:0"},
    };
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        char label[64];
        struct ko_feature_class feature_class = parse(labels[i][0]);
        ko_feature_class_label(&feature_class, label);
        assert_string_equal(label, labels[i][1]);
    }
}

static void bad_labels_name_the_nearest_class(void **state)
{
    (void)state;
    static const char *const labels[][2] = {
        {"slow-thrid", "unknown feature class 'slow-thrid', did you mean 'slow-third'?"},
        {"fast-thrd+conv", "did you mean 'fast-third+conv'?"},
        {"context-dependant", "did you mean 'context-dependent'?"},
        {"slow-third+cnov", "unknown suffix '+cnov', did you mean '+conv'?"},
        {"zebra-zebra-zebra", "unknown feature class 'zebra-zebra-zebra', use all, attention, ssm"},
        {"random-third", "expected a seed"},
        {"random-third:", "expected a seed"},
        {"random-third:-1", "expected a seed"},
        {"random-third:01", "expected a seed, a whole number from 0 without leading zeros"},
        {"slow-third:3", "only random-third, head and ssm-head take a number after a colon"},
        {"head",
         "feature class 'head': expected the number of a head, from 0, or each, as in head:0"},
        {"head:", "expected the number of a head"},
        {"head:-1", "expected the number of a head"},
        {"head:03", "expected the number of a head"},
        {"head:2147483648", "expected the number of a head"},
        {"ssm-head:all", "as in ssm-head:0 or ssm-head:each"},
        {"haed:3", "did you mean 'head'?"},
        {"head:3+conv", "a convolution is not part of a head; leave +conv out"},
        {"ssm-head:3+conv", "a convolution is not part of a head"},
        {"all~median", "unknown suffix '~median', use ~mean or ~resample:SEED"},
        {"all~resample", "unknown suffix '~resample', use"},
        {"all~resample:", "unknown suffix '~resample:', use"},
        {"all~resample:-1", "use ~mean or ~resample:SEED"},
        {"ssm~mean", "they go with all, head:K and ssm-head:K"},
        {"slow-third~resample:1", "they go with all"},
        {"all+conv~mean", "they go with all"},
        {"after-softmax+conv", "acts on no SSM"},
        {"", "unknown feature class ''"},
    };
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        struct ko_feature_class feature_class = {.kind = KO_FEATURE_RANDOM_THIRD, .seed = 5};
        struct ko_error err = {0};
        assert_int_equal(ko_feature_class_parse(labels[i][0], &feature_class, &err), KO_E_INPUT);
        if (!strstr(err.text, labels[i][1])) {
            fail_msg("'%s' is not in '%s'", labels[i][1], err.text);
        }
        assert_int_equal(feature_class.kind, KO_FEATURE_RANDOM_THIRD);
        assert_int_equal(feature_class.seed, 5);
    }
}

static void families_have_the_classes_that_mean_something_to_them(void **state)
{
    enum { A = KO_MIXER_ATTENTION, S = KO_MIXER_SSM, C = KO_MIXER_CONV };
    (void)state;
    static const struct {
        const char *label;
        uint8_t mixers;
        int32_t n_features;
        bool exists, everything; /* in a model of 4 attention heads and 3 SSM heads */
    } rows[] = {
        {"all", A, 0, true, true},
        {"after-softmax", A, 0, true, true},
        {"all+conv", A, 0, false, true},
        {"slow-third", A, 0, false, false},
        {"random-third:1", A, 0, false, false},
        {"all", S, 24, true, true},
        {"all+conv", S, 24, true, true},
        {"slow-third", S, 24, true, false},
        {"slow-third", S, 3, true, false},
        {"slow-third", S, 2, false, false},
        {"random-third:1", S, 2, false, false},
        {"not-slow-third", S, 2, true, true},
        {"not-fast-third", S, 1, true, true},
        {"not-fast-third", S, 3, true, false},
        {"after-softmax", S, 24, false, true},
        {"attention", A, 0, true, true},
        {"ssm", A, 0, false, true},
        {"conv", A, 0, false, true},
        {"attention", S, 24, false, true},
        {"ssm", S, 24, true, true},
        {"ssm+conv", S, 24, true, true},
        {"attention", A | S, 24, true, true},
        {"ssm+conv", A | S, 24, true, true},
        {"slow-third+conv", A | S, 24, true, false},
        {"after-softmax", A | S, 24, true, true},
        {"conv", A | S, 24, false, true},
        {"conv", A | C, 0, true, true},
        {"all+conv", A | C, 0, false, true}, /* a convolution that is a mixer has no +conv */
        {"ssm", A | C, 0, false, true},
        {"ssm", A | S, 0, true, true}, /* an SSM without a class of thirds */
        {"not-slow-third", A | S, 0, false, true},
        {"head:0", A, 0, true, true},
        {"head:3", A, 0, true, true},
        {"head:4", A, 0, false, true},
        {"head:0", S, 24, false, true},
        {"head:each", A, 0, false, true}, /* stands for classes, and is none itself */
        {"ssm-head:2", S, 24, true, false},
        {"ssm-head:3", S, 24, false, false},
        {"ssm-head:0", A, 0, false, false},
        {"head:1~mean", A | S, 0, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_feature_class feature_class = parse(rows[i].label);
        const struct ko_model_features model = {.mixers = rows[i].mixers,
                                                .n_features = rows[i].n_features,
                                                .n_heads = 4,
                                                .n_ssm_heads = 3};
        if (ko_feature_class_exists(&feature_class, &model) != rows[i].exists) {
            fail_msg("row %zu: %s", i, rows[i].label);
        }
        assert_int_equal(ko_feature_class_is_everything(&feature_class, rows[i].n_features),
                         rows[i].everything);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_those_of_the_oracle),
        cmocka_unit_test(norms_that_are_no_numbers_are_refused),
        cmocka_unit_test(labels_are_canonical),
        cmocka_unit_test(bad_labels_name_the_nearest_class),
        cmocka_unit_test(families_have_the_classes_that_mean_something_to_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
