"""python3 -m knockout_figures CUBE -o FOLDER: the information-flow figure of every feature class and window size of a cube."""
import argparse
import sys
from pathlib import Path

from .cube import Cube, CubeError
from .flow import draw, route_name, save


def print_table(cube, feature, size):
    """The extreme of every curve, with its interval, depth and number of prompts."""
    print(f"feature class {feature}, window of {size} layers: largest mean change of the answer's probability")
    for model in cube.models:
        for c in cube.curves(model, feature, size):
            k = int(abs(c.mean).argmax())
            n = f"{c.n.min()}" if c.n.min() == c.n.max() else f"{c.n.min()}-{c.n.max()}"
            print(f"  {model:<24} {route_name(c.route):<28} {c.mean[k]:+8.2f} % ± {c.half[k]:.2f} at depth {c.depth[k]:3.0f} %   n = {n}")


def chosen(asked, there, what):
    for value in asked or []:
        if value not in there:
            raise CubeError(f"{what} {value} is not in the cube; it has {', '.join(map(str, there))}")
    return asked or there


def run(a):
    with Cube(a.cube) as cube:
        left = cube.unfinished()
        if left:
            print(f"knockout_figures: warning: {left} units of the cube are pending or failed and not in the figure", file=sys.stderr)
        features, sizes = chosen(a.feature, cube.features, "feature class"), chosen(a.window_size, cube.sizes, "window size")
        pairs = [(f, s) for f, s in cube.combinations() if f in features and s in sizes]
        if not pairs:
            raise CubeError(f"{a.cube}: no cell of these feature classes and window sizes is done; see `knockout status`")
        a.output.mkdir(parents=True, exist_ok=True)
        for feature, size in pairs:
            stem = a.cube.stem if len(pairs) == 1 else f"{a.cube.stem}-{feature.replace(':', '-').replace('+', '-')}-w{size}"
            print_table(cube, feature, size)
            for path in save(draw(cube, feature, size), a.output.resolve() / stem):
                print(f"wrote {path}")


def main():
    ap = argparse.ArgumentParser(prog="knockout_figures", description=__doc__)
    ap.add_argument("cube", type=Path, metavar="CUBE")
    ap.add_argument("-o", "--output", type=Path, default=Path("."), metavar="FOLDER", help="where the PNG and PDF go (default: here)")
    ap.add_argument("--feature", action="append", metavar="CLASS", help="only this feature class (may be repeated)")
    ap.add_argument("--window-size", action="append", type=int, metavar="LAYERS", help="only this window size (may be repeated)")
    try:
        run(ap.parse_args())
    except (CubeError, OSError) as e:
        print(f"knockout_figures: {e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
