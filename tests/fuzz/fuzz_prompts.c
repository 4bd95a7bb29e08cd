/* SPDX-License-Identifier: Apache-2.0 */
/* A prompt file of any kind, its prompts through a tokenizer, and routes in those that can be run.
 */
#include <stdlib.h>

#include "src/prompts/edges.h"
#include "src/prompts/facts.h"
#include "src/prompts/prompt.h"
#include "src/prompts/route.h"
#include "src/prompts/token_set.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_AUDITED = 8 };

static struct fuzz_file file;
static struct ko_tokenizer *tokenizer;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct ko_error err;
    (void)argc;
    (void)argv;
    fuzz_file_open(&file);
    FUZZ_CHECK(!ko_tokenizer_open(KO_SOURCE_DIR "/tests/data/tokenizers/gpt2/tokenizer.json",
                                  &tokenizer, &err));
    return 0;
}

static void try_route(const char *label, const struct ko_prompt *prompt,
                      const struct ko_strings *spans)
{
    struct ko_error err;
    struct ko_route route = {0};
    struct ko_edges edges = {0};
    if (ko_route_parse(label, spans, &route, &err)) {
        return;
    }
    for (int32_t reach = 1; reach <= 3; reach += 2) {
        if (!ko_route_edges(&route, prompt, 0, reach, &edges, &err)) {
            int32_t n = 0;
            for (int32_t i = 0; i < prompt->n_tokens; i++) {
                for (int32_t j = 0; j <= i; j++) {
                    n += ko_edges_has(&edges, i, j) && i - j < reach;
                }
            }
            FUZZ_CHECK(n == edges.n_edges);
            ko_edges_free(&edges);
        }
    }
    ko_route_free(&route);
}

static void try_prompt(const struct ko_audit *audit, const struct ko_fact *fact,
                       const struct ko_strings *spans)
{
    static const char *const routes[] = {"last<-subject", "relation\\last<-random-like:subject:3",
                                         "later<-subject", "last<-each",
                                         "after-subject<-position:2"};
    struct ko_error err;
    struct ko_prompt prompt = {0};
    if (ko_prompt_audit(audit, fact, &prompt, &err)) {
        return;
    }
    if (prompt.reason == KO_RUNNABLE && prompt.n_tokens < 64) {
        FUZZ_CHECK(prompt.subject_begin >= 0 && prompt.subject_begin < prompt.subject_end &&
                   prompt.subject_end <= prompt.n_tokens);
        for (int32_t s = 0; s < prompt.n_spans; s++) {
            FUZZ_CHECK(prompt.span[s].begin >= 0 && prompt.span[s].begin <= prompt.span[s].end &&
                       prompt.span[s].end <= prompt.n_tokens);
        }
        for (size_t r = 0; r < sizeof routes / sizeof routes[0]; r++) {
            try_route(routes[r], &prompt, spans);
        }
        for (size_t s = 0; s < spans->n && s < 4; s++) {
            struct ko_text label = {0};
            ko_text_add(&label, "last<-%s\\subject", spans->item[s]);
            try_route(ko_text_str(&label), &prompt, spans);
            ko_text_free(&label);
        }
    }
    ko_prompt_free(&prompt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ko_error err;
    struct ko_facts facts;
    struct ko_audit audit = {.tokenizer = tokenizer,
                             .bos = KO_BOS_ADD,
                             .bos_id = 0,
                             .vocabulary = ko_tokenizer_n_ids(tokenizer)};
    fuzz_file_fill(&file, data, size);
    if (ko_facts_read(file.path, &facts, &err)) {
        return 0;
    }
    for (size_t i = 0; i < facts.n && i < MAX_AUDITED; i++) {
        try_prompt(&audit, &facts.fact[i], &facts.span_names);
    }
    ko_facts_free(&facts);
    return 0;
}
