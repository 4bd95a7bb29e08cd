"""What of a cube is drawn where no figure was asked for by name."""
from dataclasses import dataclass, field

from . import components, kinds, maps, palette
from .curves import INTERACTION, controls_of, has_interaction, head_parts
from .heads import heads
from .scatter import scatter

KINDS = ("flow", "features", "windows", "hits", "controls", "mixers", "heads", "components", "scatter", "heatmaps", "relations")
UNASKED = KINDS[:-1]


@dataclass
class Wanted:
    """The filters of a call: labels of the cube's axes, in the cube's order; asked_routes, asked_features: whether routes or classes
    were named."""
    models: list
    routes: list
    features: list
    sizes: list
    heat_routes: list
    heat_prompts: list
    kinds: tuple = UNASKED
    most: int = 3  # figures of a kind
    asked_routes: bool = False
    left_out: list = field(default_factory=list)  # sentences
    asked_features: bool = False


def _any(cube, wanted, route, feature, size):
    return any(cube.has(m, route, feature, size) for m in wanted.models)


def _suffix(wanted, feature=None, size=None):
    """What tells a picture's file from its neighbours': the class and the size where the cube has several."""
    parts = []
    if feature is not None and len(wanted.features) > 1:
        parts.append(file_name(feature))
    if size is not None and len(wanted.sizes) > 1:
        parts.append(f"w{size}")
    return "".join("-" + part for part in parts)


def file_name(label):
    """A label of the cube as a part of a file's name."""
    for sign, word in (("<-", "-from-"), ("@", "-at-"), ("\\", "-without-"), (":", "-"), ("+", "-"), ("/", "-")):
        label = label.replace(sign, word)
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in label)


def plan(cube, wanted):
    """(kind, end of its file's name, function that draws it) of every picture, in the order of KINDS; the end begins with a dash or
    is empty."""
    plain = wanted.routes if wanted.asked_routes else [r for r in wanted.routes if not palette.control_of(r)]
    classes = [f for f in wanted.features if not palette.is_random_class(f) and (wanted.asked_features or not palette.head_of(f))]
    for kind in KINDS:
        if kind in wanted.kinds:
            found = list(PLANS[kind](cube, wanted, plain, classes))
            if len(found) > wanted.most:
                wanted.left_out.append(f"{len(found) - wanted.most} of {len(found)} figures of the kind {kind} (--most draws more; "
                                       "--route, --feature, --window-size and --prompt choose)")
            yield from ((kind, *one) for one in found[:wanted.most])


def _routes_at(cube, wanted, plain, feature, size):
    return [r for r in plain if _any(cube, wanted, r, feature, size)]


def _groups(plain):
    """(end of a file's name, routes): the routes that remove edges, and the components at each token set."""
    found = {}
    for route in plain:
        stem = f"-components-at-{file_name(palette.route_ends(route)[0])}" if palette.is_component(route) else ""
        found.setdefault(stem, []).append(route)
    return list(found.items())


def _worth_flow(cube, wanted, plain, classes, feature, size):
    """One route alone is a curve of the feature figure already, if there is one."""
    routes = _routes_at(cube, wanted, plain, feature, size)
    return len(routes) > 1 or (len(routes) == 1 and (feature == classes[0] or len(plain) == 1 and len(classes) == 1))


def _flow(cube, wanted, plain, classes):
    for stem, routes in _groups(plain):
        for feature in classes:
            for size in wanted.sizes:
                if _worth_flow(cube, wanted, routes, classes, feature, size):
                    yield (stem + _suffix(wanted, feature, size),
                           lambda s, r=routes, f=feature, w=size: kinds.flow(cube, wanted.models, r, f, w, s))


def _hits(cube, wanted, plain, classes):
    for stem, draw in _flow(cube, wanted, plain, classes):
        yield "-hits" + stem, lambda s, d=draw: d(kinds.replaced(s, metric="hit"))


def _features(cube, wanted, plain, classes):
    for size in wanted.sizes:
        for route in plain:
            some = [f for f in classes if _any(cube, wanted, route, f, size)]
            models = [m for m in wanted.models if sum(cube.has(m, route, f, size) for f in some) > 1]
            if len(some) > 1 and models:
                yield (f"-features-{file_name(route)}" + _suffix(wanted, size=size),
                       lambda s, m=models, r=route, c=some, w=size: kinds.features(cube, m, [r], c, w, s))


def _windows(cube, wanted, plain, classes):
    for stem, routes in _groups(plain):
        for feature in classes:
            sizes = [s for s in wanted.sizes if _routes_at(cube, wanted, routes, feature, s)]
            if len(sizes) > 1:
                yield (f"-windows{stem}" + _suffix(wanted, feature),
                       lambda s, r=routes, f=feature, w=sizes: kinds.windows(cube, wanted.models, r, f, w, s))


