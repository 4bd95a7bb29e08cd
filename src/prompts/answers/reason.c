/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences for the reasons why prompts are skipped. */
#include "src/prompts/answers/reason.h"

const char *ko_reason_sentence(enum ko_reason reason)
{
    switch (reason) {
#define X(name, code, sentence)                                                                    \
    case name:                                                                                     \
        return sentence;
        KO_REASONS(X)
#undef X
    case KO_N_REASONS:
        break;
    }
    return "unknown reason";
}
