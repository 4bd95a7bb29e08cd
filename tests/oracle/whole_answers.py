"""Write what every token of an answer gets under a knockout, computed by the oracle.

Usage: whole_answers.py CHECKPOINT_DIR FACTS_JSONL OUT_JSON [--seed S] [--prompts N] [--size W] [--routes a,b]

An answer of n tokens follows the T tokens of its prompt as rows T ... T+n-2; its last token needs no row.  Its
log-probability is the sum over its tokens, each given the prompt and the tokens before it.  Token sets and routes are
those of the prompt, whose last position stays `last`.  There are two rules:

  clean     the rows of the answer are no targets; they read what the knocked-out prompt left
  knocked   every row of the answer is a target (or a row of a component's cell) wherever the prompt's last position is one

With answers of one token both are what make_golden.py writes.  The program scores one token; these cells check the rules.
"""
import argparse
import json
import random

from tokenizers import Tokenizer

from knockout_oracle import Knockout, OracleModel, read_prompt, route_knockout


def with_answer_rows(k: Knockout, T: int, given: int, rule: str) -> Knockout:
    """The knockout of the pass over the prompt's T tokens and `given` tokens of the answer.

    rule "clean": answer rows are no targets.  "knocked": each is a target (or a row) wherever the last prompt position is one.
    """
    if rule == "clean":
        return k
    rows = range(T, T + given)
    edges = k.edges + [(i, j) for target, j in k.edges if target == T - 1 for i in rows]
    return Knockout(edges, k.layers, k.feature_class, k.component, tuple(k.rows) + tuple(rows if T - 1 in k.rows else ()))


def answer_log_probs(model, ids: list[int], answer: list[int], k: Knockout | None, rule: str = "clean") -> list[float]:
    """[len(answer)] log p(a_i | prompt, a_<i), each from a pass of its own over the prompt and the tokens before it."""
    out = []
    for given in range(len(answer)):
        cell = None if k is None else with_answer_rows(k, len(ids), given, rule)
        out.append(model.log_probs(ids + answer[:given], cell)[answer[given]].item())
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("checkpoint"), ap.add_argument("facts"), ap.add_argument("out")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--prompts", type=int, default=5)
    ap.add_argument("--size", type=int, default=3)
    ap.add_argument("--routes", default="last<-subject,last<-relation,last<-last,subject<-context,later<-subject,all<-position:1")
    a = ap.parse_args()
    tok, model = Tokenizer.from_file(f"{a.checkpoint}/tokenizer.json"), OracleModel(a.checkpoint)
    facts = [json.loads(line) for line in open(a.facts)]
    random.Random(a.seed).shuffle(facts)
    routes = a.routes.split(",") + (["ssm@last"] if "mamba" in model.kind else ["attention@last", "mlp@last"])
    cells, n = [], 0
    for f in facts:
        try:
            p = read_prompt(tok, f)
        except ValueError:
            continue
        answer = tok.encode(f["prompt"] + " " + f["target"].strip()).ids[p.T:]
        if len(answer) < 2:
            continue
        clean = answer_log_probs(model, p.ids, answer, None)
        for route in routes:
            for start in range(0, model.n_layers - a.size + 1, 2):
                k = route_knockout(route, p, range(start, start + a.size))
                if not k.edges and not k.rows:
                    continue
                for rule in ("clean", "knocked"):
                    cells.append(dict(id=p.id, route=route, size=a.size, start=start, rule=rule, answer=answer, clean=clean,
                                      logprob=answer_log_probs(model, p.ids, answer, k, rule)))
        n += 1
        if n == a.prompts:
            break
    json.dump(cells, open(a.out, "w"))
    apart = sum(abs(sum(x["logprob"]) - sum(y["logprob"])) > 1e-3 for x, y in zip(cells[::2], cells[1::2]))
    effect = max(abs(sum(c["logprob"]) - sum(c["clean"])) for c in cells)
    lengths = sorted({len(c["answer"]) for c in cells})
    print(f"{a.checkpoint}: {n} prompts, answers of {lengths} tokens, {len(cells)} cells, the rules differ in {apart} of {len(cells) // 2}, "
          f"largest effect {effect:.2f}")


if __name__ == "__main__":
    main()
