"""Panels of curves with their intervals, and the legend below them: what all kinds of curves are drawn with."""
import math
import textwrap
from dataclasses import dataclass, field

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)
from matplotlib.collections import LineCollection  # noqa: E402
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator  # noqa: E402
from matplotlib.transforms import ScaledTranslation  # noqa: E402

from .palette import CLEAN_LINE, STYLE_FILE, Look

X_AXES = {"depth": "start of the window, % of its range", "layer": "first layer of the window", "last": "last layer of the window",
          "centre": "centre of the window, layer"}
X_COLUMNS = {"depth": "depth", "layer": "first_layer", "last": "last_layer", "centre": "centre"}  # where they lie on the axis

NOTE_SIZE = 8  # points, of the lines below the legend
STRIP = 5.0  # points that a strip of layers takes above a panel
MOST_HIDDEN = 0.4  # of the intervals of a panel: beyond it bands cover each other, and bars are drawn


@dataclass
class Curve:
    """One curve of a panel; table has the columns of curves.COLUMNS, names those that hold the value and its interval."""
    name: str
    look: Look
    table: object
    names: tuple = ("value", "low", "high")
    marked: object = None  # booleans: windows with a ring, e.g. those of a corrected p below 5 %


@dataclass
class Panel:
    title: str
    curves: list
    reference: float = 0.0  # where a horizontal line says "as without knockout"
    strips: list = field(default_factory=list)  # (colour, booleans over the model's layers) above the panel, from above to below


@dataclass
class Layout:
    """title: of the figure; y: of the panels' y axis; unit: "%" or another, shown at its numbers or in y; legend: its title."""
    title: str
    y: str
    unit: str = "%"
    legend: str = ""
    x: str = "depth"
    columns: int = 3
    width: float = 4.4
    height: float = 3.3
    least: float = None  # the least and the greatest value that there can be: the y axis ends there
    most: float = None
    span: float = 0.0  # what the y axis spans at least
    notes: list = field(default_factory=list)  # lines below the legend
    remark: str = ""  # below the title of the figure, whatever it shows


def with_style(draw):
    """A function that draws in the package's style, whatever matplotlib's own settings are."""
    def drawing(*arguments, **named):
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            plt.style.use(str(STYLE_FILE))
            return draw(*arguments, **named)
    drawing.__doc__ = draw.__doc__
    return drawing


def positions(table, x):
    """Where a table's windows lie on the x axis."""
    return table[X_COLUMNS[x]]


def count_text(curves):
    """`n = 672`, or the range where windows or curves have different numbers of prompts."""
    counts = [n for c in curves for n in (int(c.table.n.min()), int(c.table.n.max()))]
    return f"n = {min(counts):,}" if min(counts) == max(counts) else f"n = {min(counts):,}–{max(counts):,}"


def count_of(table):
    """The same of one table, in a title that is wrapped: it stays in one line."""
    return count_text([Curve("", None, table)]).replace(" ", "\u00a0")


def numbers(unit):
    """Ticks with a minus sign, and with % where that is the unit."""
    return FuncFormatter(lambda value, _: (f"{value:g}" + (" %" if unit == "%" else "")).replace("-", "−"))


def hidden_share(panel):
    """How much of the panel's intervals lies behind others, 0 to 1, by length: 3/4 where four curves have equal ones."""
    windows = {}
    for curve in panel.curves:
        for start, *ends in zip(curve.table.window_start, curve.table[curve.names[1]], curve.table[curve.names[2]]):
            if all(map(math.isfinite, ends)):
                windows.setdefault(start, []).append(ends)
    whole = seen = 0.0
    for intervals in windows.values():
        reach = -math.inf
        for low, high in sorted(intervals):
            whole += high - low
            seen += max(high - max(low, reach), 0)
            reach = max(reach, high)
    return 1 - seen / whole if whole > 0 else 0.0


def draw_band(axis, x, low, high, curve, zorder):
    """The interval as a band."""
    axis.fill_between(x, low, high, color=curve.look.colour, alpha=0.18, linewidth=0, zorder=zorder)