def _controls(cube, wanted, plain, classes):
    """A figure a route, of classes as they are; those with +conv, and after-softmax, have figures of their own."""
    for size in wanted.sizes:
        routes = [r for r in plain if _controlled(cube, wanted, [r], classes, size)]
        for route in routes:
            for part, of_part in CONTROL_PARTS.items():
                some = [f for f in classes if of_part(f)]
                if _controlled(cube, wanted, [route], some, size):
                    stem = "-controls" + (f"-{file_name(route)}" if len(routes) > 1 else "") + part
                    yield (stem + _suffix(wanted, size=size),
                           lambda s, r=route, c=some, w=size: kinds.controls(cube, wanted.models, [r], c, w, s))


CONTROL_PARTS = {"": lambda f: not f.endswith("+conv") and f != "after-softmax", "-conv": lambda f: f.endswith("+conv"),
                 "-after-softmax": lambda f: f == "after-softmax"}


def _controlled(cube, wanted, routes, classes, size):
    return any(sum(controls_of(cube, m, r, f, size), []) for m in wanted.models for r in routes for f in classes
               if cube.has(m, r, f, size))


def _mixers(cube, wanted, plain, classes):
    """Hybrids alone: a figure a route that has all three classes."""
    for size in wanted.sizes if set(INTERACTION) <= set(wanted.features) else []:
        for route in plain:
            models = [m for m in wanted.models if has_interaction(cube, m, route, size)]
            if models:
                yield (f"-mixers-{file_name(route)}" + _suffix(wanted, size=size),
                       lambda s, m=models, r=route, w=size: kinds.mixers(cube, m, [r], w, s))


def _heads(cube, wanted, plain, classes):
    """A figure a model, route and kind of head."""
    for size in wanted.sizes:
        for model in wanted.models:
            for route in plain:
                for part, some in head_parts(wanted.features).items():
                    if any(cube.has(model, route, f, size) for f in some):
                        stem = f"-{part[0]}s" + file_name(part[1].replace("~", "-"))
                        stem += f"-{file_name(model)}" if len(wanted.models) > 1 else ""
                        yield (f"{stem}-{file_name(route)}" + _suffix(wanted, size=size),
                               lambda s, m=model, r=route, c=some, w=size: heads(cube, m, r, c, w, s))


def _components(cube, wanted, plain, classes):
    """The means over prompts where a kind has several token sets, then a figure a prompt."""
    routes = [r for r in plain if palette.is_component(r)]
    for feature in classes:
        for size in wanted.sizes:
            there = _routes_at(cube, wanted, routes, feature, size)
            if len(components.sets_of(there)) > 1:
                yield ("-components-mean" + _suffix(wanted, feature, size),
                       lambda s, r=there, f=feature, w=size: components.over_prompts(cube, wanted.models, r, f, w, s))
    each = [r for r in wanted.heat_routes if palette.is_component(r)]
    for prompt in wanted.heat_prompts:
        for feature in classes:
            for size in wanted.sizes:
                if any(cube.has_map(m, prompt, r, feature, size) for m in wanted.models for r in each):
                    yield (f"-components-prompt-{file_name(prompt)}" + _suffix(wanted, feature, size),
                           lambda s, p=prompt, f=feature, w=size: components.of_prompt(cube, wanted.models, p, each, f, w, s))


def _scatter(cube, wanted, plain, classes):
    plain = plain if wanted.asked_routes else [r for r in plain if not palette.is_component(r)]
    for feature in classes[:1]:
        for size in wanted.sizes:
            for route in plain:
                if _any(cube, wanted, route, feature, size) and (route == "last<-last" or "last<-last" not in plain):
                    yield (f"-scatter-{file_name(route)}" + _suffix(wanted, size=size),
                           lambda s, r=route, f=feature, w=size: scatter(cube, wanted.models, r, f, w, s))


def _heatmaps(cube, wanted, plain, classes):
    classes = [f for f in wanted.features if wanted.asked_features or not palette.head_of(f)]
    for prompt in wanted.heat_prompts:
        for route in (r for r in wanted.heat_routes if not palette.is_component(r)):
            for feature in classes:
                for size in wanted.sizes:
                    if any(cube.has_map(m, prompt, route, feature, size) for m in wanted.models):
                        stem = f"-heatmap-{file_name(prompt)}"
                        stem += f"-{file_name(route)}" if len(wanted.heat_routes) > 1 else ""
                        yield (stem + _suffix(wanted, feature, size),
                               lambda s, p=prompt, r=route, f=feature, w=size: maps.heatmaps(cube, wanted.models, [p], r, f, [w], s))


def _relations(cube, wanted, plain, classes):
    for feature in classes:
        for size in wanted.sizes:
            for route in plain:
                if _any(cube, wanted, route, feature, size):
                    yield (f"-relations-{file_name(route)}" + _suffix(wanted, feature, size),
                           lambda s, r=route, f=feature, w=size: kinds.relations(cube, wanted.models, r, f, w, s))


PLANS = {"flow": _flow, "features": _features, "windows": _windows, "hits": _hits, "controls": _controls, "mixers": _mixers,
         "heads": _heads, "components": _components, "scatter": _scatter, "heatmaps": _heatmaps, "relations": _relations}
