/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "src/base/mixer.h"
#include "src/base/text.h"
#include "src/prompts/edges.h"
#include "src/prompts/route.h"
#include "src/prompts/token_set.h"

static int32_t token[10];
static char id[] = "42", verb_name[] = "verb";
static struct ko_token_span verb = {verb_name, 5, 7};

/* Nine tokens without a BOS, subject 2 to 4; ten with one, subject 3 to 5. */
static const struct ko_prompt plain = {.id = id,
                                       .n_tokens = 9,
                                       .token = token,
                                       .subject_begin = 2,
                                       .subject_end = 5,
                                       .span = &verb,
                                       .n_spans = 1};
static const struct ko_prompt with_bos = {
    .id = id, .n_tokens = 10, .token = token, .n_special = 1, .subject_begin = 3, .subject_end = 6};

static struct ko_edges edges_of(const char *text, const struct ko_prompt *prompt, int32_t source,
                                int32_t reach)
{
    char *item[] = {verb_name};
    struct ko_strings spans = {item, 1, 1};
    struct ko_route route = {0};
    struct ko_edges edges = {0};
    struct ko_error err = {0};
    if (ko_route_parse(text, &spans, &route, &err) ||
        ko_route_edges(&route, prompt, source, reach, &edges, &err)) {
        fail_msg("%s", err.text);
    }
    ko_route_free(&route);
    return edges;
}

/* Whether the route has the edge (i, j), from the definition. */
static bool defined(const char *target, const char *source, int32_t i, int32_t j,
                    const struct ko_prompt *prompt, int32_t reach)
{
    uint8_t to[10] = {0}, from[10] = {0};
    bool later = strcmp(target, "later") == 0;
    if (!later) {
        assert_int_equal(ko_token_set_eval(target, prompt, to, NULL), KO_OK);
    }
    assert_int_equal(ko_token_set_eval(source, prompt, from, NULL), KO_OK);
    return from[j] && i - j < reach && (later ? i > j : to[i] && i >= j);
}

/* The same of a keep route, from its text. */
static bool defined_kept(const char *text, int32_t i, int32_t j, const struct ko_prompt *prompt,
                         int32_t reach)
{
    char copy[120], *rest = NULL;
    bool target = false, kept = false;
    (void)snprintf(copy, sizeof copy, "%s", text + strlen("keep:"));
    for (char *item = strtok_r(copy, "+", &rest); item; item = strtok_r(NULL, "+", &rest)) {
        uint8_t to[10] = {0}, from[10] = {0};
        char *arrow = strstr(item, "<-");
        if (!arrow) {
            kept = kept || i == j;
            continue;
        }
        *arrow = '\0';
        assert_int_equal(ko_token_set_eval(item, prompt, to, NULL), KO_OK);
        assert_int_equal(ko_token_set_eval(arrow + 2, prompt, from, NULL), KO_OK);
        target = target || to[i];
        kept = kept || (to[i] && from[j]);
    }
    return target && !kept && j <= i && i - j < reach;
}

static const char *const targets[] = {"last",     "later", "all",     "subject", "first",
                                      "relation", "verb",  "context", "bos",     "position:4"};
static const char *const sources[] = {"last",           "subject",    "first", "subject-last",
                                      "relation",       "position:0", "all",   "verb",
                                      "relation\\last", "position:4", "bos",   "position:12"};
static const int32_t reaches[] = {INT32_MAX, 1, 2, 3, 6};
enum { N_TARGETS = 10, N_SOURCES = 12, N_REACHES = 5, N_ROUTES = N_TARGETS * N_SOURCES };

static struct ko_edges nth_edges(size_t n, const struct ko_prompt *prompt, int32_t reach)
{
    char text[60];
    (void)snprintf(text, sizeof text, "%s <- %s", targets[n / N_SOURCES], sources[n % N_SOURCES]);
    return edges_of(text, prompt, 0, reach);
}

