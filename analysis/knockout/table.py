"""A cube as one long table, a row a cell: the columns of `knockout export --csv`, and the tokens."""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
import pandas as pd

from knockout_figures.cube import DONE, decoded

METRICS = ("logprob", "prob", "kl", "target_rank", "top1_id", "foil_logprob")
CLEAN = ("logprob", "prob", "target_rank", "top1_id", "foil_logprob")
WORDS = ("text", "subject", "relation", "target", "foil")
PLACES = ("n_tokens", "subject_begin", "subject_end")


def objects(values: Sequence[Any]) -> np.ndarray:
    """A list as an array of objects, also where they are sequences themselves."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def token_lists(file: Any, prefix: str, model: int) -> np.ndarray:
    """The printable pieces of every prompt under a model, one string a prompt with blanks between the pieces."""
    n = file[prefix + "n_tokens"][model]
    pieces = file[prefix + "token_text"][model]
    return objects([" ".join(decoded(t) for t in row[:max(int(k), 0)]) for row, k in zip(pieces, n)])


def answers_of(logprob: np.ndarray, rank: np.ndarray) -> Dict[str, np.ndarray]:
    """Of whole answers, [row, token]: the numbers of every token, with blanks between them, as `knockout export --csv` writes them."""
    n = np.argmin(np.pad(rank, ((0, 0), (0, 1)), constant_values=-1) >= 1, axis=1)  # past an answer's last token the rank is -1
    return {"answer_logprob": objects([" ".join(f"{x:.9g}" for x in row[:k]) for row, k in zip(logprob.tolist(), n)]),
            "answer_rank": objects([" ".join(map(str, row[:k])) for row, k in zip(rank.tolist(), n)])}


def choices_of(file: Any, prefix: str, at: Any) -> Dict[str, np.ndarray]:
    """Of several right answers and options: the columns of `knockout export --csv`. at: an index into the datasets; empty where there are none."""
    if prefix + "sum_logprob" not in file:
        return {}
    total = file[prefix + "sum_logprob"][at[0]][at[1:]]
    held = prefix + "option_logprob" in file
    option = file[prefix + "option_logprob"][at[0]][at[1:]] if held else np.empty((len(total), 0))
    rank = file[prefix + "option_rank"][at[0]][at[1:]] if held else np.full(len(total), -1, np.int32)
    return {"sum_logprob": total, "option_rank": rank, "correct": file[prefix + "correct"][at[0]][at[1:]],
            "option_logprob": objects([" ".join(f"{x:.9g}" for x in row[~np.isnan(row)].tolist()) for row in option])}


def words_of(file: Any, axis: str, n: int) -> Dict[str, np.ndarray]:
    """The texts of the prompts of an axis."""
    found = {}
    for word in WORDS:
        name = f"{axis}_{word}"
        found[f"prompt_{word}"] = objects([decoded(s) for s in file[name][:]] if name in file else [""] * n)
    return found


class Filter:
    """Which labels of the axes are wanted: as booleans over each."""

    def __init__(self, cube: Any, models: Union[str, Sequence[str], None], routes: Union[str, Sequence[str], None],
                 features: Union[str, Sequence[str], None], sizes: Union[int, Sequence[int], None]) -> None:
        from .cube import chosen
        self.models = set(chosen(models, cube.models, "model"))
        asked = chosen(routes, cube.routes + cube.heat_routes, "route")
        self.route = np.array([r in asked for r in cube.routes], bool)
        self.heat_route = np.array([r in asked for r in cube.heat_routes], bool)
        self.feature = np.isin(cube.features, chosen(features, cube.features, "feature class"))
        self.size = np.isin(cube.sizes, chosen(sizes, cube.sizes, "window size"))


def part_of(cube: Any, prefix: str, model: int, wanted: Filter, tokens: bool) -> Optional[pd.DataFrame]:
    """The done cells of a model on the routes, or (prefix heat_) of its heatmaps; None where there is none."""
    file = cube.file
    chosen_routes = wanted.heat_route if prefix else wanted.route
    if prefix + "status" not in file or not chosen_routes.any():
        return None
    done = file[prefix + "status"][model] == DONE  # before the values: a run may be writing the cube
    done &= chosen_routes.reshape((1, -1) + (1,) * (done.ndim - 2))
    done &= wanted.feature.reshape((1, 1, -1) + (1,) * (done.ndim - 3))
    done &= wanted.size
    values = {name: file[prefix + name][model] for name in METRICS if prefix + name in file}
    has = done[..., None] & ~np.isnan(values["logprob"]) & (values["target_rank"] >= 1)
    at = np.nonzero(has)
    if not len(at[0]):
        return None
    prompt, route, feature, size, start = at[0], at[1], at[2], at[-2], at[-1]
    axis = prefix + "prompt"
    prompts, routes = (cube.heat_prompts, cube.heat_routes) if prefix else (cube.prompts, cube.routes)
    sizes = np.array(cube.sizes, np.int32)[size]
    columns: Dict[str, Any] = {
        "model": objects([cube.models[model]])[np.zeros(len(prompt), int)], "prompt": objects(prompts)[prompt],
        "route": objects(routes)[route], "feature_class": objects(cube.features)[feature],
        "source_position": pd.array(at[3] if prefix else [pd.NA] * len(prompt), dtype="Int32"),
        "window_size": sizes, "window_start": cube.starts[start].astype(np.int32),
        "depth": file["depth"][model][size, start], "status": objects(["done"])[np.zeros(len(prompt), int)]}
    columns.update({name: values[name][at] if name in values else np.full(len(prompt), np.nan, np.float32) for name in METRICS})
    for name in CLEAN:
        held = f"{prefix}clean_{name}"
        columns["clean_" + name] = file[held][model][prompt] if held in file else np.full(len(prompt), np.nan, np.float32)
    columns["change"] = 100 * np.expm1(columns["logprob"].astype(np.float64) - columns["clean_logprob"].astype(np.float64))
    columns.update({name: words[prompt] for name, words in words_of(file, axis, len(prompts)).items()})
    columns.update({name: file[prefix + name][model][prompt] for name in PLACES})
    columns.update(_layers(cube, model, size, start))
    if prefix + "answer_rank" in file:
        columns.update(answers_of(file[prefix + "answer_logprob"][model][at], file[prefix + "answer_rank"][model][at]))
    columns.update(choices_of(file, prefix, (model, *at)))
    if tokens:
        columns["tokens"] = token_lists(file, prefix, model)[prompt]
    return pd.DataFrame(columns)


def _layers(cube: Any, model: int, size: np.ndarray, start: np.ndarray) -> Dict[str, np.ndarray]:
    first, last = np.empty(len(size), np.int32), np.empty(len(size), np.int32)
    for s in np.unique(size):
        here = size == s
        first[here], last[here] = cube.window(cube.models[model], cube.sizes[s], cube.starts[start[here]])
    return {"first_layer": first, "last_layer": last}


def cells_of(cube: Any, wanted: Filter, tokens: bool) -> pd.DataFrame:
    """The done cells, model by model, the heatmaps' after the others: the order of `knockout export --csv`."""
    found: List[pd.DataFrame] = []
    for m, model in enumerate(cube.models):
        if model in wanted.models:
            parts = [part_of(cube, prefix, m, wanted, tokens) for prefix in ("", "heat_")]
            found += [part for part in parts if part is not None]
    if found:
        return pd.concat(found, ignore_index=True)
    names = ["model", "prompt", "route", "feature_class", "source_position", "window_size", "window_start", "depth", "status", *METRICS,
             *("clean_" + name for name in CLEAN), "change", *("prompt_" + word for word in WORDS), *PLACES, "first_layer", "last_layer"]
    return pd.DataFrame(columns=names + ["tokens"] * tokens)


