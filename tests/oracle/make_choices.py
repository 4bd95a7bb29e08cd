"""Write the golden cells of several right answers and options in tests/data/choices, or compute a sample of them again.

Usage: make_choices.py write FOLDER [--only NAME,...]      FOLDER/NAME.json from FOLDER/facts.jsonl
       make_choices.py check FOLDER [--only NAME,...] [--cells N] [--bound B]

Every choice of every cell is a pass of its own for each of its tokens (whole_answers.py); no two choices share anything.  A file is a
list of cells {score, rule, id, route, size, start, choices: [{text, right, option, logprob, rank}], best, sum, option_logprob (a list),
option_rank, correct}.  start null: the clean run.  rank is the largest of any of the choice's tokens.  What follows from the choices:
  best            the largest log-probability of a right answer
  sum             log of the summed probability of the right answers that do not begin with another right answer's tokens
  option_logprob  log p of each option less the log of the options' summed p; option_rank 1 + the options more probable than the best right one
  correct         with options: whether option_rank is 1; else whether a right answer has rank 1
`first-token` scores the first token alone; a prompt with two options of the same first token has no cells there.
`check` takes N cells of each file (the default is 6) and exits with 1 where one differs by more than B (1e-9).
"""
import json
import random
import sys
from pathlib import Path

from golden_command import command, need

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

import numpy as np
from tokenizers import Tokenizer

from knockout_oracle import read_prompt, route_knockout
from make_golden import load
from whole_answers import RULES, answer_distributions, answer_tokens

MODELS = Path(__file__).resolve().parents[2] / "jobs" / "models"
ROUTES, SIZE = ["last<-subject", "later<-subject", "all<-all"], 3
# name -> starts of its windows
STARTS = {"gpt2-facts": [0, 5, 9], "llama-facts": [0, 5, 9], "mamba-facts": [5]}


def choices_of(fact):
    """[(text, right, option)] in the order of the cube's axis, and whether the prompt has options."""
    right = list(dict.fromkeys(([fact["target"]] if "target" in fact else []) + fact.get("targets", [])))
    texts = fact.get("options", right)
    return [(t, t in right, "options" in fact) for t in texts]


def log_sum(x):
    return float(np.logaddexp.reduce(x)) if len(x) else None


def summarise(found, tokens):
    right = [k for k, c in enumerate(found) if c["right"]]
    nested = [k for k in right if any(j != k and tokens[k][:len(tokens[j])] == tokens[j] and (len(tokens[j]), j) < (len(tokens[k]), k) for j in right)]
    best = max(found[k]["logprob"] for k in right)
    options = [c["logprob"] for c in found if c["option"]]
    rank = 1 + sum(x > best for x in options) if options else None
    return dict(best=best, sum=log_sum([found[k]["logprob"] for k in right if k not in nested]),
                option_logprob=[x - log_sum(options) for x in options], option_rank=rank,
                correct=int(rank == 1 if options else any(found[k]["rank"] == 1 for k in right)))


def cell(model, p, fact, tokens, k, rule):
    """The choices of one cell and what follows from them."""
    found = []
    for (text, right, option), answer in zip(choices_of(fact), tokens):
        lps = answer_distributions(model, p.ids, answer, k, rule)
        at = [(lp[t].item(), 1 + int((lp > lp[t]).sum())) for lp, t in zip(lps, answer)]
        found.append(dict(text=text, right=right, option=option, logprob=sum(x for x, _ in at), rank=max(r for _, r in at)))
    return dict(choices=found, **summarise(found, tokens))


def keys(facts, tok, starts):
    """All cells of a file, each with its prompt and the scored tokens of its choices."""
    for fact in facts:
        p = read_prompt(tok, {**fact, "target": fact.get("target", fact.get("targets", [""])[0])}, "raw-first-token")
        whole = [answer_tokens(tok, {**fact, "target": text}) for text, *_ in choices_of(fact)]
        first = [t[:1] for t in whole]
        for score, tokens, rules in (("first-token", first, ["clean"]), ("whole-answer", whole, RULES)):
            if "options" in fact and len({tuple(t) for t in tokens}) < len(tokens):
                continue
            for rule in rules:
                yield fact, p, tokens, dict(score=score, rule=rule, id=fact["id"], route=None, size=SIZE, start=None)
                for route in ROUTES:
                    for start in starts:
                        yield fact, p, tokens, dict(score=score, rule=rule, id=fact["id"], route=route, size=SIZE, start=start)


def compute(model, fact, p, tokens, key):
    k = None if key["route"] is None else route_knockout(key["route"], p, range(key["start"], key["start"] + SIZE))
    return {**key, **cell(model, p, fact, tokens, k, key["rule"])}


def files(folder, only):
    """(path, model, keys of all cells) of the files of these names, of all where there are none."""
    facts = [json.loads(line) for line in open(folder / "facts.jsonl")]
    for name, starts in STARTS.items():
        if not only or name in only:
            tok, model = Tokenizer.from_file(f"{MODELS / name}/tokenizer.json"), load(str(MODELS / name))
            yield folder / f"{name}.json", model, list(keys(facts, tok, starts))


def write(folder, only):
    for path, model, everything in files(folder, only):
        cells = [compute(model, *each) for each in everything]
        path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cells) + "\n]\n")
        print(f"{path.name}: {len(cells)} cells, {path.stat().st_size / 1e3:.0f} kB", flush=True)


def numbers(cell):
    return np.array([cell["sum"], cell["best"], *cell["option_logprob"], *(c["logprob"] for c in cell["choices"])])


def others(cell):
    """What must be equal."""
    return cell["correct"], cell["option_rank"], [(c["text"], c["right"], c["option"], c["rank"]) for c in cell["choices"]]


def check(folder, only, n_cells):
    for path, model, everything in files(folder, only):
        cells = {json.dumps([c[k] for k in everything[0][3]]): c for c in json.loads(path.read_text())}
        differences, bad = [], len(cells) != len(everything)
        for each in random.Random(0).sample(everything, n_cells):
            golden, found = cells[json.dumps(list(each[3].values()))], compute(model, *each)
            differences += (numbers(golden) - numbers(found)).tolist()
            bad += others(golden) != others(found)
        yield path.name, f"{n_cells} cells", differences, bad


if __name__ == "__main__":
    sys.exit(command(__doc__, write, check, 6))
