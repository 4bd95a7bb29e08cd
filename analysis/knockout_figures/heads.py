"""Heads: a map of layers and heads, and beside it a list of the strongest ones."""
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from . import curves, palette
from .cube import LEAST_SPAN, METRICS, CubeError
from .kinds import Drawn, cut_notes, interval_text
from .lines import count_of, numbers, titled, with_style
from .maps import colour_bar, draw_cells

FEWEST, USUAL = 5, 15  # heads of the list; beside a tall map there is room for more
NAMES = {"head": "attention head", "ssm-head": "SSM head"}
READING = ("A square is one head of one layer: what happens to the answer, on average over the prompts, if only this head is knocked out. "
           "Red is lost, blue is won. The list beside the map has the strongest heads with their 95 % intervals. Its p-values are "
           "corrected for having looked at every head of the map (Holm), so a filled point is a finding and an open one may be chance.")


def layers_text(first, last, word=""):
    """`7` or `7–9`, with a word: `layer 7`, `layers 7–9`."""
    if first == last:
        return f"{word}{' ' * bool(word)}{first}"
    return f"{word}{'s ' * bool(word)}{first}–{last}"


def every(n):
    """Every how many of n rows or columns has a number."""
    return next(step for step in (1, 2, 4, 8, 16, 32, 10**9) if n <= 18 * step)


def colours_of(metric):
    """Red is what harms the answer: a loss, of KL a gain."""
    return palette.MAP_COLOURS + ("_r" if metric == "kl" else "")


def limit_of(values, metric):
    """The end of a map's colours: its greatest value; a map without any effect is white and not enlarged rounding."""
    values = np.abs(values[np.isfinite(values)])
    return max(values.max(initial=0), LEAST_SPAN[metric] / 10)


def cells_of(table):
    """(windows as a table of their layers, the heads' numbers, the values [window, head]) of a table of heads."""
    windows = table[["window_start", "first_layer", "last_layer"]].drop_duplicates().sort_values("window_start")
    heads = np.arange(table["head"].max() + 1) if table["head"].max() < 4 * table["head"].nunique() else np.sort(table["head"].unique())
    cells = np.full((len(windows), len(heads)), np.nan)
    cells[np.searchsorted(windows.window_start, table.window_start), np.searchsorted(heads, table["head"])] = table.value
    return windows, heads, cells


def draw_squares(axis, table, listed, metric):
    """The map, with a frame around every head of the list. Layers from above to below."""
    windows, heads, cells = cells_of(table)
    limit = limit_of(cells, metric)
    draw_cells(axis, np.arange(len(heads)), cells, limit, colours_of(metric))
    axis.set_aspect("equal")
    for what, labels in (("x", heads), ("y", [layers_text(*w) for w in windows[["first_layer", "last_layer"]].values])):
        at = np.arange(0, len(labels), every(len(labels)))
        getattr(axis, f"set_{what}ticks")(at, [labels[k] for k in at])
    axis.tick_params(length=2)
    axis.set_xlabel("head")
    axis.set_ylabel("layer" if (windows.first_layer == windows.last_layer).all() else "layers of the window")
    for row in listed.itertuples():
        x, y = np.searchsorted(heads, row.head), np.searchsorted(windows.window_start, row.window_start)
        axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=0.9, clip_on=False))
    return limit