static void check_edges(size_t route, const struct ko_prompt *prompt, int32_t reach)
{
    struct ko_edges e = nth_edges(route, prompt, reach);
    int32_t n = 0, first = prompt->n_tokens, span = 0;
    for (int32_t i = 0; i < prompt->n_tokens; i++) {
        for (int32_t j = 0; j <= i; j++) {
            bool is = defined(targets[route / N_SOURCES], sources[route % N_SOURCES], i, j, prompt,
                              reach);
            if (i - j < reach) {
                assert_int_equal(ko_edges_has(&e, i, j), is);
            }
            if (!is) {
                continue;
            }
            span = n == 0 || i - j < span ? i - j : span;
            first = n == 0 ? i : first;
            n++;
        }
    }
    assert_int_equal(e.n_edges, n);
    assert_int_equal(e.first_target, first);
    assert_int_equal(e.min_span, span);
    assert_int_equal(e.n_tokens, prompt->n_tokens);
    ko_edges_free(&e);
}

static void edges_are_those_of_the_definition(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_REACHES; k++) {
        for (size_t route = 0; route < N_ROUTES; route++) {
            check_edges(route, &plain, reaches[k]);
            check_edges(route, &with_bos, reaches[k]);
        }
    }
}

static bool same_edges(const struct ko_edges *a, const struct ko_edges *b, int32_t reach)
{
    for (int32_t i = 0; i < a->n_tokens; i++) {
        for (int32_t j = 0; j <= i; j++) {
            if (i - j < reach && ko_edges_has(a, i, j) != ko_edges_has(b, i, j)) {
                return false;
            }
        }
    }
    return true;
}

static void edges_are_equal_exactly_where_they_select_the_same(void **state)
{
    size_t n_equal = 0;
    (void)state;
    for (size_t k = 0; k < N_REACHES; k++) {
        for (size_t x = 0; x < N_ROUTES; x++) {
            for (size_t y = 0; y < N_ROUTES; y++) {
                struct ko_edges a = nth_edges(x, &plain, reaches[k]);
                struct ko_edges b = nth_edges(y, &plain, reaches[k]);
                bool same = same_edges(&a, &b, reaches[k]);
                assert_int_equal(ko_edges_equal(&a, &b), same);
                n_equal += same && x != y;
                ko_edges_free(&a);
                ko_edges_free(&b);
            }
        }
    }
    assert_true(n_equal > 0);
}

static const char *const kept[] = {
    "keep:last<-subject",
    "keep:last<-subject+diagonal",
    "keep:last<-all",
    "keep:all<-first",
    "keep:all<-first+diagonal",
    "keep:all<-subject+last<-relation",
    "keep:subject<-first+last<-subject+after-subject<-subject+diagonal",
    "keep:subject<-subject+last<-subject-last+relation<-position:0",
    "keep:position:4<-last+verb<-bos",
    "keep:verb<-position:4+all<-verb+subject<-first+diagonal",
    "keep:bos<-all+first-text<-first-text",
    "keep:relation<-relation+subject<-subject+diagonal",
};
enum { N_KEPT = sizeof kept / sizeof kept[0] };

static void kept_edges_are_those_that_stay(void **state)
{
    const struct ko_prompt *const prompts[] = {&plain, &with_bos};
    int32_t most = 0;
    (void)state;
    for (size_t at = 0; at < (size_t)N_KEPT * N_REACHES * 2; at++) {
        const char *text = kept[at % N_KEPT];
        const int32_t reach = reaches[at / N_KEPT % N_REACHES];
        const struct ko_prompt *prompt = prompts[at / N_KEPT / N_REACHES];
        struct ko_edges e = edges_of(text, prompt, 0, reach);
        int32_t n = 0, first = prompt->n_tokens;
        for (int32_t i = 0; i < prompt->n_tokens; i++) {
            bool any = false;
            for (int32_t j = 0; j <= i; j++) {
                const bool is = defined_kept(text, i, j, prompt, reach);
                if (i - j < reach && ko_edges_has(&e, i, j) != is) {
                    fail_msg("%s: edge (%d, %d) within %d", text, i, j, reach);
                }
                n += is;
                any = any || is;
            }
            first = any && i < first ? i : first;
            assert_int_equal(ko_edges_has_target(&e, i), any);
        }
        assert_int_equal(e.n_edges, n);
        assert_int_equal(e.first_target, first);
        most = e.n_parts > most ? e.n_parts : most;
        ko_edges_free(&e);
    }
    assert_true(most >= 3);
}

