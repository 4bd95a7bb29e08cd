"""The figures of docs/figures.md as functions. Each takes an open cube and returns a Picture.

    knockout.figures.flow(cube)                                     # a notebook shows it
    knockout.figures.flow(cube, metric="logprob", x="layer").save("flow.pdf")
    knockout.figures.save(cube, "figures")                          # everything that the cube has cells for, and report.html

Every function takes models and routes (all, where left out), one class (`feature`: `all`, or the first one of the cube) or several
(`features`), one window size (the largest that has cells) or several, and these settings: metric, x (depth, layer, centre), interval (usual,
t, bootstrap), resamples, seed, late, heat_limit, remark.
"""
from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import pandas as pd

from knockout_figures import components as drawn_components, cli, curves, everything, heads as drawn_heads, kinds, maps, palette, paper as of_paper
from knockout_figures import scatter as drawn_scatter
from knockout_figures.cube import CubeError, METRICS
from knockout_figures.stats import Interval

if TYPE_CHECKING:
    from .cube import Cube

__all__ = ["Picture", "components", "controls", "every", "features", "flow", "heads", "heatmap", "hits", "mixers", "paper", "relations", "save",
           "scatter", "windows"]

Names = Union[str, Sequence[str], None]
Sizes = Union[int, Sequence[int], None]
SETTINGS = ("x", "metric", "late", "heat_limit", "remark")


class Picture:
    """A figure with the numbers in it: `figure` (matplotlib's), `table` (pandas), `title`, `reading` (how to read it)."""

    def __init__(self, drawn: Any) -> None:
        import matplotlib.pyplot as plt

        self.figure, self.table, self.title, self.reading = drawn.figure, drawn.table, drawn.title, drawn.reading
        plt.close(self.figure)  # a notebook shows it once, as the value of its cell

    def save(self, path: Union[str, "os.PathLike[str]"], dpi: Optional[float] = None) -> None:
        """Writes it in the format of the file's name: png, pdf, svg."""
        self.figure.savefig(path, dpi="figure" if dpi is None else dpi)

    def _repr_png_(self) -> bytes:
        held = io.BytesIO()
        self.figure.savefig(held, format="png", dpi=110)
        return held.getvalue()

    def __repr__(self) -> str:
        return f"<knockout.figures.Picture: {self.title}>"


def _settings(options: Dict[str, Any]) -> kinds.Settings:
    options = dict(options)
    kind = Interval(options.pop("interval", "usual"), options.pop("resamples", 10000), options.pop("seed", 0))
    for name in options:
        if name not in SETTINGS:
            raise TypeError(f"{name}: is not a setting of a figure; there are {', '.join(SETTINGS)}, interval, resamples, seed")
    metric = options.get("metric", "change")
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r}: expected one of {', '.join(METRICS)}")
    return kinds.Settings(interval=kind, **options)


def _models(cube: "Cube", models: Names) -> List[str]:
    from .cube import chosen
    return chosen(models, cube.models, "model")


def _routes(cube: "Cube", routes: Names) -> List[str]:
    """The routes that the caller names; else all but the controls, components apart from edges where the cube has both."""
    from .cube import chosen
    if routes is not None:
        return chosen(routes, cube.routes, "route")
    plain = [r for r in cube.routes if not palette.control_of(r)]
    edges = [r for r in plain if not palette.is_component(r)]
    return edges or plain


def _feature(cube: "Cube", feature: Optional[str]) -> str:
    from .cube import chosen
    if feature is not None:
        return str(chosen([feature], cube.features, "feature class")[0])
    return "all" if "all" in cube.features else str(cube.features[0])


def _size(cube: "Cube", size: Optional[int], models: Sequence[str], routes: Sequence[str], classes: Sequence[str]) -> int:
    """The size that the caller names, else the largest size that has a done cell of these."""
    from .cube import chosen
    if size is not None:
        return chosen([size], cube.sizes, "window size")[0]
    has = [s for s in cube.sizes if any(cube.has(m, r, f, s) for m in models for r in routes for f in classes)]
    return max(has or cube.sizes)


def flow(cube: "Cube", *, models: Names = None, routes: Names = None, feature: Optional[str] = None, size: Optional[int] = None,
         **settings: Any) -> Picture:
    """Information flow: a panel for each model, a curve for each route."""
    m, r, f = _models(cube, models), _routes(cube, routes), _feature(cube, feature)
    return Picture(kinds.flow(cube, m, r, f, _size(cube, size, m, r, [f]), _settings(settings)))


def hits(cube: "Cube", *, models: Names = None, routes: Names = None, feature: Optional[str] = None, size: Optional[int] = None,
         **settings: Any) -> Picture:
    """How many answers are still ranked first."""
    return flow(cube, models=models, routes=routes, feature=feature, size=size, **{**settings, "metric": "hit"})


