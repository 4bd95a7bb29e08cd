"""The kinds of curves. Each takes a cube, what to draw of it and the settings, and returns a Drawn."""
from dataclasses import dataclass, replace

import pandas as pd

from . import curves, palette
from .cube import LEAST_SPAN, METRICS, MIXERS, CubeError, bounds_of, bounds_of_difference
from .lines import Curve, Layout, Panel, count_text, draw_panels
from .stats import Interval

@dataclass(frozen=True)
class Settings:
    """What holds for all figures of one call."""
    x: str = "depth"
    metric: str = "change"
    interval: Interval = Interval()
    late: float = 75.0  # percent of depth from which on windows count as late
    heat_limit: float = 1.0  # the heatmaps' colours go from minus to plus this
    remark: str = ""  # below the title of every figure


@dataclass
class Drawn:
    """A figure and the numbers in it."""
    figure: object
    table: pd.DataFrame
    title: str
    reading: str = ""  # how to read it, a sentence or two below its picture in the report


def replaced(settings, **changes):
    """The settings with some of them changed."""
    return replace(settings, **changes)


def interval_text(settings):
    if settings.metric == "median":
        return "median and 95 % interval"
    what = "share" if settings.metric == "hit" else "mean"
    return f"{what} and 95 % interval" + (" (bootstrap)" if settings.interval.kind == "bootstrap" else "")


def of_class(feature):
    return "" if feature == "all" else f", {palette.class_name(feature)}"


def layout_for(settings, title, **more):
    what, unit = METRICS[settings.metric]
    least, most = bounds_of(settings.metric)
    return Layout(**{"title": title, "y": what, "unit": unit, "x": settings.x, "least": least, "most": most,
                     "span": LEAST_SPAN[settings.metric], "remark": settings.remark, **more})


def reference_of(cube, model, settings):
    """Where the clean runs lie: hits and margins have a level of their own, KL and the changes are 0 without a knockout."""
    if settings.metric not in ("hit", "margin"):
        return 0.0
    clean = pd.Series(cube.clean(settings.metric, model))
    return float(clean.mean())


def grid_columns(n):
    return n if n <= 3 else 2 if n == 4 else 3 if n <= 9 else 4


def sized(panels):
    """Columns and panel size for a number of panels: many are smaller, and one alone is wide, so that its legend has few rows."""
    columns = grid_columns(len(panels))
    return {"columns": columns, "width": 6.6 if columns == 1 else 4.4 if columns <= 3 else 3.6, "height": 3.3 if len(panels) <= 6 else 2.8}


def cut_notes(table, settings, columns=None):
    """A sentence where an interval of t was cut at a bound (stats.cut), else none. columns: {names of the value and its interval:
    bounds}, the curve's own where not given."""
    metric, kind = settings.metric, settings.interval.kind
    own = {("value", "low", "high"): bounds_of(metric)} if metric != "median" and (metric, kind) != ("hit", "usual") else {}
    ends = set()
    for names, bounds in ({**own, **(columns or {})} if kind != "bootstrap" else {}).items():
        value, low, high = (table[name] for name in names)
        for end, cut in zip(bounds, ((value > low) & (low == bounds[0]), (value < high) & (high == bounds[1]))):
            ends |= {end} if end is not None and cut.any() else set()
    unit = " %" if METRICS[metric][1] == "%" else ""
    text = " and ".join(f"{end:g}{unit}".replace("-", "−") for end in sorted(ends))
    return [f"intervals are cut at {text}, beyond which no mean can lie"] if ends else []


def finished(panels, table, title, settings, **layout):
    if not panels:
        raise CubeError(f"{title}: no cell of it is done in the cube")
    if settings.metric in ("hit", "margin"):
        layout.setdefault("notes", []).append("grey line: the clean runs")
    layout.setdefault("notes", []).extend(cut_notes(table, settings))
    return Drawn(draw_panels(panels, layout_for(settings, title, **{**sized(panels), **layout})), table, title)


def flow(cube, models, routes, feature, size, settings, prompts=None):
    """Information flow: a panel a model, a curve a route."""
    table = curves.curves(cube, models, routes, [feature], [size], settings.metric, settings.interval, prompts)
    looks = palette.route_looks([r for r in routes if r in set(table.route)])
    panels = []
    for model, rows in table.groupby("model", sort=False):
        drawn = [Curve(palette.route_name(r), looks[r], t) for r, t in rows.groupby("route", sort=False)]
        panels.append(Panel(f"{model}  ({count_text(drawn)})", drawn, reference_of(cube, model, settings)))
    what = "Components left out" if all(map(palette.is_component, routes)) else "Knockout"
    title = f"{what} in a {palette.windows_of(size, cube.over, cube.style)}{of_class(feature)}: {interval_text(settings)}"
    return finished(panels, table, title, settings, legend=palette.legend_of(routes))


