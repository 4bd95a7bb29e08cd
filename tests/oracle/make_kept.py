"""Write the golden files of routes `keep:`, in tests/data/kept, or compute them again.

Usage: make_kept.py FOLDER [--only NAME,...]      FOLDER/NAME.h5, in the layout of make_golden.py

Everything needed is in the repository.
"""
import argparse
from pathlib import Path

import torch

from make_golden import make

ROOT = Path(__file__).resolve().parents[2]
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


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("folder", type=Path)
    ap.add_argument("--only", type=lambda text: text.split(","), default=list(GOLDEN))
    a = ap.parse_args()
    torch.set_num_threads(1)
    a.folder.mkdir(parents=True, exist_ok=True)
    for name in a.only:
        where, classes = GOLDEN[name]
        windows = f"layers: {LISTS[where]}", lambda n: [[window] for window in LISTS[where]]
        make(str(ROOT / where / name), ROOT / "jobs" / "facts.jsonl", a.folder / f"{name}.h5", 2, [0], 0, routes=ROUTES, features=classes,
             windows=windows)


if __name__ == "__main__":
    main()