def features(cube: "Cube", *, models: Names = None, routes: Names = None, features: Names = None, size: Optional[int] = None,
             **settings: Any) -> Picture:
    """Feature knockout: a curve for each class; a column for each route."""
    from .cube import chosen
    m, r = _models(cube, models), _routes(cube, routes)
    plain = [f for f in cube.features if not palette.is_random_class(f) and not palette.head_of(f)]
    f = plain if features is None else chosen(features, cube.features, "feature class")
    several = [name for name in r if sum(any(cube.has(k, name, c, s) for k in m for s in cube.sizes) for c in f) > 1] if routes is None else r
    return Picture(kinds.features(cube, m, several or r, f, _size(cube, size, m, several or r, f), _settings(settings)))


def windows(cube: "Cube", *, models: Names = None, routes: Names = None, feature: Optional[str] = None, sizes: Sizes = None,
            **settings: Any) -> Picture:
    """Window sizes: a row for each model, a column for each size."""
    from .cube import chosen
    return Picture(kinds.windows(cube, _models(cube, models), _routes(cube, routes), _feature(cube, feature),
                                 chosen(sizes, cube.sizes, "window size"), _settings(settings)))


def controls(cube: "Cube", *, models: Names = None, routes: Names = None, features: Names = None, size: Optional[int] = None,
             **settings: Any) -> Picture:
    """Curves, their matched random controls, and the paired effects."""
    from .cube import chosen
    m, r = _models(cube, models), _routes(cube, routes)
    plain = [f for f in cube.features if not palette.is_random_class(f) and not palette.head_of(f)]
    f = plain if features is None else chosen(features, cube.features, "feature class")
    if size is None:
        controlled = [s for s in cube.sizes if any(sum(curves.controls_of(cube, k, name, c, s), []) for k in m for name in r for c in f)]
        size = max(controlled or cube.sizes)
    return Picture(kinds.controls(cube, m, r, f, _size(cube, size, m, r, f), _settings(settings)))


def mixers(cube: "Cube", *, models: Names = None, routes: Names = None, size: Optional[int] = None, **settings: Any) -> Picture:
    """Of hybrids: attention and SSM, alone and together, and their interaction."""
    m, r = _models(cube, models), _routes(cube, routes)
    return Picture(kinds.mixers(cube, m, r, _size(cube, size, m, r, curves.INTERACTION), _settings(settings)))


def heads(cube: "Cube", *, model: Optional[str] = None, route: Optional[str] = None, kind: Optional[str] = None, size: Optional[int] = None,
          **settings: Any) -> Picture:
    """A map of layers and heads, and the strongest heads. kind: head, ssm-head, with a suffix such as head~mean; the first that the cube has,
    as of model and route."""
    parts = {name + suffix: classes for (name, suffix), classes in curves.head_parts(cube.features).items()}
    for k, classes in parts.items():
        for m in _models(cube, model):
            for r in ([route] if route is not None else cube.routes):
                sizes = [s for s in cube.sizes if any(cube.has(m, r, f, s) for f in classes)]
                if kind in (None, k) and sizes and size in (None, *sizes):
                    return Picture(drawn_heads.heads(cube, m, r, classes, max(sizes) if size is None else size, _settings(settings)))
    raise CubeError(f"{cube.path}: no cell of such heads is done; its kinds of heads are {', '.join(parts) or 'none'}")


def components(cube: "Cube", *, models: Names = None, prompt: Optional[str] = None, feature: Optional[str] = None, size: Optional[int] = None,
               **settings: Any) -> Picture:
    """Components by layer: with a prompt (of the routes KIND@each) its tokens, else the mean over prompts for each token set."""
    m, f = _models(cube, models), _feature(cube, feature)
    if prompt is not None:
        each = [r for r in cube.heat_routes if palette.is_component(r)]
        sizes = [s for s in cube.sizes if any(cube.has_map(k, prompt, r, f, s) for k in m for r in each)]
        return Picture(drawn_components.of_prompt(cube, m, prompt, each, f, max(sizes or cube.sizes) if size is None else size,
                                                  _settings(settings)))
    r = [r for r in cube.routes if palette.is_component(r)]
    return Picture(drawn_components.over_prompts(cube, m, r, f, _size(cube, size, m, r, [f]), _settings(settings)))


def scatter(cube: "Cube", *, models: Names = None, route: Optional[str] = None, feature: Optional[str] = None, size: Optional[int] = None,
            **settings: Any) -> Picture:
    """A point for each prompt: the answer's probability without and with the knockout, the mean over the late windows."""
    m, f, r = _models(cube, models), _feature(cube, feature), _routes(cube, None if route is None else [route])[:1]
    return Picture(drawn_scatter.scatter(cube, m, r[0], f, _size(cube, size, m, r, [f]), _settings(settings)))


