"""The paper's figures: what of a cube each one shows.

Mamba Knockout for Unraveling Factual Information Flow (ACL 2025, arXiv 2505.24244). Models have the names of
jobs/paper/models.yaml; what a cube lacks is left out with a warning.
"""
from dataclasses import dataclass, replace

from . import kinds, maps
from .cube import CubeError
from .scatter import scatter

MAMBA = ["mamba-130m", "mamba-1.4b", "mamba-2.8b"]
MAMBA_2 = ["mamba2-130m", "mamba2-1.3b", "mamba2-2.7b"]
GPT_2 = ["gpt2-medium", "gpt2-large", "gpt2-xl"]
LLAMA = ["llama-3.2-1b", "llama-3.2-3b", "llama-3-8b"]
MISTRAL = ["mistral-7b-v0.1", "mistral-7b-v0.3"]
FALCON = ["falcon-mamba-7b", "falcon3-mamba-7b"]

ROUTES = ["last<-subject", "last<-relation", "last<-last", "last<-first"]
SUBJECT = ["last<-subject"]
THIRDS = ["all", "slow-third", "fast-third"]
RELEASED = ["all", "not-fast-third", "not-slow-third"]
PROMPTS = ["18566", "2720", "16634", "140"]
SIZES = [1, 3, 5, 9, 12, 15]
EVERY_SSM = [*MAMBA, "mamba-7b-rw", *FALCON, *MAMBA_2]
EVERY_TRANSFORMER = [*GPT_2, *LLAMA, *MISTRAL]


@dataclass(frozen=True)
class PaperFigure:
    """kind: one of the functions below; a part of a figure that has several follows in `then`."""
    kind: str
    models: list
    routes: list
    classes: tuple = ("all",)
    sizes: tuple = (9,)
    prompts: tuple = ()
    then: object = None


def _maps(models, sizes=(9,), prompts=PROMPTS, route="last<-each"):
    return PaperFigure("heatmaps", models, [route], sizes=sizes, prompts=prompts)


MAIN = ["mamba-2.8b", "mamba2-2.7b", "gpt2-xl", "falcon-mamba-7b"]
SEVERAL_CLASSES = [*MAMBA, "mamba-7b-rw", "falcon-mamba-7b", *MAMBA_2]

FIGURES = {
    "fig01": PaperFigure("flow", MAIN, ROUTES),
    "fig02": PaperFigure("scatter", ["mamba-2.8b", "falcon-mamba-7b"], ["last<-last"]),
    "fig03": PaperFigure("flow", [*MAMBA, "falcon-mamba-7b"], ROUTES),
    "fig04": PaperFigure("flow", MAMBA_2, ROUTES),
    "fig05": PaperFigure("flow", GPT_2, ROUTES),
    "fig06": PaperFigure("features", ["mamba-2.8b", "mamba-7b-rw", "mamba2-2.7b", "falcon-mamba-7b"], SUBJECT, THIRDS),
    "fig07": _maps(["mamba-2.8b", "mamba2-2.7b", "gpt2-xl"], prompts=["18566"]),
    "fig08": PaperFigure("windows", ["mamba-130m"], ROUTES, sizes=SIZES),
    "fig09": PaperFigure("windows", ["mamba-1.4b"], ROUTES, sizes=SIZES),
    "fig10": PaperFigure("windows", ["mamba-2.8b"], ROUTES, sizes=SIZES),
    "fig11": PaperFigure("selections", MAIN, ROUTES),
    "fig12": PaperFigure("features", SEVERAL_CLASSES, ROUTES, THIRDS),
    "fig13": PaperFigure("flow", [*MAMBA, *MAMBA_2, *GPT_2, *LLAMA, *MISTRAL], ROUTES),
    "fig14": PaperFigure("windows", MAMBA_2, ROUTES, sizes=SIZES),
    "fig15": PaperFigure("windows", [*GPT_2, "llama-3.2-3b", "llama-3-8b", *MISTRAL], ROUTES, sizes=SIZES),
    "fig16": _maps(EVERY_SSM),
    "fig17": _maps(EVERY_TRANSFORMER),
    "fig18": _maps(["mamba-2.8b"], (1, 5, 9, 15)),
    "fig19": _maps(["mamba2-2.7b"], (1, 5, 9, 15)),
    "fig20": _maps(["gpt2-xl"], (1, 5, 9, 15)),
    "sharma": PaperFigure("flow", MAIN, ["later<-subject"], then=_maps(MAIN, route="later<-each")),
    "released-classes": PaperFigure("features", SEVERAL_CLASSES, ROUTES, RELEASED),
}


