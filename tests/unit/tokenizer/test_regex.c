/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/text.h"
#include "src/tokenizer/text/regex.h"

/* A pattern, a text, and what it is cut into, <matches> marked; computed with `Split` of Hugging
   Face's tokenizers 0.23.3 (Oniguruma). */
static const struct {
    const char *pattern, *text, *pieces;
} known[] = {
    {"\\p{N}{1,3}+", "1234567", "<1234567>|"},
    {"(?:\\p{N}{1,3})", "1234567", "<123>|<456>|<7>|"},
    {"a{2}?", "aaaaa", "<aa>|<aa>|a|"},
    {"a{2,3}+", "aaaaaaa", "<aaaaaa>|a|"},
    {"a{,2}", "aaaaa", "<aa>|<aa>|<a>|"},
    {"a{1,2}?", "aaa", "<a>|<a>|<a>|"},
    {"a{x", "ba{x", "b|<a{x>|"},
    {"a?+a", "aaa", "<aa>|a|"},
    {"a++b", "aaab", "<aaab>|"},
    {"(?>a+)b", "aaab", "<aaab>|"},
    {"a+?b", "aab", "<aab>|"},
    {"^a",
     "aa\x0A"
     "a\x0A",
     "<a>|a\x0A|<a>|\x0A|"},
    {"\\n^",
     "b\x0A\x0A"
     "c\x0A",
     "b|<\x0A>|<\x0A>|c\x0A|"},
    {"a$",
     "aa\x0A"
     "a\x0A"
     "ba",
     "a|<a>|\x0A|<a>|\x0A"
     "b|<a>|"},
    {"\\n$", "b\x0A\x0A", "b|<\x0A>|<\x0A>|"},
    {"a.b",
     "a\x0A"
     "b a\x0D"
     "b",
     "a\x0A"
     "b |<a\x0D"
     "b>|"},
    {"\\Aa|b\\z", "aab b", "<a>|ab |<b>|"},
    {"b\\Z", "bb\x0A", "b|<b>|\x0A|"},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "a'S b'\xC5\xBF c'Ll d'x",
     "a|<'S>| b|<'\xC5\xBF>| c|<'Ll>| d'x|"},
    {"(?i)x|Y", "xXyYz", "<x>|<X>|<y>|<Y>|z|"},
    {"(?i:[a-k]+)",
     "\xC5\xBF"
     "BK\xE2\x84\xAA",
     "\xC5\xBF|<BK\xE2\x84\xAA>|"},
    {"[a[bc]d]+", "xabcdx", "x|<abcd>|x|"},
    {"[a-z&&[^aeiou]]+", "hello world", "<h>|e|<ll>|o |<w>|o|<rld>|"},
    {"[^a[bc]]+", "xxabcxx", "<xx>|abc|<xx>|"},
    {"[^a-z&&b]+", "abcABC", "<a>|b|<cABC>|"},
    {"[a-z&&[^c]&&[b-d]]+", "abcde", "a|<b>|c|<d>|e|"},
    {"[^\\S\x0D\x0A]+", "a  \x0A b", "a|<  >|\x0A|< >|b|"},
    {"[^\\P{L}a]+", "abc1d", "a|<bc>|1|<d>|"},
    {"[\\P{L}a]+", "abc1d", "<a>|bc|<1>|d|"},
    {"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+",
     " ab1\x0A"
     "c-d",
     "< ab>|1\x0A|<c>|<-d>|"},
    {"\\p{^L}+", "ab12", "ab|<12>|"},
    {"\\P{^L}+", "ab12", "<ab>|12|"},
    {"\\P{L}+", "ab12\xC3\xA9", "ab|<12>|\xC3\xA9|"},
    {"[a-]+", "a-b", "<a->|b|"},
    {"[-a]+", "a-b", "<a->|b|"},
    {"[a^]+", "a^b", "<a^>|b|"},
    {"[\\]\\[]+", "a[]b", "a|<[]>|b|"},
    {"[\\d-]+", "1-2a", "<1-2>|a|"},
    {"[+--]+", "+,-a", "<+,->|a|"},
    {"[\\x{41}-\\x{43}]+", "ABCD", "<ABC>|D|"},
    {"\\x41|\\u0042", "ABC", "<A>|<B>|C|"},
    {"\\s+",
     "a\xE1\xA0\x8E \xE3\x80\x80\xC2\x85"
     "b",
     "a\xE1\xA0\x8E|< \xE3\x80\x80\xC2\x85>|b|"},
    {"\\w+", "ab_1\xC2\xB2\xC3\xA9\xCC\x81\xE2\x85\xB7\xE2\x93\x90-\xE2\x80\x8D",
     "<ab_1\xC2\xB2\xC3\xA9\xCC\x81\xE2\x85\xB7\xE2\x93\x90>|-\xE2\x80\x8D|"},
    {"\\d+", "12\xD9\xA3\xC2\xB2", "<12\xD9\xA3>|\xC2\xB2|"},
    {"\\h+", "1fg", "<1f>|g|"},
    {"\\v|\\t|\\e",
     "a\x0B\x09\x1B"
     "b",
     "a|<\x0B>|<\x09>|<\x1B>|b|"},
    {"\\bab\\b",
     "ab cab \xC3\xA9\xC2\xBC"
     "ab ab",
     "<ab>| cab \xC3\xA9\xC2\xBC"
     "ab |<ab>|"},
    {"\\Bb", "b ab", "b a|<b>|"},
    {"(?<=a)b", "ab bb", "a|<b>| bb|"},
    {"(?<!a|cd)b", "ab bb cdb", "ab |<b>|<b>| cdb|"},
    {"(?=b)", "abab", "a|ba|b|"},
    {"x*", "axxb", "a|<xx>|b|"},
    {"", "ab", "a|b|"},
    {"(a|b)c", "acbcc", "<ac>|<bc>|c|"},
    {"\\p{L}+",
     "\xF0\x9E\x80\xB0\xE1\xB2\x89"
     "a\xCC\x81",
     "<\xF0\x9E\x80\xB0\xE1\xB2\x89"
     "a>|\xCC\x81|"},
    {"\\p{M}",
     "a\xCC\x81\xE0\xA2\x97"
     "b",
     "a|<\xCC\x81>|<\xE0\xA2\x97>|b|"},
    {"\\p{Lu}+",
     "A\xC3\x89\xEA\x9F\x8B"
     "a",
     "<A\xC3\x89\xEA\x9F\x8B>|a|"},
    {"\\p{P}+",
     "a.\xE2\x80\x94\xF0\x91\xBD\x83"
     "b",
     "a|<.\xE2\x80\x94\xF0\x91\xBD\x83>|b|"},
    {"\\p{S}+",
     "a+\xE2\x82\xAC\xE2\x90\xA7"
     "b",
     "a|<+\xE2\x82\xAC\xE2\x90\xA7>|b|"},
    {"\\#\\-\\/\\ \\_", "#-/ _", "<#-/ _>|"},
    {"[\xE4\xB8\x80-\xE9\xBE\xA5]+",
     "a\xE4\xB8\xAD\xE6\x96\x87"
     "b",
     "a|<\xE4\xB8\xAD\xE6\x96\x87>|b|"},
};

