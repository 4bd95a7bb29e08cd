"""Colours, markers and line styles, and how routes, classes and tokens are written.

Okabe & Ito 2008: told apart with any colour vision. Marker and line style repeat what the colour says, for print in grey.
"""
import re
from dataclasses import dataclass
from pathlib import Path

STYLE_FILE = Path(__file__).with_name("knockout.mplstyle")

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#8A8A8A"
VIOLET, BROWN = "#5E3C99", "#6B4C2A"

CLEAN_LINE = "0.35"  # the line that nothing removed would give
MAP_COLOURS = "RdBu"  # probability lost is red, won is blue; white is no change
MAP_MISSING = "0.85"
SUBJECT_COLOUR = "#8C2D04"

SOURCES = {"subject": (BLUE, "o"), "relation": (VERMILION, "s"), "last": (GREEN, "^"), "first": (BLACK, "D")}
CLASSES = {"all": (BLACK, "o"), "slow-third": (BLUE, "s"), "fast-third": (VERMILION, "^"), "not-fast-third": (SKY, "D"),
           "not-slow-third": (ORANGE, "v"), "after-softmax": (GREEN, "P"), "attention": (VIOLET, "<"), "ssm": (BROWN, ">"),
           "conv": (GREY, "*")}
COMPONENT_LOOKS = {"attention": CLASSES["attention"], "ssm": CLASSES["ssm"], "conv": CLASSES["conv"], "mlp": (GREEN, "^"),
                   "mixer": (BLACK, "D")}
SPARE = [(ORANGE, "v"), (SKY, "P"), (PURPLE, "X"), (GREY, "*"), (VIOLET, "<"), (BROWN, ">")]
MANY = list(SOURCES.values()) + SPARE

# What the figures of the paper's released code call these classes.
RELEASED_LABELS = {"not-fast-third": "context-dependent", "not-slow-third": "context-independent"}


# The kinds of sublayers that a component's route names, in the order in which they are drawn, as a reader says them.
COMPONENTS = {"attention": "attention", "ssm": "SSM", "conv": "convolution", "mlp": "MLP", "mixer": "mixer"}

# Token sets in the order of a prompt; others follow in the cube's.
SETS = ["bos", "first", "first-text", "context", "subject", "subject-last", "after-subject", "relation", "last", "all"]

# What windows count, other than layers.
COUNTED = {"mixers": " with a mixer", "attention": " with attention", "ssm": " with an SSM"}


@dataclass(frozen=True)
class Look:
    colour: str
    marker: str
    line: str = "-"


# What attention and SSM do together beyond what each does alone.
INTERACTION = Look(VERMILION, "D", "--")

# A curve, its matched random control, and the paired effect.
CONTROLLED = Look(BLUE, "o"), Look(GREY, "", ":"), Look(VERMILION, "^")


def route_ends(route):
    """Target and source of a route: token sets, or of a component, KIND@SET, the set and the kind."""
    if "<-" in route:
        return tuple(route.split("<-", 1))
    kind, _, at = route.partition("@")
    return at, kind


def is_component(route):
    """Whether a route leaves a sublayer's output out, KIND@SET, and removes no edges."""
    return "<-" not in route


def head_of(feature):
    """(`head` or `ssm-head`, its number, the suffix such as `~mean`) of a class that is one head, else None."""
    found = re.fullmatch(r"(head|ssm-head):(\d+)(.*)", feature)
    return (found[1], int(found[2]), found[3]) if found else None


def control_of(route):
    """The route that a random control is matched to (`last<-subject` of `last<-random-like:subject:1`, `mlp@subject` of
    `mlp@random-like:subject:1`), else None."""
    target, source = route_ends(route)
    found = re.fullmatch(r"random-like:(.+):\d+", target if is_component(route) else source)
    if not found:
        return None
    return f"{source}@{found[1]}" if is_component(route) else f"{target}<-{found[1]}"


def class_controls(feature, features):
    """The random thirds of a cube that are matched to a class: of a slow or fast third, those with the same suffix."""
    found = re.fullmatch(r"(slow|fast)-third(\+conv)?", feature)
    pattern = rf"random-third:\d+{re.escape(found[2] or '')}" if found else None
    return [f for f in features if pattern and re.fullmatch(pattern, f)]


def is_random_class(feature):
    return feature.startswith("random-third:")


