"""Write the golden files of component and head cells in tests/data/parts, or compute a sample of their cells again.

Usage: make_parts.py write FOLDER [--only NAME,...]      FOLDER/NAME.h5 and FOLDER/NAME-replaced.h5, in the layout of make_golden.py
       make_parts.py check FOLDER [--only NAME,...] [--cells N] [--bound B]

NAME.h5, for the demo models: parts left out, and edges of single heads.  NAME-replaced.h5, for some demo models and variants: parts
left out, replaced by their means, and replaced by another prompt's, for four prompts whose subjects have different lengths, so that
some donors are too short.  `check` takes N cells of each file (the default is 12), a few of them vacuous, and exits with 1 where one
differs by more than B (1e-9).  Everything needed is in the repository: the checkpoints in jobs/models and tests/data/variants.
"""
import sys
from pathlib import Path

from golden_command import command, need, recompute

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

import h5py
import numpy as np

from make_golden import make, runs

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


def check(folder, only, n_cells):
    for file, name, *_ in golden_files(only):
        yield recompute(folder / file, checkpoint(name), FACTS, runs, n_cells)


if __name__ == "__main__":
    sys.exit(command(__doc__, write, check, 12))
