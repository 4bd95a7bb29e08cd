"""What the programs that write golden files share: `PROGRAM write FOLDER` and `PROGRAM check FOLDER`, which computes cells again."""
import argparse
import json
import random
import sys
from importlib.util import find_spec
from pathlib import Path


def need(*modules):
    """Ends with 77, which is "skipped" in ctest, where this Python lacks one of the modules.  To be called before they are imported."""
    missing = [m for m in modules if find_spec(m) is None]
    if missing:
        print(f"skipped: this Python has no {', '.join(missing)}")
        sys.exit(77)


def recompute(path, checkpoint, facts_path, windows, n_cells):
    """n_cells of a file in the layout of make_golden.py, and a third as many vacuous ones, computed again: a result for `command`.

    windows: number of layers, window sizes -> [start][size] -> the layers of the window, empty where it does not fit the model."""
    import h5py
    import numpy as np
    from tokenizers import Tokenizer

    from knockout_oracle import read_prompt, route_knockout
    from make_golden import file_order, load, measure
    from replaced import Replacements

    with h5py.File(path) as h:
        golden = {k: h[k][()] for k in ("logprob", "kl", "target_rank", "top1_id", "token_id", "window_size", "clean_logprob")}
        ids, routes, classes = (h[k].asstr()[()].tolist() for k in ("prompt_id", "route", "feature_class"))
    facts = [json.loads(line) for line in open(facts_path)]
    by_id = {str(f["id"]): f for f in facts}
    tok, model = Tokenizer.from_file(f"{checkpoint}/tokenizer.json"), load(str(checkpoint))
    picked = [(by_id[i], read_prompt(tok, by_id[i], "raw-first-token")) for i in ids]
    order = file_order(facts, picked)
    replacements, layers = Replacements(model, [picked[n][1] for n in order]), windows(model.n_layers, golden["window_size"].tolist())
    draw = random.Random(path.name)
    exists = [c for c in np.ndindex(*golden["logprob"].shape) if layers[c[4]][c[3]]]
    vacuous = [c for c in exists if np.isnan(golden["logprob"][c])]
    done = [c for c in exists if not np.isnan(golden["logprob"][c])]
    n_vacuous = min(n_cells // 3, len(vacuous))
    differences, bad = [], 0
    for cell in draw.sample(done, min(n_cells, len(done))) + draw.sample(vacuous, n_vacuous):
        n, r, c, s, start = cell
        p = picked[n][1]
        k = route_knockout(routes[r], p, layers[start][s], classes[c], replacements.values(routes[r], classes[c], order.index(n)))
        if golden["token_id"][n][:p.T].tolist() != p.ids or model.vacuous(k, p.T) != bool(np.isnan(golden["logprob"][cell])):
            print(f"{path.name}: {ids[n]}, {routes[r]}, {classes[c]}, window {s} from {start}: other tokens, or vacuous in one of two")
            bad += 1
            continue
        if model.vacuous(k, p.T):
            bad += bool(golden["target_rank"][cell] != -1 or not np.isnan(golden["kl"][cell]))
            continue
        base = model.log_probs(p.ids)
        logprob, rank, top1, kl, _ = measure(model.log_probs(p.ids, k), base, p.target)
        differences += [logprob - golden["logprob"][cell], kl - golden["kl"][cell], base[p.target].item() - golden["clean_logprob"][n]]
        bad += bool(rank != golden["target_rank"][cell] or top1 != golden["top1_id"][cell])
    return path.name, f"{min(n_cells, len(done))} cells, {n_vacuous} of {len(vacuous)} vacuous ones", differences, bad


def command(doc, write, check, n_cells):
    """The program; returns its exit status.

    write(folder, only) writes the files of the names in `only`, all where it is empty.  check(folder, only, n_cells) yields for each of
    them (file, what was computed, differences of its numbers, how many cells differ otherwise)."""
    import numpy as np
    import torch

    ap = argparse.ArgumentParser(description=doc.split("\n")[0])
    ap.add_argument("what", choices=["write", "check"]), ap.add_argument("folder", type=Path)
    ap.add_argument("--only", type=lambda text: text.split(","), default=[])
    ap.add_argument("--cells", type=int, default=n_cells)
    ap.add_argument("--bound", type=float, default=1e-9)
    a = ap.parse_args()
    torch.set_num_threads(1)
    if a.what == "write":
        a.folder.mkdir(parents=True, exist_ok=True)
        write(a.folder, a.only)
        return 0
    ok = []
    for file, what, differences, bad in check(a.folder, a.only, a.cells):
        worst = np.abs(differences).max(initial=0.0)  # NaN where one of them is
        print(f"{file}: {what}: largest difference {worst:.1e}, {bad} differ otherwise", flush=True)
        ok.append(len(differences) > 0 and worst <= a.bound and not bad)
    if not ok:
        print(f"nothing is checked: no file is called {', '.join(a.only)}")
    return 0 if ok and all(ok) else 1
