"""Write the golden files of windows other than runs of equally many layers, in tests/data/windows, or compute a sample of their cells again.

Usage: make_windows.py write FOLDER [--only NAME,...]      FOLDER/NAME-STYLE.h5, in the layout of make_golden.py
       make_windows.py check FOLDER [--only NAME,...] [--cells N] [--bound B]

The layers of each window are written out here, without the program.  `check` takes N cells of each file (the default is 6) and exits with
1 where one differs by more than B (1e-9).  Everything needed is in the repository.
"""
import sys
from pathlib import Path

from golden_command import command, need, recompute

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

from make_golden import make

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "jobs" / "facts.jsonl"
EDGES = ["last<-subject", "later<-subject", "subject<-first", "last<-all"]
HYBRID = [*EDGES, "mlp@last", "mixer@subject", "attention@last"], ["all", "attention", "ssm", "all+conv", "head:0"]
LISTS = [[0, 2], [1, 3, 4], [3], [0, 1, 5], [2, 4], [0, 1, 2, 3, 4, 5, 6]]


def centred(size):
    return lambda k, n: [l for l in range(n) if k - size // 2 <= l < k + (size + 1) // 2]


def without(window):
    return lambda k, n: [l for l in range(n) if l not in window(k, n)]


def run(size):
    return lambda k, n: range(k, k + size)


def axes(columns, fits=lambda k, n: True):
    """[start, size] -> layers, of a model with n layers."""
    return lambda n: [[[*window(k, n)] if fits(k, n) else [] for window in columns] for k in range(n)]


def listed(n):
    return [[window if max(window) < n else []] for window in LISTS]


# name: (checkpoint, (routes, classes), sizes, (windows of the spec, their layers))
GOLDEN = {
    "falcon-h1-centred": ("falcon-h1", HYBRID, [2, 3], ("style: centred, sizes: [2, 3]", axes([centred(2), centred(3)]))),
    "falcon-h1-from": ("falcon-h1", HYBRID, [0], ("style: from", axes([lambda k, n: range(k, n)]))),
    "falcon-h1-until": ("falcon-h1", HYBRID, [0], ("style: until", axes([lambda k, n: range(k + 1)]))),
    "falcon-h1-outside": ("falcon-h1", HYBRID, [2], ("style: outside, sizes: [2]", axes([without(run(2))], lambda k, n: k + 2 <= n))),
    "granite-h-listed": ("granite-h", HYBRID, [0], (f"layers: {LISTS}", listed)),
    "lfm2-listed": ("lfm2", ([*EDGES, "mlp@last", "conv@last", "mixer@subject"], ["all", "attention", "conv"]), [0],
                    (f"layers: {LISTS}", listed)),
    "gemma3-listed": ("gemma3", ([*EDGES, "mlp@last", "attention@subject"], ["all", "head:1"]), [0], (f"layers: {LISTS}", listed)),
    "zamba2-outside-centred": ("zamba2", HYBRID, [3], ("style: outside-centred, sizes: [3]", axes([without(centred(3))]))),
    "mamba2-groups-outside": ("mamba2-groups", ([*EDGES, "ssm@last"], ["all", "slow-third", "all+conv", "ssm-head:1"]), [1],
                              ("style: outside, sizes: [1]", axes([without(run(1))]))),
}


def files(folder, only):
    """(path, checkpoint, (routes, classes), sizes, windows) of the files of these names, of all where there are none."""
    for name, (checkpoint, *what) in GOLDEN.items():
        if not only or name in only:
            yield folder / f"{name}.h5", ROOT / "tests" / "data" / "variants" / checkpoint, *what


def write(folder, only):
    for path, checkpoint, (routes, classes), sizes, windows in files(folder, only):
        make(str(checkpoint), FACTS, path, 2, sizes, 0, routes=routes, features=classes, windows=windows)


def check(folder, only, n_cells):
    for path, checkpoint, _, _, (_, layers) in files(folder, only):
        yield recompute(path, checkpoint, FACTS, lambda n, sizes: layers(n), n_cells)


if __name__ == "__main__":
    sys.exit(command(__doc__, write, check, 6))
