"""One HTML file with the figures, the numbers behind them and where they come from; nothing in it is loaded from elsewhere."""
from pathlib import Path

import numpy as np
import pandas as pd

from . import curves, palette, provenance
from .cube import METRICS
from .kinds import cut_notes
from .page import note, page, escaped, picture, section, table

HERE = Path(__file__).parent
MOST_ROWS = 5000  # of a table; more are in figures.csv, or counted
MOST_HEADS = 20  # of every map

CURVE_KEYS = ["model", "route", "feature_class", "window_size"]
WINDOW = ["window_start", "depth"]


def counted(n, noun):
    """`1 model`, `2 prompts of heatmaps`."""
    first, _, rest = noun.partition(" ")
    return f"{n:,} {first}{'s' if n != 1 else ''}{' ' * bool(rest)}{rest}"


def first_class(cube):
    """The first class that is no single head; None where all are."""
    return next((f for f in cube.features if not palette.head_of(f)), None)


def records(frame, columns):
    return frame[columns].values.tolist() if len(frame) else []


def limited(name, titles, rows, where):
    """A table of at most MOST_ROWS rows, and a sentence about those that are not in it."""
    left = len(rows) - MOST_ROWS
    return table(name, titles, rows[:MOST_ROWS]) + (note(f"{left:,} more rows: {where}") if left > 0 else "")


def cut_note(frame, settings):
    """A paragraph where intervals of these curves were cut."""
    return "".join(note(f"{sentence[0].upper()}{sentence[1:]}.") for sentence in (cut_notes(frame, settings) if len(frame) else []))


def curve_section(all_curves, settings):
    what, unit = METRICS[settings.metric]
    peaks = curves.peaks(all_curves, CURVE_KEYS)
    titles = ["model", "route", "class", "layers", "start", "depth, %", f"{what}, {unit}", "low", "high", "n"]
    columns = CURVE_KEYS + WINDOW + ["value", "low", "high", "n"]
    return section(
        "curves", "Curves", note("A row a curve, at the window where it is farthest from 0; the interval holds 95 %, over prompts."),
        cut_note(all_curves, settings),
        limited("peaks", titles, records(peaks, columns), "`knockout show` prints them"),
        note("Every window of every curve:"), limited("windows", titles, records(all_curves, columns), "`knockout show --csv` prints them"))


def control_section(cube, settings):
    found = curves.controlled(cube, cube.models, cube.routes, cube.features, cube.sizes, settings.metric, settings.interval)
    if not len(found):
        return section("controls", "Controls", note("The cube has no random control: no route T<-random-like:S:SEED beside T<-S, and no "
                                                    "class random-third:SEED beside slow-third or fast-third."))
    at = found.effect.abs().groupby([found[k] for k in CURVE_KEYS + ["matched"]], sort=False).idxmax().dropna()
    titles = ["model", "route", "class", "layers", "control of", "seeds", "start", "depth, %", "value", "control", "effect", "low", "high",
              "p", "p, Holm", "n"]
    columns = CURVE_KEYS + ["matched", "seeds"] + WINDOW + ["value", "control", "effect", "effect_low", "effect_high", "p", "p_holm",
                                                            "effect_n"]
    return section(
        "controls", "Effects beside their controls",
        note(f"{METRICS[settings.metric][0]}, {METRICS[settings.metric][1]}. The control is the mean over its seeds of the same prompt; the "
             "effect is value minus control, prompt by prompt, with its 95 % interval and the p-value of the paired t-test, plain and "
             "after Holm's correction over the windows of the curve. A row a curve, at the window of the greatest effect."),
        limited("effects", titles, records(found.loc[at], columns), "knockout-figures --kind controls writes them all to figures.csv"))


