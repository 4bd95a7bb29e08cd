"""Write the golden files of whole answers in tests/data/answers, or compute a sample of their cells again.

Usage: make_answers.py write FOLDER [--only NAME,...]      FOLDER/NAME-clean.h5 and FOLDER/NAME-knocked.h5
       make_answers.py check FOLDER [--only NAME,...] [--cells N] [--bound B]

The files have the layout of make_golden.py.  logprob and clean_logprob are those of the whole answer, kl, rank_gap and the ranks those
of its first token.  Besides:
  answer_rows                                                     the rule, "clean" or "knocked" (whole_answers.py)
  answer_id (int32) [prompt, answer_token]                        the answer's tokens, -1 past the end
  answer_logprob [prompt, route, feature_class, window_size, window_start, answer_token]      answer_rank (int32),
  answer_gap likewise: rank_gap of every token
There is no heat_logprob.  Answers have two tokens or three.  `check` takes N cells of each file (the default is 8) and exits with 1 where one differs
by more than B (1e-9).  Everything needed is in the repository.
"""
import json
import random
import sys
from pathlib import Path

from golden_command import command, need

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

import h5py
import numpy as np
from tokenizers import Tokenizer

from knockout_oracle import read_prompt, route_knockout
from make_golden import load, measure
from whole_answers import RULES, answer_distributions, answer_tokens

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "jobs" / "facts.jsonl"
DEMO, VARIANT = ROOT / "jobs" / "models", ROOT / "tests" / "data" / "variants"

# later<-subject has subjects that are targets too; last<-last and all<-all remove the diagonal
EDGES = ["last<-subject", "last<-last", "later<-subject", "all<-all"]
SSM = (EDGES + ["ssm@last"], ["all", "all+conv"], [3])
ATTENTION = (EDGES + ["mlp@subject-last"], ["all", "after-softmax"], [3])
# name -> (routes, classes, window sizes), two prompts each
ANSWERS = {"gpt2-facts": ATTENTION, "llama-facts": ATTENTION, "mamba-facts": SSM, "mamba2-facts": SSM,
           "falcon-h1": (EDGES + ["ssm@subject-last"], ["all", "ssm"], [1]),
           "qwen3-next-dense": (EDGES + ["ssm@last"], ["all", "ssm"], [1])}


def checkpoint(name):
    return next(folder / name for folder in (DEMO, VARIANT) if (folder / name).is_dir())


def pick(facts, tokenizer):
    """Two prompts (fact, Prompt, answer): with an answer of two tokens and a subject of several, and with one of the most up to three."""
    facts, found = list(facts), []
    random.Random(0).shuffle(facts)
    for f in facts:
        try:
            p = read_prompt(tokenizer, f, "raw-first-token")
            found.append((f, p, answer_tokens(tokenizer, f)))
        except ValueError:
            continue
    found = [x for x in found if 2 <= len(x[2]) <= 3 and x[1].T <= 16]
    first = next(x for x in found if len(x[2]) == 2 and len(x[1].subject) > 1)
    return [first, next(x for x in found if x is not first and len(x[2]) == max(len(a) for *_, a in found))]


def scores(model, p, answer, k, rule, base, first=None):
    """log-probability, rank and gap of every token; the first token and the KL of the first.  first: its distribution, where known."""
    lps = answer_distributions(model, p.ids, answer, k, rule, first)
    out = [measure(lp, b, t) for lp, b, t in zip(lps, base, answer)]
    return lps[0], ([o[0] for o in out], [o[1] for o in out], [o[4] for o in out], out[0][2], out[0][3])


