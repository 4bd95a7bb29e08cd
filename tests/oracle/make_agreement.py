"""Write what tests/e2e/agreement.py compares a cube with: prompts that the demo models partly get wrong, and cells by the oracle.

Usage: make_agreement.py MODELS_FOLDER FACTS_JSONL OUT_FOLDER      writes OUT_FOLDER/facts.jsonl and OUT_FOLDER/golden.h5

facts.jsonl: every 19th fact, three of four with other words than the models were trained on, each with a wrong answer of its relation as
foil, and one whose subject is not in its prompt.

golden.h5: fact_id [fact]; clean_target_rank (int32), clean_rank_gap [model, fact]: rank of the answer (-1: cannot be run), and how far its
log-probability is from the nearest other token's.  The cells of the first two blocks of agreement.py, [cell]: cell_model, cell_fact, cell_route,
cell_feature_class (indices), cell_source (position, -1 for a plain route), cell_size, cell_start, cell_target_rank (int32), cell_logprob,
cell_kl, cell_foil_logprob, cell_rank_gap (float64); NaN and -1 where the cell is vacuous.  route, feature_class: the labels.
"""
import json
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from tokenizers import Tokenizer

from knockout_oracle import Knockout, OracleModel, read_prompt, route_edges

sys.path.append(str(Path(__file__).parents[1] / "e2e"))     # behind the library, of whose modules it has a namesake
from agreement import BLOCKS, CLASSES, MAPS, MODELS, ROUTES, has_class, selected  # noqa: E402


def reword(fact, way):
    prompt = fact["prompt"]
    if way == 1:
        prompt = " ".join(word for word in prompt.split(" ") if word not in ("the", "a", "that"))
    elif way == 2:
        prompt = prompt.replace(" is ", " was ").replace("usually", "often")
    elif way == 3:
        prompt = "However, " + prompt
    return prompt


def make_facts(path):
    facts = [json.loads(line) for line in open(path)]
    out = []
    for k, fact in enumerate(facts[3::19]):
        foil = next(f["target"] for f in facts[fact["id"] + 1:] + facts
                    if f["relation"] == fact["relation"] and f["target"] != fact["target"])
        out.append(fact | {"prompt": reword(fact, k % 4), "foil": foil})
    out.insert(5, {"id": "none", "relation": "demonym", "subject": "Atlantis", "prompt": "Somewhere there is a city of", "target": " gold"})
    return out


def measure(lp, base, target, foil):
    gap = (lp - lp[target]).abs()
    gap[target] = float("inf")
    return {"logprob": lp[target].item(), "kl": float((torch.exp(base) * (base - lp)).sum()), "foil_logprob": lp[foil].item(),
            "target_rank": int((lp > lp[target]).sum()) + 1, "rank_gap": gap.min().item()}


VACUOUS = {"logprob": np.nan, "kl": np.nan, "foil_logprob": np.nan, "target_rank": -1, "rank_gap": np.nan}


def cells(model, name, prompt, foil, block):
    """The cells of one prompt in a block, as dicts of what golden.h5 says of them."""
    base = model.log_probs(prompt.ids)
    size, every = block["windows"]["sizes"][0], block["windows"]["starts"]["every"]
    for route in block["routes"]:
        maps = route in MAPS
        for source in range(prompt.T) if maps else [-1]:
            edges = route_edges(route.replace("each", f"position:{source}"), prompt)
            for feature in block["features"]:
                for start in range(0, model.n_layers - size + 1, every) if has_class(name, feature) else ():
                    found = VACUOUS
                    if edges:
                        found = measure(model.log_probs(prompt.ids, Knockout(edges, range(start, start + size), feature)), base,
                                        prompt.target, foil)
                    yield {"route": (ROUTES + MAPS).index(route), "feature_class": CLASSES.index(feature), "source": source,
                           "size": size, "start": start} | found


def main():
    folder, facts_path, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    facts = make_facts(facts_path)
    (out / "facts.jsonl").write_text("".join(json.dumps(f) + "\n" for f in facts))
    labels = [{"id": str(f["id"]), "relation": f["relation"]} for f in facts]
    ranks, gaps = np.full((len(MODELS), len(facts)), -1, np.int32), np.full((len(MODELS), len(facts)), np.nan)
    models, prompts = [], {}
    for m, name in enumerate(MODELS):
        tokenizer = Tokenizer.from_file(str(folder / name / "tokenizer.json"))
        models.append(OracleModel(str(folder / name)))
        for f, fact in enumerate(facts):
            if fact["subject"] not in fact["prompt"]:
                continue
            prompts[m, f] = p = read_prompt(tokenizer, fact)
            foil = read_prompt(tokenizer, fact | {"target": fact["foil"]}).target
            lp = models[m].log_probs(p.ids)
            clean = measure(lp, lp, p.target, foil)
            ranks[m, f], gaps[m, f] = clean["target_rank"], clean["rank_gap"]
        print(f"{name}: {int((ranks[m] == 1).sum())} of {len(facts)} right, the nearest tie {np.nanmin(gaps[m]):.1e}")
    rows = []
    for block in BLOCKS[:2]:
        for m, f in np.argwhere(selected(block, labels, ranks)):
            tokenizer = Tokenizer.from_file(str(folder / MODELS[m] / "tokenizer.json"))
            foil = read_prompt(tokenizer, facts[f] | {"target": facts[f]["foil"]}).target
            rows += [{"model": m, "fact": f} | c for c in cells(models[m], MODELS[m], prompts[m, f], foil, block)]
    with h5py.File(out / "golden.h5", "w") as h:
        for key in rows[0]:
            kind = np.float64 if key in ("logprob", "kl", "foil_logprob", "rank_gap") else np.int32
            h.create_dataset("cell_" + key, data=np.array([r[key] for r in rows], kind), compression="gzip", shuffle=True)
        h["clean_target_rank"], h["clean_rank_gap"] = ranks, gaps
        for key, value in dict(fact_id=[f["id"] for f in labels], route=ROUTES + MAPS, feature_class=CLASSES).items():
            h.create_dataset(key, data=value, dtype=h5py.string_dtype())
    print(f"{len(rows)} cells, largest effect {max(abs(r['kl']) for r in rows if r['kl'] == r['kl']):.2f} nats in KL")


if __name__ == "__main__":
    main()