/* Parts have no target in common, and no two have the same sources. */
static void parts_are_apart(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_KEPT; k++) {
        struct ko_edges e = edges_of(kept[k], &plain, 0, INT32_MAX);
        for (int32_t p = 0; p < e.n_parts; p++) {
            for (int32_t q = 0; q < p; q++) {
                assert_memory_not_equal(e.part[p].source, e.part[q].source, 9);
                for (int32_t i = 0; i < 9; i++) {
                    assert_false(e.part[p].target[i] && e.part[q].target[i]);
                }
            }
        }
        ko_edges_free(&e);
    }
}

static void kept_edges_are_equal_exactly_where_they_select_the_same(void **state)
{
    size_t n_equal = 0;
    (void)state;
    for (size_t at = 0; at < (size_t)N_KEPT * N_KEPT * N_REACHES; at++) {
        const int32_t reach = reaches[at / N_KEPT / N_KEPT];
        struct ko_edges a = edges_of(kept[at % N_KEPT], &plain, 0, reach);
        struct ko_edges b = edges_of(kept[at / N_KEPT % N_KEPT], &plain, 0, reach);
        assert_int_equal(ko_edges_equal(&a, &b), same_edges(&a, &b, reach));
        n_equal += at % N_KEPT != at / N_KEPT % N_KEPT && ko_edges_equal(&a, &b);
        ko_edges_free(&a);
        ko_edges_free(&b);
    }
    assert_true(n_equal > 0);
}

