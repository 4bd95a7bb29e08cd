"""A cube in Python: its tables, its curves, what a notebook shows of it."""
from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple, TypeVar, Union

import h5py
import numpy as np
import pandas as pd
import xarray as xr

import knockout_figures.cube as figures_cube
from knockout_figures import curves as figures_curves, palette
from knockout_figures.cube import CubeError, METRICS, decoded
from knockout_figures.stats import Interval

from . import dataset, table
from .html import page, rows_of

PathLike = Union[str, "os.PathLike[str]"]
Label = TypeVar("Label")
INTERVALS = ("usual", "t", "bootstrap")


def kind_of(path: PathLike) -> str:
    """`sweep`, `evaluation`, or "" where the file does not say."""
    try:
        with h5py.File(path, "r") as file:
            return str(decoded(file.attrs.get("kind", "")))
    except OSError as e:
        raise CubeError(f"{os.fspath(path)}: cannot be opened as HDF5 ({e})") from None


def chosen(asked: Union[Label, Sequence[Label], None], there: Sequence[Label], what: str) -> List[Label]:
    """The labels of an axis that the caller names, in the axis's order; all labels if `asked` is None."""
    if asked is None:
        return list(there)
    labels: List[Any] = [asked] if isinstance(asked, (str, int, np.integer)) else list(asked)  # type: ignore[arg-type]
    for label in labels:
        if label not in there:
            raise CubeError(f"{what} {label} is not in the cube; it has {', '.join(map(str, there)) or 'none'}")
    return [label for label in there if label in labels]


def interval_of(interval: str, resamples: int, seed: int) -> Interval:
    if interval not in INTERVALS:
        raise ValueError(f"interval={interval!r}: expected one of {', '.join(INTERVALS)}")
    return Interval(interval, resamples, seed)


def metric_of(metric: str) -> str:
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r}: expected one of {', '.join(METRICS)}")
    return metric


class _File:
    """What a sweep's cube and an evaluation have in common."""
    path: str
    file: h5py.File
    models: List[str]
    prompts: List[str]

    def close(self) -> None:
        """Closes the file. Reading ends there; the object's labels stay."""
        self.file.close()

    @property
    def attributes(self) -> Dict[str, Any]:
        """The root attributes: program, commit, backend, device, precision, plan_hash, and so on."""
        return {k: dataset.text_of(v) for k, v in self.file.attrs.items() if not k.startswith("_") and k != "spec"}

    @property
    def spec(self) -> str:
        """The resolved spec as YAML, with defaults and includes applied."""
        if "spec_text" in self.file:
            return bytes(self.file["spec_text"][:]).rstrip(b"\0").decode("utf-8", "replace")
        return str(decoded(self.file.attrs.get("spec", "")))

    def to_xarray(self, names: Optional[Iterable[str]] = None) -> xr.Dataset:
        """The cube as an xarray.Dataset in memory with labelled axes, as docs/cube.md names them. names: only these datasets (and `status`),
        as in to_xarray(["logprob", "clean_logprob"]). Cells that are not done are NaN and -1. The layers of windows are coordinates."""
        return dataset.dataset_of(self, names)


