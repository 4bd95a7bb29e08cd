/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a translated pattern with PCRE2 and finds its matches in a text. The translation is in
   regex_translate.c. */
#include "src/tokenizer/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/tokenizer/text/regex_translate.h"

enum { MAX_PATTERN = 1 << 14 };

struct ko_regex {
    pcre2_code *code;
    pcre2_match_data *match;
};

/* pattern: in PCRE2's syntax; named: as the user wrote it, for errors. */
static enum ko_code compile_pcre2(const char *pattern, uint32_t options, const char *named,
                                  const char *where, struct ko_regex **out, struct ko_error *err)
{
    int number = 0;
    PCRE2_SIZE offset = 0;
    struct ko_regex *regex = ko_new(1, sizeof *regex, err);
    if (!regex) {
        return KO_E_MEMORY;
    }
    enum ko_code code = KO_OK;
    regex->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | options,
                                &number, &offset, NULL);
    if (!regex->code) {
        PCRE2_UCHAR reason[160] = "";
        (void)pcre2_get_error_message(number, reason, sizeof reason);
        code = ko_fail(err, KO_E_INPUT, "%s: regular expression '%s': %s", where, named, reason);
        goto done;
    }
    /* If JIT fails, the interpreter gives the same matches. */
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
    regex->match = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (!regex->match) {
        code = ko_fail(err, KO_E_MEMORY, "%s: out of memory for a regular expression", where);
    }
done:
    if (code != KO_OK) {
        ko_regex_free(regex);
    } else {
        *out = regex;
    }
    return code;
}

enum ko_code ko_regex_compile(const char *pattern, const char *where, struct ko_regex **out,
                              struct ko_error *err)
{
    size_t n = strlen(pattern);
    if (n > MAX_PATTERN) {
        return ko_fail(err, KO_E_INPUT, "%s: a regular expression of %zu bytes, more than %d",
                       where, n, MAX_PATTERN);
    }
    struct ko_translation t = {.pattern = pattern, .at = pattern, .where = where, .err = err};
    enum ko_code code = ko_regex_translate(&t);
    if (code == KO_OK) {
        code = compile_pcre2(ko_text_str(&t.out), 0, pattern, where, out, err);
    }
    ko_text_free(&t.out);
    return code;
}

enum ko_code ko_regex_compile_literal(const char *text, const char *where, struct ko_regex **out,
                                      struct ko_error *err)
{
    return compile_pcre2(text, PCRE2_LITERAL, text, where, out, err);
}

bool ko_regex_can_match_nothing(const struct ko_regex *regex)
{
    uint32_t yes = 0;
    return pcre2_pattern_info(regex->code, PCRE2_INFO_MATCHEMPTY, &yes) || yes;
}

void ko_regex_free(struct ko_regex *regex)
{
    if (!regex) {
        return;
    }
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
    free(regex);
}

enum ko_code ko_regex_find(struct ko_regex *regex, const char *text, size_t n, size_t from,
                           struct ko_match *match, struct ko_error *err)
{
    *match = (struct ko_match){0};
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int result = pcre2_match(regex->code, subject, n, from, PCRE2_NO_UTF_CHECK, regex->match, NULL);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
        result = pcre2_match(regex->code, subject, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                             regex->match, NULL);
    }
    if (result == PCRE2_ERROR_NOMATCH) {
        return KO_OK;
    }
    if (result <= 0) {
        PCRE2_UCHAR reason[160] = "";
        (void)pcre2_get_error_message(result, reason, sizeof reason);
        const bool limit = result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_HEAPLIMIT ||
                           result == PCRE2_ERROR_DEPTHLIMIT;
        return ko_fail(err, limit ? KO_E_INPUT : KO_E_FAILED,
                       "tokenizer: a regular expression failed on a text: %s", reason);
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(regex->match);
    *match = (struct ko_match){at[0], at[1], true};
    return KO_OK;
}

enum ko_code ko_regex_matches(struct ko_regex *regex, const char *text, size_t n,
                              struct ko_matches *matches, struct ko_error *err)
{
    size_t from = 0, before = 0;
    bool any = false;
    enum ko_code code = KO_OK;
    matches->n = 0;
    while (code == KO_OK && from <= n) {
        struct ko_match match;
        code = ko_regex_find(regex, text, n, from, &match, err);
        if (code != KO_OK || !match.is_match) {
            break;
        }
        if (match.begin == match.end && any && match.end == before) {
            uint32_t character;
            from += from < n ? ko_utf8_get(text + from, &character) : 1;
            continue;
        }
        if (before < match.begin) {
            code = ko_matches_add(matches, before, match.begin, false, err);
        }
        if (code == KO_OK) {
            code = ko_matches_add(matches, match.begin, match.end, true, err);
        }
        any = true;
        before = from = match.end;
    }
    if (code == KO_OK && before < n) {
        code = ko_matches_add(matches, before, n, false, err);
    }
    return code;
}