def named(name):
    """The figure of a name: `fig01`, `fig1` or `1`."""
    wanted = name.lower()
    if wanted.removeprefix("fig").isdigit():
        wanted = f"fig{int(wanted.removeprefix('fig')):02d}"
    if wanted not in FIGURES:
        raise CubeError(f"there is no figure {name} in the paper's table; it has {', '.join(FIGURES)}")
    return wanted, FIGURES[wanted]


def _present(cube, figure, warn):
    """The figure without what the cube lacks, which a warning names; None where nothing is left of an axis."""
    is_map = figure.kind == "heatmaps"
    axes = {"models": cube.models, "routes": cube.heat_routes if is_map else cube.routes, "classes": cube.features,
            "sizes": cube.sizes, **({"prompts": cube.heat_prompts} if is_map else {})}
    for what, there in axes.items():
        lacking = [str(v) for v in getattr(figure, what) if v not in there]
        if lacking:
            warn(f"{what} {', '.join(lacking)}: not in the cube and left out")
        figure = replace(figure, **{what: [v for v in getattr(figure, what) if v in there]})
        if not getattr(figure, what):
            return None
    return figure


def _draw_part(cube, figure, settings):
    """The Drawn of one part; several where there are several window sizes and the kind shows one."""
    first = figure.classes[0]
    if figure.kind == "heatmaps":
        return [maps.heatmaps(cube, figure.models, figure.prompts, figure.routes[0], first, figure.sizes, settings)]
    if figure.kind == "windows":
        return [kinds.windows(cube, figure.models, figure.routes, first, figure.sizes, settings)]
    if figure.kind == "features":
        return [kinds.features(cube, figure.models, figure.routes, figure.classes, size, settings) for size in figure.sizes]
    if figure.kind == "scatter":
        return [scatter(cube, figure.models, figure.routes[0], first, size, settings) for size in figure.sizes]
    kind = {"flow": kinds.flow, "selections": kinds.selections}[figure.kind]
    return [kind(cube, figure.models, figure.routes, first, size, settings) for size in figure.sizes]


def parts(figure):
    while figure:
        yield figure
        figure = figure.then


def draw(cube, name, settings, warn, sizes=None, prompts=None):
    """The pictures of a figure as (stem, Drawn). sizes, prompts: others than the paper's, or None. warn: told what is lacking."""
    name, figure = named(name)
    found = []
    for part in parts(figure):
        part = replace(part, sizes=sizes or part.sizes, prompts=prompts or part.prompts)
        part = _present(cube, part, lambda text: warn(f"{name}: {text}"))
        try:
            drawn = _draw_part(cube, part, settings) if part else []
        except CubeError as e:
            warn(f"{name}: {e}")
            continue
        stem = name if not found else f"{name}-{part.kind}"
        found += [(stem if len(drawn) == 1 else f"{stem}-w{size}", one) for size, one in zip(part.sizes if part else [], drawn)]
    if not found:
        raise CubeError(f"{name}: {cube.path} has no done cell of it: {figure.kind}, models {', '.join(figure.models)}, window sizes "
                        f"{', '.join(map(str, sizes or figure.sizes))} (--window-size and --prompt choose others)")
    return found
