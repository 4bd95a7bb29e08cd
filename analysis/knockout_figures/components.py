"""Components: at which tokens and in which layers attention, SSM and MLP matter, side by side."""
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from . import curves, palette
from .cube import METRICS, CubeError
from .heads import colours_of, limit_of
from .kinds import Drawn
from .lines import X_AXES, count_of, numbers, titled, with_style
from .maps import colour_bar, difference_text, draw_cells, name_tokens, table_of

READING = ("A square says what happens to the answer if the sublayers of this kind, in these layers, add nothing at this token. Red is lost, "
           "blue is won, white is no change; grey squares have no cell, because no layer of the window has such a sublayer. All maps of "
           "the figure have the same colours, so they can be compared with each other.")


def kinds_of(routes):
    """The kinds of components among the routes, in the order of palette.COMPONENTS."""
    found = {palette.route_ends(r)[1] for r in routes if palette.is_component(r)}
    return [k for k in palette.COMPONENTS if k in found] + sorted(found - palette.COMPONENTS.keys())


def sets_of(routes):
    """The token sets of the components among the routes, in the order of a prompt."""
    found = list(dict.fromkeys(palette.route_ends(r)[0] for r in routes if palette.is_component(r)))
    return sorted(found, key=lambda s: palette.SETS.index(s) if s in palette.SETS else len(palette.SETS))


def places(cube, model, size, starts):
    """Where windows lie on each x axis with layers."""
    first, last = cube.window(model, size, starts)
    return {"layer": first, "last": last, "centre": cube.centre(model, size, starts)}


def spread_out(cube, model, size, values):
    """values [row, window_start] over every window of the cube that fits the model, and their places: a kind that some layers lack has gaps
    there."""
    starts = cube.fitting(model, size)
    cells = np.full((values.sizes[values.dims[0]], len(starts)), np.nan)
    cells[:, np.searchsorted(starts, values.window_start)] = values.values
    return cells, places(cube, model, size, starts)


def draw_one(axis, cells, at, limit, settings, size, colours=palette.MAP_COLOURS):
    x = settings.x if settings.x in at else "layer"
    draw_cells(axis, at[x], cells, limit, colours)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axis.set_xlabel("layer" if size == 1 else X_AXES[x])


@with_style
def _draw(rows, kinds, size, settings, title, look):
    """rows: a dictionary {kind: (cells, places)} for each, its name, what it writes at the y axis, and what tells its panels apart.
    look: limit, label, ticks, colours and beyond of the colour bar."""
    tallest = max(len(cells) for maps, _, _, _ in rows for cells, _ in maps.values())
    height = min(max(0.19 * tallest + 0.75, 1.9), 5.0)
    figure = plt.figure(figsize=(2.7 * len(kinds) + 2.1, height * len(rows) + 0.6), layout="constrained")
    axes = figure.subplots(len(rows), len(kinds), squeeze=False)
    for r, (maps, name, write, more) in enumerate(rows):
        shown = [k for k in kinds if k in maps]
        for axis, kind in zip(axes[r], kinds):
            head = palette.COMPONENTS.get(kind, kind)
            head = f"{name}, {head}{more}" if len(rows) > 1 else head
            if kind not in maps:
                axis.axis("off")
                axis.set_title(f"{name}, {palette.COMPONENTS.get(kind, kind)}: not in the cube", fontsize=9, color="0.4")
                continue
            draw_one(axis, *maps[kind], look["limit"], settings, size, look["colours"])
            write(axis)
            axis.set_title(head, fontsize=9)
            axis.tick_params(axis="y", labelleft=kind == shown[0])
            if r < len(rows) - 1:
                axis.set_xlabel("")
    label = textwrap.fill(look["label"], 24 if figure.get_figheight() < 3.6 else 60)
    colour_bar(figure, axes, look["limit"], label, look["ticks"], look["colours"], look["beyond"],
               shrink=min(1, 3.2 / figure.get_figheight()), aspect=18, pad=0.015)
    titled(figure, title, settings.remark)
    return figure