def pair_section(cube, settings):
    """Every route against every other, at the window where they differ most; in the first class."""
    rows = []
    routes = [r for r in cube.routes if not palette.control_of(r)]
    first = first_class(cube)
    for model in cube.models if first else []:
        for size in cube.sizes:
            there = [r for r in routes if cube.has(model, r, first, size)]
            for k, one in enumerate(there):
                for other in there[k + 1:]:
                    rows += _difference(cube, (model, one, first, size), (model, other, first, size), settings)
            for feature in cube.features:
                if feature == first or palette.is_random_class(feature) or palette.head_of(feature):
                    continue
                for route in there:
                    if cube.has(model, route, feature, size):
                        rows += _difference(cube, (model, route, feature, size), (model, route, first, size), settings)
    if not first:
        return ""  # single heads alone
    titles = ["model", "layers", "one", "other", "start", "one − other", "low", "high", "p", "p, Holm", "n"]
    return section("pairs", "Paired differences", note(
        f"{METRICS[settings.metric][0]}, {METRICS[settings.metric][1]}: of two routes of the class {first}, and of every class "
        "against it, over the prompts that have both, at the window where they differ most."), limited("differences", titles, rows, "left out"))


def _difference(cube, one, other, settings):
    found = curves.paired_curves(cube, one, other, settings.metric, settings.interval)
    if not len(found):
        return []
    row = found.loc[found.value.abs().idxmax()]
    names = [f"{route}" + ("" if one[2] == other[2] else f", {feature}") for _, route, feature, _ in (one, other)]
    return [[one[0], one[3], *names, int(row.window_start), row.value, row.low, row.high, row.p, row.p_holm, int(row.n)]]


def mixer_section(cube, settings):
    """Of hybrids: what attention and SSM do together, and the mixers of every layer."""
    hybrids = [m for m in cube.models if len({tuple(c) for c in np.transpose(list(cube.mixers(m).values())).tolist()}) > 1]
    effect = settings.metric not in ("hit", "margin")
    found = curves.interactions(cube, cube.models if effect else [], cube.routes, cube.sizes, settings.metric, settings.interval)
    if not hybrids and not len(found):
        return ""
    parts = []
    if len(found):
        at = found.value.abs().groupby([found[k] for k in CURVE_KEYS], sort=False).idxmax().dropna()
        titles = ["model", "route", "layers", "start", "depth, %", "interaction", "low", "high", "p", "p, Holm", "n"]
        columns = ["model", "route", "window_size"] + WINDOW + ["value", "low", "high", "p", "p_holm", "n"]
        parts += [note(f"{METRICS[settings.metric][0]}, {METRICS[settings.metric][1]}: all − attention − ssm, prompt by prompt. A row a "
                       "curve, at the window of the greatest interaction; windows in which a part is vacuous are left out."),
                  limited("interactions", titles, records(found.loc[at], columns), "`knockout show --interaction` prints them")]
    rows = [[m, kind, int(has.sum()), ", ".join(map(str, np.flatnonzero(has)))] for m in hybrids for kind, has in cube.mixers(m).items()]
    if rows:
        parts += [note("Layers with each kind of mixer:"), table("mixers", ["model", "mixer", "layers", "which"], rows)]
    return section("interaction", "Attention and SSM", *parts)


def head_section(cube, settings):
    """Of sweeps over heads: the strongest of every map."""
    parts = curves.head_parts(cube.features)
    if not parts or settings.metric in ("hit", "margin"):
        return ""
    rows = []
    for model in cube.models:
        for route in cube.routes:
            for classes in parts.values():
                for size in cube.sizes:
                    found = curves.heads(cube, model, route, classes, size, settings.metric, settings.interval)
                    names = ["model", "route", "feature_class", "window_size", "window_start", "value", "low", "high", "p", "p_holm", "n"]
                    rows += [[*row, len(found)] for row in records(curves.strongest(found, MOST_HEADS), names)]
    titles = ["model", "route", "class", "layers", "start", "effect", "low", "high", "p", "p, Holm", "n", "of"]
    what, unit = METRICS[settings.metric]
    return section("heads", "Heads", note(
        f"{what}, {unit}, if one head of one layer is knocked out and nothing else: the {MOST_HEADS} strongest heads of every model, route "
        "and window size, the strongest first, with the 95 % interval over prompts. p is of the t-test that the mean is 0. Holm's p is "
        "corrected for all squares of the map (column “of”), not for the rows of this table alone. Read the interval before the p: with "
        "many prompts even a tiny effect is significant. The strongest of many heads look stronger than they are: measure them again on "
        "other prompts."), limited("heads-table", titles, rows, "`knockout show --strongest` prints them"))


