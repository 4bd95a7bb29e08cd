#include "src/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/tokenizer/unicode.h"

struct ko_regex {
    pcre2_code *code;
    pcre2_match_data *match;
};

static const char white_space[] =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";

/* General category L, Unicode 15.0 to 16.0; PCRE2 10.42 knows 14.0. */
static const char later_letters[] =
    "\\x{1c89}\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}"
    "\\x{10d4a}-\\x{10d65}\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec4}\\x{1123f}\\x{11240}"
    "\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}\\x{113d3}"
    "\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}\\x{11f12}-\\x{11f33}\\x{1342f}"
    "\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}\\x{16d40}-\\x{16d6c}"
    "\\x{18cff}\\x{1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}\\x{1e030}-\\x{1e06d}\\x{1e4d0}-\\x{1e4eb}"
    "\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}";

/* General category N, likewise. */
static const char later_numbers[] =
    "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}"
    "\\x{16130}-\\x{16139}\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1d2c0}-\\x{1d2d3}"
    "\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}";

/* What stands for an escape inside [...]; outside, brackets are put around it. */
static const struct {
    const char *escape, *property, *more;
    bool negated;
} escapes[] = {
    {"\\s", "", white_space, false},
    {"\\S", "", white_space, true},
    {"\\p{L}", "\\p{L}", later_letters, false},
    {"\\p{N}", "\\p{N}", later_numbers, false},
    {"\\P{L}", "\\p{L}", later_letters, true},
    {"\\P{N}", "\\p{N}", later_numbers, true},
};

/* Rewrites the escape at `at`, if it is one of the table's. Its length; 0: none of them, -1:
 * negated inside [...]. */
static int rewrite_escape(const char *at, bool in_class, struct ko_text *out)
{
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        size_t n = strlen(escapes[i].escape);
        if (strncmp(at, escapes[i].escape, n) != 0)
            continue;
        if (in_class && escapes[i].negated)
            return -1;
        ko_text_add(out, "%s%s%s%s", in_class ? "" : (escapes[i].negated ? "[^" : "["),
                    escapes[i].property, escapes[i].more, in_class ? "" : "]");
        return (int)n;
    }
    return 0;
}

static enum ko_code translate(const char *pattern, const char *where, struct ko_text *out,
                              struct ko_error *err)
{
    bool in_class = false;
    for (const char *at = pattern; *at;) {
        if (*at == '\\') {
            int n = rewrite_escape(at, in_class, out);
            if (n < 0)
                return ko_fail(err, KO_E_INPUT,
                               "%s: regular expression '%s': '%.2s' inside [...] is not supported",
                               where, pattern, at);
            if (n == 0) {
                n = at[1] ? 2 : 1;
                ko_text_add_bytes(out, at, (size_t)n);
            }
            at += n;
            continue;
        }
        if (*at == '[' && in_class)
            return ko_fail(err, KO_E_INPUT,
                           "%s: regular expression '%s': '[' inside [...] is not supported", where,
                           pattern);
        if (*at == '[')
            in_class = true;
        else if (*at == ']')
            in_class = false;
        ko_text_add_bytes(out, at++, 1);
    }
    return ko_text_check(out, err);
}

enum ko_code ko_regex_compile(const char *pattern, const char *where, struct ko_regex **out,
                              struct ko_error *err)
{
    struct ko_text translated = {0};
    struct ko_regex *regex = NULL;
    enum ko_code code = translate(pattern, where, &translated, err);
    if (code)
        goto done;
    regex = ko_new(1, sizeof *regex, err);
    code = regex ? KO_OK : KO_E_MEMORY;
    if (code)
        goto done;
    int number = 0;
    PCRE2_SIZE offset = 0;
    regex->code = pcre2_compile((PCRE2_SPTR)ko_text_str(&translated), translated.n, PCRE2_UTF,
                                &number, &offset, NULL);
    if (!regex->code) {
        PCRE2_UCHAR reason[160] = "";
        (void)pcre2_get_error_message(number, reason, sizeof reason);
        code = ko_fail(err, KO_E_INPUT, "%s: regular expression '%s': %s", where, pattern, reason);
        goto done;
    }
    /* Without JIT the interpreter gives the same matches. */
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
    regex->match = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (!regex->match)
        code = ko_fail(err, KO_E_MEMORY, "%s: out of memory for a regular expression", where);
done:
    ko_text_free(&translated);
    if (code)
        ko_regex_free(regex);
    else
        *out = regex;
    return code;
}

void ko_regex_free(struct ko_regex *regex)
{
    if (!regex)
        return;
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
    free(regex);
}

enum ko_code ko_regex_find(struct ko_regex *regex, const char *text, size_t n, size_t from,
                           size_t *begin, size_t *end, bool *found, struct ko_error *err)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int result = pcre2_match(regex->code, subject, n, from, PCRE2_NO_UTF_CHECK, regex->match, NULL);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
        result = pcre2_match(regex->code, subject, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                             regex->match, NULL);
    *found = result > 0;
    if (result == PCRE2_ERROR_NOMATCH)
        return KO_OK;
    if (result <= 0) {
        PCRE2_UCHAR reason[160] = "";
        (void)pcre2_get_error_message(result, reason, sizeof reason);
        return ko_fail(err, KO_E_FAILED, "tokenizer: a regular expression failed on a text: %s",
                       reason);
    }
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(regex->match);
    *begin = at[0];
    *end = at[1];
    return KO_OK;
}

enum ko_code ko_regex_cut(void *regex, const char *text, size_t n, struct ko_piece_list *parts,
                          struct ko_error *err)
{
    size_t from = 0, before = 0;
    while (from <= n) {
        size_t begin = 0, end = 0;
        bool found = false;
        enum ko_code code = ko_regex_find(regex, text, n, from, &begin, &end, &found, err);
        if (!code && !found)
            break;
        if (!code)
            code = ko_piece_list_add(parts, before, begin, -1, err);
        if (!code)
            code = ko_piece_list_add(parts, begin, end, -1, err);
        if (code)
            return code;
        before = end;
        from = end;
        if (begin == end && end < n) {
            uint32_t character;
            from += ko_utf8_get(text + end, &character);
        } else if (begin == end) {
            break;
        }
    }
    return ko_piece_list_add(parts, before, n, -1, err);
}