def clean_runs_of(evaluation: Any) -> pd.DataFrame:
    """A row for each model and prompt of an evaluation: the columns of `knockout export --csv`."""
    file, found = evaluation.file, []
    code = file["reason_code"]
    reasons = dict(zip((int(v) for v in code.attrs.get("flag_values", [])), decoded(code.attrs.get("flag_meanings", "")).split()))
    for m, model in enumerate(evaluation.models):
        status = file["eval_status"][m]
        n, done = len(status), status == 2
        columns: Dict[str, Any] = {"model": objects([model] * n), "prompt": objects(evaluation.prompts)}
        columns["status"] = objects([{0: "not runnable", 1: "pending", 2: "done"}[int(s)] for s in status])
        columns["reason"] = objects([reasons.get(int(r), f"reason {r}").replace("_", " ") if r else "" for r in code[m]])
        for name in ("logprob", "prob", "target_rank", "top1_id"):
            values = file["eval_" + name][m]
            columns[name] = np.where(done, values, np.asarray(np.nan if values.dtype.kind == "f" else -1, values.dtype))
        columns.update(words_of(file, "eval_prompt", n))
        columns.update({name: file["eval_" + name][m] for name in PLACES if "eval_" + name in file})
        if "eval_answer_rank" in file:
            ranks = np.where(done[:, None], file["eval_answer_rank"][m], -1)
            columns.update(answers_of(file["eval_answer_logprob"][m], ranks))
        columns.update(choices_of(file, "eval_", (m, np.arange(n))))
        found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True)
