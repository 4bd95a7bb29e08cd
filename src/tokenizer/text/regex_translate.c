/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through a pattern once from left to right and writes its PCRE2 form: escapes, groups and
   repeat counts. Refuses what it cannot translate exactly. */
#include "src/tokenizer/text/regex_translate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/tokenizer/text/regex_classes.h"

enum ko_code ko_regex_refuse(struct ko_translation *t, size_t n)
{
    return ko_fail(t->err, KO_E_INPUT, "%s: regular expression '%s': '%.*s' is not supported",
                   t->where, t->pattern, (int)n, t->at);
}

/* \p{NAME}, \P{NAME}, \p{^NAME}. */
static enum ko_code read_property(struct ko_translation *t, struct ko_regex_escaped *out)
{
    const char *end = t->at[2] == '{' ? strchr(t->at, '}') : NULL;
    if (!end) {
        return ko_regex_refuse(t, 2);
    }
    const char *name = t->at + 3;
    bool outside = *name == '^';
    name += outside;
    out->class = ko_regex_property(name, (size_t)(end - name));
    out->negated = (t->at[1] == 'P') != outside;
    /* Without regard to case, Oniguruma folds properties and PCRE2 does not. */
    if (!out->class || t->caseless) {
        return ko_regex_refuse(t, (size_t)(end - t->at) + 1);
    }
    t->at = end + 1;
    return KO_OK;
}

/* \xH, \xHH, \x{H...}, \uHHHH. */
static enum ko_code read_code_point(struct ko_translation *t, struct ko_regex_escaped *out)
{
    char digits[9] = "";
    bool braces = t->at[1] == 'x' && t->at[2] == '{';
    size_t most = braces ? 8 : (t->at[1] == 'u' ? 4 : 2), n = 0;
    const char *from = t->at + 2 + braces;
    for (; n < most && isxdigit((unsigned char)from[n]); n++) {
        digits[n] = from[n];
    }
    unsigned long value = strtoul(digits, NULL, 16);
    if (n == 0 || (t->at[1] == 'u' && n < 4) || (braces && from[n] != '}') || value > 0x10FFFF ||
        (value >= 0xD800 && value < 0xE000)) {
        return ko_regex_refuse(t, (size_t)(from - t->at) + n);
    }
    out->character = (unsigned)value;
    t->at = from + n + braces;
    return KO_OK;
}

enum ko_code ko_regex_read_escape(struct ko_translation *t, struct ko_regex_escaped *out,
                                  bool *known)
{
    static const char letters[] = "nrtfave", values[] = "\n\r\t\f\a\v\x1B";
    unsigned char next = (unsigned char)t->at[1];
    *out = (struct ko_regex_escaped){0};
    *known = true;
    if (next == 'p' || next == 'P') {
        return read_property(t, out);
    }
    if (next == 'x' || next == 'u') {
        return read_code_point(t, out);
    }
    if (next && (out->class = ko_regex_escape((char)tolower(next)))) {
        out->negated = isupper(next) != 0;
        t->at += 2;
        return KO_OK;
    }
    const char *letter = next ? strchr(letters, next) : NULL;
    if (letter) {
        out->character = (unsigned char)values[letter - letters];
    } else if (next && next < 0x80 && !isalnum(next)) {
        out->character = next;
    } else {
        *known = false;
    }
    t->at += *known ? 2 : 0;
    return KO_OK;
}

static void add_atom(struct ko_translation *t, const char *text)
{
    t->atom = t->out.n;
    ko_text_add(&t->out, "%s", text);
}

/* Adds one literal character. Without regard to case, Oniguruma also matches characters that fold
   to several ('ss' is a sharp s) and folds beyond ASCII. PCRE2 does not, so refuse these. */
static enum ko_code add_character(struct ko_translation *t, unsigned character)
{
    static const char *const folded[] = {"ff", "fi", "fl", "ss", "st"};
    if (t->caseless && character >= 0x80) {
        return ko_fail(t->err, KO_E_INPUT,
                       "%s: regular expression '%s': U+%04X without regard to case is not "
                       "supported",
                       t->where, t->pattern, character);
    }
    for (size_t i = 0; t->caseless && i < sizeof folded / sizeof folded[0]; i++) {
        if ((unsigned)tolower((int)character) == (unsigned char)folded[i][0] &&
            tolower((unsigned char)*t->at) == folded[i][1]) {
            return ko_fail(t->err, KO_E_INPUT,
                           "%s: regular expression '%s': '%s' without regard to case is not "
                           "supported",
                           t->where, t->pattern, folded[i]);
        }
    }
    t->atom = t->out.n;
    ko_text_add(&t->out, "\\x{%x}", character);
    return KO_OK;
}

