"""Write the golden files of routes `keep:`, in tests/data/kept, or compute a sample of their cells again.

Usage: make_kept.py write FOLDER [--only NAME,...]      FOLDER/NAME.h5, in the layout of make_golden.py
       make_kept.py check FOLDER [--only NAME,...] [--cells N] [--bound B]

`check` takes N cells of each file (the default is 6) and exits with 1 where one differs by more than B (1e-9).  Everything needed is in
the repository.
"""
import sys
from pathlib import Path

from golden_command import command, need, recompute

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

from make_golden import make

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "jobs" / "facts.jsonl"
# One row; one set of sources; rows with two and with three; a chain through the subject; sources behind their targets; nothing kept.
ROUTES = ["keep:last<-subject", "keep:last<-subject+subject<-subject+diagonal", "keep:last<-subject-last+after-subject<-subject+diagonal",
          "keep:last<-after-subject+after-subject<-subject+subject<-first", "keep:all<-first+diagonal", "keep:subject<-last"]
LISTS = {"jobs/models": [[1, 2, 3], [6, 7], [0, 5]], "tests/data/variants": [[0, 1], [1, 2, 3], [3]]}
# name: (folder, classes)
GOLDEN = {
    "mamba-facts": ("jobs/models", ["all", "slow-third", "all+conv"]),
    "falcon-mamba-facts": ("jobs/models", ["all", "fast-third"]),
    "mamba2-facts": ("jobs/models", ["all", "random-third:7", "all+conv"]),
    "gpt2-facts": ("jobs/models", ["all", "after-softmax", "head:1"]),
    "llama-facts": ("jobs/models", ["all"]),
    "falcon-h1": ("tests/data/variants", ["all", "attention", "ssm"]),
    "qwen3-next-dense": ("tests/data/variants", ["all", "ssm-head:1"]),
    "recurrent-gemma": ("tests/data/variants", ["all"]),
    "lfm2": ("tests/data/variants", ["all", "conv"]),
}


def names(only):
    return [name for name in GOLDEN if not only or name in only]


def write(folder, only):
    for name in names(only):
        where, classes = GOLDEN[name]
        windows = f"layers: {LISTS[where]}", lambda n: [[window] for window in LISTS[where]]
        make(str(ROOT / where / name), FACTS, folder / f"{name}.h5", 2, [0], 0, routes=ROUTES, features=classes, windows=windows)


def check(folder, only, n_cells):
    for name in names(only):
        where = GOLDEN[name][0]
        yield recompute(folder / f"{name}.h5", ROOT / where / name, FACTS, lambda n, sizes: [[window] for window in LISTS[where]], n_cells)


if __name__ == "__main__":
    sys.exit(command(__doc__, write, check, 6))
