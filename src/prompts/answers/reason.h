/* SPDX-License-Identifier: Apache-2.0 */
/* Why a prompt is skipped for a model. */
#ifndef KO_PROMPTS_ANSWERS_REASON_H
#define KO_PROMPTS_ANSWERS_REASON_H

/* X(NAME, code in the cube, sentence) */
#define KO_REASONS(X)                                                                              \
    X(KO_RUNNABLE, 0, "runnable")                                                                  \
    X(KO_SUBJECT_NOT_FOUND, 1, "subject not found in the prompt")                                  \
    X(KO_SUBJECT_EMPTY, 2, "empty subject")                                                        \
    X(KO_TARGET_EMPTY, 3, "empty answer")                                                          \
    X(KO_TARGET_MERGES, 4, "answer merges with prompt")                                            \
    X(KO_PROMPT_EMPTY, 5, "empty prompt")                                                          \
    X(KO_PROMPT_TOO_LONG, 6, "prompt longer than the model's positions")                           \
    X(KO_TOKEN_OUTSIDE_VOCABULARY, 7, "token outside the model's vocabulary")                      \
    X(KO_SUBJECT_HAS_NO_TOKEN, 8, "subject has no token of its own")                               \
    X(KO_TARGET_BLANK, 9,                                                                          \
      "answer begins with a token of white space alone (prompts: {score: first-text} scores the "  \
      "next)")                                                                                     \
    X(KO_TEXT_REFUSED, 10,                                                                         \
      "the tokenizer refuses the text (too long, too hard for its expressions, or a character "    \
      "that "                                                                                      \
      "it lacks)")                                                                                 \
    X(KO_ANSWER_TOO_LONG, 11, "prompt and whole answer longer than the model's positions")         \
    X(KO_OPTION_NOT_SCORED, 12,                                                                    \
      "an option cannot be scored (empty, merges with the prompt, too long, or begins with white " \
      "space of its own)")                                                                         \
    X(KO_OPTIONS_ALIKE, 13,                                                                        \
      "two options have the same scored token (prompts: {score: whole-answer} scores all)")

enum ko_reason {
#define X(name, code, sentence) name = code,
    KO_REASONS(X)
#undef X
        KO_N_REASONS /* codes are 0 to KO_N_REASONS - 1 */
};
const char *ko_reason_sentence(enum ko_reason reason);

#endif