def features(cube, models, routes, classes, size, settings):
    """Feature knockout: a panel a model, a curve a feature class; of several routes a row a model and a column a route."""
    table = curves.curves(cube, models, routes, classes, [size], settings.metric, settings.interval)
    looks = palette.class_looks([f for f in classes if f in set(table.feature_class)])
    there = [r for r in routes if r in set(table.route)]
    panels = []
    for model, rows in table.groupby("model", sort=False):
        for route in there:
            drawn = [Curve(palette.class_name(f), looks[f], t)
                     for f, t in rows[rows.route == route].groupby("feature_class", sort=False)]
            head = model if len(there) == 1 else f"{model}, {palette.route_name(route)}"
            panels.append(Panel(f"{head}  ({count_text(drawn)})" if drawn else f"{head}: not in the cube", drawn,
                                reference_of(cube, model, settings)))
    which = f" of {palette.route_name(there[0])}" if len(there) == 1 else ""
    title = f"Feature knockout{which} in a {palette.windows_of(size, cube.over, cube.style)}: {interval_text(settings)}"
    shape = {"columns": len(there), "width": 3.6, "height": 2.5} if len(there) > 1 else {}
    legend = "class that is left out" if all(map(palette.is_component, there)) else "features whose edges are removed"
    return finished(panels, table, title, settings, legend=legend, **shape)


def windows(cube, models, routes, feature, sizes, settings):
    """Window sizes: a row a model and a column a size; of one model the sizes one after the other."""
    table = curves.curves(cube, models, routes, [feature], sizes, settings.metric, settings.interval)
    looks = palette.route_looks([r for r in routes if r in set(table.route)])
    there = [s for s in sizes if s in set(table.window_size)]
    panels = []
    many = table.model.nunique() > 1
    for model, rows in table.groupby("model", sort=False):
        for size in there:
            some = rows[rows.window_size == size]
            drawn = [Curve(palette.route_name(r), looks[r], t) for r, t in some.groupby("route", sort=False)]
            layers = f"{size} layer{'s' if size != 1 else ''}"
            head = f"{model}, {layers}" if many else palette.windows_of(size, cube.over, cube.style)
            panels.append(Panel(f"{head}  ({count_text(drawn)})" if drawn else f"{head}: larger than the model or not planned", drawn,
                                reference_of(cube, model, settings)))
    who = "" if many or table.empty else f" in {table.model.iloc[0]}"
    title = f"Window sizes{who}{of_class(feature)}: {interval_text(settings)}"
    shape = {"columns": len(there), "width": 3.2, "height": 2.5} if many else {}
    return finished(panels, table, title, settings, legend=palette.legend_of(routes), **shape)


def relations(cube, models, route, feature, size, settings, most=10):
    """A panel a model, a curve a relation (the `most` frequent ones that have a curve)."""
    table = curves.by_relation(cube, models, route, feature, size, settings.metric, settings.interval)
    names = list(dict.fromkeys(table.relation)) if len(table) else []
    looks = palette.named_looks(names[:most])
    table = table[table.relation.isin(looks)] if len(table) else table
    panels = []
    for model, rows in table.groupby("model", sort=False):
        drawn = [Curve(name or "(none)", looks[name], t) for name, t in rows.groupby("relation", sort=False)]
        panels.append(Panel(model, drawn, reference_of(cube, model, settings)))
    left = f"the {most} most frequent of {len(names)} relations" if len(names) > most else "relations"
    title = (f"Knockout of {palette.route_name(route)} in a {palette.windows_of(size, cube.over, cube.style)}{of_class(feature)}, by relation: "
             f"{interval_text(settings)}")
    return finished(panels, table, title, settings, legend=left)


def controls(cube, models, routes, classes, size, settings):
    """A row a model and a column a curve with its matched random control, and the paired effect. Rings: p < 5 % (Holm)."""
    table = curves.controlled(cube, models, routes, classes, [size], settings.metric, settings.interval)
    columns = list(dict.fromkeys(zip(table.route, table.feature_class, table.matched))) if len(table) else []
    there = list(dict.fromkeys(route for route, _, _ in columns))
    panels = []
    for model, rows in table.groupby("model", sort=False):
        for route, feature, matched in columns:
            t = rows[(rows.route == route) & (rows.feature_class == feature) & (rows.matched == matched)]
            drawn = _controlled(t) if len(t) else []
            count = f"  ({count_text(drawn)})" if drawn else ": not in the cube"
            head = [] if len(there) == 1 else [palette.route_name(route)]
            head += [f"{feature}, against random {'positions' if matched == 'route' else 'thirds'}"]
            panels.append(Panel("\n".join([model + count] + head), drawn))
    which = f" of {palette.route_name(there[0])}" if len(there) == 1 else ""
    title = f"Effect{which} against the matched random control in a {palette.windows_of(size, cube.over, cube.style)}: {interval_text(settings)}"
    shape = {"columns": len(columns), "width": 3.3, "height": 2.6} if len(columns) > 1 else {}
    if not panels:
        raise CubeError(f"{title}: no cell of it is done in the cube")
    # A difference of hits, or of what else has a least value, may lie below it.
    layout = {**sized(panels), **shape, "least": None, "most": None, "span": min(LEAST_SPAN[settings.metric], 20), "notes": [
        "rings: paired t-test against the control, p < 5 % after Holm's correction over the windows of the curve",
        *cut_notes(table, settings, {("control", "control_low", "control_high"): bounds_of(settings.metric),
                                     ("effect", "effect_low", "effect_high"): bounds_of_difference(settings.metric)})]}
    return Drawn(draw_panels(panels, layout_for(settings, title, **layout)), table, title)