def draw_bars(axis, x, low, high, curve, shift, every, zorder):
    """The interval as bars with caps, so that many can be told apart side by side. shift: to the right, in points."""
    beside = axis.transData + ScaledTranslation(shift / 72, 0, axis.figure.dpi_scale_trans)
    x, low, high = (np.asarray(v, float)[::every] for v in (x, low, high))
    x, low, high = (v[np.isfinite(low)] for v in (x, low, high))  # a single prompt has no interval
    axis.vlines(x, low, high, color=curve.look.colour, linewidth=0.9, transform=beside, zorder=zorder)
    for end in (low, high):
        axis.plot(x, end, linestyle="none", marker="_", markersize=4, markeredgewidth=0.9, markeredgecolor=curve.look.colour,
                  transform=beside, zorder=zorder, label="_cap")


def draw_strips(axis, strips, layout):
    """Which layers have something, above the panel: at their places on the x axis, or over 0 to 100 % of the depth."""
    for k, (colour, has) in enumerate(strips):
        has = np.asarray(has, bool)
        borders = np.arange(len(has) + 1) - 0.5 if layout.x != "depth" else np.linspace(0, 100, len(has) + 1)
        above = ScaledTranslation(0, (STRIP * (len(strips) - 1 - k) + 4) / 72, axis.figure.dpi_scale_trans)
        bars = [[(borders[layer], 1), (borders[layer + 1], 1)] for layer in np.flatnonzero(has)]
        axis.add_collection(LineCollection(bars, colors=colour, linewidths=STRIP - 1.5, capstyle="butt", clip_on=False, label="_strip",
                                           transform=axis.get_xaxis_transform() + above), autolim=False)


