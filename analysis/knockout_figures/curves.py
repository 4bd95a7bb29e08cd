"""Tables of curves: one row a window, in the columns of `knockout show --csv`."""
import numpy as np
import pandas as pd

from . import stats
from .cube import CubeError, bounds_of, bounds_of_difference
from .palette import class_controls, control_of, head_of, is_random_class, route_ends

COLUMNS = ["model", "route", "target", "source", "feature_class", "window_size", "window_start", "depth", "metric", "value", "low",
           "high", "n", "first_layer", "last_layer"]
INTERACTION = ["all", "attention", "ssm"]  # the classes of an interaction: the whole, and its two parts


def estimate(metric, values, interval):
    """The value of a window with its interval: of `median` the median, else the mean."""
    if metric == "median":
        return stats.median(values)
    if metric == "hit" and interval.kind == "usual":
        return stats.share(values)
    return stats.mean(values, interval, bounds_of(metric))


def rows(model, route, feature, size, values, metric, found, **more):
    """A table of one curve. values: [prompt, window_start] as Cube.values gives them; found: its estimate."""
    target, source = route_ends(route)
    n_windows = values.sizes["window_start"]
    table = pd.DataFrame({
        "model": [model] * n_windows, "route": route, "target": target, "source": source, "feature_class": feature,
        "window_size": size, "window_start": values.window_start.values, "depth": values.depth.values, "metric": metric,
        "value": found.value, "low": found.low, "high": found.high, "n": found.n, "first_layer": values.first_layer.values,
        "last_layer": values.last_layer.values, "centre": values.centre.values, **more})
    return table[table.n > 0]