static enum ko_code add_escape(struct ko_translation *t)
{
    struct ko_regex_escaped escaped;
    bool known = false;
    enum ko_code code = ko_regex_read_escape(t, &escaped, &known);
    if (code != KO_OK) {
        return code;
    }
    if (known && !escaped.class) {
        return add_character(t, escaped.character);
    }
    if (known) {
        t->atom = t->out.n;
        ko_text_add(&t->out, "[%s%s]", escaped.negated ? "^" : "", escaped.class);
        return KO_OK;
    }
    const char *word = ko_regex_escape('w');
    switch (t->at[1]) {
    case 'A':
        add_atom(t, "\\A");
        break;
    case 'z':
        add_atom(t, "\\z");
        break;
    case 'Z':
        add_atom(t, "(?=\\n?\\z)");
        break;
    case 'b':
    case 'B':
        t->atom = t->out.n;
        ko_text_add(&t->out, "(?%c(?<=[%s])(?![%s])|(?<![%s])(?=[%s]))",
                    t->at[1] == 'b' ? ':' : '!', word, word, word, word);
        break;
    default:
        return ko_regex_refuse(t, t->at[1] ? 2 : 1);
    }
    t->at += 2;
    return KO_OK;
}

static enum ko_code open_group(struct ko_translation *t)
{
    static const char *const kinds[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    if (t->depth == KO_REGEX_DEPTH) {
        return ko_regex_refuse(t, 1);
    }
    /* (?i) applies to the rest of the pattern. Only supported at its start. */
    if (strncmp(t->at, "(?i)", 4) == 0 && t->at == t->pattern) {
        ko_text_add(&t->out, "(?i)");
        t->caseless = true;
        t->at += 4;
        return KO_OK;
    }
    t->group[t->depth++] = t->out.n;
    if (strncmp(t->at, "(?i:", 4) == 0) {
        ko_text_add(&t->out, "(?i:");
        if (!t->caseless) {
            t->caseless_depth = t->depth;
        }
        t->caseless = true;
        t->at += 4;
        return KO_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(t->at, kinds[i], n) != 0) {
            continue;
        }
        ko_text_add(&t->out, "%s", kinds[i]);
        t->at += n;
        return KO_OK;
    }
    if (t->at[1] == '?' || t->at[1] == '*') {
        return ko_regex_refuse(t, t->at[2] ? 3 : 2);
    }
    ko_text_add(&t->out, "(?:");
    t->at++;
    return KO_OK;
}

static enum ko_code close_group(struct ko_translation *t)
{
    if (t->depth == 0) {
        return ko_regex_refuse(t, 1);
    }
    if (t->caseless && t->caseless_depth == t->depth) {
        t->caseless = false;
        t->caseless_depth = 0;
    }
    t->atom = t->group[--t->depth];
    ko_text_add(&t->out, ")");
    t->at++;
    return KO_OK;
}

/* Puts the output from the last atom on into a group. */
static void group_atom(struct ko_translation *t)
{
    static const char opening[] = "(?:";
    size_t n = t->out.n - t->atom;
    ko_text_add(&t->out, "%s", opening);
    if (t->out.failed) {
        return;
    }
    char *from = t->out.data + t->atom;
    memmove(from + strlen(opening), from, n);
    memcpy(from, opening, strlen(opening));
    ko_text_add(&t->out, ")");
}

/* {n}, {n,}, {n,m} and {,m}. In Oniguruma a following '+' repeats it again, and so does '?' after
   {n}. In PCRE2 they would mean possessive or lazy. */
static enum ko_code add_interval(struct ko_translation *t)
{
    const char *low = t->at + 1;
    size_t n_low = strspn(low, "0123456789");
    const char *high = low + n_low + (low[n_low] == ',');
    size_t n_high = low[n_low] == ',' ? strspn(high, "0123456789") : 0;
    if (n_low + n_high == 0 || high[n_high] != '}') {
        return add_character(t, (unsigned char)*t->at++);
    }
    bool exact = low[n_low] == '}';
    ko_text_add(&t->out, "{%.*s%s%.*s}", n_low ? (int)n_low : 1, n_low ? low : "0",
                exact ? "" : ",", (int)n_high, high);
    t->at = high + n_high + 1;
    if (*t->at == '+' || (exact && *t->at == '?')) {
        group_atom(t);
    } else if (*t->at == '?') {
        ko_text_add_bytes(&t->out, t->at++, 1);
    }
    return KO_OK;
}

static enum ko_code translate_one(struct ko_translation *t)
{
    uint32_t character;
    switch (*t->at) {
    case '\\':
        return add_escape(t);
    case '[':
        t->atom = t->out.n;
        return ko_regex_translate_class(t, 0, &t->out);
    case '(':
        return open_group(t);
    case ')':
        return close_group(t);
    case '{':
        return add_interval(t);
    case '.':
        add_atom(t, "[^\\n]");
        break;
    case '^':
        add_atom(t, "(?:\\A|(?<=\\n)(?!\\z))");
        break;
    case '$':
        add_atom(t, "(?=\\n|\\z)");
        break;
    case '|':
    case '*':
    case '+':
    case '?':
        ko_text_add_bytes(&t->out, t->at, 1);
        break;
    default:
        t->at += ko_utf8_get(t->at, &character);
        return add_character(t, character);
    }
    t->at++;
    return KO_OK;
}

enum ko_code ko_regex_translate(struct ko_translation *t)
{
    enum ko_code code = KO_OK;
    while (code == KO_OK && *t->at) {
        code = translate_one(t);
    }
    if (code == KO_OK && t->depth > 0) {
        code = ko_fail(t->err, KO_E_INPUT, "%s: regular expression '%s': missing ')'", t->where,
                       t->pattern);
    }
    return code != KO_OK ? code : ko_text_check(&t->out, t->err);
}