class Cube(figures_cube.Cube, _File):
    """The cube of a sweep. `models`, `routes`, `features`, `sizes`, `prompts` are the labels of its axes, `heat_routes` and `heat_prompts`
    those of its heatmaps; values(), heat(), clean() read single curves and maps."""

    def __init__(self, path: PathLike) -> None:
        super().__init__(os.fspath(path))

    def to_pandas(self, *, models: Union[str, Sequence[str], None] = None, routes: Union[str, Sequence[str], None] = None,
                  features: Union[str, Sequence[str], None] = None, sizes: Union[int, Sequence[int], None] = None,
                  tokens: bool = True) -> pd.DataFrame:
        """A row for each done cell, in the columns of `knockout export --csv` (docs/cube.md): labels, window, its layers, metrics, those of
        the clean run, `change` in percent, the prompt's text, subject, relation, target and foil, its number of tokens and where its subject
        lies. `tokens` has the prompt's tokens as the tokenizer's file writes them, with blanks between. source_position is of heatmaps alone.
        Values have the bits of the cube. models, routes, features, sizes: only these."""
        return table.cells_of(self, table.Filter(self, models, routes, features, sizes), tokens)

    def to_parquet(self, path: PathLike, **options: Any) -> None:
        """Writes to_pandas(**options) as Parquet. Needs pyarrow."""
        _write_parquet(self.to_pandas(**options), path)

    def _labels(self, models: Any, routes: Any, features: Any, sizes: Any) -> Tuple[List[str], List[str], List[str], List[int]]:
        return (chosen(models, self.models, "model"), chosen(routes, self.routes, "route"),
                chosen(features, self.features, "feature class"), chosen(sizes, self.sizes, "window size"))

    def curves(self, metric: str = "change", *, models: Union[str, Sequence[str], None] = None, routes: Union[str, Sequence[str], None] = None,
               features: Union[str, Sequence[str], None] = None, sizes: Union[int, Sequence[int], None] = None, by: Optional[str] = None,
               interval: str = "usual", resamples: int = 10000, seed: int = 0) -> pd.DataFrame:
        """The curves: a row for each window with its value, 95 % interval (low, high) and number of prompts, in the columns of `knockout
        show --csv`. metric: change (percent), median, delta, logprob, hit, kl, margin, margin-change. by="relation": a curve for each
        relation, in a further column."""
        m, r, f, s = self._labels(models, routes, features, sizes)
        kind = interval_of(interval, resamples, seed)
        if by is None:
            return figures_curves.curves(self, m, r, f, s, metric_of(metric), kind)
        if by != "relation":
            raise ValueError(f"by={by!r}: expected 'relation'")
        return figures_curves.joined([figures_curves.by_relation(self, m, route, feature, size, metric_of(metric), kind)
                                      for route in r for feature in f for size in s])

    def controlled(self, metric: str = "change", *, models: Union[str, Sequence[str], None] = None,
                   routes: Union[str, Sequence[str], None] = None, features: Union[str, Sequence[str], None] = None,
                   sizes: Union[int, Sequence[int], None] = None, interval: str = "usual", resamples: int = 10000,
                   seed: int = 0) -> pd.DataFrame:
        """Curves beside their matched random controls: the columns of curves(), the control, the paired effect, p and Holm's p."""
        m, r, f, s = self._labels(models, routes, features, sizes)
        return figures_curves.controlled(self, m, r, f, s, metric_of(metric), interval_of(interval, resamples, seed))

    def interactions(self, metric: str = "change", *, models: Union[str, Sequence[str], None] = None,
                     routes: Union[str, Sequence[str], None] = None, sizes: Union[int, Sequence[int], None] = None,
                     interval: str = "usual", resamples: int = 10000, seed: int = 0) -> pd.DataFrame:
        """Of hybrids: what attention and SSM do together, all - attention - ssm, prompt by prompt (docs/statistics.md)."""
        m, r, _, s = self._labels(models, routes, None, sizes)
        return figures_curves.interactions(self, m, r, s, metric_of(metric), interval_of(interval, resamples, seed))

    def heads(self, metric: str = "change", *, models: Union[str, Sequence[str], None] = None, routes: Union[str, Sequence[str], None] = None,
              sizes: Union[int, Sequence[int], None] = None, interval: str = "usual", resamples: int = 10000, seed: int = 0) -> pd.DataFrame:
        """Single heads (classes head:each, ssm-head:each), the strongest first: the columns of curves(), `head`, `kind` (head or ssm-head),
        and p with Holm's correction over the heads of one model, route, kind and size."""
        m, r, _, s = self._labels(models, routes, None, sizes)
        found = []
        for (kind, suffix), classes in figures_curves.head_parts(self.features).items():
            for model in m:
                for route in r:
                    for size in s:
                        one = figures_curves.heads(self, model, route, classes, size, metric_of(metric), interval_of(interval, resamples, seed))
                        found.append(one.assign(kind=kind + suffix))
        whole = figures_curves.joined(found)
        return figures_curves.strongest(whole).reset_index(drop=True) if len(whole) else whole.assign(head=[], p=[], p_holm=[], kind=[])

    def relations_of(self) -> pd.Series:
        """The relation of every prompt, by its id."""
        return pd.Series(self.relations(), index=pd.Index(self.prompts, name="prompt"), name="relation", dtype=object)

    @property
    def complete(self) -> bool:
        """Whether no unit of the cube is pending or failed, as far as it was when the cube was opened."""
        return self.unfinished == 0

    def _counts(self) -> List[List[Any]]:
        """A row for each model: its name, family, layers, prompts with a done cell, done cells, pending and failed units."""
        families = self.text("architecture") or [""] * len(self.models)
        rows = []
        for m, model in enumerate(self.models):
            cells, units, prompts = 0, 0, 0
            for prefix in ("", "heat_"):
                if prefix + "status" in self.file:
                    status = self.file[prefix + "status"][m]
                    has = (status == figures_cube.DONE)[..., None] & ~np.isnan(self.file[prefix + "logprob"][m])
                    cells += int(has.sum())
                    units += int(np.isin(status, (figures_cube.PENDING, figures_cube.FAILED)).sum())
                    prompts = max(prompts, int(has.any(axis=tuple(range(1, has.ndim))).sum()))
            rows.append([model, families[m], self.layers[model], prompts, cells, units])
        return rows

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"{self.unfinished:,} units pending or failed"
        if not self.file:
            return f"<knockout.Cube {self.path}: closed>"
        return f"<knockout.Cube {self.path}: {sum(row[4] for row in self._counts()):,} cells of {', '.join(self.models)}; {state}>"

    def _repr_html_(self) -> str:
        if not self.file:
            return page(f"{self.path}: closed", [], "")
        facts = [("routes", ", ".join(palette.route_name(r) for r in self.routes)),
                 ("heatmaps", ", ".join(palette.route_name(r) for r in self.heat_routes)), ("classes", ", ".join(self.features)),
                 ("windows", f"{', '.join(map(str, self.sizes))} {self.over}"), ("made by", " ".join(
                     str(self.attributes.get(k, "")) for k in ("program", "commit", "backend", "precision")))]
        notes = [] if self.complete else [f"{self.unfinished:,} units of the cube are pending or failed: knockout.status() lists them"]
        columns = ["model", "family", "layers", "prompts", "cells done", "units pending or failed"]
        return page(self.path, facts, rows_of(columns, self._counts()), notes)


