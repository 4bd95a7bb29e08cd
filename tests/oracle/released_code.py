"""What the released code does otherwise, and two other readings of a knockout, as curves of the demo models.

Usage: released_code.py compute MODELS_FOLDER FACTS_JSONL OUT.json     every cell one pass of the oracle (float64); needs torch
       released_code.py draw OUT.json OUT.png                          needs numpy and matplotlib
       released_code.py table OUT.json                                 the values, a line a curve

Windows of 4 layers, the mean over PROMPTS facts of the change of the answer's probability in percent. docs/semantics.md shows the result.
"""
import json
import sys

import numpy as np

PROMPTS, SIZE = 8, 4
COLOURS = ["#000000", "#0072B2", "#D55E00", "#56B4E9", "#E69F00"]  # Okabe & Ito 2008


# ----------------------------------------------------------------------- panels
# (model, title, whether the subject comes first, [(curve, route, feature class, the released code's attention)])
PANELS = [
    ("falcon-mamba-facts", "a. Falcon-Mamba, last ← relation: classes", False,
     [("all", "last<-relation", "all", None), ("slow third (text)", "last<-relation", "slow-third", None),
      ("not fast third (code)", "last<-relation", "not-fast-third", None), ("fast third (text)", "last<-relation", "fast-third", None),
      ("not slow third (code)", "last<-relation", "not-slow-third", None)]),
    ("llama-facts", "b. Llama: the causal mask inside the window", True,
     [("last ← last", "last<-last", "all", None), ("last ← last, no causal mask", "last<-last", "all", "no causal mask"),
      ("last ← relation", "last<-relation", "all", None), ("last ← relation, no causal mask", "last<-relation", "all", "no causal mask")]),
    ("gpt2-facts", "c. GPT-2: a row that loses every edge", False,
     [("last ← all, zero context", "last<-all", "all", None), ("last ← all, uniform", "last<-all", "all", "uniform rows"),
      ("first ← first, zero context", "first<-first", "all", None), ("first ← first, uniform", "first<-first", "all", "uniform rows")]),
    ("gpt2-facts", "d. GPT-2: before and after the softmax", False,
     [("last ← subject", "last<-subject", "all", None), ("last ← subject, after", "last<-subject", "after-softmax", None),
      ("last ← relation", "last<-relation", "all", None), ("last ← relation, after", "last<-relation", "after-softmax", None)]),
    ("gpt2-facts", "e. GPT-2: Sharma et al.'s variant", False,
     [("last ← subject", "last<-subject", "all", None), ("later ← subject", "later<-subject", "all", None)]),
    ("mamba2-facts", "f. Mamba-2: Sharma et al.'s variant", False,
     [("last ← subject", "last<-subject", "all", None), ("later ← subject", "later<-subject", "all", None)]),
]


# ---------------------------------------------------------------------- compute
def attention_of(model, how):
    """The oracle's attention (how: None), or the released code's for rows and layers in a window."""
    import torch

    def attention(module, query, key, value, mask, **kwargs):
        k = model._active(module.layer_idx)
        if k and how == "no causal mask":           # Llama, Mistral, Qwen: a mask that is true everywhere but at the removed pairs
            mask = torch.zeros_like(mask)
            for target, source in k.edges:
                mask[..., target, source] = -torch.inf
        out, weights = oracle_attention(module, query, key, value, mask, **kwargs)
        if k and how == "uniform rows":             # GPT-2: scores that are all the least float are equal, at later positions too
            empty = torch.isinf(mask[0, 0]).all(-1)
            out[:, empty] = value.mean(2)[:, None]
        return out, weights

    from knockout_oracle import knockout_attention as oracle_attention
    return attention if how else oracle_attention


def curve(model, prompts, route, feature_class, how):
    """Mean change in percent at every start."""
    from knockout_oracle import Knockout, route_edges

    for layer in model._layers():
        for module in layer.modules():
            source = sys.modules[type(module).__module__]
            if hasattr(source, "eager_attention_forward"):
                source.eager_attention_forward = attention_of(model, how)
    change = []
    for p in prompts:
        clean, edges = model.log_probs(p.ids)[p.target], route_edges(route, p)
        after = [model.log_probs(p.ids, Knockout(edges, range(s, s + SIZE), feature_class))[p.target] for s in range(model.n_layers - SIZE + 1)]
        change.append([100 * np.expm1(float(a - clean)) for a in after])
    return np.mean(change, axis=0).round(4).tolist()


def compute(folder, facts_path, out):
    from knockout_oracle import OracleModel, read_prompt
    from tokenizers import Tokenizer

    facts = [json.loads(line) for line in open(facts_path)]
    found = []
    for name, title, subject_first, curves in PANELS:
        model, tokenizer = OracleModel(f"{folder}/{name}"), Tokenizer.from_file(f"{folder}/{name}/tokenizer.json")
        chosen = [f for f in facts[30::31] if f["prompt"].startswith(f["subject"]) == subject_first][:PROMPTS]
        prompts = [read_prompt(tokenizer, f) for f in chosen]
        found.append({"title": title, "model": name, "curves": {label: curve(model, prompts, *how) for label, *how in curves}})
        print(title, flush=True)
    with open(out, "w") as file:
        json.dump(found, file, indent=0, ensure_ascii=False)


# ------------------------------------------------------------------------- draw
def draw_panel(axis, panel):
    paired = any("," in label for label in panel["curves"])
    for k, (label, values) in enumerate(panel["curves"].items()):
        colour = COLOURS[1 + k // 2] if paired else COLOURS[k]
        axis.plot(100 * np.arange(len(values)) / (len(values) - 1), values, color=colour, marker="os^Dv"[k], markersize=4, linewidth=1.6,
                  linestyle="--" if paired and k % 2 else "-", label=label)
    axis.axhline(0, color="0.5", linewidth=0.8, zorder=0)
    axis.set_title(panel["title"], fontsize=9)
    axis.tick_params(labelsize=8)
    # Below the curves, so that it hides none of them.
    axis.legend(fontsize=7, frameon=False, ncol=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    axis.spines[["top", "right"]].set_visible(False)


def draw(path, out):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
    for axis, panel in zip(axes.flat, json.load(open(path))):
        draw_panel(axis, panel)
    for axis in axes[:, 0]:
        axis.set_ylabel("change of the answer's\nprobability, %", fontsize=8)
    for axis in axes.flat:
        axis.set_xlabel("start of the window, % of its range", fontsize=8)
    figure.suptitle("Bundled toy models of 1M parameters, not checkpoints of these families\n"
                    f"Means over n = {PROMPTS} facts, windows of {SIZE} layers", fontsize=10)
    figure.savefig(out, dpi=100)


def table(path):
    for panel in json.load(open(path)):
        print(panel["title"])
        for label, values in panel["curves"].items():
            print(f"  {label:<34} " + " ".join(f"{v:7.2f}" for v in values))


if __name__ == "__main__":
    {"compute": compute, "draw": draw, "table": table}[sys.argv[1]](*sys.argv[2:])
