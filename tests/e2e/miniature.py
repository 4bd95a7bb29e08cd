"""The paper's specs in miniature: bundled checkpoints in the place of the 17, a few bundled facts in the place of CounterFact.

    miniature.py inputs FOLDER            writes FOLDER/checkpoints, FOLDER/prompts.jsonl, FOLDER/paper and FOLDER/controls: the specs of jobs/ with
                                          small windows
    miniature.py check FOLDER             looks at the pictures that were drawn in FOLDER (figNN.png and .svg): nothing blank, and as many
                                          panels and curves as the paper's figure has
    miniature.py draw FOLDER [DPI]        FOLDER/pictures and FOLDER/controls, from the cubes in FOLDER
    miniature.py shrink FROM TO           writes the PNGs of FROM small enough for the documentation
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZES = {1: 1, 3: 2, 5: 3, 9: 5, 12: 6, 15: 8}  # of the paper: here, where models have 8 or 12 layers
MAP_IDS = ["18566", "2720", "16634", "140"]
# (fact, in other words): the first four in the place of the heatmaps' prompts; then what all models know, and what only some do.
FACTS = [(580, True), (900, True), (1068, False), (864, True),
         (248, True), (832, True), (8, True), (392, True), (112, False), (1104, False), (72, True), (732, True), (696, True), (912, True),
         (36, False), (348, False)] + [(k, True) for k in range(3, 235, 29)]
FAMILY = [("mamba-facts", r"mamba-(130m|1\.4b|2\.8b)-hf|mamba-7b-rw"), ("falcon-mamba-facts", r"(?i)falcon3?-mamba-7b.*"),
          ("mamba2-facts", r"mamba2-.*|gpt-neox-20b"), ("gpt2-facts", r"gpt2-.*"), ("llama-facts", r"(Meta-)?Llama-3.*|Mistral-7B-.*")]


# ------------------------------------------------------------------------ inputs
def write_prompts(path):
    """Some facts as the models know them, some in other words, of which each model gets others right; CounterFact's columns."""
    facts = [json.loads(line) for line in open(ROOT / "jobs/facts.jsonl")]
    lines = []
    for k, (number, reworded) in enumerate(FACTS):
        fact = facts[number]
        other = next(f for f in facts if f["relation"] == fact["relation"] and f["target"] != fact["target"])
        prompt = fact["prompt"].replace(" is ", " was ").replace("usually", "often") if reworded else fact["prompt"]
        lines.append({"case_id": int(MAP_IDS[k]) if k < len(MAP_IDS) else 20000 + fact["id"], "prompt": prompt, "subject": fact["subject"], "target_true": fact["target"],
                      "target_false": other["target"], "relation_id": fact["relation"]})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def link_checkpoints(folder):
    folder.mkdir()
    for name in sorted(set(re.findall(r"\$\{KNOCKOUT_CHECKPOINTS\}/([^'\"\s,}]+)", (ROOT / "jobs/paper/models.yaml").read_text()))):
        model, = [m for m, pattern in FAMILY if re.fullmatch(pattern, name)]
        os.symlink(ROOT / "jobs/models" / model, folder / name)


def shrink_windows(text):
    def smaller(match):
        return f"sizes: [{', '.join(str(SIZES[int(s)]) for s in match[1].split(','))}]"

    return re.sub(r"sizes: *\[([0-9, ]+)\]", smaller, text)


def write_inputs(folder):
    folder = Path(folder)
    link_checkpoints(folder / "checkpoints")
    write_prompts(folder / "prompts.jsonl")
    for part in ("paper", "controls"):
        (folder / part).mkdir()
        for spec in (ROOT / "jobs" / part).glob("*.yaml"):
            (folder / part / spec.name).write_text(shrink_windows(spec.read_text()))


# ------------------------------------------------------------------------ checks
# Panels, and curves of all panels together; maps and scatters have none.
PANELS = {"fig01": (4, 16), "fig02": (2, 0), "fig03": (4, 16), "fig04": (3, 12), "fig05": (3, 12), "fig06": (4, 12), "fig07": (3, 0),
          "fig08": (6, 24), "fig09": (6, 24), "fig10": (6, 24), "fig11": (8, 32), "fig12": (32, 96), "fig13": (14, 56), "fig14": (18, 72),
          "fig15": (42, 168), "fig16": (36, 0), "fig17": (32, 0), "fig18": (16, 0), "fig19": (16, 0), "fig20": (16, 0), "sharma": (4, 4),
          "sharma-heatmaps": (16, 0), "released-classes": (32, 96), "controls": (20, 60), "controls-conv": (20, 60)}
SVG = "{http://www.w3.org/2000/svg}"


def inside(element, prefix):
    """The groups directly in an element whose id begins with the prefix."""
    return [g for g in element.findall(f"{SVG}g") if g.get("id", "").startswith(prefix)]


