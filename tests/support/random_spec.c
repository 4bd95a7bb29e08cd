/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/random_spec.h"

int32_t random_pick(uint64_t *state, int32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((*state >> 33) % (uint64_t)n);
}

/* A flow list of some of the words, at least one. */
static void add_some(uint64_t *state, struct ko_text *out, const char *key,
                     const char *const *words, int32_t n)
{
    int32_t sure = random_pick(state, n);
    bool first = true;
    ko_text_add(out, "%s: [", key);
    for (int32_t i = 0; i < n; i++) {
        if (i == sure || random_pick(state, 3) == 0) {
            ko_text_add(out, "%s'%s'", first ? "" : ", ", words[i]);
            first = false;
        }
    }
    ko_text_add(out, "]");
}

static void add_block(uint64_t *state, enum ko_style style, struct ko_text *out)
{
    static const char *const models[] = {"a", "b", "c"};
    static const char *const routes[] = {"last<-subject",
                                         "last<-first",
                                         "last<-position:0",
                                         "last<-last",
                                         "all<-all",
                                         "later<-subject",
                                         "last<-each",
                                         "later<-each",
                                         "subject<-each",
                                         "subject<-first",
                                         "later<-bos",
                                         "relation\\last<-context",
                                         "mlp@last",
                                         "attention@last",
                                         "mixer@subject",
                                         "ssm@last",
                                         "mlp@each",
                                         "attention@all",
                                         "conv@last",
                                         "mlp@relation\\last",
                                         "keep:all<-first+last<-subject+subject<-subject+diagonal"};
    static const char *const features[] = {"all",
                                           "slow-third",
                                           "all+conv",
                                           "after-softmax",
                                           "fast-third+conv",
                                           "slow-third+conv",
                                           "not-slow-third",
                                           "attention",
                                           "ssm",
                                           "ssm+conv",
                                           "head:0",
                                           "head:2",
                                           "ssm-head:1",
                                           "all~mean",
                                           "all~resample:1",
                                           "head:1~mean",
                                           "head:0~resample:1",
                                           "ssm-head:1~resample:2",
                                           "ssm-head:0~mean"};
    static const char *const sizes[] = {"1", "2", "3", "9", "50%", "10%"};
    static const char *const starts[] = {"all", "all", "[0, 1, 4, 11]", "{every: 2}"};
    static const char *const selects_[] = {"all", "{relation: [R0, R2]}", "{id: [1, 4, 5]}",
                                           "{not: {id: [2]}}", "{id: [2]}"};
    ko_text_add(out, "  - {");
    add_some(state, out, "models", models, 3);
    ko_text_add(out, ", ");
    add_some(state, out, "routes", routes, sizeof routes / sizeof routes[0]);
    ko_text_add(out, ", ");
    add_some(state, out, "features", features, sizeof features / sizeof features[0]);
    ko_text_add(out, ", windows: {");
    int32_t n_sizes = 1 + random_pick(state, 4);
    for (int32_t i = 0; ko_style_has_sizes(style) && i < n_sizes; i++) {
        ko_text_add(out, "%s%s", i == 0 ? "sizes: [" : ", ", sizes[random_pick(state, 6)]);
    }
    ko_text_add(out, "%sstarts: %s}, prompts: {select: %s}}\n",
                ko_style_has_sizes(style) ? "], " : "",
                style == KO_STYLE_LISTED ? "all" : starts[random_pick(state, 4)],
                selects_[random_pick(state, 5)]);
}

static void shape_random(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    if (model == 1 && fact == 2) {
        *prompt = (struct ko_prompt){.reason = KO_TARGET_MERGES, .id = prompt->id};
    }
    if (fact == 3) {
        prompt->n_tokens = 12;
        prompt->subject_end = 7;
    }
    if (fact == 5) {
        prompt->n_tokens = 1;
        prompt->n_special = prompt->subject_begin = 0;
        prompt->subject_end = 1;
    }
}

struct random_spec random_spec_make(int32_t number)
{
    static const int32_t mixed[12] = {2, 2, 5, 2, 2, INT32_MAX, 3, 1, 5, 1, 2, 3};
    static const uint8_t hybrid[5] = {KO_MIXER_SSM, 0, KO_MIXER_ATTENTION,
                                      KO_MIXER_SSM | KO_MIXER_ATTENTION, KO_MIXER_SSM};
    static const uint8_t sparse[5] = {0, KO_MIXER_SSM, 0, 0, KO_MIXER_SSM | KO_MIXER_ATTENTION};
    struct random_spec spec = {.state = (uint64_t)number};
    /* Half of the specs have whole windows. */
    const enum ko_style style =
        number % 2 ? (enum ko_style)(number / 2 % KO_N_STYLES) : KO_STYLE_WHOLE;
    ko_text_add(&spec.text, "models: [a, b, c]\nprompts: {file: f}\nwindows: {");
    if (style == KO_STYLE_LISTED) {
        ko_text_add(&spec.text,
                    "layers: [0-2, [1, 3], [0, 4, 2], 7-9, [0-1, 6, 11], 4]}\nsweeps:\n");
    } else {
        ko_text_add(&spec.text, "style: %s, over: %s}\nsweeps:\n", ko_style_words[style],
                    ko_over_words[number / 3 % KO_N_OVERS]);
    }
    for (int32_t b = 1 + random_pick(&spec.state, 4); b > 0; b--) {
        add_block(&spec.state, style, &spec.text);
    }
    spec.made = (struct made_case){.spec = ko_text_str(&spec.text),
                                   .model = {{5, 24, 4, 0, 0}, {12, 0, 0, 3, 0}, {3, 2, 2, 0, 0}},
                                   .layer_reach = {NULL, number % 2 ? mixed : NULL},
                                   .layer_mixers = {number % 3   ? NULL
                                                    : number % 2 ? sparse
                                                                 : hybrid},
                                   .n_facts = {6},
                                   .shape = shape_random};
    return spec;
}

void random_spec_free(struct random_spec *spec)
{
    ko_text_free(&spec->text);
}
