"""The answer's probability before and after a knockout in the late windows, one point a prompt."""
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from . import palette
from .cube import CubeError
from .kinds import Drawn, of_class
from .lines import titled, with_style


def late(cube, model, route, feature, size, percent):
    """A table of prompts: `before` and `after`, the mean over the windows that start at `percent` of depth or later."""
    after = cube.probability(model, route, feature, size)
    after = after.values[:, after.depth.values >= percent]
    n = np.isfinite(after).sum(axis=1)
    before = cube.clean("prob", model)
    table = pd.DataFrame({"model": model, "prompt": cube.prompts, "route": route, "feature_class": feature, "window_size": size,
                          "windows": n, "before": before, "after": np.nansum(after, axis=1) / np.maximum(n, 1)})
    return table[n > 0]


def draw_points(axis, model, table, colour):
    axis.plot([0, 1], [0, 1], color=palette.CLEAN_LINE, linewidth=0.9, marker="none", zorder=1)
    axis.scatter(table.before, table.after, s=16, color=colour, alpha=0.45 if len(table) > 100 else 0.8, edgecolors="white", linewidths=0.3, zorder=2, clip_on=False)
    mean = table.before.mean(), table.after.mean()
    axis.plot(*mean, marker="X", markersize=9, color=palette.BLACK, linestyle="none", zorder=3, label="mean")
    above = int((table.after > table.before).sum())
    axis.set_title(f"{model}  (n = {len(table):,})")
    axis.text(0.03, 0.97, f"more probable in {above:,} of {len(table):,}", transform=axis.transAxes, va="top", fontsize=8, color="0.25")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability of the answer, clean")
    axis.set_box_aspect(1)


@with_style
def _draw(panels, title, remark):
    columns = min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    figure = plt.figure(figsize=(3.7 * columns + 0.3, 3.9 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axis, (model, table) in zip(axes, panels):
        draw_points(axis, model, table, palette.BLUE)
    for axis in axes[len(panels):]:
        axis.axis("off")
    for axis in axes[::columns]:
        axis.set_ylabel("after the knockout")
    axes[0].legend(loc="lower right")
    titled(figure, title, remark)
    return figure


def scatter(cube, models, route, feature, size, settings):
    """A panel a model; points above the diagonal are prompts whose answer the knockout makes more probable."""
    panels = [(m, late(cube, m, route, feature, size, settings.late)) for m in models if cube.has(m, route, feature, size)]
    panels = [(m, t) for m, t in panels if len(t)]
    title = (f"Before and after {palette.route_name(route)}{of_class(feature)}: windows of {size} layer{'s' if size != 1 else ''} "
             f"from {settings.late:g} % on")
    if not panels:
        raise CubeError(f"{title}: no such window has a done cell in the cube (--late chooses others)")
    return Drawn(_draw(panels, title, settings.remark), pd.concat([t for _, t in panels], ignore_index=True), title)