def heatmap(cube: "Cube", prompt: Optional[str] = None, *, models: Names = None, route: Optional[str] = None, feature: Optional[str] = None,
            size: Optional[int] = None, **settings: Any) -> Picture:
    """One prompt of the routes TARGET<-each: a row for each token, a column for each window."""
    from .cube import chosen
    m, f = _models(cube, models), _feature(cube, feature)
    routes = [r for r in cube.heat_routes if not palette.is_component(r)]
    if not routes or not cube.heat_prompts:
        raise CubeError(f"{cube.path}: has no heatmaps; a route such as last<-each makes them")
    r = routes[0] if route is None else chosen([route], routes, "route of a heatmap")[0]
    p = cube.heat_prompts[0] if prompt is None else chosen([prompt], cube.heat_prompts, "prompt of a heatmap")[0]
    sizes = [s for s in cube.sizes if any(cube.has_map(k, p, r, f, s) for k in m)]
    return Picture(maps.heatmaps(cube, m, [p], r, f, [max(sizes or cube.sizes) if size is None else size], _settings(settings)))


def relations(cube: "Cube", *, models: Names = None, route: Optional[str] = None, feature: Optional[str] = None, size: Optional[int] = None,
              **settings: Any) -> Picture:
    """One route, a curve for each relation of the prompts, the ten most frequent."""
    m, f, r = _models(cube, models), _feature(cube, feature), _routes(cube, None if route is None else [route])[:1]
    return Picture(kinds.relations(cube, m, r[0], f, _size(cube, size, m, r, [f]), _settings(settings)))


def paper(cube: "Cube", name: str, **settings: Any) -> Iterator[Tuple[str, Picture]]:
    """A figure of the paper, fig01 ... fig20, sharma, released-classes: (its name, Picture), one after the other."""
    for stem, drawn in of_paper.draw(cube, of_paper.named(name)[0], _settings(settings), cli.warn):
        yield stem, Picture(drawn)


def every(cube: "Cube", *, models: Names = None, routes: Names = None, features: Names = None, sizes: Sizes = None,
          kind: Names = None, most: int = 3, **settings: Any) -> Iterator[Tuple[str, Picture]]:
    """(name, Picture) of everything that `knockout-figures` draws of the cube. kind: only these (flow, features, windows, hits, controls,
    mixers, heads, components, scatter, heatmaps, relations)."""
    from .cube import chosen
    asked = chosen(routes, cube.routes + cube.heat_routes, "route")
    wanted = everything.Wanted(
        models=_models(cube, models), features=chosen(features, cube.features, "feature class"), sizes=chosen(sizes, cube.sizes, "window size"),
        heat_prompts=cube.heat_prompts, routes=[r for r in cube.routes if r in asked], heat_routes=[r for r in cube.heat_routes if r in asked],
        kinds=tuple(everything.UNASKED if kind is None else chosen(kind, everything.KINDS, "kind of figures")), most=most,
        asked_routes=routes is not None, asked_features=features is not None)
    chosen_settings = _settings(settings)
    for name, suffix, draw in everything.plan(cube, wanted):
        try:
            yield Path(cube.path).stem + suffix, Picture(draw(chosen_settings))
        except CubeError:
            if kind is not None:
                raise


def save(cube: "Cube", folder: Union[str, "os.PathLike[str]"], *, formats: Sequence[str] = ("png", "pdf"), report: bool = True,
         **options: Any) -> List[Path]:
    """Draws everything (options as of every()) into a folder, with its numbers in figures.csv, and the page report.html. Returns the paths."""
    from knockout_figures.lines import save as save_figure
    from knockout_figures.report import write_report

    target, drawn, tables, paths = Path(folder), [], [], []
    target.mkdir(parents=True, exist_ok=True)
    for stem, picture in every(cube, **options):
        written = save_figure(picture.figure, target, stem, list(formats))
        drawn.append((stem, f"{picture.title}. {picture.reading}".removesuffix(". "), written, picture.table))
        tables.append(picture.table.assign(figure=stem))
        paths += written
    if not drawn:
        raise CubeError(f"{cube.path}: nothing of what was asked for is done; see knockout.status()")
    numbers = target / "figures.csv"
    pd.concat(tables, ignore_index=True).to_csv(numbers, index=False, float_format="%.9g")
    paths.append(numbers)
    if report:
        settings = {k: v for k, v in options.items() if k in (*SETTINGS, "interval", "resamples", "seed")}
        paths.append(Path(write_report(cube, target / "report.html", drawn, _settings(settings))))
    return paths
