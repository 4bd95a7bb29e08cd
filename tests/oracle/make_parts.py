"""Write the golden files of component and head cells in tests/data/parts, or compute a sample of their cells again.

Usage: make_parts.py write FOLDER [--only NAME,...]      FOLDER/NAME.h5 and FOLDER/NAME-replaced.h5, in the layout of make_golden.py
       make_parts.py check FOLDER [--only NAME,...] [--cells N] [--bound B]

NAME.h5, for the demo models: parts left out, and edges of single heads.  NAME-replaced.h5, for some demo models and variants: parts
left out, replaced by their means, and replaced by another prompt's, for four prompts whose subjects have different lengths, so that
some donors are too short.  `check` takes N cells of each file (the default is 12), a few of them vacuous, and exits with 1 where one
differs by more than B (1e-9).  Everything needed is in the repository: the checkpoints in jobs/models and tests/data/variants.
"""
import argparse
import json
import random
import sys
from importlib.util import find_spec
from pathlib import Path

missing = [m for m in ("torch", "transformers", "tokenizers", "safetensors", "h5py") if find_spec(m) is None]
if missing:
    print(f"skipped: this Python has no {', '.join(missing)}")
    sys.exit(77)

import h5py
import numpy as np
import torch
from tokenizers import Tokenizer

from knockout_oracle import read_prompt, route_knockout
from make_golden import file_order, load, make, measure
from replaced import Replacements

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "jobs" / "facts.jsonl"
DEMO, VARIANT = ROOT / "jobs" / "models", ROOT / "tests" / "data" / "variants"

EDGES = ["last<-subject", "later<-subject"]
ATTENTION_PARTS = ["attention@last", "attention@subject", "attention@subject-last", "attention@all", "mlp@last", "mlp@subject",
                   "mixer@last", "mlp@random-like:subject:5", *EDGES, "last<-all"]
SSM_PARTS = ["ssm@last", "ssm@subject", "ssm@all", "mixer@subject-last", "ssm@relation\\last", "mlp@last", *EDGES,
             "relation<-subject"]
SSM_CLASSES = ["all", "ssm", "ssm+conv"]
# name -> (routes, classes, window sizes), three prompts each
PARTS = {
    "gpt2-facts": (ATTENTION_PARTS, ["all", "attention", "head:0", "head:last"], [1, 3]),
    "llama-facts": (ATTENTION_PARTS, ["all", "attention", "head:0", "head:last"], [1, 3]),
    "mamba-facts": (SSM_PARTS, SSM_CLASSES, [3]),
    "falcon-mamba-facts": (SSM_PARTS, SSM_CLASSES, [1, 3]),
    "mamba2-facts": (SSM_PARTS, [*SSM_CLASSES, "ssm-head:0", "ssm-head:last"], [1, 3]),
}
WHOLE = ["all", "all~mean", "all~resample:3", "all~resample:8"]
HEADS = ["head:1", "head:1~mean", "head:0~resample:3"]
SSM_HEADS = ["ssm-head:1", "ssm-head:1~mean", "ssm-head:0~resample:3"]
TRANSFORMER = (["attention@last", "attention@subject", "mlp@last", "mlp@subject", "mixer@subject-last"], [*WHOLE, *HEADS], [1, 3])
SSM = (["ssm@last", "ssm@subject", "mixer@subject-last"], WHOLE, [1, 3])
HYBRID = (["attention@last", "attention@subject", "ssm@last", "ssm@subject", "mlp@subject", "mixer@subject-last"],
          [*WHOLE, *HEADS, *SSM_HEADS], [1, 3])
# name -> (routes, classes, window sizes), four prompts each
REPLACED = {
    "gpt2-facts": TRANSFORMER, "llama-facts": TRANSFORMER, "mamba-facts": SSM,
    "mamba2-facts": (SSM[0], [*WHOLE, *SSM_HEADS], [1, 3]),
    "pythia": TRANSFORMER, "opt": TRANSFORMER, "opt-projected": TRANSFORMER, "gemma2": TRANSFORMER,
    "falcon-h1": HYBRID, "zamba2": HYBRID, "qwen3-next-dense": HYBRID,
    "lfm2": (["attention@last", "attention@subject", "conv@last", "conv@subject", "mlp@subject", "mixer@subject-last"],
             [*WHOLE, *HEADS], [1, 3]),
}


def checkpoint(name):
    return next(folder / name for folder in (DEMO, VARIANT) if (folder / name).is_dir())