def component_section(cube, settings):
    """Of sweeps over components: the layer in which each kind matters most, at every token set."""
    routes = [r for r in cube.routes if palette.is_component(r)]
    found = curves.curves(cube, cube.models, routes, [f for f in cube.features if not palette.head_of(f)], cube.sizes, settings.metric,
                          settings.interval)
    if not len(found):
        return ""
    peaks = curves.peaks(found, CURVE_KEYS)
    rows = [[row[0], palette.COMPONENTS.get(row[2], row[2]), palette.set_name(row[1]), *row[3:]] for row in records(
        peaks, ["model", "target", "source", "feature_class", "window_size", "first_layer", "value", "low", "high", "n"])]
    what, unit = METRICS[settings.metric]
    titles = ["model", "component", "at", "class", "layers", "first layer", f"{what}, {unit}", "low", "high", "n"]
    return section("components", "Components", note(
        "A component is all sublayers of one kind in the window: attention, SSM, convolution, MLP, or every mixer. What they add at these "
        "tokens is left out, or replaced as the class says; at other tokens it stays. A row a component and token set, at the window where it is farthest from 0. Sets "
        "overlap (the last subject token belongs to the subject) and have unequally many tokens, so rows do not add up."),
        limited("components-table", titles, rows, "`knockout show` prints them"))


def margin_section(cube, settings):
    if not cube.has_foils:
        return section("margins", "Foil margins", note("No prompt of the cube has a foil."))
    found = curves.curves(cube, cube.models, [r for r in cube.routes if not palette.control_of(r)],
                          [f for f in cube.features if not palette.is_random_class(f) and not palette.head_of(f)], cube.sizes, "margin",
                          settings.interval)
    least = curves.peaks(found, CURVE_KEYS)
    clean = {m: float(pd.Series(cube.clean("margin", m)).mean()) for m in cube.models}
    rows = [[*row[:6], clean[row[0]], *row[6:]] for row in records(least, CURVE_KEYS + WINDOW + ["value", "low", "high", "n"])]
    titles = ["model", "route", "class", "layers", "start", "depth, %", "clean margin", "margin", "low", "high", "n"]
    return section("margins", "Foil margins", note(
        "Log-probability of the answer minus that of the foil, in nats: below 0 the wrong answer is the likelier one. A row a curve, at "
        "the window of the least margin; the clean margin is that of the runs without a knockout."), limited("margin", titles, rows, "left out"))


def hit_section(cube, settings):
    first = first_class(cube) or cube.features[0]
    found = curves.curves(cube, cube.models, [r for r in cube.routes if not palette.control_of(r)], [first], cube.sizes, "hit",
                          settings.interval)
    least = curves.peaks(found, CURVE_KEYS)
    titles = ["model", "route", "class", "layers", "start", "depth, %", "ranked first, %", "low", "high", "n"]
    parts = []
    if "eval_target_rank" in cube.file:
        parts += [note("Without a knockout, on all prompts of the prompt files:"), table("accuracy", *provenance.evaluation(cube))]
    parts += [note(f"With a knockout (class {first}), at the window that leaves the fewest:"),
              limited("hit", titles, records(least, CURVE_KEYS + WINDOW + ["value", "low", "high", "n"]), "left out")]
    return section("hits", "Answers ranked first", *parts)