static void check(struct ko_regex *regex, const char *text, const char *expected)
{
    struct ko_matches matches = {0};
    struct ko_error err = {0};
    struct ko_text got = {0};
    if (ko_regex_matches(regex, text, strlen(text), &matches, &err)) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < matches.n; i++) {
        const struct ko_match *m = &matches.match[i];
        if (m->begin < m->end) {
            ko_text_add(&got, m->is_match ? "<%.*s>|" : "%.*s|", (int)(m->end - m->begin),
                        text + m->begin);
        }
    }
    assert_string_equal(ko_text_str(&got), expected);
    ko_text_free(&got);
    ko_matches_free(&matches);
}

static void matches_are_those_of_hugging_face(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct ko_regex *regex = NULL;
        struct ko_error err = {0};
        print_message("%s\n", known[i].pattern);
        if (ko_regex_compile(known[i].pattern, "X", &regex, &err)) {
            fail_msg("%s", err.text);
        }
        check(regex, known[i].text, known[i].pieces);
        ko_regex_free(regex);
    }
}

static const struct {
    const char *pattern, *error;
} refused[] = {
    {"a\\Gb", "X: regular expression 'a\\Gb': '\\G' is not supported"},
    {"(a)\\1", "X: regular expression '(a)\\1': '\\1' is not supported"},
    {"a\\", "X: regular expression 'a\\': '\\' is not supported"},
    {"\\p{Han}", "X: regular expression '\\p{Han}': '\\p{Han}' is not supported"},
    {"[\\p{Greek}a]", "X: regular expression '[\\p{Greek}a]': '\\p{Greek}' is not supported"},
    {"\\pL", "X: regular expression '\\pL': '\\p' is not supported"},
    {"\\x{110000}", "X: regular expression '\\x{110000}': '\\x{110000' is not supported"},
    {"\\u00", "X: regular expression '\\u00': '\\u00' is not supported"},
    {"(?i:\\p{Lu})", "X: regular expression '(?i:\\p{Lu})': '\\p{Lu}' is not supported"},
    {"(?i:ass)", "X: regular expression '(?i:ass)': 'ss' without regard to case is not supported"},
    {"(?i:\xC3\x9F)",
     "X: regular expression '(?i:\xC3\x9F)': U+00DF without regard to case is not supported"},
    {"(?i)[\xC3\x9F]",
     "X: regular expression '(?i)[\xC3\x9F]': U+00DF without regard to case is not supported"},
    {"a(?i)b", "X: regular expression 'a(?i)b': '(?i' is not supported"},
    {"(?m:a)", "X: regular expression '(?m:a)': '(?m' is not supported"},
    {"(?<n>a)", "X: regular expression '(?<n>a)': '(?<' is not supported"},
    {"(*F)", "X: regular expression '(*F)': '(*F' is not supported"},
    {"[[:alpha:]]", "X: regular expression '[[:alpha:]]': '[:' is not supported"},
    {"[a-c-e]", "X: regular expression '[a-c-e]': '-' is not supported"},
    {"[\\s-x]", "X: regular expression '[\\s-x]': '-' is not supported"},
    {"[a-\\d]", "X: regular expression '[a-\\d]': '\\d' is not supported"},
    {"[]a]", "X: regular expression '[]a]': a class is empty"},
    {"[ab", "X: regular expression '[ab': missing ']'"},
    {"(ab", "X: regular expression '(ab': missing ')'"},
    {"ab)", "X: regular expression 'ab)': ')' is not supported"},
    {"+a", "X: regular expression '+a': quantifier does not follow a repeatable item"},
};

