/* SPDX-License-Identifier: Apache-2.0 */
/* Translates classes. PCRE2 has no nested sets and older properties. So a class that is not a plain
   list becomes an atomic group of classes, each matching one character. */
#include <string.h>

#include "src/base/utf8.h"
#include "src/tokenizer/text/regex_translate.h"

/* One operand of &&: the characters of `list`, or any of `others`. */
struct operand {
    struct ko_text list;   /* the inside of [...] */
    struct ko_text others; /* "[...]|[...]" */
};

static void free_operand(struct operand *o)
{
    ko_text_free(&o->list);
    ko_text_free(&o->others);
}

static void add_other(struct operand *o, const char *text)
{
    ko_text_add(&o->others, "%s%s", o->others.n ? "|" : "", text);
}

/* A character, an escape or the end of a range; *out has no class for the latter two. */
static enum ko_code read_member(struct ko_translation *t, struct ko_regex_escaped *out)
{
    bool known = true;
    uint32_t character;
    *out = (struct ko_regex_escaped){0};
    if (*t->at == '\\') {
        enum ko_code code = ko_regex_read_escape(t, out, &known);
        return code || known ? code : ko_regex_refuse(t, t->at[1] ? 2 : 1);
    }
    t->at += ko_utf8_get(t->at, &character);
    out->character = character;
    if (t->caseless && character >= 0x80) {
        return ko_fail(t->err, KO_E_INPUT,
                       "%s: regular expression '%s': U+%04X without regard to case is not "
                       "supported",
                       t->where, t->pattern, character);
    }
    return KO_OK;
}

/* Refuses a '-' after a class or a range that is not last: libraries read it differently. */
static enum ko_code check_hyphen(struct ko_translation *t)
{
    return t->at[0] == '-' && t->at[1] != ']' ? ko_regex_refuse(t, 1) : KO_OK;
}

static enum ko_code add_member(struct ko_translation *t, struct operand *o)
{
    struct ko_regex_escaped first, last;
    enum ko_code code = read_member(t, &first);
    if (code != KO_OK) {
        return code;
    }
    if (first.class && first.negated) {
        struct ko_text other = {0};
        ko_text_add(&other, "[^%s]", first.class);
        code = ko_text_check(&other, t->err);
        if (code == KO_OK) {
            add_other(o, ko_text_str(&other));
        }
        ko_text_free(&other);
        return code != KO_OK ? code : check_hyphen(t);
    }
    if (first.class) {
        ko_text_add(&o->list, "%s", first.class);
        return check_hyphen(t);
    }
    ko_text_add(&o->list, "\\x{%x}", first.character);
    if (t->at[0] != '-' || t->at[1] == ']') {
        return KO_OK;
    }
    if (t->at[1] == '[' || t->at[1] == '\0') {
        return ko_regex_refuse(t, 1);
    }
    t->at++;
    const char *end_of_range = t->at;
    code = read_member(t, &last);
    if (code == KO_OK && last.class) {
        t->at = end_of_range;
        code = ko_regex_refuse(t, 2);
    }
    ko_text_add(&o->list, "-\\x{%x}", last.character);
    return code != KO_OK ? code : check_hyphen(t);
}

/* The text of an operand. */
static void add_operand(const struct operand *o, struct ko_text *out)
{
    if (o->others.n == 0) {
        ko_text_add(out, "[%s]", ko_text_str(&o->list));
    } else if (o->list.n == 0) {
        ko_text_add(out, "(?>%s)", ko_text_str(&o->others));
    } else {
        ko_text_add(out, "(?>[%s]|%s)", ko_text_str(&o->list), ko_text_str(&o->others));
    }
}

/* Reads an operand, up to && or the closing ']'. */
static enum ko_code read_operand(struct ko_translation *t, size_t depth, struct operand *o)
{
    enum ko_code code = KO_OK;
    while (code == KO_OK && *t->at && *t->at != ']' && strncmp(t->at, "&&", 2) != 0) {
        if (strncmp(t->at, "[:", 2) == 0) {
            return ko_regex_refuse(t, 2);
        }
        if (*t->at != '[') {
            code = add_member(t, o);
            continue;
        }
        struct ko_text inner = {0};
        code = ko_regex_translate_class(t, depth + 1, &inner);
        if (code == KO_OK) {
            add_other(o, ko_text_str(&inner));
        }
        ko_text_free(&inner);
    }
    if (code == KO_OK) {
        code = ko_text_check(&o->list, t->err);
    }
    if (code == KO_OK) {
        code = ko_text_check(&o->others, t->err);
    }
    if (code == KO_OK && o->list.n + o->others.n == 0) {
        code = ko_fail(t->err, KO_E_INPUT, "%s: regular expression '%s': a class is empty",
                       t->where, t->pattern);
    }
    return code;
}

static enum ko_code read_class(struct ko_translation *t, size_t depth, bool negated,
                               struct ko_text *out)
{
    struct ko_text before = {0}, whole = {0}; /* before: "(?=A)(?=B)", the operands so far */
    struct operand o = {0};
    enum ko_code code = read_operand(t, depth, &o);
    while (code == KO_OK && *t->at == '&') {
        ko_text_add(&before, "(?=");
        add_operand(&o, &before);
        ko_text_add(&before, ")");
        free_operand(&o);
        t->at += 2;
        code = read_operand(t, depth, &o);
    }
    if (code == KO_OK && *t->at != ']') {
        code = ko_fail(t->err, KO_E_INPUT, "%s: regular expression '%s': missing ']'", t->where,
                       t->pattern);
    }
    if (code == KO_OK) {
        t->at++;
        add_operand(&o, &whole);
        code = ko_text_check(&whole, t->err);
    }
    if (code == KO_OK && before.n == 0 && o.others.n == 0) {
        ko_text_add(out, "[%s%s]", negated ? "^" : "", ko_text_str(&o.list));
    } else if (code == KO_OK) {
        ko_text_add(out, negated ? "(?>(?!%s%s)[\\x{0}-\\x{10ffff}])" : "(?>%s%s)",
                    ko_text_str(&before), ko_text_str(&whole));
    }
    if (code == KO_OK) {
        code = ko_text_check(&before, t->err);
    }
    free_operand(&o);
    ko_text_free(&before);
    ko_text_free(&whole);
    return code != KO_OK ? code : ko_text_check(out, t->err);
}

enum ko_code ko_regex_translate_class(struct ko_translation *t, size_t depth, struct ko_text *out)
{
    if (depth == KO_REGEX_DEPTH) {
        return ko_regex_refuse(t, 1);
    }
    t->at++;
    bool negated = *t->at == '^';
    t->at += negated;
    return read_class(t, depth, negated, out);
}