static void routes_that_mean_the_same_are_equal(void **state)
{
    static const char *const pair[][2] = {
        {"keep:last<-subject", "last<-relation"},
        {"keep:last<-subject+diagonal", "last<-relation\\last"},
        {"keep:last<-all", "bos<-all"},
        {"last<-first", "last<-position:0"},
        {"last<-relation", "last<-all\\subject"},
        {"later<-subject-last", "after-subject<-subject-last"},
        {"last<-last", "all<-last"},
        {"last<-bos", "first<-subject"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++) {
        struct ko_edges a = edges_of(pair[i][0], &plain, 0, INT32_MAX);
        struct ko_edges b = edges_of(pair[i][1], &plain, 0, INT32_MAX);
        print_message("%s %s\n", pair[i][0], pair[i][1]);
        assert_true(ko_edges_equal(&a, &b));
        assert_false(a.later || b.later);
        ko_edges_free(&a);
        ko_edges_free(&b);
    }
}

static void later_keeps_the_diagonal(void **state)
{
    struct ko_edges later = edges_of("later<-subject", &plain, 0, INT32_MAX);
    struct ko_edges product = edges_of("all<-subject", &plain, 0, INT32_MAX);
    (void)state;
    assert_true(later.later);
    assert_int_equal(later.n_edges, 6 + 5 + 4);
    assert_int_equal(later.first_target, 3);
    assert_int_equal(later.min_span, 1);
    assert_false(later.part[0].target[2]);
    assert_false(ko_edges_has(&later, 3, 3));
    assert_true(ko_edges_has(&later, 4, 3));
    assert_int_equal(product.n_edges, 7 + 6 + 5);
    assert_int_equal(product.min_span, 0);
    assert_false(ko_edges_equal(&later, &product));
    ko_edges_free(&later);
    ko_edges_free(&product);
}

static void each_is_one_source_position(void **state)
{
    (void)state;
    for (int32_t j = 0; j < plain.n_tokens; j++) {
        char text[30];
        struct ko_edges each = edges_of("last<-each", &plain, j, INT32_MAX);
        struct ko_edges later = edges_of("later<-each", &plain, j, INT32_MAX);
        (void)snprintf(text, sizeof text, "last<-position:%d", j);
        struct ko_edges one = edges_of(text, &plain, 0, INT32_MAX);
        assert_int_equal(each.n_edges, 1);
        assert_int_equal(each.min_span, 8 - j);
        assert_true(ko_edges_equal(&each, &one));
        assert_int_equal(later.n_edges, 8 - j);
        ko_edges_free(&each);
        ko_edges_free(&later);
        ko_edges_free(&one);
    }
    struct ko_edges beyond = edges_of("last<-each", &plain, 9, INT32_MAX);
    assert_int_equal(beyond.n_edges, 0);
    ko_edges_free(&beyond);
}

static void what_a_sliding_window_has_cut_is_no_edge(void **state)
{
    struct ko_edges far = edges_of("last<-subject", &plain, 0, 4);
    struct ko_edges near = edges_of("last<-subject", &plain, 0, 5);
    (void)state;
    assert_int_equal(far.n_edges, 0);
    assert_int_equal(far.first_target, 9);
    assert_int_equal(far.part[0].source[4], 0);
    assert_int_equal(near.n_edges, 1);
    assert_int_equal(near.min_span, 4);
    assert_int_equal(near.part[0].source[3], 0);
    assert_int_equal(near.part[0].source[4], 1);
    ko_edges_free(&far);
    ko_edges_free(&near);
}

static void blanks_in_routes_do_not_count(void **state)
{
    struct ko_route route = {0};
    (void)state;
    assert_int_equal(ko_route_parse(" last <-\tsubject ", NULL, &route, NULL), KO_OK);
    assert_string_equal(route.label, "last<-subject");
    assert_string_equal(route.target, "last");
    assert_string_equal(route.source, "subject");
    assert_int_equal(route.kind, KO_ROUTE_PRODUCT);
    ko_route_free(&route);
    assert_null(route.label);
}

static void kinds_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        enum ko_route_kind kind;
    } known[] = {{"later<-subject", KO_ROUTE_LATER},
                 {"last<-each", KO_ROUTE_EACH},
                 {"later<-each", KO_ROUTE_LATER_EACH},
                 {"after-subject<-relation\\last", KO_ROUTE_PRODUCT},
                 {"mlp@subject-last", KO_ROUTE_COMPONENT},
                 {" mixer @ relation\\last", KO_ROUTE_COMPONENT},
                 {"attention@each", KO_ROUTE_COMPONENT_EACH},
                 {" keep: last <- subject + diagonal", KO_ROUTE_KEEP}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct ko_route route = {0};
        assert_int_equal(ko_route_parse(known[i].text, NULL, &route, NULL), KO_OK);
        assert_int_equal(route.kind, known[i].kind);
        ko_route_free(&route);
    }
}