class File:
    """The arrays of one golden file."""

    def __init__(self, picked, routes, features, sizes, n_layers):
        P, A, self.T = len(picked), max(len(a) for *_, a in picked), max(p.T for _, p, _ in picked)
        shape = (P, len(routes), len(features), len(sizes), n_layers)
        self.cell = {k: np.full(shape, np.nan) for k in ("logprob", "kl", "rank_gap")}
        self.cell |= {k: np.full(shape, -1, np.int32) for k in ("target_rank", "top1_id")}
        self.cell |= {k: np.full((*shape, A), np.nan) for k in ("answer_logprob", "answer_gap")}
        self.cell["answer_rank"] = np.full((*shape, A), -1, np.int32)
        self.one = {k: np.zeros(P, np.int32) for k in ("clean_target_rank", "clean_top1_id", "target_id")} | {"clean_logprob": np.zeros(P)}
        self.one["token_id"], self.one["subject_span"] = np.full((P, self.T), -1, np.int32), np.zeros((P, 2), np.int32)
        self.one["answer_id"] = np.full((P, A), -1, np.int32)

    def put_prompt(self, n, p, answer, clean):
        logprob, rank, _, top1, _ = clean
        for name, value in dict(clean_logprob=sum(logprob), clean_target_rank=rank[0], clean_top1_id=top1, target_id=answer[0],
                                subject_span=(p.subject[0], p.subject[-1] + 1)).items():
            self.one[name][n] = value
        self.one["token_id"][n, :p.T], self.one["answer_id"][n, :len(answer)] = p.ids, answer

    def put(self, at, found):
        logprob, rank, gap, self.cell["top1_id"][at], self.cell["kl"][at] = found
        self.cell["logprob"][at], self.cell["target_rank"][at], self.cell["rank_gap"][at] = sum(logprob), rank[0], gap[0]
        for name, of_tokens in (("logprob", logprob), ("rank", rank), ("gap", gap)):
            self.cell["answer_" + name][at][:len(of_tokens)] = of_tokens

    def write(self, path, picked, routes, features, sizes, rule, model):
        with h5py.File(path, "w") as h:
            for k, v in self.cell.items():
                h.create_dataset(k, data=v, compression="gzip")
            for k, v in {**self.one, "window_size": np.array(sizes, np.int32)}.items():
                h[k] = v
            for k, v in dict(prompt_id=[p.id for _, p, _ in picked], prompt=[f["prompt"] for f, *_ in picked], route=routes,
                             feature_class=features, answer_rows=[rule]).items():
                h.create_dataset(k, data=v, dtype=h5py.string_dtype())
            h.attrs["n_layers"], h.attrs["kind"] = model.n_layers, model.kind
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB, answers of {[len(a) for *_, a in picked]} tokens", flush=True)


def write(folder, only):
    facts = [json.loads(line) for line in open(FACTS)]
    for name, (routes, features, sizes) in ANSWERS.items():
        if only and name not in only:
            continue
        tok, model = Tokenizer.from_file(f"{checkpoint(name)}/tokenizer.json"), load(str(checkpoint(name)))
        picked, L = pick(facts, tok), model.n_layers
        files = [File(picked, routes, features, sizes, L) for _ in RULES]
        for n, (_, p, answer) in enumerate(picked):
            base = answer_distributions(model, p.ids, answer, None)
            clean = scores(model, p, answer, None, "clean", base, base[0])[1]
            for file in files:
                file.put_prompt(n, p, answer, clean)
            for r, c, s, start in np.ndindex(len(routes), len(features), len(sizes), L):
                k = route_knockout(routes[r], p, range(start, min(start + sizes[s], L)), features[c])
                if start + sizes[s] > L or model.vacuous(k, p.T):
                    continue
                first = None
                for file, rule in zip(files, RULES):
                    first, found = scores(model, p, answer, k, rule, base, first)
                    file.put((n, r, c, s, start), found)
        for file, rule in zip(files, RULES):
            file.write(folder / f"{name}-{rule}.h5", picked, routes, features, sizes, rule, model)
        apart = np.nanmax(np.abs(files[0].cell["logprob"] - files[1].cell["logprob"]))
        print(f"{name}: the rules differ by {apart:.2g} at most", flush=True)
        if not apart > 1e-3:
            raise SystemExit(f"{name}: no cell tells the rules apart")


def check(folder, only, n_cells):
    by_id = {str(f["id"]): f for f in map(json.loads, open(FACTS))}
    for name in ANSWERS:
        if only and name not in only:
            continue
        tok, model = Tokenizer.from_file(f"{checkpoint(name)}/tokenizer.json"), load(str(checkpoint(name)))
        for rule in RULES:
            file = f"{name}-{rule}.h5"
            with h5py.File(folder / file) as h:
                golden = {k: h[k][()] for k in ("logprob", "kl", "answer_logprob", "answer_rank", "answer_id", "token_id", "window_size")}
                ids, routes, classes = (h[k].asstr()[()].tolist() for k in ("prompt_id", "route", "feature_class"))
            differences, bad = [], 0
            done = [c for c in np.ndindex(*golden["logprob"].shape) if not np.isnan(golden["logprob"][c])]
            for cell in random.Random(file).sample(done, n_cells):
                n, r, c, s, start = cell
                p = read_prompt(tok, by_id[ids[n]], "raw-first-token")
                answer = answer_tokens(tok, by_id[ids[n]])
                k = route_knockout(routes[r], p, range(start, start + int(golden["window_size"][s])), classes[c])
                if golden["token_id"][n][:p.T].tolist() != p.ids or [a for a in golden["answer_id"][n].tolist() if a >= 0] != answer:
                    print(f"{file}: {ids[n]}: other tokens")
                    bad += 1
                    continue
                base = answer_distributions(model, p.ids, answer, None)
                _, (logprob, rank, _, _, kl) = scores(model, p, answer, k, rule, base)
                differences += [sum(logprob) - golden["logprob"][cell], kl - golden["kl"][cell],
                                *(golden["answer_logprob"][cell][:len(answer)] - logprob)]
                bad += golden["answer_rank"][cell][:len(answer)].tolist() != rank
            yield file, f"{n_cells} cells", differences, bad


if __name__ == "__main__":
    sys.exit(command(__doc__, write, check, 8))