def joined(tables):
    tables = [t for t in tables if len(t)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def curves(cube, models, routes, features, sizes, metric, interval, prompts=None):
    """The curves that the cube has of these, in this order. prompts: {model: booleans over the prompts} where not all count."""
    found = []
    for model in models:
        for route in routes:
            for feature in features:
                for size in sizes:
                    if not cube.has(model, route, feature, size) or (prompts is not None and not prompts[model].any()):
                        continue
                    values = cube.values(metric, model, route, feature, size)
                    if prompts is not None:
                        values = values[prompts[model]]
                    found.append(rows(model, route, feature, size, values, metric, estimate(metric, values.values, interval)))
    return joined(found)


def by_relation(cube, models, route, feature, size, metric, interval):
    """One curve a relation, in a column `relation`; the most frequent relations first."""
    relations = np.array(cube.relations())
    names, counts = np.unique(relations, return_counts=True)
    names = names[np.argsort(-counts, kind="stable")]
    found = []
    for model in models:
        if cube.has(model, route, feature, size):
            values = cube.values(metric, model, route, feature, size)
            for name in names:
                some = values[relations == name]
                found.append(rows(model, route, feature, size, some, metric, estimate(metric, some.values, interval), relation=name))
    return joined(found)


def controls_of(cube, model, route, feature, size):
    """The (route, class) of every seed of the random control that is matched to a curve, in the cube."""
    routes = [(r, feature) for r in cube.routes if control_of(r) == route and cube.has(model, r, feature, size)]
    classes = [(route, f) for f in class_controls(feature, cube.features) if cube.has(model, route, f, size)]
    return routes, classes


def controlled(cube, models, routes, features, sizes, metric, interval):
    """Curves with their matched random control: the columns of curves() and, of the control and of the paired effect (value -
    control), `control`, `control_low`, `control_high`, `effect`, `effect_low`, `effect_high`, `effect_n`, `p`, `p_holm` (Holm
    over the windows of the curve), `seeds` and `matched` (`route` or `class`)."""
    found = []
    for model in models:
        for route in (r for r in routes if not control_of(r)):
            for feature in (f for f in features if not is_random_class(f)):
                for size in sizes:
                    if not cube.has(model, route, feature, size):
                        continue
                    for matched, seeds in zip(("route", "class"), controls_of(cube, model, route, feature, size)):
                        if seeds:
                            found.append(_one_controlled(cube, model, route, feature, size, metric, interval, matched, seeds))
    return joined(found)


def _one_controlled(cube, model, route, feature, size, metric, interval, matched, seeds):
    values = cube.values(metric, model, route, feature, size)
    drawn = [cube.values(metric, model, r, f, size).reindex(window_start=values.window_start).values for r, f in seeds]
    control = stats.mean_over_seeds(drawn)
    other = stats.mean(control, interval, bounds_of(metric))
    effect = stats.paired(values.values, control, interval, bounds_of_difference(metric))
    return rows(model, route, feature, size, values, metric, estimate(metric, values.values, interval), matched=matched,
                seeds=len(seeds), control=other.value, control_low=other.low, control_high=other.high, effect=effect.value,
                effect_low=effect.low, effect_high=effect.high, effect_n=effect.n, p=effect.p, p_holm=stats.holm(effect.p))


def head_parts(features):
    """The classes that are single heads by what they have in common: {(`head` or `ssm-head`, suffix): classes by their number}."""
    parts = {}
    for feature in features:
        head = head_of(feature)
        if head:
            parts.setdefault((head[0], head[2]), []).append(feature)
    return {part: sorted(some, key=lambda f: head_of(f)[1]) for part, some in parts.items()}


def heads(cube, model, route, classes, size, metric, interval):
    """Every window of every head (classes: of one kind), in the columns of curves() and `head`, `p` and `p_holm`: of the t-test that
    the mean over prompts is 0, after Holm's correction over all of them. Medians have no p."""
    found = []
    for feature in classes:
        if cube.has(model, route, feature, size):
            values = cube.values(metric, model, route, feature, size)
            p = stats.p_of_mean(values.values) if metric != "median" else np.full(values.sizes["window_start"], np.nan)
            found.append(rows(model, route, feature, size, values, metric, estimate(metric, values.values, interval),
                              head=head_of(feature)[1], p=p))
    table = joined(found)
    return table.assign(p_holm=stats.holm(table.p)) if len(table) else table.assign(head=[], p=[], p_holm=[])


def strongest(table, most=None):
    """The rows of a table with the greatest |value|, the strongest first; equal ones in their order."""
    order = np.argsort(-table.value.abs().values, kind="stable")
    return table.iloc[order[:most]]


def has_interaction(cube, model, route, size):
    """Whether the cube has all, attention and ssm there."""
    return all(cube.has(model, route, feature, size) for feature in INTERACTION)


def interactions(cube, models, routes, sizes, metric, interval):
    """What attention and SSM do together, all - attention - ssm prompt by prompt, in rows of the class `all` with the further columns
    `minus`, `p` and `p_holm` (Holm within the curve), as `knockout show --interaction` prints them. Where a part is vacuous the
    other one is the whole and nothing is measured: such prompts, and windows of such prompts alone, are left out."""
    found = []
    for model in models:
        for route in routes:
            for size in sizes:
                if not has_interaction(cube, model, route, size):
                    continue
                whole, *parts = (cube.values(metric, model, route, feature, size) for feature in INTERACTION)
                starts = whole.window_start
                for part in parts:
                    starts = np.intersect1d(starts, part.window_start)
                whole = whole.sel(window_start=starts)
                both = sum(part.sel(window_start=starts).values for part in parts)
                effect = stats.paired(whole.values, both, interval)
                if metric == "median":
                    effect = stats.Difference(**vars(stats.median(whole.values - both)), p=np.full(len(starts), np.nan))
                p = np.where(effect.n > 0, effect.p, np.nan)
                found.append(rows(model, route, INTERACTION[0], size, whole, metric, effect, minus=" and ".join(INTERACTION[1:]), p=p,
                                  p_holm=stats.holm(p)))
    return joined(found)


def paired_curves(cube, one, other, metric, interval):
    """The paired difference of two curves, one and other being (model, route, class, size) each: the columns window_start, value,
    low, high, n, p and p_holm. Windows are paired by their layers, so those of unequal size are refused."""
    if one[3] != other[3]:
        raise CubeError(f"windows of {one[3]} and of {other[3]} layers are different layers and cannot be paired")
    for each in (one, other):
        if not cube.has(*each):
            raise CubeError(f"{each[0]}: no cell of {each[1]}, {each[2]}, {each[3]} layers is done")
    a, b = cube.values(metric, *one), cube.values(metric, *other)
    starts = np.intersect1d(a.window_start, b.window_start)
    layers = [cube.window_layers(side[0], side[3], starts) for side in (one, other)]
    n = max(has.shape[1] for has in layers)
    same = np.equal(*(np.pad(has, ((0, 0), (0, n - has.shape[1]))) for has in layers)).all(axis=1)
    starts = starts[same]  # models may count other layers
    found = stats.paired(a.sel(window_start=starts).values, b.sel(window_start=starts).values, interval,
                         bounds_of_difference(metric, one[0] != other[0]))
    table = pd.DataFrame({"window_start": starts, "value": found.value, "low": found.low, "high": found.high, "n": found.n,
                          "p": found.p, "p_holm": stats.holm(found.p)})
    return table[table.n > 0]


def peaks(table, keys):
    """The window of every curve where it is farthest from no effect: of hits and margins, which have a level of their own, the
    least value, else the greatest |value|. keys are the columns that tell curves apart."""
    if not len(table):
        return table
    far = table.value.abs().where(~table.metric.isin(["hit", "margin"]), -table.value)
    at = far.groupby([table[k] for k in keys], sort=False).idxmax()
    return table.loc[at.dropna()].reset_index(drop=True)