def panels_of(path):
    """The panels of a picture: [(number of lines of three points and more, number of clouds of points and images)]."""
    found = []
    for axes in ET.parse(path).getroot().iter(f"{SVG}g"):
        if not re.fullmatch(r"axes_\d+", axes.get("id", "")):
            continue
        ticks = [g for axis in inside(axes, "matplotlib.axis_") for g in inside(axis, "xtick_")[:1] + inside(axis, "ytick_")[:1]]
        if len(ticks) != 2:
            continue                                      # a legend's place, a spare one or a colour bar
        lines = [line for line in inside(axes, "line2d_") if len(re.findall(r"[ML] ", path_of(line))) > 2]
        clouds = [g for kind in ("PathCollection", "QuadMesh", "image") for g in axes.iter(f"{SVG}g") if g.get("id", "").startswith(kind)]
        clouds += list(axes.iter(f"{SVG}image"))
        found.append((len(lines), len(clouds)))
    return found


def path_of(line):
    path = line.find(f"{SVG}path")
    return path.get("d", "") if path is not None else ""


def check_ink(path):
    """A picture that is not blank: its panels' colours are on it, not letters alone."""
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((500, 500))
        pixels = list(small.getdata())
    coloured = sum(max(p) - min(p) > 40 for p in pixels) / len(pixels)
    assert 0.0005 < coloured < 0.9, f"{path.name}: {100 * coloured:.2f} % of its pixels have a colour"
    return coloured


def check(folder):
    wrong = []
    for name, (panels, curves) in PANELS.items():
        drawn = panels_of(Path(folder) / f"{name}.svg")
        if REMARK[:23] not in (Path(folder) / f"{name}.svg").read_text():  # matplotlib writes texts as comments beside their outlines
            wrong.append(f"{name} does not say that it is of stand-ins")
        lines = sum(p[0] for p in drawn) if curves else 0
        n = sum(1 for p in drawn if p[0 if curves else 1])
        ink = check_ink(Path(folder) / f"{name}.png")
        print(f"{name:<18} {n:>3} panels {lines:>4} lines, {100 * ink:4.1f} % in colour")
        if (n, lines) != (panels, curves):
            wrong.append(f"{name} has {n} panels and {lines} curves, expected {panels} and {curves}")
    assert not wrong, "; ".join(wrong)
    print(f"{len(PANELS)} pictures have their panels and curves")


# ------------------------------------------------------------------------ pictures
ALL = "paper-all.h5"
REMARK = "STAND-INS, NOT A RESULT: bundled toy models of 1M parameters (mamba-facts, gpt2-facts, ...), not the checkpoints of these names"
# (cube, figures, window sizes)
DRAWN = [(ALL, "01 02 03 04 05 06 07 12 13 16 17", (5,)), (ALL, "08 09 10 14 15", (1, 2, 3, 5, 6, 8)), (ALL, "18 19 20", (1, 3, 5, 8)),
         ("paper-fig11.h5", "11", (5,)), ("paper-sharma.h5", "sharma", (5,)), ("paper-released-classes.h5", "released-classes", (5,))]
CI_DPI = 40


def draw(folder, dpi=CI_DPI):
    """FOLDER/pictures: the paper's figures from the cubes in FOLDER. One process, because matplotlib takes seconds to start."""
    sys.path.insert(0, str(ROOT / "analysis"))
    from knockout_figures import cli

    for cube, figures, sizes in DRAWN:
        arguments = [f"{folder}/{cube}", "-o", f"{folder}/pictures", "--no-report", "--format", "png,svg", "--dpi", str(dpi),
                     "--remark", REMARK]
        arguments += [word for name in figures.split() for word in ("--figure", name)]
        cli.run(cli.parser().parse_args(arguments + [word for size in sizes for word in ("--window-size", str(size))]))
    controls = Path(folder) / "controls"
    cli.run(cli.parser().parse_args([f"{folder}/controls-fig06.h5", "-o", str(controls), "--kind", "features", "--kind", "controls", "--format",
                                     "png,svg", "--dpi", str(dpi), "--remark", REMARK]))
    for path in controls.glob("controls-fig06-controls*"):
        path.rename(Path(folder) / "pictures" / path.name.removeprefix("controls-fig06-"))


def shrink(source, target):
    """The PNGs of a folder with 256 colours or fewer, for the documentation; libimagequant keeps those of thin lines and pale cells."""
    from PIL import Image

    for path in sorted(Path(source).glob("*.png")):
        out = Path(target) / path.name
        with Image.open(path) as image:
            small = image.convert("RGBA")  # of a resized RGB picture libimagequant makes one that is all transparent
        small.thumbnail((1700, 3000), Image.LANCZOS)
        for colours in (256, 128, 64, 32):
            small.convert("RGB").quantize(colours, method=Image.Quantize.LIBIMAGEQUANT, dither=Image.Dither.NONE).save(out, optimize=True)
            if out.stat().st_size < 140000:
                break
        assert out.stat().st_size < 150000, f"{out} has {out.stat().st_size} bytes"
        check_ink(out)


if __name__ == "__main__":
    {"inputs": write_inputs, "draw": draw, "check": check, "shrink": shrink}[sys.argv[1]](*sys.argv[2:])
