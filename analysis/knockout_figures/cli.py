"""knockout-figures CUBE -o FOLDER: draws a knockout cube, tabulates what it drew, and writes a report.

Without --figure and --kind it draws every kind that the cube has cells for. docs/figures.md explains every figure and option.
"""
import argparse
import re
import sys
import warnings
from pathlib import Path

import pandas as pd

from . import curves, everything, paper
from .cube import METRICS, Cube, CubeError
from .heads import layers_text
from .kinds import Settings
from .lines import X_AXES, save
from .report import write_report
from .stats import RESAMPLES, Interval

PROGRAM = "knockout-figures"


def positive(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def whole(least):
    def number(text):
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is below {least}")
        return value
    number.__name__ = "whole number"
    return number


def parser():
    ap = argparse.ArgumentParser(prog=PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("cube", type=Path, metavar="CUBE", help="what `knockout run -o` or `knockout merge -o` wrote")
    ap.add_argument("-o", "--output", type=Path, default=Path("."), metavar="FOLDER", help="where everything goes (default: here)")
    what = ap.add_argument_group("what is drawn")
    what.add_argument("--figure", action="append", metavar="NAME", help="a figure of the paper: fig01 ... fig20, sharma, released-classes; "
                      "`all`: each of which the cube has cells (may be repeated)")
    what.add_argument("--kind", action="append", choices=everything.KINDS, help="only this kind (may be repeated); "
                      "relations are drawn only where they are asked for")
    what.add_argument("--model", action="append", metavar="NAME", help="only this model (may be repeated)")
    what.add_argument("--route", action="append", metavar="ROUTE", help="only this route, TARGET<-SOURCE or KIND@SET in quotes (may be "
                      "repeated)")
    what.add_argument("--feature", action="append", metavar="CLASS", help="only this feature class; head:each: every head (may be "
                      "repeated)")
    what.add_argument("--window-size", action="append", type=int, metavar="LAYERS", help="only this window size; with --figure instead "
                      "of the paper's (may be repeated)")
    what.add_argument("--prompt", action="append", metavar="ID", help="only heatmaps of this prompt; with --figure instead of the "
                      "paper's (may be repeated)")
    what.add_argument("--most", type=whole(1), default=3, metavar="N", help="at most so many figures of a kind (default: 3)")
    how = ap.add_argument_group("how it is drawn")
    how.add_argument("--x", choices=list(X_AXES), default="depth", help="depth: 100 start / (layers - size), as in the paper (default); "
                     "layer: the window's first layer; last: its last; centre: the layer in its middle, or around which it lies")
    how.add_argument("--metric", choices=list(METRICS), default="change", help="what curves show (default: change)")
    how.add_argument("--interval", choices=("usual", "t", "bootstrap"), default="usual", help="the 95 %% interval; usual: t, "
                     "for hits Wilson's, for a median order statistics (default)")
    how.add_argument("--resamples", type=whole(1), default=RESAMPLES, metavar="N", help=f"of the bootstrap (default: {RESAMPLES})")
    how.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the bootstrap (default: 0)")
    how.add_argument("--late", type=float, default=75, metavar="PERCENT", help="scatter: windows from this depth on are late (default: 75)")
    how.add_argument("--heat-limit", type=positive, default=1.0, metavar="P", help="heatmaps: colours go from -P to P (default: 1)")
    out = ap.add_argument_group("what is written")
    out.add_argument("--format", default="png,pdf", metavar="LIST", help="png, pdf, svg (default: png,pdf)")
    out.add_argument("--dpi", type=positive, metavar="N", help="of PNG (default: 200)")
    out.add_argument("--remark", default="", metavar="TEXT", help="a line below the title of every figure")
    out.add_argument("--report", action=argparse.BooleanOptionalAction, default=True, help="report.html (default: yes)")
    return ap


def warn(text):
    print(f"{PROGRAM}: warning: {text}", file=sys.stderr)


def chosen(asked, there, what):
    """The labels of an axis that were asked for, in the cube's order; all where none was."""
    for value in asked or []:
        if value not in there:
            raise CubeError(f"{what} {value} is not in the cube; it has {', '.join(map(str, there)) or 'none'}")
    return [v for v in there if not asked or v in asked]


def formats_of(text):
    formats = [f.strip() for f in text.split(",") if f.strip()]
    for f in formats:
        if f not in ("png", "pdf", "svg"):
            raise CubeError(f"--format {f}: it is png, pdf or svg, or several with commas")
    return formats or ["png"]


def wanted_of(cube, a):
    asked, features = [r.replace(" ", "") for r in a.route or []], []
    for name in a.feature or []:
        each = re.fullmatch(r"((?:ssm-)?head):each(.*)", name)
        part = curves.head_parts(cube.features).get((each[1], each[2]), []) if each else []
        features += part or [name]
    for route in asked:
        chosen([route], cube.routes + cube.heat_routes, "route")
    return everything.Wanted(
        models=chosen(a.model, cube.models, "model"), features=chosen(features, cube.features, "feature class"),
        sizes=chosen(a.window_size, cube.sizes, "window size"), heat_prompts=chosen(a.prompt, cube.heat_prompts, "prompt of a heatmap"),
        routes=[r for r in cube.routes if not asked or r in asked], heat_routes=[r for r in cube.heat_routes if not asked or r in asked],
        kinds=tuple(a.kind or everything.UNASKED), most=a.most, asked_routes=bool(asked),
        asked_features=bool(features) and not all(e.endswith(":each") for e in a.feature))


def pictures(cube, a, settings, missing):
    """(stem, Drawn) of everything that was asked for, one at a time: an open figure takes tens of MB.

    missing: gets (name, sentence) for each figure or kind that was asked for by name and that the cube cannot fill. A figure that was
    not asked for by name and cannot be drawn is a warning."""
    if a.figure:
        every = "all" in a.figure
        names = list(paper.FIGURES) if every else [paper.named(name)[0] for name in a.figure]
        for name in dict.fromkeys(names):
            try:
                yield from paper.draw(cube, name, settings, (lambda text: None) if every else warn, a.window_size, a.prompt)
            except CubeError as e:
                missing += [] if every else [(name, str(e))]
        return
    wanted, drawn, failed = wanted_of(cube, a), set(), {}
    for kind, suffix, draw in everything.plan(cube, wanted):
        try:
            picture = draw(settings)
        except CubeError as e:
            failed.setdefault(kind, []).append(str(e))
            continue
        drawn.add(kind)
        yield a.cube.stem + suffix, picture
    for sentence in wanted.left_out:
        warn(f"not drawn: {sentence}")
    for kind in wanted.kinds:
        if a.kind and kind not in drawn:
            missing += [(kind, "; ".join(failed.get(kind, [f"{kind}: nothing of this kind can be drawn of what was chosen of {a.cube}"])))]
        else:
            for sentence in failed.get(kind, []):
                warn(f"not drawn: {sentence}")


def print_table(title, table):
    """Every curve at the window where it is farthest from no effect, with its interval, depth and number of prompts."""
    what, unit = METRICS[table.metric.iloc[0]]
    print(f"{title}; {what}, where it is farthest from no effect")
    names = [c for c in ("relation", "selection") if c in table.columns]
    sizes = table.window_size.nunique() > 1
    sign = "-" if table.metric.iloc[0] == "hit" else "+"  # a share is no change
    for row in curves.peaks(table, ["model", "route", "feature_class", "window_size"] + names).itertuples():
        kind = " ".join([f"{row.window_size:3d} layer{'s' if row.window_size != 1 else ' '}"] * sizes
                        + [row.feature_class] * (row.feature_class != "all") + [getattr(row, name) for name in names])
        print(f"  {row.model:<24} {row.route:<28} {kind}{' ' * bool(kind)}{row.value:{sign}8.2f} {unit} "
              f"[{row.low:{sign}.2f}, {row.high:{sign}.2f}] at depth {row.depth:3.0f} %   n = {row.n}")


def print_heads(title, table, most=5):
    """The strongest heads of a map."""
    what, unit = METRICS[table.metric.iloc[0]]
    print(f"{title}; {what}, the {min(most, len(table))} strongest of {len(table):,}, p after Holm's correction over all of them")
    for row in curves.strongest(table, most).itertuples():
        p = "   p < 1e-300" if row.p_holm < 1e-300 else f"   p = {row.p_holm:.2g}" if row.p_holm == row.p_holm else ""
        layers = layers_text(row.first_layer, row.last_layer, "layer")
        print(f"  {layers:<12} head {row.head:<4} {row.value:+8.2f} {unit} [{row.low:+.2f}, {row.high:+.2f}]{p}   n = {row.n:,}")


def is_curves(table):
    return {"value", "low", "high", "n"} <= set(table.columns) and "control" not in table.columns


def run(a):
    warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
    formats = formats_of(a.format)
    settings = Settings(x=a.x, metric=a.metric, interval=Interval(a.interval, a.resamples, a.seed), late=a.late, heat_limit=a.heat_limit,
                        remark=a.remark)
    with Cube(a.cube) as cube:
        if a.metric.startswith("margin") and not cube.has_foils:
            raise CubeError(f"--metric {a.metric}: {a.cube} has no foils, give the prompts of its file a `foil`")
        if cube.unfinished:
            warn(f"{cube.unfinished:,} units of the cube are pending or failed and in no figure")
        drawn, tables, missing = [], [], []
        for stem, picture in pictures(cube, a, settings, missing):
            a.output.mkdir(parents=True, exist_ok=True)
            paths = save(picture.figure, a.output, stem, formats, a.dpi)
            if "head" in picture.table:
                print_heads(picture.title, picture.table)
            elif is_curves(picture.table):
                print_table(picture.title, picture.table)
            drawn.append((stem, f"{picture.title}. {picture.reading}".removesuffix(". "), paths, picture.table))
            tables.append(picture.table.assign(figure=stem))
            print("".join(f"wrote {path}\n" for path in paths), end="")
        if not drawn:
            if missing:
                raise CubeError("; ".join(sentence for _, sentence in missing))
            raise CubeError(f"{a.cube}: nothing of what was asked for is done; see `knockout status`")
        path = a.output / "figures.csv"
        pd.concat(tables, ignore_index=True).to_csv(path, index=False, float_format="%.9g")
        print(f"wrote {path}")
        if a.report:
            print(f"wrote {write_report(cube, a.output / 'report.html', drawn, settings)}")
    for _, sentence in missing:
        warn(sentence)
    if missing:
        raise CubeError(f"not drawn: {', '.join(name for name, _ in missing)}")


def main():
    try:
        run(parser().parse_args())
    except (CubeError, OSError) as e:
        print(f"{PROGRAM}: {e}", file=sys.stderr)
        return 2
    return 0
