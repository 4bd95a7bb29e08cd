"""Heatmaps: what removing one token at a time does, over the windows."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from . import palette
from .cube import CubeError
from .kinds import Drawn
from .lines import X_AXES, X_COLUMNS, titled, with_style


def table_of(model, prompt, route, feature, size, values):
    """One row a cell: token, position, window and the difference of probability."""
    token, window = np.nonzero(np.isfinite(values.values))
    return pd.DataFrame({
        "model": model, "prompt": prompt, "route": route, "feature_class": feature, "window_size": size,
        "window_start": values.window_start.values[window], "depth": values.depth.values[window], "source_position": token,
        "token": values.piece.values[token], "subject": values.subject.values[token], "metric": "prob_difference",
        "value": values.values[token, window]})


def edges(centres):
    """The borders of cells around these centres, which may lie unequally far apart."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def draw_cells(axis, x, cells, limit, colours=palette.MAP_COLOURS):
    """Rows from above to below, columns around x; what is NaN is grey. Colours go from -limit to limit."""
    axis.set_facecolor(palette.MAP_MISSING)
    axis.pcolormesh(edges(np.asarray(x, float)), np.arange(len(cells) + 1) - 0.5, np.ma.masked_invalid(cells), cmap=colours,
                    norm=Normalize(-limit, limit), rasterized=True)
    axis.set_ylim(len(cells) - 0.5, -0.5)
    axis.grid(False)


def colour_bar(figure, axes, limit, label, ticks, colours=palette.MAP_COLOURS, beyond=False, **place):
    """The bar of maps with these colours. ticks: writes a number; beyond: some values are not within the limit."""
    bar = figure.colorbar(ScalarMappable(Normalize(-limit, limit), colours), ax=axes, label=label, extend="both" if beyond else "neither",
                          **place)
    bar.formatter = FuncFormatter(ticks)
    bar.update_ticks()
    return bar


def difference_text(value, _):
    """A difference of probabilities at a colour bar."""
    return f"{value:+g}".replace("-", "−") if value else "0"


def draw_map(axis, values, settings):
    """Tokens from above to below, windows from left to right."""
    x = values[X_COLUMNS[settings.x]].values
    draw_cells(axis, x, values.values, settings.heat_limit)
    name_tokens(axis, values)
    if settings.x == "depth":
        axis.xaxis.set_major_locator(MultipleLocator(25))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    else:
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=settings.x != "centre"))


def name_tokens(axis, values):
    """The tokens at the rows of a map; the subject's are bold, starred and bracketed."""
    n = values.sizes["token"]
    names = [palette.token_name(piece) + ("*" if subject else "") for piece, subject in zip(values.piece.values, values.subject.values)]
    axis.set_yticks(range(n), names, fontsize=8 if n <= 20 else 6)
    axis.tick_params(axis="y", length=0)
    for label, subject in zip(axis.get_yticklabels(), values.subject.values):
        if subject:
            label.set_fontweight("bold")
            label.set_color(palette.SUBJECT_COLOUR)
    at = np.flatnonzero(values.subject.values)
    if len(at):
        axis.plot([0, 0], [at[0] - 0.5, at[-1] + 0.5], transform=axis.get_yaxis_transform(), color=palette.SUBJECT_COLOUR, linewidth=3.5,
                  solid_capstyle="butt", clip_on=False, marker="none")


def one_of_all(keys, what):
    """`what` of the keys where all have the same, else None."""
    found = {key[what] for key in keys}
    return found.pop() if len(found) == 1 else None


@with_style
def draw_grid(cube, grid, settings, route, feature):
    """grid: rows of keys (model, prompt, size), None where the cube has no map."""
    rows, columns = len(grid), max(len(row) for row in grid)
    keys = [key for row in grid for key in row if key]
    tokens = max([6] + [int(cube.heat(*_place(key, route, feature)).sizes["token"]) for key in keys])
    height = min(max(0.19 * tokens + 0.75, 1.7), 4.5)
    figure = plt.figure(figsize=(3.3 * columns + 1.0, height * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    same_model, same_prompt, same_size = (one_of_all(keys, k) for k in range(3))
    for r, row in enumerate(grid):
        for c in range(columns):
            axis, key = axes[r, c], row[c] if c < len(row) else None
            if key is None:
                axis.axis("off")
                continue
            values = cube.heat(*_place(key, route, feature))
            draw_map(axis, values, settings)
            head = [] if same_model else [key[0]]
            head += [] if same_prompt else [f"prompt {key[1]}"]
            head += [] if same_size else [f"{key[2]} layer{'s' if key[2] != 1 else ''}"]
            axis.set_title(f"{', '.join(head) or key[0]}  (p = {values.attrs['clean']:.2f})", fontsize=9)
            if r == rows - 1 or not any(other[c] for other in grid[r + 1:] if c < len(other)):
                axis.set_xlabel(X_AXES[settings.x])
    colour_bar(figure, axes, settings.heat_limit, "probability of the answer, minus clean", difference_text,
               beyond=settings.heat_limit < 1, shrink=min(1, 3.2 / figure.get_figheight()), aspect=18, pad=0.015)
    titled(figure, _title(cube, same_model, same_prompt, same_size, route, feature), settings.remark)
    return figure


def _place(key, route, feature):
    return key[0], key[1], route, feature, key[2]


def _title(cube, model, prompt, size, route, feature):
    target = palette.route_ends(route)[0]
    title = f"Knockout of {palette.set_name(target)} ← one token at a time"
    if size:
        title += f" in a {palette.windows_of(size, cube.over, cube.style)}"
    if feature != "all":
        title += f", {feature}"
    if model:
        title += f", {model}"
    if prompt:
        text, answer = cube.heat_prompt_fact(prompt, "text"), cube.heat_prompt_fact(prompt, "target").strip()
        title += f": “{text}” ({answer})".replace("$", r"\$")
    return title


def heatmaps(cube, models, prompts, route, feature, sizes, settings):
    """The heatmaps of models, prompts and sizes: sizes beside each other, else prompts, else models."""
    place = [(m, p, s) for m in models for p in prompts for s in sizes]
    there = {key for key in place if cube.has_map(key[0], key[1], route, feature, key[2])}
    if not there:
        raise CubeError(f"heatmaps of {route}, {feature}: no cell of them is done in the cube")
    models, prompts, sizes = ([v for v in given if v in {key[k] for key in there}] for k, given in enumerate((models, prompts, sizes)))
    if len(sizes) > 1:
        grid = [[(m, p, s) for s in sizes] for m in models for p in prompts]
    elif len(prompts) > 1:
        grid = [[(m, p, s) for p in prompts for s in sizes] for m in models]
    else:
        columns = len(models) if len(models) <= 3 else 2 if len(models) == 4 else 3
        keys = [(m, p, s) for m in models for p in prompts for s in sizes]
        grid = [keys[k:k + columns] for k in range(0, len(keys), columns)]
    grid = [[key if key in there else None for key in row] for row in grid]
    table = pd.concat([table_of(m, p, route, feature, s, cube.heat(m, p, route, feature, s))
                       for row in grid for m, p, s in filter(None, row)], ignore_index=True)
    title = f"Heatmaps of {palette.route_name(route)}{'' if feature == 'all' else ', ' + feature}"
    return Drawn(draw_grid(cube, grid, settings, route, feature), table, title)