static void wrong_routes_are_refused(void **state)
{
    static const struct {
        const char *text, *error;
    } wrong[] = {
        {"last", "route 'last': expected TARGET<-SOURCE, such as last<-subject"},
        {"<-subject", "route '<-subject': expected TARGET<-SOURCE, such as last<-subject"},
        {"last<-", "route 'last<-': expected TARGET<-SOURCE, such as last<-subject"},
        {"a<-b<-c", "route 'a<-b<-c': expected TARGET<-SOURCE, such as last<-subject"},
        {"each<-last", "route 'each<-last': 'each' is a source only, such as last<-each"},
        {"last<-later", "route 'last<-later': 'later' is a target only, such as later<-subject"},
        {"last<-subjekt",
         "route 'last<-subjekt': unknown token set 'subjekt', did you mean 'subject'?"},
        {"lasst<-subject",
         "route 'lasst<-subject': unknown token set 'lasst', did you mean 'last'?"},
        {"last<-verb", "route 'last<-verb': unknown token set 'verb', "},
        {"@last",
         "route '@last': expected TARGET<-SOURCE, such as last<-subject, or COMPONENT@SET"},
        {"mlp@", "route 'mlp@': expected TARGET<-SOURCE"},
        {"mlp@last@last", "route 'mlp@last@last': expected TARGET<-SOURCE"},
        {"mlp@last<-first", "route 'mlp@last<-first': unknown token set 'mlp@last', "},
        {"moe@last", "route 'moe@last': unknown component 'moe', did you mean 'mlp'?"},
        {"residual@last",
         "route 'residual@last': unknown component 'residual', use attention, ssm, "},
        {"ssm@subjekt",
         "route 'ssm@subjekt': unknown token set 'subjekt', did you mean 'subject'?"},
        {"conv@later", "route 'conv@later': 'later' is a target only, such as later<-subject"},
        {"keep:", "route 'keep:': expected keep:TARGET<-SOURCE, and '+' before each further "},
        {"keep:last", "route 'keep:last': expected keep:TARGET<-SOURCE, and '+' before each "},
        {"keep:mlp@last", "route 'keep:mlp@last': expected keep:TARGET<-SOURCE, and '+' before "},
        {"keep:last<-subject+", "route 'keep:last<-subject+': expected keep:TARGET<-SOURCE, and "},
        {"keep:a<-b<-c", "route 'keep:a<-b<-c': expected keep:TARGET<-SOURCE, and '+' before "},
        {"keep:diagonal", "route 'keep:diagonal': 'diagonal' needs a target beside it, such as "},
        {"keep:last<-each", "route 'keep:last<-each': 'each' cannot stand in a route keep:"},
        {"keep:later<-first", "route 'keep:later<-first': 'later' cannot stand in a route keep:"},
        {"keep:last<-subject+diagonl",
         "route 'keep:last<-subject+diagonl': expected keep:TARGET<-SOURCE, and '+' before each "},
        {"keep:last<-first+last<-subjekt",
         "route 'keep:last<-first+last<-subjekt': unknown token set 'subjekt', did you mean "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ko_route route = {0};
        struct ko_error err = {0};
        assert_int_equal(ko_route_parse(wrong[i].text, NULL, &route, &err), KO_E_INPUT);
        if (strncmp(err.text, wrong[i].error, strlen(wrong[i].error)) != 0) {
            fail_msg("expected %s, got %s", wrong[i].error, err.text);
        }
        assert_null(route.label);
    }
}

static void components_are_sets_of_kinds(void **state)
{
    static const struct {
        const char *text;
        uint8_t components;
    } known[] = {{"attention@last", KO_MIXER_ATTENTION},
                 {"ssm@last", KO_MIXER_SSM},
                 {"conv@last", KO_MIXER_CONV},
                 {"mlp@last", KO_COMPONENT_MLP},
                 {"mixer@last", KO_MIXER_ATTENTION | KO_MIXER_SSM | KO_MIXER_CONV},
                 {"last<-subject", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct ko_route route = {0};
        assert_int_equal(ko_route_parse(known[i].text, NULL, &route, NULL), KO_OK);
        assert_int_equal(route.components, known[i].components);
        assert_string_equal(route.target, "last");
        assert_int_equal(!route.source, known[i].components != 0);
        ko_route_free(&route);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components_are_sets_of_kinds),
        cmocka_unit_test(edges_are_those_of_the_definition),
        cmocka_unit_test(edges_are_equal_exactly_where_they_select_the_same),
        cmocka_unit_test(kept_edges_are_those_that_stay),
        cmocka_unit_test(parts_are_apart),
        cmocka_unit_test(kept_edges_are_equal_exactly_where_they_select_the_same),
        cmocka_unit_test(routes_that_mean_the_same_are_equal),
        cmocka_unit_test(later_keeps_the_diagonal),
        cmocka_unit_test(each_is_one_source_position),
        cmocka_unit_test(what_a_sliding_window_has_cut_is_no_edge),
        cmocka_unit_test(blanks_in_routes_do_not_count),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(wrong_routes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
