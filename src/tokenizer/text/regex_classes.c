/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of character classes. They add the characters of Unicode 15 and 16 that older versions of
   PCRE2 do not know. */
#include "src/tokenizer/text/regex_classes.h"

#include <string.h>

/* White_Space. PCRE2's \s differs (U+180E). */
#define WHITE_SPACE                                                                                \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"    \
    "\\x{205f}\\x{3000}"

/* Additions of Unicode 15.0 to 16.0 to each general category. */
#define LATER_LL "\\x{1c8a}\\x{a7cd}\\x{a7db}\\x{10d70}-\\x{10d85}\\x{1df25}-\\x{1df2a}"
#define LATER_LM                                                                                   \
    "\\x{10d4e}\\x{10d6f}\\x{16d40}-\\x{16d42}\\x{16d6b}-\\x{16d6c}\\x{1e030}-\\x{1e06d}\\x{"      \
    "1e4eb}"
#define LATER_LO                                                                                   \
    "\\x{105c0}-\\x{105f3}\\x{10d4a}-\\x{10d4d}\\x{10d4f}\\x{10ec2}-\\x{10ec4}"                    \
    "\\x{1123f}-\\x{11240}\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}\\x{11390}-\\x{113b5}\\x{"      \
    "113b7}"                                                                                       \
    "\\x{113d1}\\x{113d3}\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}\\x{11f12}-\\x{"      \
    "11f33}"                                                                                       \
    "\\x{1342f}\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}\\x{16d43}-\\x{"     \
    "16d6a}"                                                                                       \
    "\\x{18cff}\\x{1b132}\\x{1b155}\\x{1e4d0}-\\x{1e4ea}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2b739}" \
    "\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"
#define LATER_LU "\\x{1c89}\\x{a7cb}-\\x{a7cc}\\x{a7da}\\x{a7dc}\\x{10d50}-\\x{10d65}"
#define LATER_M                                                                                    \
    "\\x{897}\\x{cf3}\\x{ece}\\x{10d69}-\\x{10d6d}\\x{10efc}-\\x{10eff}\\x{11241}"                 \
    "\\x{113b8}-\\x{113c0}\\x{113c2}\\x{113c5}\\x{113c7}-\\x{113ca}\\x{113cc}-\\x{113d0}\\x{"      \
    "113d2}"                                                                                       \
    "\\x{113e1}-\\x{113e2}\\x{11f00}-\\x{11f01}\\x{11f03}\\x{11f34}-\\x{11f3a}\\x{11f3e}-\\x{"     \
    "11f42}"                                                                                       \
    "\\x{11f5a}\\x{13440}\\x{13447}-\\x{13455}\\x{1611e}-\\x{1612f}\\x{1e08f}\\x{1e4ec}-\\x{"      \
    "1e4ef}"                                                                                       \
    "\\x{1e5ee}-\\x{1e5ef}"
#define LATER_ND                                                                                   \
    "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}"         \
    "\\x{16130}-\\x{16139}\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1e4f0}-\\x{1e4f9}"         \
    "\\x{1e5f1}-\\x{1e5fa}"
#define LATER_NO "\\x{1d2c0}-\\x{1d2d3}"
#define LATER_PD "\\x{10d6e}"
#define LATER_PO                                                                                   \
    "\\x{1b4e}-\\x{1b4f}\\x{1b7f}\\x{113d4}-\\x{113d5}\\x{113d7}-\\x{113d8}\\x{11b00}-\\x{11b09}"  \
    "\\x{11be1}\\x{11f43}-\\x{11f4f}\\x{16d6d}-\\x{16d6f}\\x{1e5ff}"
#define LATER_SM "\\x{10d8e}-\\x{10d8f}"
#define LATER_SO                                                                                   \
    "\\x{2427}-\\x{2429}\\x{2ffc}-\\x{2fff}\\x{31e4}-\\x{31e5}\\x{31ef}\\x{1cc00}-\\x{1ccef}"      \
    "\\x{1cd00}-\\x{1ceb3}\\x{1f6dc}\\x{1f774}-\\x{1f776}\\x{1f77b}-\\x{1f77f}\\x{1f7d9}"          \
    "\\x{1f8b2}-\\x{1f8bb}\\x{1f8c0}-\\x{1f8c1}\\x{1fa75}-\\x{1fa77}\\x{1fa87}-\\x{1fa89}\\x{"     \
    "1fa8f}"                                                                                       \
    "\\x{1faad}-\\x{1faaf}\\x{1fabb}-\\x{1fabf}\\x{1fac6}\\x{1face}-\\x{1facf}\\x{1fada}-\\x{"     \
    "1fadc}"                                                                                       \
    "\\x{1fadf}\\x{1fae8}-\\x{1fae9}\\x{1faf7}-\\x{1faf8}\\x{1fbcb}-\\x{1fbef}"

#define LETTERS "\\p{L}" LATER_LL LATER_LM LATER_LO LATER_LU
#define MARKS   "\\p{M}" LATER_M
#define DIGITS  "\\p{Nd}" LATER_ND

static const struct {
    const char *name, *text;
} properties[] = {
    {"L", LETTERS},
    {"Ll", "\\p{Ll}" LATER_LL},
    {"Lm", "\\p{Lm}" LATER_LM},
    {"Lo", "\\p{Lo}" LATER_LO},
    {"Lt", "\\p{Lt}"},
    {"Lu", "\\p{Lu}" LATER_LU},
    {"M", MARKS},
    {"N", "\\p{N}" LATER_ND LATER_NO},
    {"Nd", DIGITS},
    {"Nl", "\\p{Nl}"},
    {"No", "\\p{No}" LATER_NO},
    {"P", "\\p{P}" LATER_PD LATER_PO},
    {"Pc", "\\p{Pc}"},
    {"Pd", "\\p{Pd}" LATER_PD},
    {"Pe", "\\p{Pe}"},
    {"Pf", "\\p{Pf}"},
    {"Pi", "\\p{Pi}"},
    {"Po", "\\p{Po}" LATER_PO},
    {"Ps", "\\p{Ps}"},
    {"S", "\\p{S}" LATER_SM LATER_SO},
    {"Sc", "\\p{Sc}"},
    {"Sk", "\\p{Sk}"},
    {"Sm", "\\p{Sm}" LATER_SM},
    {"So", "\\p{So}" LATER_SO},
    {"Z", "\\p{Z}"},
    {"Zl", "\\p{Zl}"},
    {"Zp", "\\p{Zp}"},
    {"Zs", "\\p{Zs}"},
};

const char *ko_regex_property(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) {
        if (strlen(properties[i].name) == n && memcmp(properties[i].name, name, n) == 0) {
            return properties[i].text;
        }
    }
    return NULL;
}

const char *ko_regex_escape(char letter)
{
    switch (letter) {
    case 's':
        return WHITE_SPACE;
    case 'd':
        return DIGITS;
    case 'h':
        return "0-9a-fA-F";
    case 'w': /* In Oniguruma also the six numbers of Latin-1 and the circled letters. */
        return LETTERS MARKS DIGITS
            "\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}"
            "\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}";
    default:
        return NULL;
    }
}