def _where(cube, feature, size):
    window = palette.windows_of(size, cube.over, cube.style)
    return f"in a {window}" + ("" if feature == "all" else f", {palette.class_name(feature)}")


def of_prompt(cube, models, prompt, routes, feature, size, settings):
    """One prompt: a row a model and a column a kind of component, its tokens from above to below. routes: KIND@each."""
    kinds = kinds_of(routes)
    held = {(m, k): cube.heat(m, prompt, f"{k}@each", feature, size) for m in models for k in kinds
            if cube.has_map(m, prompt, f"{k}@each", feature, size)}
    if not held:
        raise CubeError(f"components of prompt {prompt}, {feature}: no cell of them is done in the cube")
    models, kinds = ([v for v in some if any(v in key for key in held)] for some in (models, kinds))
    greatest = max(np.nanmax(np.abs(v.values), initial=0) for v in held.values())
    limit = min(settings.heat_limit, max(greatest, 0.01))
    rows = []
    for model in models:
        maps = {k: spread_out(cube, model, size, held[model, k]) for k in kinds if (model, k) in held}
        one = next(held[model, k] for k in kinds if (model, k) in held)
        clean = f"p = {one.attrs['clean']:.2f}"
        rows.append((maps, model, lambda axis, v=one: name_tokens(axis, v), f"  ({clean})"))
    title = f"One component left out at one token at a time, {_where(cube, feature, size)}"
    title += f", {models[0]}" if len(models) == 1 else ""
    text, answer = cube.heat_prompt_fact(prompt, "text"), cube.heat_prompt_fact(prompt, "target").strip()
    shown = f"{title}: “{text}” ({answer}{f', {clean}' if len(models) == 1 else ''})".replace("$", r"\$")
    table = pd.concat([table_of(m, prompt, f"{k}@each", feature, size, v) for (m, k), v in held.items()], ignore_index=True)
    look = {"limit": limit, "label": "probability of the answer, minus clean", "ticks": difference_text, "colours": palette.MAP_COLOURS,
            "beyond": greatest > limit}
    return Drawn(_draw(rows, kinds, size, settings, shown, look), table, f"{title}, prompt {prompt}", READING)


def over_prompts(cube, models, routes, feature, size, settings):
    """The means over prompts: a row a model and a column a kind of component, token sets from above to below."""
    if settings.metric in ("hit", "margin"):
        raise CubeError(f"components: {settings.metric} is no effect, it is not 0 where nothing changes; choose another metric")
    routes = [r for r in routes if palette.is_component(r)]
    table = curves.curves(cube, models, routes, [feature], [size], settings.metric, settings.interval)
    title = f"One component left out at a set of tokens, {_where(cube, feature, size)}"
    if not len(table):
        raise CubeError(f"{title}: no cell of it is done in the cube")
    there = set(table.route)
    kinds, sets = kinds_of([r for r in routes if r in there]), sets_of([r for r in routes if r in there])
    models = [m for m in models if m in set(table.model)]
    rows = []
    for model in models:
        maps = {}
        for kind in kinds:
            some = table[(table.model == model) & (table.source == kind)]
            if len(some):
                starts = cube.fitting(model, size)
                cells = np.full((len(sets), len(starts)), np.nan)
                cells[some.target.map(sets.index), np.searchsorted(starts, some.window_start)] = some.value
                maps[kind] = cells, places(cube, model, size, starts)
        count = count_of(table[table.model == model])
        rows.append((maps, model, lambda axis: axis.set_yticks(range(len(sets)), list(map(palette.set_name, sets))), f"  ({count})"))
    what, unit = METRICS[settings.metric]
    statistic = "median" if settings.metric == "median" else "mean over prompts"
    shown = f"{title}{f', {models[0]} ({count})' if len(models) == 1 else ''}: {statistic}"
    look = {"limit": limit_of(table.value.values, settings.metric), "label": what if unit == "%" else f"{what}, {unit}",
            "ticks": numbers(unit), "colours": colours_of(settings.metric), "beyond": False}
    return Drawn(_draw(rows, kinds, size, settings, shown, look), table, shown, READING)