class Evaluation(_File):
    """The clean runs of every model on every prompt."""

    def __init__(self, path: PathLike) -> None:
        self.path = os.fspath(path)
        if kind_of(path) != "evaluation":
            raise CubeError(f"{self.path}: is not an evaluation; knockout.open() opens cubes of every kind")
        self.file = h5py.File(path, "r")
        self.models = [decoded(s) for s in self.file["model"][:]]
        self.prompts = [decoded(s) for s in self.file["eval_prompt"][:]]

    def __enter__(self) -> "Evaluation":
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def to_pandas(self) -> pd.DataFrame:
        """A row for each model and prompt: whether it was run, why not, log-probability, probability and rank of the answer."""
        return table.clean_runs_of(self)

    def to_parquet(self, path: PathLike) -> None:
        """Writes to_pandas() as Parquet. Needs pyarrow."""
        _write_parquet(self.to_pandas(), path)

    def _counts(self) -> List[List[Any]]:
        rows = []
        for m, model in enumerate(self.models):
            done = self.file["eval_status"][m] == 2
            # A whole answer is first where all its tokens are; past the last the rank is -1.
            rank = self.file["eval_answer_rank"][m].max(axis=-1) if "eval_answer_rank" in self.file else self.file["eval_target_rank"][m]
            if "eval_correct" in self.file:  # of several right answers, or options
                rank = np.where(self.file["eval_correct"][m] == 1, 1, 2)
            rows.append([model, int(done.sum()), int((rank[done] == 1).sum())])
        return rows

    def __repr__(self) -> str:
        if not self.file:
            return f"<knockout.Evaluation {self.path}: closed>"
        counts = ", ".join(f"{first} of {n} ranked first by {model}" for model, n, first in self._counts())
        return f"<knockout.Evaluation {self.path}: {counts}>"

    def _repr_html_(self) -> str:
        return page(self.path, [], rows_of(["model", "prompts run", "answers ranked first"], self._counts() if self.file else []))


def _write_parquet(frame: pd.DataFrame, path: PathLike) -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ImportError("to_parquet needs pyarrow: pip install pyarrow; to_pandas().to_csv() needs nothing") from None
    frame.to_parquet(path, index=False)