def _controlled(t):
    """The three curves of a panel, with the numbers of prompts that each has."""
    value, control, effect = palette.CONTROLLED
    return [Curve("effect: knockout − control", effect, t.assign(n=t.effect_n), ("effect", "effect_low", "effect_high"), t.p_holm < 0.05),
            Curve("knockout", value, t), Curve("its matched random control", control, t, ("control", "control_low", "control_high"))]


def mixers(cube, models, routes, size, settings):
    """A row a model and a column a route: the effects of a hybrid's two kinds of mixers, alone and together, and their interaction.
    Rings: interactions with p < 5 % (Holm). The strips are the layers that have each kind."""
    if settings.metric in ("hit", "margin"):
        raise CubeError(f"mixers: {settings.metric} is no effect, it is not 0 where nothing changes; choose another metric")
    alone = curves.curves(cube, models, routes, curves.INTERACTION, [size], settings.metric, settings.interval)
    both = curves.interactions(cube, models, routes, [size], settings.metric, settings.interval)
    there = [r for r in routes if r in set(both.route)]
    looks = palette.class_looks([*curves.INTERACTION, *MIXERS])
    panels = []
    for model in (m for m in models if m in set(both.model)):
        layers = cube.mixers(model)
        for route in there:
            of = [t[(t.model == model) & (t.route == route)] for t in (alone, both)]
            drawn = [Curve(f, looks[f], t) for f, t in of[0].groupby("feature_class", sort=False)] if len(of[1]) else []
            drawn += [Curve(" − ".join(curves.INTERACTION), palette.INTERACTION, of[1], marked=of[1].p_holm < 0.05)] if drawn else []
            head = f"{model}, {palette.route_name(route)}" if len(there) > 1 else model
            panels.append(Panel(f"{head}  ({count_text(drawn)})" if drawn else f"{head}: not in the cube", drawn,
                                strips=[(looks[kind].colour, has) for kind, has in layers.items()]))
    which = f" of {palette.route_name(there[0])}" if len(there) == 1 else ""
    title = f"Attention and SSM{which} in a {palette.windows_of(size, cube.over, cube.style)}: {interval_text(settings)}"
    kinds_of = list(dict.fromkeys(kind for m in models if m in set(both.model) for kind in cube.mixers(m)))
    notes = ["rings: interaction with p < 5 % (paired t-test, Holm)"]
    notes += [f"strips: layers with {', below with '.join(kinds_of)}"] if kinds_of else []
    shape = {"columns": len(there), "width": 3.8, "height": 3.0} if len(there) > 1 else {}
    # An interaction may lie beyond the least and the greatest effect.
    table = curves.joined([alone, both.assign(feature_class="interaction")])
    return finished(panels, table, title, settings, legend="class whose edges are removed", notes=notes, least=None,
                    most=None, **shape)


def selections(cube, models, routes, feature, size, settings):
    """Information flow on the prompts that each block of the spec selected: a row a selection, a column a model."""
    selected = cube.selected_prompts()
    if selected is None:
        raise CubeError(f"{cube.path}: has no dataset selected, so it cannot say which prompts each block selected")
    found, tables, seen = [], [], set()
    for block in selected:
        key = block.tobytes()
        some = {m: block[cube.models.index(m)] for m in models}
        if key in seen or not any(s.any() for s in some.values()):
            continue
        seen.add(key)
        k = len(seen)
        table = curves.curves(cube, models, routes, [feature], [size], settings.metric, settings.interval, some)
        equal = all((some[m] == some[models[0]]).all() for m in models)
        name = "prompts correct by all models" if equal else "prompts correct by each model"
        if name in (other for other, _ in found):
            name += f" ({k})"
        found.append((name, table))
        tables.append(table.assign(selection=name))
    table = curves.joined(tables)
    looks = palette.route_looks([r for r in routes if r in set(table.route)])
    present = [m for m in models if m in set(table.model)]
    panels = []
    for name, rows in found:
        for model in present:
            drawn = [Curve(palette.route_name(r), looks[r], t) for r, t in rows[rows.model == model].groupby("route", sort=False)]
            panels.append(Panel(f"{model}, {name}\n({count_text(drawn)})" if drawn else f"{model}: none", drawn))
    title = f"Knockout in a {palette.windows_of(size, cube.over, cube.style)}{of_class(feature)}, by selection of prompts: {interval_text(settings)}"
    return finished(panels, table, title, settings, legend="edges removed, target ← source", columns=max(len(present), 1), width=3.8,
                    height=3.1)