def relation_section(cube, settings):
    names = set(cube.relations())
    first = first_class(cube)
    if len(names) < 2 or not first:
        return ""
    rows, tables = [], []
    for route in (r for r in cube.routes if not palette.control_of(r)):
        for size in cube.sizes:
            found = curves.by_relation(cube, cube.models, route, first, size, settings.metric, settings.interval)
            if len(found):
                tables.append(found)
                rows += records(curves.peaks(found, ["model", "relation"]),
                                ["model", "route", "window_size", "relation"] + WINDOW + ["value", "low", "high", "n"])
    what, unit = METRICS[settings.metric]
    titles = ["model", "route", "layers", "relation", "start", "depth, %", f"{what}, {unit}", "low", "high", "n"]
    return section("relations", "By relation", note(f"Class {first}, a row a relation, at the window where its curve is farthest "
                                                    "from 0."), cut_note(curves.joined(tables), settings), limited("relation", titles, rows, "left out"))


def gap_section(cube):
    titles, rows = provenance.reasons(cube)
    skipped = limited("skipped", titles, rows, "the cube's reason_code has them") if rows else note("Every prompt could be run by every model.")
    return section("gaps", "Skipped prompts, failures, vacuous cells",
                   note("Prompts that a model cannot run, or whose cells failed, with the reason:"), skipped,
                   note("Units (prompt, route, class, size) by state. A vacuous one has no edge to remove; it is in no mean."),
                   limited("states", *provenance.states(cube), "`knockout status` prints them"))


def provenance_section(cube):
    log = provenance.log(cube)
    return section("provenance", "Provenance", table("attributes", ["attribute", "value"], provenance.attributes(cube)),
                   note("Models:"), table("models", *provenance.models(cube)), note("Runs that worked on the file:"),
                   table("runs", *provenance.runs(cube)), note("The resolved spec:"), f"<pre>{escaped(provenance.spec(cube))}</pre>\n",
                   f"<details><summary>Log of the runs</summary><pre>{escaped(log)}</pre></details>\n" if log else "")


def picture_section(drawn):
    parts = []
    for stem, title, paths, _ in drawn:
        shown = next((p for suffix in (".png", ".svg") for p in paths if p.suffix == suffix), None)
        parts.append(picture(shown, f"{stem}: {title}") if shown else note(f"{stem}: {title} (only as PDF; --format png,pdf shows it here)"))
    return section("figures", "Figures", *parts)


def write_report(cube, path, drawn, settings):
    """Writes the page to path and returns it. drawn: (stem, title, paths of its files, table) of every figure."""
    title = provenance.decoded(cube.file.attrs.get("title", "")) or Path(cube.path).name
    title = title.replace("; heatmaps: 0 prompts, 0 routes", "")  # older cubes name what they do not have
    sections = [("Figures", picture_section(drawn))]
    if cube.routes:
        all_curves = curves.curves(cube, cube.models, cube.routes, cube.features, cube.sizes, settings.metric, settings.interval)
        sections += [("Curves", curve_section(all_curves, settings)), ("Controls", control_section(cube, settings)),
                     ("Pairs", pair_section(cube, settings)), ("Mixers", mixer_section(cube, settings)),
                     ("Heads", head_section(cube, settings)), ("Components", component_section(cube, settings)),
                     ("Margins", margin_section(cube, settings)), ("Hits", hit_section(cube, settings)),
                     ("Relations", relation_section(cube, settings))]
    sections += [("Gaps", gap_section(cube)), ("Provenance", provenance_section(cube))]
    sections = [(name, text) for name, text in sections if text]
    links = "".join(f'<a href="#{text.split(chr(34))[1]}">{name}</a>' for name, text in sections)
    counts = [counted(len(names), noun) for names, noun in ((cube.models, "model"), (cube.prompts, "prompt"),
                                                            (cube.heat_prompts, "prompt of heatmaps")) if names]
    head = (f"<h1>{escaped(title)}</h1>\n" + note(f"{cube.path}: {', '.join(counts)}.")
            + (note(f"{counted(cube.unfinished, 'unit')} pending or failed.") if cube.unfinished else "") + f"<nav>{links}</nav>\n")
    body = head + "".join(text for _, text in sections)
    path.write_text(page(title, (HERE / "report.css").read_text(), (HERE / "report.js").read_text(), body), encoding="utf-8")
    return path
