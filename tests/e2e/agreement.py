"""Selections, controls and heatmaps of a cube against the float64 oracle.

    agreement.py spec FOLDER FACTS     prints the sweep spec of BLOCKS over the bundled models in FOLDER
    agreement.py check CUBE GOLDEN     compares a cube of that spec with what tests/oracle/make_agreement.py stored

The selections are computed here twice, from the cube's own evaluation and from the oracle's clean runs, by other code than the
program's, and compared with the prompt axes, `selected` and the statuses. Needs numpy and h5py.
"""
import json
import sys

import numpy as np

BOUND = 1e-4  # of log-probability, KL and foil; seen 1.1e-5
MODELS = ["mamba-facts", "falcon-mamba-facts", "mamba2-facts", "gpt2-facts", "llama-facts"]
SSM = MODELS[:3]
ROUTES = ["last<-subject", "last<-random-like:subject:1", "last<-random-like:subject-last:4", "later<-subject"]
CLASSES = ["all", "random-third:0", "random-third:3+conv", "all+conv", "after-softmax"]
MAPS = ["last<-each", "later<-each"]

# Selections that need no more than one cell a prompt to be seen.
SELECTIONS = [
    ("all", None), ("correct", None), ("correct-by-all", None), ({"correct-by": ["falcon-mamba-facts", "llama-facts"]}, None),
    ({"rank-at-most": 4}, None), ({"relation": ["currency", "element"]}, None),
    ({"all-of": ["correct", {"not": {"correct-by": ["gpt2-facts"]}}, {"not": {"relation": ["capital"]}}]}, None),
    ({"any-of": [{"all-of": [{"rank-at-most": 2}, {"relation": ["demonym"]}]}, {"id": ["22", "98", "none"]}]}, None),
    ({"not": {"any-of": ["correct-by-all", {"rank-at-most": 30}]}}, None),
    ("correct", (9, 3)), ("correct-by-all", (7, 12345678901)), ({"not": "correct-by-all"}, (11, 0)), ("all", (20, 7)),
]


def selection(select, sample):
    prompts = {"select": select}
    return prompts if sample is None else prompts | {"sample": {"n": sample[0], "seed": sample[1]}}


# Keys as in a spec. The first two are compared cell by cell with the oracle; in the last ones few models are swept.
BLOCKS = [
    {"prompts": selection("correct-by-all", (3, 5)), "routes": ROUTES, "features": CLASSES[:3] + ["after-softmax"],
     "windows": {"sizes": [3], "starts": {"every": 4}}},
    {"prompts": selection({"id": ["41"]}, None), "routes": MAPS, "features": ["all", "all+conv", "after-softmax"],
     "windows": {"sizes": [3], "starts": {"every": 4}}},
] + [{"prompts": selection(*s), "routes": ["last<-last"], "features": ["all"], "windows": {"sizes": [2], "starts": [k]}}
     for k, s in enumerate(SELECTIONS[:7])
] + [{"models": ["mamba2-facts", "gpt2-facts"], "prompts": selection(*s), "routes": ["last<-first"], "features": ["all"],
      "windows": {"sizes": [1], "starts": [k]}} for k, s in enumerate(SELECTIONS[7:])]