def golden_files(only):
    """(name of the file, name of the checkpoint, (routes, classes, sizes), prompts)"""
    for name, what in PARTS.items():
        if not only or name in only:
            yield f"{name}.h5", name, what, 3
    for name, what in REPLACED.items():
        if not only or name in only:
            yield f"{name}-replaced.h5", name, what, 4


def write(folder, only):
    for file, name, (routes, classes, sizes), n_prompts in golden_files(only):
        make(str(checkpoint(name)), FACTS, folder / file, n_prompts, sizes, 0, routes=routes, features=classes)
        with h5py.File(folder / file) as h:
            vacuous = np.isnan(h["logprob"][()])[:, :, :, 0, 0]
            drawn = [c for c, label in enumerate(h["feature_class"].asstr()[()]) if label.startswith("all~resample")]
            subject = [r for r, label in enumerate(h["route"].asstr()[()]) if label.endswith("@subject")]
            if drawn and not 0 < vacuous[:, subject][:, :, drawn].mean() < 1:
                raise SystemExit(f"{file}: every donor's subject is long enough, or none is")
        print(f"{file}: {(folder / file).stat().st_size / 1e3:.0f} kB", flush=True)


def check(folder, only, n_cells, bound):
    facts = [json.loads(line) for line in open(FACTS)]
    by_id, worst_of_all = {str(f["id"]): f for f in facts}, 0.0
    for file, name, *_ in golden_files(only):
        with h5py.File(folder / file) as h:
            golden = {k: h[k][()] for k in ("logprob", "kl", "target_rank", "top1_id", "token_id", "window_size", "clean_logprob")}
            ids, routes, classes = (h[k].asstr()[()].tolist() for k in ("prompt_id", "route", "feature_class"))
        tok, model = Tokenizer.from_file(f"{checkpoint(name)}/tokenizer.json"), load(str(checkpoint(name)))
        picked = [(by_id[i], read_prompt(tok, by_id[i], "raw-first-token")) for i in ids]
        order = file_order(facts, picked)
        replacements = Replacements(model, [picked[n][1] for n in order])
        shape, draw = golden["logprob"].shape, random.Random(file)
        exists = [c for c in np.ndindex(*shape) if c[4] + golden["window_size"][c[3]] <= shape[4]]
        vacuous = [c for c in exists if np.isnan(golden["logprob"][c])]
        done = [c for c in exists if not np.isnan(golden["logprob"][c])]
        worst, bad = 0.0, 0
        for cell in draw.sample(done, n_cells) + draw.sample(vacuous, min(n_cells // 3, len(vacuous))):
            n, r, c, s, start = cell
            p, size = picked[n][1], int(golden["window_size"][s])
            values = replacements.values(routes[r], classes[c], order.index(n))
            k = route_knockout(routes[r], p, range(start, start + size), classes[c], values)
            if golden["token_id"][n][:p.T].tolist() != p.ids or model.vacuous(k, p.T) != bool(np.isnan(golden["logprob"][cell])):
                print(f"{file}: {ids[n]}, {routes[r]}, {classes[c]}, {size} from {start}: other tokens, or vacuous in one of two")
                bad += 1
                continue
            if model.vacuous(k, p.T):
                bad += golden["target_rank"][cell] != -1 or not np.isnan(golden["kl"][cell])
                continue
            base = model.log_probs(p.ids)
            logprob, rank, top1, kl, _ = measure(model.log_probs(p.ids, k), base, p.target)
            worst = max(worst, abs(logprob - golden["logprob"][cell]), abs(kl - golden["kl"][cell]),
                        abs(base[p.target].item() - golden["clean_logprob"][n]))
            bad += rank != golden["target_rank"][cell] or top1 != golden["top1_id"][cell]
        print(f"{file}: {n_cells} cells, {min(n_cells // 3, len(vacuous))} of {len(vacuous)} vacuous ones: largest difference {worst:.1e}, "
              f"{bad} differ otherwise", flush=True)
        worst_of_all = max(worst_of_all, worst if not bad else np.inf)
    return 0 if worst_of_all <= bound else 1


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("what", choices=["write", "check"]), ap.add_argument("folder", type=Path)
    ap.add_argument("--only", type=lambda text: text.split(","), default=[])
    ap.add_argument("--cells", type=int, default=12)
    ap.add_argument("--bound", type=float, default=1e-9)
    a = ap.parse_args()
    torch.set_num_threads(1)
    if a.what == "write":
        a.folder.mkdir(parents=True, exist_ok=True)
        return write(a.folder, a.only)
    return check(a.folder, a.only, a.cells, a.bound)


if __name__ == "__main__":
    sys.exit(main())