def draw_curves(axis, panel, layout, as_bars):
    if panel.reference is not None:
        axis.axhline(panel.reference, color=CLEAN_LINE, linewidth=0.9, zorder=1)
    crowded = max((len(c.table) for c in panel.curves), default=0)
    # The first curve is drawn last; the markers of those below are larger, so that equal curves can be seen.
    for k, curve in reversed(list(enumerate(panel.curves))):
        marker = 4.2 + min(k, 3)
        x, (value, low, high) = positions(curve.table, layout.x), (curve.table[name] for name in curve.names)
        if as_bars or len(x) == 1:  # one window has no width to fill
            draw_bars(axis, x, low, high, curve, 2.4 * (k - (len(panel.curves) - 1) / 2), max(1, crowded // 16), 2.5 - 0.01 * k)
        else:
            draw_band(axis, x, low, high, curve, 1.5)
        axis.plot(x, value, color=curve.look.colour, marker=curve.look.marker, linestyle=curve.look.line, label=curve.name,
                  markersize=marker, zorder=3 - 0.01 * k, markevery=max(1, crowded // 16))
        if curve.marked is not None and curve.marked.any():
            axis.plot(x[curve.marked], value[curve.marked], linestyle="none", marker="o", markersize=marker + 3.5, markerfacecolor="none",
                      markeredgecolor=curve.look.colour, markeredgewidth=0.9, zorder=4, label="_marked")
    axis.set_title(panel.title, pad=6 + STRIP * len(panel.strips))
    draw_strips(axis, panel.strips, layout)
    if layout.x == "depth":
        axis.xaxis.set_major_locator(MultipleLocator(25))
        axis.xaxis.set_major_formatter(numbers("%"))
    else:
        whole = all((positions(c.table, layout.x) % 1 == 0).all() for c in panel.curves)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=whole, min_n_ticks=1))
    axis.yaxis.set_major_formatter(numbers(layout.unit))


def titled(figure, title, remark=""):
    """The figure's title and a remark below it, in lines that its width holds; the figure grows by the lines after the first."""
    width, height = figure.get_size_inches()
    size = 12 if width > 6 else 10
    lines = [line for text in (title, remark) for line in textwrap.wrap(text, int(width * 132 / size))]
    figure.set_size_inches(width, height + (len(lines) - 1) * 1.25 * size / 72)
    figure.suptitle("\n".join(lines), fontsize=size)


def panel_grid(figure, n, columns, footer):
    """A grid of n panels with a row of `footer` inches below; returns (axes made by a function of k), and the footer's axis."""
    rows = math.ceil(n / columns)
    body = figure.get_figheight() - footer
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[body / rows] * rows + [footer])
    below = figure.add_subplot(grid[rows, :])
    below.axis("off")
    return grid, below


def x_limits(panels, layout):
    """The range of all windows; of depth all there can be."""
    at = [v for p in panels for c in p.curves for v in positions(c.table, layout.x)]
    at += [v for p in panels for _, has in p.strips for v in (0, len(has) - 1)]
    if layout.x == "depth" or not at:
        return -3, 103
    margin = max(0.03 * (max(at) - min(at)), 0.5)
    return min(at) - margin, max(at) + margin


def widened(bottom, top, layout):
    """The range, wide enough for layout.span: on both sides as far as the values can reach."""
    lack = layout.span - (top - bottom)
    if lack <= 0:
        return bottom, top
    bottom, top = bottom - lack / 2, top + lack / 2
    if layout.least is not None and bottom < layout.least:
        bottom, top = layout.least, max(top + layout.least - bottom, layout.least + layout.span)
    if layout.most is not None and top > layout.most:
        bottom, top = min(bottom - (top - layout.most), layout.most - layout.span), layout.most
    return bottom, top


def y_limits(panels, layout):
    """The range of all curves, with as much of their intervals as leaves the curves readable (few prompts, wide intervals)."""
    values, bands = [], []
    for curve in (c for p in panels for c in p.curves):
        value, low, high = (curve.table[name] for name in curve.names)
        values += [value.min(), value.max()]
        bands += [low.min(), high.max()]
    values += [p.reference for p in panels if p.reference is not None]
    values, bands = [v for v in values if math.isfinite(v)], [b for b in bands if math.isfinite(b)]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    room = max(high - low, layout.span / 4, 1e-9)
    bottom = max(min(bands + [low]), low - 2 * room) - 0.05 * room
    top = min(max(bands + [high]), high + 2 * room) + 0.05 * room
    bottom, top = widened(bottom, top, layout)
    edge = 0.03 * (top - bottom)  # markers at a bound are seen whole
    if layout.least is not None and bottom <= layout.least:
        bottom = layout.least - edge
    if layout.most is not None and top >= layout.most:
        top = layout.most + edge
    return bottom, top


@with_style
def draw_panels(panels, layout):
    """The figure: panels in rows, axes shared, one legend below."""
    columns = min(len(panels), layout.columns)
    rows = math.ceil(len(panels) / columns)
    names = {c.name: c for p in panels for c in p.curves}
    width = layout.width * columns + 0.4
    legend_columns = max(1, min(len(names), int(width / (0.55 + 0.07 * max(map(len, names))))))
    legend_rows = math.ceil(len(names) / legend_columns) + bool(layout.legend)
    notes = [line for note in layout.notes for line in textwrap.wrap(note, int(width * 118 / NOTE_SIZE))]
    footer = 0.15 + 0.21 * legend_rows + 0.24 * len(notes)
    figure = plt.figure(figsize=(width, layout.height * rows + footer + 0.5), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)  # a row's titles stay clear of the numbers above them
    grid, below = panel_grid(figure, len(panels), columns, footer)
    as_bars = any(len(p.curves) > 2 and hidden_share(p) > MOST_HIDDEN for p in panels)
    shared, handles = None, {}
    for k, panel in enumerate(panels):
        axis = shared = figure.add_subplot(grid[k // columns, k % columns], sharex=shared, sharey=shared)
        draw_curves(axis, panel, layout, as_bars)
        axis.tick_params(labelleft=k % columns == 0)
        if k % columns == 0:
            axis.set_ylabel(layout.y if layout.unit == "%" else f"{layout.y}, {layout.unit}")
        if k + columns >= len(panels):
            axis.set_xlabel(X_AXES[layout.x])
        for handle, label in zip(*axis.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    shared.set_xlim(*x_limits(panels, layout))
    shared.set_ylim(*y_limits(panels, layout))
    order = [name for name in names if name in handles]
    below.legend([handles[name] for name in order], order, loc="upper center", ncol=legend_columns, title=layout.legend or None,
                 borderaxespad=0, handlelength=2.6)
    if notes:
        below.text(0.5, 0, "\n".join(notes), ha="center", va="bottom", fontsize=NOTE_SIZE, color="0.3", transform=below.transAxes)
    titled(figure, layout.title, layout.remark)
    return figure


def save(figure, folder, stem, formats, dpi=None):
    """Writes folder/stem.FORMAT for every format; returns the paths. dpi: of PNG and of a map's cells, the style's where None."""
    paths = [folder / f"{stem}.{suffix}" for suffix in formats]
    with plt.style.context(str(STYLE_FILE)):
        # Laid out once: savefig would draw everything once more to do it, for every format.
        figure.get_layout_engine().execute(figure)
        figure.set_layout_engine("none")
        for path in paths:
            figure.savefig(path, dpi=dpi or plt.rcParams["savefig.dpi"])
    plt.close(figure)
    return paths