# ------------------------------------------------------------------- selections
def draw(items, k, seed, stream=0):
    """docs/semantics.md, Seeded draws."""
    mask, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15

    def mix(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    items, state = list(items), (mix((seed + golden) & mask) + stream) & mask
    for i in range(min(k, len(items))):
        state = (state + golden) & mask
        j = i + mix(state) % (len(items) - i)
        items[i], items[j] = items[j], items[i]
    return items[:k]


def condition(select, rank, model, fact):
    """Whether a selection keeps a prompt for a model. rank: {model: its rank of the answer}, -1 where it cannot be run."""
    if select == "all":
        return True
    if select == "correct":
        return rank[model] == 1
    if select == "correct-by-all":
        return all(r == 1 for r in rank.values())
    (key, value), = select.items()
    if key == "not":
        return not condition(value, rank, model, fact)
    if key in ("all-of", "any-of"):
        return (all if key == "all-of" else any)(condition(part, rank, model, fact) for part in value)
    return {"correct-by": lambda: all(rank[name] == 1 for name in value),
            "rank-at-most": lambda: 1 <= rank[model] <= value,
            "relation": lambda: fact["relation"] in value,
            "id": lambda: fact["id"] in value}[key]()


def differs_by_model(select):
    return "correct\"" in json.dumps(select) or "rank-at-most" in json.dumps(select)


def selected(block, facts, ranks):
    """[model, fact] bool of one block. facts: [{id, relation}]; ranks: [model, fact], -1 where the model cannot run it."""
    models = block.get("models", MODELS)
    select, sample = block["prompts"]["select"], block["prompts"].get("sample")

    def kept(model, swept):
        found = [f for f, fact in enumerate(facts) if any(ranks[MODELS.index(m), f] >= 1 for m in swept)
                 and condition(select, dict(zip(MODELS, ranks[:, f])), model, fact)]
        return found if sample is None else draw(found, sample["n"], sample["seed"])

    out = np.zeros(ranks.shape, bool)
    for m, model in enumerate(MODELS):
        if model in models:
            out[m, kept(model, [model] if differs_by_model(select) else models)] = True
    return out & (ranks >= 1)


# ---------------------------------------------------------------------- the cube
def text(dataset):
    return [s.decode() if isinstance(s, bytes) else str(s) for s in dataset[:]]


def has_class(model, feature):
    return feature == "all" or (model in SSM) != (feature == "after-softmax")


def check_selections(cube, golden):
    """The program's selections, from its evaluation and from the oracle's ranks. Returns them: [block, model, fact]."""
    assert text(cube["model"]) == MODELS
    facts = [{"id": i, "relation": r} for i, r in zip(text(cube["eval_prompt"]), text(cube["eval_prompt_relation"]))]
    assert [f["id"] for f in facts] == text(golden["fact_id"])
    ranks, true_ranks = cube["eval_target_rank"][:], golden["clean_target_rank"][:]
    ranks[cube["reason_code"][:] != 0] = -1
    close = golden["clean_rank_gap"][:] <= BOUND
    assert (ranks == true_ranks)[~close].all(), "ranks of clean runs differ from the oracle's"
    program = cube["selected"][:].astype(bool)
    for b, block in enumerate(BLOCKS):
        for name, source in (("evaluation", ranks), ("oracle", true_ranks)):
            wrong = np.argwhere(selected(block, facts, source) != program[b])
            assert wrong.size == 0, f"block {b}, {block['prompts']}: by the {name}, {len(wrong)} differ, first {MODELS[wrong[0][0]]} " \
                                    f"{facts[wrong[0][1]]['id']}"
    used = {False: program[[BLOCKS.index(b) for b in BLOCKS if b["routes"] != MAPS]].any(axis=(0, 1)), True: program[1].any(axis=0)}
    for maps, axis in ((False, "prompt"), (True, "heat_prompt")):
        expected = [f["id"] for f, keep in zip(facts, used[maps]) if keep]
        assert text(cube[axis]) == expected, f"axis {axis}: {text(cube[axis])}, expected {expected}"
    sizes = program.sum(axis=2)
    assert len({tuple(row) for row in program[2:].reshape(len(BLOCKS) - 2, -1)}) == len(SELECTIONS), "two selections are the same"
    print(f"{len(BLOCKS)} selections agree: {sizes.max(axis=1).tolist()} prompts at most, of {len(facts)}")
    return program


def check_statuses(cube, program, vacuous):
    """Planned exactly where a block selects, and everything planned is done, or vacuous. vacuous: {(model, fact, route)}."""
    routes, classes, sizes = text(cube["route"]), text(cube["feature_class"]), cube["window_size"][:].tolist()
    expected = np.zeros(cube["status"].shape, np.uint8)
    of_fact = {f: k for k, f in enumerate(cube["prompt_eval_index"][:].tolist())}
    for block, chosen in zip(BLOCKS, program):
        for m, f in np.argwhere(chosen) if block["routes"] != MAPS else ():
            for route in block["routes"]:
                for feature in block["features"]:
                    if has_class(MODELS[m], feature):
                        at = m, of_fact[f], routes.index(route), classes.index(feature), sizes.index(block["windows"]["sizes"][0])
                        expected[at] = 3 if (m, f, route) in vacuous else 2
    wrong = np.argwhere(cube["status"][:] != expected)
    assert wrong.size == 0, f"{len(wrong)} statuses differ, first at {wrong[0]}: {cube['status'][tuple(wrong[0])]}"
    print(f"{int((expected == 2).sum())} planned units are done, all others not planned")


def check_cells(cube, golden):
    """Every cell of the oracle is in the cube. Returns the vacuous ones, {(model, fact, route)}."""
    axes = {name: text(cube[name]) for name in ("route", "heat_route", "feature_class")}
    sizes, starts = cube["window_size"][:].tolist(), cube["window_start"][:].tolist()
    route, feature = text(golden["route"]), text(golden["feature_class"])
    place = {}
    for prefix in ("", "heat_"):
        place[prefix] = {f: k for k, f in enumerate(cube[prefix + "prompt_eval_index"][:].tolist())}
    have = {p + k: cube[p + k][:] for p in ("", "heat_") for k in ("logprob", "kl", "foil_logprob", "target_rank")}
    cells = {k: golden["cell_" + k][:] for k in ("model", "fact", "route", "feature_class", "source", "size", "start", "logprob", "kl",
                                                 "foil_logprob", "target_rank", "rank_gap")}
    worst, n_ranks, vacuous, n = {}, 0, set(), {"": 0, "heat_": 0}
    for k in range(len(cells["model"])):
        c = {name: values[k] for name, values in cells.items()}
        label, prefix = route[c["route"]], "" if c["source"] < 0 else "heat_"
        at = [c["model"], place[prefix][c["fact"]], axes[prefix + "route"].index(label), axes["feature_class"].index(feature[c["feature_class"]])]
        at = tuple(at + ([c["source"]] if prefix else []) + [sizes.index(c["size"]), starts.index(c["start"])])
        where = f"{MODELS[c['model']]}, fact {c['fact']}, {label}, {feature[c['feature_class']]}, {c['source']}, start {c['start']}"
        if np.isnan(c["logprob"]):
            assert np.isnan(have[prefix + "logprob"][at]) and have[prefix + "target_rank"][at] == -1, f"{where}: not vacuous"
            if not prefix:
                vacuous.add((c["model"], c["fact"], label))
            continue
        n[prefix] += 1
        for name in ("logprob", "kl", "foil_logprob"):
            difference = abs(float(have[prefix + name][at]) - c[name])
            assert difference <= BOUND, f"{where}: {name} is {have[prefix + name][at]}, expected {c[name]}"
            worst[prefix + name] = max(worst.get(prefix + name, 0.0), difference)
        if c["rank_gap"] > BOUND:
            n_ranks += 1
            assert have[prefix + "target_rank"][at] == c["target_rank"], f"{where}: rank"
    found = {p: int((have[p + "target_rank"] >= 1)[..., sizes.index(3), :].sum()) for p in ("", "heat_")}
    assert found == n, f"the cube has {found} cells of size 3, the oracle {n}"
    assert min(n.values()) > 0
    print(f"{n['']} cells and {n['heat_']} of maps agree, {n_ranks} ranks equal; largest differences "
          + ", ".join(f"{name} {value:.1e}" for name, value in sorted(worst.items())))
    return vacuous


def check(path, golden_path):
    import h5py

    with h5py.File(path) as cube, h5py.File(golden_path) as golden:
        program = check_selections(cube, golden)
        vacuous = check_cells(cube, golden)
        check_statuses(cube, program, vacuous)


def spec(folder, facts):
    return {"models": [f"{folder}/{m}" for m in MODELS], "prompts": {"file": facts}, "routes": ["last<-last"],
            "windows": {"sizes": [1]}, "row-budget": 1024, "sweeps": BLOCKS}


if __name__ == "__main__":
    if sys.argv[1] == "spec":
        print(json.dumps(spec(*sys.argv[2:]), indent=1))
    else:
        check(*sys.argv[2:])