def p_text(p):
    if not np.isfinite(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def draw_list(axis, listed, settings):
    """The strongest heads, one below the other, with their intervals; filled where p is below 5 % after Holm's correction."""
    y = np.arange(len(listed))
    what, unit = METRICS[settings.metric]
    axis.axvline(0, color=palette.CLEAN_LINE, linewidth=0.9, zorder=1)
    axis.hlines(y, listed.low, listed.high, color="black", linewidth=1.1, zorder=2)
    for sure, face in ((True, "black"), (False, "white")):
        some = (listed.p_holm < 0.05).values == sure
        axis.plot(listed.value[some], y[some], linestyle="none", marker="o", markersize=5, markerfacecolor=face, markeredgecolor="black",
                  markeredgewidth=0.9, zorder=3, label="significant" if sure else "not")
    axis.set_yticks(y, [f"{layers_text(row.first_layer, row.last_layer, 'layer')}, head {row.head}" for row in listed.itertuples()])
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(listed) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    axis.xaxis.set_major_formatter(numbers(unit))
    axis.xaxis.get_major_locator().set_params(nbins=5)
    axis.set_xlabel((what if unit == "%" else f"{what}, {unit}") + f"\n{interval_text(settings)}")
    beside = axis.get_yaxis_transform()
    if listed.p_holm.notna().any():
        axis.text(1.03, -0.62, "p, Holm", transform=beside, fontsize=8, color="0.3", va="bottom")
        for k, p in zip(y, listed.p_holm):
            axis.text(1.03, k, p_text(p), transform=beside, fontsize=8, va="center", fontweight="bold" if p < 0.05 else "normal")


def side_of(table):
    """How many inches a square of the map is long."""
    windows, heads, _ = cells_of(table)
    return min(max(5.6 / max(len(windows), len(heads)), 0.11), 0.26)


def listed_of(table):
    """The strongest heads: a quarter of the map's squares, at least FEWEST, and as many as fit beside the map."""
    room = int(side_of(table) * table.window_start.nunique() / 0.23)
    return curves.strongest(table, min(max(FEWEST, len(table) // 4), max(USUAL, room)))


def notes_of(table, listed, settings):
    tests = int(table.p.notna().sum())
    notes = [f"frames: the {len(listed)} heads of the list" + (
        f"; filled: p < 5 % (t-test over prompts, Holm over all {tests:,} squares of the map)" if tests else "")]
    _, _, cells = cells_of(table)
    return notes + ["grey: no such head in this layer, or nothing to take out"] * bool(np.isnan(cells).any()) + cut_notes(listed, settings)


@with_style
def _draw(table, listed, title, settings):
    windows, heads, _ = cells_of(table)
    side = side_of(table)
    map_width, height = max(side * len(heads) + 0.9, 2.6), side * len(windows)
    body = max(height + 1.25, 0.21 * len(listed) + 0.75)
    notes = notes_of(table, listed, settings)
    footer = 0.1 + 0.17 * len(notes)
    figure = plt.figure(figsize=(map_width + 4.9, body + footer + 0.45), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    grid = figure.add_gridspec(2, 2, width_ratios=[map_width, 4.6], height_ratios=[body, footer])
    axis, beside, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, :])
    limit = draw_squares(axis, table, listed, settings.metric)
    what, unit = METRICS[settings.metric]
    label = textwrap.fill(what if unit == "%" else f"{what}, {unit}", 24 if map_width < 3.2 else 60)     # a longer line would be cut
    bar = colour_bar(figure, axis, limit, label, numbers(unit), colours_of(settings.metric),
                     location="bottom", shrink=min(1, 3.4 / map_width), aspect=22, pad=0.02)
    bar.ax.xaxis.get_major_locator().set_params(nbins=5 if map_width > 3.2 else 3)
    draw_list(beside, listed, settings)
    below.axis("off")
    below.text(0.5, 0, "\n".join(notes), ha="center", va="bottom", fontsize=8, color="0.3", transform=below.transAxes)
    titled(figure, title, settings.remark)
    return figure


def heads(cube, model, route, classes, size, settings):
    """The heads of a model on a route. classes: heads of one kind, as curves.head_parts gives them."""
    if settings.metric in ("hit", "margin"):
        raise CubeError(f"heads: {settings.metric} is no effect, it is not 0 where nothing changes; choose another metric")
    table = curves.heads(cube, model, route, classes, size, settings.metric, settings.interval)
    kind, _, suffix = palette.head_of(classes[0])
    head, instead = f"one {NAMES[kind]} at a time", palette.replaced_by(suffix)
    if palette.is_component(route):
        at = palette.set_name(palette.route_ends(route)[0])
        title = f"{model}: {head} {instead.removeprefix(', ') or 'left out'} at the tokens “{at}”"
    else:
        title = f"{model}: edges {palette.route_name(route)} removed in {head}{instead}"
    if not len(table):
        raise CubeError(f"{title}: no cell of it is done in the cube")
    title += f", in a {palette.windows_of(size, cube.over, cube.style)} ({count_of(table)})"
    return Drawn(_draw(table, listed_of(table), title, settings), table, title, READING)
