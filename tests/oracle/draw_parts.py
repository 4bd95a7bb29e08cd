"""Draws docs/parts.png: a layer, and where component and head cells are taken.

Usage: draw_parts.py OUT_PNG
"""
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

INK, QUIET, FILL = "#1f2933", "#7b8794", "#f1f4f8"
HEADS = ["#2a78b8", "#e08a1e", "#3c9a5f", "#a95aa1"]
WHOLE = "#b3261e"


def box(ax, x, y, w, h, text, dashed=False):
    ax.add_patch(FancyBboxPatch((x, y), w, h, boxstyle="round,pad=0,rounding_size=0.08", fc=FILL, ec=QUIET if dashed else INK,
                                lw=1.1, ls=(0, (3, 2)) if dashed else "-"))
    ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=9, color=INK, linespacing=1.25)


def arrow(ax, *points):
    for a, b in zip(points[:-2], points[1:-1]):
        ax.plot([a[0], b[0]], [a[1], b[1]], color=INK, lw=1.2, solid_capstyle="round")
    ax.add_patch(FancyArrowPatch(points[-2], points[-1], arrowstyle="-|>", mutation_scale=10, color=INK, lw=1.2, shrinkA=0, shrinkB=0))


def mark(ax, x, y, text, color):
    ax.text(x, y, text, ha="center", va="center", fontsize=9.5, color="white", weight="bold",
            bbox=dict(boxstyle="circle,pad=0.22", fc=color, ec="none"))


def plus(ax, x, y):
    ax.plot([x], [y], "o", ms=15, mfc="white", mec=INK, mew=1.2, zorder=3)
    ax.text(x, y, "+", ha="center", va="center", fontsize=12, color=INK, zorder=4)


def stripes(ax, x, y, h):
    """The four heads' slices of a row."""
    for k, color in enumerate(HEADS):
        ax.add_patch(Rectangle((x, y + h * (3 - k) / 4), 0.42, h / 4, fc=color, ec="white", lw=0.8))
        ax.text(x + 0.21, y + h * (3.5 - k) / 4, str(k), ha="center", va="center", fontsize=8, color="white")


def mixed(ax, x, y, h, parts=4):
    """A row in which every number is a mixture of all heads."""
    for k in range(parts):
        for i, color in enumerate(HEADS):
            ax.add_patch(Rectangle((x + 0.42 * i / 4, y + h * k / parts), 0.42 / 4, h / parts, fc=color, ec="none"))
        ax.add_patch(Rectangle((x, y + h * k / parts), 0.42, h / parts, fc="none", ec="white", lw=0.8))


def main():
    fig, ax = plt.subplots(figsize=(11.6, 4.7), dpi=150)
    ax.set(xlim=(0, 18.2), ylim=(-0.2, 6.9))
    ax.axis("off")
    ax.plot([0.2, 17.8], [0.6, 0.6], color=INK, lw=2.6, solid_capstyle="round")
    ax.plot([17.85], [0.6], marker=">", ms=10, color=INK)
    ax.text(0.25, 0.17, "residual stream: the row of one position", fontsize=9, color=INK)
    y, mid = 3.1, 3.75
    # the mixer
    arrow(ax, (0.6, 0.6), (0.6, mid), (0.95, mid))
    box(ax, 0.95, y, 0.85, 1.3, "norm")
    arrow(ax, (1.8, mid), (2.1, mid))
    box(ax, 2.1, y, 2.05, 1.3, "mixing of\npositions:\nattention, SSM")
    arrow(ax, (4.15, mid), (4.45, mid))
    box(ax, 4.45, y, 1.45, 1.3, "gate,\nnorm", dashed=True)
    arrow(ax, (5.9, mid), (6.25, mid))
    stripes(ax, 6.25, 2.75, 2.0)
    ax.text(6.46, 2.58, "z", ha="center", va="top", fontsize=10, style="italic", color=INK)
    arrow(ax, (6.67, mid), (7.02, mid))
    box(ax, 7.02, y, 1.4, 1.3, "output\nprojection\n$W\\,z + b$")
    arrow(ax, (8.42, mid), (8.75, mid))
    mixed(ax, 8.75, 2.75, 2.0)
    arrow(ax, (9.17, mid), (9.5, mid))
    box(ax, 9.5, y, 1.4, 1.3, "post-\nnorm,\nfactor", dashed=True)
    arrow(ax, (10.9, mid), (11.3, mid), (11.3, 0.88))
    plus(ax, 11.3, 0.6)
    # the MLP
    arrow(ax, (12.2, 0.6), (12.2, mid), (12.5, mid))
    box(ax, 12.5, y, 0.85, 1.3, "norm")
    arrow(ax, (13.35, mid), (13.65, mid))
    box(ax, 13.65, y, 1.2, 1.3, "MLP or\nexperts")
    arrow(ax, (14.85, mid), (15.15, mid))
    box(ax, 15.15, y, 1.4, 1.3, "post-\nnorm,\nfactor", dashed=True)
    arrow(ax, (16.55, mid), (16.95, mid), (16.95, 0.88))
    plus(ax, 16.95, 0.6)
    # the places
    mark(ax, 6.46, 5.1, "1", HEADS[0])
    ax.text(6.46, 6.1, "one head's slice of z:\nhead:K, ssm-head:K", ha="center", va="center", fontsize=9.5, color=HEADS[0])
    mark(ax, 8.96, 5.1, "×", QUIET)
    ax.text(9.3, 5.1, "not here: each number is\na mixture of all heads", ha="left", va="center", fontsize=9.5, color=QUIET)
    for x in (11.3, 16.95):
        mark(ax, x, 2.0, "2", WHOLE)
        ax.text(x + 0.3, 2.0, "all", ha="left", va="center", fontsize=9.5, color=WHOLE)
    ax.text(1.0, 1.65, "a mixer: attention@SET, ssm@SET, conv@SET, mixer@SET", ha="left", va="center", fontsize=9.5, color=INK)
    ax.text(12.5, 1.65, "an MLP: mlp@SET", ha="left", va="center", fontsize=9.5, color=INK)
    ax.text(17.95, 0.17, "broken lines: in some models", ha="right", fontsize=9, color=QUIET)
    fig.savefig(sys.argv[1], bbox_inches="tight", pad_inches=0.08, metadata={"Software": None})


if __name__ == "__main__":
    main()
