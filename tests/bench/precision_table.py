"""How far each precision of a GPU lies from float32 on a CPU, model by model.

Usage: precision_table.py KNOCKOUT FACTS FOLDER MODEL... [--prompts 40] [--seed 1] [--precision float32,bf16x3,tf32,bfloat16]

KNOCKOUT is the program, FACTS a file of facts (jobs/facts.jsonl), FOLDER an empty folder for the cubes, MODEL a checkpoint's folder.
The prompts are new: each is a fact's text with the subject of another fact, and the target of a third, drawn by the seed. So no test
holds them. The sweep takes edges into the last token and into the tokens after the subject, whole sublayers at the last token, and
windows of one and two layers. It runs once on the CPU in float32 and once on the GPU in each precision.

Prints a line a model: the cells compared, and for each precision the largest difference in log-probability and its 99th percentile.
Then the same for KL. Fails where the runs do not have values in the same cells.
"""
import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np


def mixed_facts(path, n, seed):
    """n facts, each of three that were drawn: text of the first, subject of the second, target of the third."""
    facts = [json.loads(line) for line in Path(path).read_text().splitlines()]
    draw = random.Random(seed)
    mixed = []
    while len(mixed) < n:
        text, subject, target = draw.sample(facts, 3)
        if text["prompt"].count(text["subject"]) == 1:
            mixed.append({"id": len(mixed), "relation": text["relation"], "subject": subject["subject"],
                          "prompt": text["prompt"].replace(text["subject"], subject["subject"]), "target": target["target"]})
    return mixed


def write_spec(folder, models, facts):
    (folder / "facts.jsonl").write_text("".join(json.dumps(f) + "\n" for f in facts))
    spec = {"models": [str(Path(m).resolve()) for m in models],
            "prompts": {"file": str((folder / "facts.jsonl").resolve()), "select": "all"},
            "windows": {"sizes": [1, 2], "starts": "all"},
            "sweeps": [{"routes": ["last<-subject", "last<-relation", "last<-last", "last<-first", "later<-subject", "last<-each"]},
                       {"routes": ["mixer@last", "mlp@last", "mixer@subject"]}]}
    (folder / "spec.yaml").write_text(json.dumps(spec, indent=1))


def sweep(knockout, folder, name, *options):
    command = [knockout, "run", str(folder / "spec.yaml"), "-o", str(folder / f"{name}.h5"), "--progress", "none", "--log-level", "warn",
               *options]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")


def values(path, kind):
    """Model -> all its values of a kind (logprob or kl): those of the curves, then those of the heat maps."""
    with h5py.File(path) as cube:
        names = [n for n in (kind, f"heat_{kind}") if n in cube]
        models = [m.decode() if isinstance(m, bytes) else m for m in cube["model"][...]]
        whole = [cube[n][...].astype(np.float64) for n in names]
    return {model: np.concatenate([part[m].ravel() for part in whole]) for m, model in enumerate(models)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("knockout")
    parser.add_argument("facts")
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--precision", default="float32,bf16x3,tf32,bfloat16")
    given = parser.parse_args()
    precisions = given.precision.split(",")

    given.folder.mkdir(parents=True, exist_ok=True)
    write_spec(given.folder, given.models, mixed_facts(given.facts, given.prompts, given.seed))
    sweep(given.knockout, given.folder, "cpu", "--backend", "cpu", "--precision", "float32")
    for precision in precisions:
        sweep(given.knockout, given.folder, precision, "--backend", "cuda", "--precision", precision)

    for kind in "logprob", "kl":
        reference = values(given.folder / "cpu.h5", kind)
        others = {p: values(given.folder / f"{p}.h5", kind) for p in precisions}
        print(f"{kind:24}{'cells':>8}" + "".join(f"{p:>10} 99 %    " for p in precisions))
        for model, x in reference.items():
            there = np.isfinite(x)
            line = f"{model:24}{there.sum():8}"
            for p in precisions:
                y = others[p][model]
                if x.shape != y.shape or (np.isfinite(y) != there).any():
                    sys.exit(f"{model} has {kind} in other cells in {p} than on the CPU")
                if not there.any():
                    sys.exit(f"{model} has no {kind}")
                difference = np.abs(x - y)[there]
                line += f"{difference.max():11.1e} {np.quantile(difference, 0.99):7.1e}"
            print(line)


main()
