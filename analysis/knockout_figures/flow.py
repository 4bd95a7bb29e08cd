"""The information-flow figure: one panel a model, one curve a route."""
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)
from matplotlib.ticker import FuncFormatter, MultipleLocator  # noqa: E402

# Okabe & Ito 2008: told apart with any colour vision. The marker repeats what the colour says, for print in grey.
STYLES = {"subject": ("#0072B2", "o"), "relation": ("#D55E00", "s"), "last": ("#009E73", "^"), "first": ("#CC79A7", "D")}
OTHERS = [("#E69F00", "v"), ("#56B4E9", "P"), ("#000000", "X"), ("#999999", "*"), ("#7A5195", "<"), ("#5C3A1E", ">")]


def route_name(route):
    """The route as the paper writes it: `last<-subject` is "subject → last"."""
    target, source = route.split("<-", 1)
    return f"{source} → {target}"


def styles(routes):
    """A colour and a marker for every route; the paper's four sources keep theirs where they are told apart by it."""
    targets = {r.split("<-", 1)[0] for r in routes}
    chosen, spare = {}, list(OTHERS)
    if len(targets) > 1:
        spare = list(STYLES.values()) + spare
    for k, route in enumerate(routes):
        source = route.split("<-", 1)[1]
        known = STYLES.get(source) if len(targets) == 1 else None
        chosen[route] = known or spare[k % len(spare)]
    return chosen


def count_text(curves):
    low, high = min(int(c.n.min()) for c in curves), max(int(c.n.max()) for c in curves)
    return f"n = {low}" if low == high else f"n = {low}–{high}"


def draw_panel(axis, title, curves, style):
    axis.axhline(0, color="0.35", linewidth=0.9, zorder=1)
    for curve in curves:
        colour, marker = style[curve.route]
        axis.fill_between(curve.depth, curve.mean - curve.half, curve.mean + curve.half, color=colour, alpha=0.18, linewidth=0)
        axis.plot(curve.depth, curve.mean, color=colour, marker=marker, markersize=4.5, linewidth=1.8, markeredgecolor="white",
                  markeredgewidth=0.5, label=route_name(curve.route), zorder=3)
    axis.set_title(title, fontsize=11)
    axis.set_xlim(-3, 103)
    axis.xaxis.set_major_locator(MultipleLocator(25))
    percent = FuncFormatter(lambda value, _: f"{value:g} %".replace("-", "−"))
    axis.xaxis.set_major_formatter(percent)
    axis.yaxis.set_major_formatter(percent)
    axis.grid(True, color="0.9", linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def draw(cube, feature, size):
    """The figure of one feature class and window size."""
    panels = [(m, cube.curves(m, feature, size)) for m in cube.models]
    panels = [(m, c) for m, c in panels if c]
    routes = [r for r in cube.routes if any(r == c.route for _, curves in panels for c in curves)]
    style = styles(routes)
    columns = min(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    figure = plt.figure(figsize=(4.4 * columns + 0.4, 3.3 * rows + 1.2), layout="constrained")
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[1] * rows + [0.14 / rows])
    first, handles = None, {}
    for k, (model, curves) in enumerate(panels):
        axis = first = figure.add_subplot(grid[k // columns, k % columns], sharex=first, sharey=first)
        draw_panel(axis, f"{model}  ({count_text(curves)})", curves, style)
        axis.tick_params(labelleft=k % columns == 0)
        if k % columns == 0:
            axis.set_ylabel("change of the answer's probability")
        if k + columns >= len(panels):
            axis.set_xlabel("start of the window, % of its range")
        for handle, label in zip(*axis.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    names = [route_name(r) for r in routes]
    below = figure.add_subplot(grid[rows, :])
    below.axis("off")
    below.legend([handles[name] for name in names], names, loc="center", ncol=min(len(names), 4), frameon=False,
                 title="edges removed, source → target")
    what = "" if feature == "all" else f", {feature}"
    figure.suptitle(f"Knockout in a window of {size} layer{'s' if size != 1 else ''}{what}: mean and 95 % interval", fontsize=12)
    return figure


def save(figure, stem):
    """Writes stem.png and stem.pdf; returns their paths."""
    paths = [stem.with_name(stem.name + suffix) for suffix in (".png", ".pdf")]
    figure.savefig(paths[0], dpi=200)
    figure.savefig(paths[1])
    plt.close(figure)
    return paths
