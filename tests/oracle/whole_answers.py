"""Whole answers: what every token of an answer gets under a knockout, computed by the oracle.

An answer of n tokens follows the T tokens of its prompt as rows T ... T+n-2; its last token needs no row.  Its
log-probability is the sum over its tokens, each given the prompt and the tokens before it.  Token sets and routes are
those of the prompt, whose last position stays `last`.  There are two rules:

  clean     the rows of the answer are no targets; they read what the knocked-out prompt left
  knocked   every row of the answer is a target (or a row of a component's cell) wherever the prompt's last position is one

With answers of one token both are what make_golden.py writes.
"""
from knockout_oracle import Knockout

RULES = ("clean", "knocked")


def answer_tokens(tokenizer, fact: dict) -> list[int]:
    """The tokens that the trimmed answer adds to the prompt's."""
    before, whole = ([i for i, special in zip(e.ids, e.special_tokens_mask) if not special]
                     for e in map(tokenizer.encode, (fact["prompt"], fact["prompt"] + " " + fact["target"].strip())))
    if whole[:len(before)] != before:
        raise ValueError("answer merges with prompt")
    return whole[len(before):]


def with_answer_rows(k: Knockout, T: int, given: int, rule: str) -> Knockout:
    """The knockout of the pass over the prompt's T tokens and `given` tokens of the answer.

    rule "clean": answer rows are no targets.  "knocked": each is a target (or a row) wherever the last prompt position is one.
    """
    if rule == "clean":
        return k
    rows = range(T, T + given)
    edges = k.edges + [(i, j) for target, j in k.edges if target == T - 1 for i in rows]
    return Knockout(edges, k.layers, k.feature_class, k.component, tuple(k.rows) + tuple(rows if T - 1 in k.rows else ()))


def answer_distributions(model, ids: list[int], answer: list[int], k: Knockout | None, rule: str = "clean", first=None) -> list:
    """[len(answer)] log p(. | prompt, a_<i), each from a pass of its own over the prompt and the tokens before it.  first: that of the
    first token, which no rule changes, where it is known."""
    return [first if given == 0 and first is not None else
            model.log_probs(ids + answer[:given], None if k is None else with_answer_rows(k, len(ids), given, rule))
            for given in range(len(answer))]
