"""Compares a cube with the golden cells of several answers and options (tests/oracle/make_choices.py): choices.py CUBE GOLDEN."""
import json
import sys

import h5py
import numpy as np

BOUND = 1e-4  # observed: 2e-5


def main(path, golden, name=None, subject="subject"):
    """name: of the model in the cube, if it is not the file's. subject: the span that the cube's routes have in place of `subject`."""
    cube, name = h5py.File(path), name or golden.rsplit("/", 1)[-1].removesuffix(".json")
    score = cube.attrs["score"].decode()
    rule = cube.attrs["answer_rows"].decode() if "answer_rows" in cube.attrs else "clean"
    cells = [c for c in json.load(open(golden)) if c["score"] == score and c["rule"] == rule]
    model = list(cube["model"].asstr()).index(name)
    ids, routes = list(cube["prompt"].asstr()), list(cube["route"].asstr())
    sizes, starts = list(cube["window_size"][:]), list(cube["window_start"][:])
    assert {c["id"] for c in cells} == {i for p, i in enumerate(ids) if cube["n_tokens"][model, p] >= 0}, "other prompts"
    worst = 0.0
    for c in cells:
        clean = c["route"] is None
        at = (model, ids.index(c["id"]))
        if not clean:
            at += (routes.index(c["route"].replace("subject", subject)), 0, sizes.index(c["size"]), starts.index(c["start"]))
        prefix = "clean_" if clean else ""
        found = {name: cube[prefix + name][at] for name in ("logprob", "sum_logprob", "option_logprob", "option_rank", "correct")}
        n = len(c["option_logprob"])
        pairs = [(found["logprob"], c["best"]), (found["sum_logprob"], c["sum"]), *zip(found["option_logprob"][:n], c["option_logprob"])]
        for got, want in pairs:
            assert abs(got - want) <= BOUND, (c, found)
            worst = max(worst, abs(got - want))
        assert np.isnan(found["option_logprob"][n:]).all(), c
        # A rank may differ where two choices are closer than the bound.
        options = [x["logprob"] for x in c["choices"] if x["option"]]
        if n and min([abs(x - c["best"]) for x in options if x != c["best"]], default=1) > 2 * BOUND:
            assert found["option_rank"] == c["option_rank"], (c, found)
        assert n or found["option_rank"] == -1, c
        if not n or min([abs(x - c["best"]) for x in options if x != c["best"]], default=1) > 2 * BOUND:
            assert found["correct"] == c["correct"], (c, found)
    assert cells
    print(f"{name}, {score}, {rule}: {len(cells)} cells, at most {worst:.1e} apart")


if __name__ == "__main__":
    main(*sys.argv[1:])