static void what_would_be_read_differently_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct ko_regex *regex = NULL;
        struct ko_error err = {0};
        assert_int_equal(ko_regex_compile(refused[i].pattern, "X", &regex, &err), KO_E_INPUT);
        assert_string_equal(err.text, refused[i].error);
        assert_null(regex);
    }
}

static void deep_nesting_is_refused(void **state)
{
    static const char opening[] = {'(', '['};
    (void)state;
    for (size_t i = 0; i < sizeof opening; i++) {
        char pattern[101];
        struct ko_regex *regex = NULL;
        struct ko_error err = {0};
        memset(pattern, opening[i], sizeof pattern - 1);
        pattern[sizeof pattern - 1] = '\0';
        assert_int_equal(ko_regex_compile(pattern, "X", &regex, &err), KO_E_INPUT);
        assert_non_null(strstr(err.text, "is not supported"));
    }
}

static void a_literal_means_nothing_else(void **state)
{
    struct ko_regex *regex = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_regex_compile_literal("a.[", "X", &regex, &err), KO_OK);
    check(regex, "abca.[a.", "abc|<a.[>|a.|");
    assert_false(ko_regex_can_match_nothing(regex));
    ko_regex_free(regex);
    assert_int_equal(ko_regex_compile("a*|b", "X", &regex, &err), KO_OK);
    assert_true(ko_regex_can_match_nothing(regex));
    ko_regex_free(regex);
    ko_regex_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_are_those_of_hugging_face),
        cmocka_unit_test(what_would_be_read_differently_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(a_literal_means_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
