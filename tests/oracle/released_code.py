"""What the released code does otherwise, and two other readings of a knockout, as curves of the demo models: docs/figures/released-code.png.

Usage: released_code.py MODELS_FOLDER FACTS_JSONL OUT.png      also prints the table of docs/semantics.md

Every cell is one pass of the oracle (float64), in windows of 4 layers, the mean over PROMPTS facts of the change of the answer's probability.
"""
import json
import sys

import matplotlib
import numpy as np
import torch
from tokenizers import Tokenizer

import knockout_oracle as oracle

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

PROMPTS, SIZE = 8, 4
COLOURS = ["#000000", "#0072B2", "#D55E00", "#56B4E9", "#E69F00"]  # Okabe & Ito 2008


def without_causal_mask(model):
    """Llama, Mistral, Qwen: inside the window attention gets a mask that is true everywhere but at the removed pairs."""
    def attention(module, query, key, value, mask, **kwargs):
        k = model._active(module.layer_idx)
        if k:
            mask = torch.zeros_like(mask)
            for target, source in k.edges:
                mask[..., target, source] = -torch.inf
        return oracle_attention(module, query, key, value, mask, **kwargs)
    return attention


def with_uniform_rows(model):
    """GPT-2: a row whose scores are all the least float becomes uniform over all positions, later ones too."""
    def attention(module, query, key, value, mask, **kwargs):
        out, weights = oracle_attention(module, query, key, value, mask, **kwargs)
        if model._active(module.layer_idx):
            empty = torch.isinf(mask[0, 0]).all(-1)
            out[:, empty] = value.mean(2)[:, None]
        return out, weights
    return attention


oracle_attention = oracle.knockout_attention

# (model, title, whether the subject comes first, [(curve, route, feature class, attention instead of the oracle's)])
PANELS = [
    ("falcon-mamba-facts", "a. Falcon-Mamba, relation → last: classes", False,
     [("all", "last<-relation", "all", None), ("slow third (text)", "last<-relation", "slow-third", None),
      ("not fast third (code)", "last<-relation", "not-fast-third", None), ("fast third (text)", "last<-relation", "fast-third", None),
      ("not slow third (code)", "last<-relation", "not-slow-third", None)]),
    ("llama-facts", "b. Llama: causal mask in the window", True,
     [("first → last", "last<-first", "all", None), ("no causal mask", "last<-first", "all", without_causal_mask),
      ("last → last", "last<-last", "all", None), ("no causal mask ", "last<-last", "all", without_causal_mask)]),
    ("gpt2-facts", "c. GPT-2: a row that loses every edge", True,
     [("first → first: zero context", "first<-first", "all", None), ("uniform, later positions too", "first<-first", "all", with_uniform_rows),
      ("all → last: zero context", "last<-all", "all", None), ("uniform", "last<-all", "all", with_uniform_rows)]),
    ("gpt2-facts", "d. GPT-2: what a knockout is", False,
     [("subject → last, before softmax", "last<-subject", "all", None), ("after softmax", "last<-subject", "after-softmax", None),
      ("subject → later, before softmax", "later<-subject", "all", None)]),
    ("mamba2-facts", "e. Mamba-2: Sharma et al.'s variant", False,
     [("subject → last", "last<-subject", "all", None), ("subject → later", "later<-subject", "all", None)]),
]


def curve(model, prompts, route, feature_class, attention):
    """Mean change in percent at every start: [starts]."""
    oracle.knockout_attention = attention(model) if attention else oracle_attention
    for layer in model._layers():
        for module in layer.modules():
            if hasattr(sys.modules[type(module).__module__], "eager_attention_forward"):
                sys.modules[type(module).__module__].eager_attention_forward = oracle.knockout_attention
    change = []
    for p in prompts:
        clean = model.log_probs(p.ids)[p.target]
        edges = oracle.route_edges(route, p)
        change.append([100 * torch.expm1(model.log_probs(p.ids, oracle.Knockout(edges, range(s, s + SIZE), feature_class))[p.target] - clean)
                       for s in range(model.n_layers - SIZE + 1)])
    return np.array(change, float).mean(0)


def draw(axis, title, curves):
    for k, (name, values) in enumerate(curves.items()):
        axis.plot(100 * np.arange(len(values)) / (len(values) - 1), values, color=COLOURS[k], marker="os^Dv"[k], markersize=4,
                  linewidth=1.6, label=name)
    axis.axhline(0, color="0.5", linewidth=0.8)
    axis.set_title(title, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.set_xlabel("start of the window, % of its range", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def main():
    folder, facts_path, out = sys.argv[1:]
    facts = [json.loads(line) for line in open(facts_path)]
    chosen = {first: [f for f in facts[30::31] if f["prompt"].startswith(f["subject"]) == first][:PROMPTS] for first in (False, True)}
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    models = {}
    for axis, (name, title, first, curves) in zip(axes.flat, PANELS):
        if name not in models:
            models[name] = oracle.OracleModel(f"{folder}/{name}")
        prompts = [oracle.read_prompt(Tokenizer.from_file(f"{folder}/{name}/tokenizer.json"), f)
                   for f in chosen[first]]
        found = {label: curve(models[name], prompts, *how) for label, *how in curves}
        draw(axis, title, found)
        print(title)
        for label, values in found.items():
            print(f"  {label.strip():<34} " + " ".join(f"{v:6.1f}" for v in values), flush=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("change of the answer's\nprobability, %", fontsize=8)
    axes.flat[-1].axis("off")
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