def set_name(tokens):
    """A token set as a reader says it: `relation\\last\\first` is "relation without last and first", a matched control says what it is like."""
    whole, *left_out = re.sub(r"random-like:(.+):(\d+)", r"random like \1, seed \2", tokens).split("\\")
    return f"{whole} without {' and '.join(left_out)}" if left_out else whole


def route_name(route):
    """The route in the order of the spec, TARGET<-SOURCE: `last<-subject` is "last ← subject", `mlp@last` is "MLP at last", and
    `keep:last<-subject+diagonal` is "only last ← subject, diagonal"."""
    if route.startswith("keep:"):
        edges = route.removeprefix("keep:").split("+")
        return "only " + ", ".join(" ← ".join(map(set_name, edge.split("<-"))) for edge in edges)
    target, source = route_ends(route)
    if is_component(route):
        return f"{COMPONENTS.get(source, source)} at {set_name(target)}"
    return f"{set_name(target)} ← {set_name(source)}"


def replaced_by(suffix):
    """What stands in the place of a part, by its suffix: nothing where it is left out."""
    if suffix == "~mean":
        return ", replaced by its mean"
    found = re.fullmatch(r"~resample:(\d+)", suffix)
    return f", replaced by another prompt's (seed {found[1]})" if found else suffix


def class_name(feature):
    """The class as a reader says it, with what the released code's figures call it where that differs."""
    label = RELEASED_LABELS.get(feature)
    if label:
        return f"{feature} (released code: {label})"
    head = head_of(feature)
    plain, tilde, rest = feature.partition("~")
    if head:
        plain = f"{'SSM ' if head[0] == 'ssm-head' else ''}head {head[1]}{head[2].partition('~')[0]}"
    return plain + replaced_by(tilde + rest)


def legend_of(routes):
    """The title of a legend of routes."""
    if all(map(is_component, routes)):
        return "what is left out, and at which tokens"
    return "edges removed, target ← source"


def windows_of(size, over="layers", style="whole"):
    """`window of 3 layers`, or `window of 3 layers with attention` where windows count some layers alone; other styles by their words."""
    run = f"{size} layer{'s' if size != 1 else ''}" + COUNTED.get(over, "")
    return {"centred": f"centred window of {run}", "from": "window up to the last layer", "until": "window from the first layer on",
            "outside": f"window without {run}", "outside-centred": f"window without {run} around a centre",
            "listed": "listed window"}.get(style, f"window of {run}")


def route_looks(routes):
    """A look for every route; the paper's four sources, and the kinds of components, keep theirs where they tell the routes apart."""
    sources = [route_ends(r)[1] for r in routes]
    if len(set(sources)) < len(sources):
        return named_looks(routes)
    known = COMPONENT_LOOKS if all(map(is_component, routes)) else SOURCES
    spare = [look for look in MANY if look not in [known.get(s) for s in sources]]
    looks = {}
    for route, source in zip(routes, sources):
        looks[route] = Look(*known[source]) if source in known else Look(*spare.pop(0) if spare else (GREY, "."))
    return looks


def class_looks(features):
    """A look for every class; `+conv` is the class's own, dashed."""
    spare, looks = [look for look in MANY if look not in CLASSES.values()], {}
    for feature in features:
        plain = feature.removesuffix("+conv")
        known = CLASSES.get(plain) or (spare.pop(0) if spare else (GREY, "."))
        looks[feature] = Look(*known, "--" if feature != plain else "-")
    return looks


def named_looks(names):
    """Looks in turn, with other line styles after the tenth."""
    return {name: Look(*MANY[k % len(MANY)], ("-", "--", ":", "-.")[k // len(MANY) % 4]) for k, name in enumerate(names)}


def _byte_alphabet():
    """The characters by which byte-level tokenizers write bytes (GPT-2's bytes_to_unicode), back to bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{chr(b): b for b in plain}, **{chr(256 + k): b for k, b in enumerate(others)}}


BYTES = _byte_alphabet()


def token_name(piece):
    """A token's piece as a reader would write it; what is no text of its own (half a character) stays as it is."""
    if piece.startswith("▁"):
        piece = piece.replace("▁", " ")
    elif all(c in BYTES for c in piece):
        try:
            piece = bytes(BYTES[c] for c in piece).decode("utf-8")
        except UnicodeDecodeError:
            pass
    shown = piece.strip(" ").replace("\n", "⏎").replace("\t", "⇥").replace("$", r"\$")
    return shown or "␣"
