"""Compares component and head cells of the oracle with hooks in the classes of transformers, whose code stays as it is.

Usage: compare_parts.py [CHECKPOINT_DIR ...] [--bound B]     default: gpt2-facts, llama-facts, mamba2-facts, pythia, opt and gemma2
       compare_parts.py [CHECKPOINT_DIR ...] --places N      the figures of docs/parts.md, over N facts; default: gpt2-facts

A whole sublayer is changed by a forward hook on the module whose output is added to the residual stream, a head by a forward pre-hook
on the output projection.  Clean parts are recorded by the same hooks; their means, and which prompt is a donor, are worked out here.
Three prompts (two with subjects of different lengths), the sets `last` and `subject`, a window of one layer and one of all but the first;
zero, ~mean and ~resample.  Compared are the log-probabilities of the whole vocabulary.  The last column is the largest effect of the
wrong way to leave a head out: zeroing its slice of what the projection gives.  Exit status 1 where a difference exceeds the bound, 77,
after the reason, where a module is missing.  Hybrids: `python3 hybrid_oracle.py CHECKPOINT_DIR`.
"""
import argparse
import json
import sys
from pathlib import Path

from golden_command import need

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

import torch
import transformers
from tokenizers import Tokenizer

from knockout_oracle import OracleModel, draw, fnv1a64, knockout_attention, route_knockout, token_set
from make_golden import file_order, stratified
from replaced import Replacements

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = [ROOT / "jobs/models" / n for n in ("gpt2-facts", "llama-facts", "mamba2-facts")] + [
    ROOT / "tests/data/variants" / n for n in ("pythia", "opt", "gemma2")]
# model_type -> layers, {kind: module whose output is added to the residual stream}, output projection
PLACES = {
    "gpt2": ("transformer.h", {"attention": "attn", "mlp": "mlp"}, "attn.c_proj"),
    "llama": ("model.layers", {"attention": "self_attn", "mlp": "mlp"}, "self_attn.o_proj"),
    "mamba2": ("backbone.layers", {"ssm": "mixer"}, "mixer.out_proj"),
    "gpt_neox": ("gpt_neox.layers", {"attention": "attention", "mlp": "mlp"}, "attention.dense"),
    "opt": ("model.decoder.layers", {"attention": "self_attn", "mlp": "fc2"}, "self_attn.out_proj"),
    "gemma2": ("model.layers", {"attention": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}, "self_attn.o_proj"),
}

OWN = {}        # module of transformers -> its attention, as it was before an oracle replaced it


class Hooked:
    """A class of transformers with the parts of its layers within reach.  To be made before the oracle, which replaces a function of
    the library: here the library's own is put back for every run."""

    def __init__(self, path):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager", dtype=torch.float32)
        self.model = self.model.double().eval()
        self.library = sys.modules[type(self.model).__module__]
        self.attention = OWN.setdefault(self.library, getattr(self.library, "eager_attention_forward", None))
        assert self.attention is not knockout_attention
        config = self.model.config
        layers, self.outputs, self.projection = PLACES[config.model_type]
        self.layers = self.model.get_submodule(layers)
        self.mixer = next(iter(self.outputs))
        self.heads = config.num_heads if self.mixer == "ssm" else config.num_attention_heads

    def run(self, ids, window, kind, head, change):
        """change: (layer, part [T, width]) -> its replacement, at every layer of the window."""
        hooks = []
        for l in window:
            if head is None:
                def after(module, args, out, l=l):
                    first = out[0] if isinstance(out, tuple) else out
                    new = change(l, first.reshape(len(ids), -1)).view(first.shape)
                    return (new, *out[1:]) if isinstance(out, tuple) else new
                hooks.append(self.layers[l].get_submodule(self.outputs[kind]).register_forward_hook(after))
            else:
                def before(module, args, l=l):
                    x = args[0].reshape(len(ids), self.heads, -1).clone()
                    x[:, head] = change(l, x[:, head])
                    return (x.view(args[0].shape), *args[1:])
                hooks.append(self.layers[l].get_submodule(self.projection).register_forward_pre_hook(before))
        return self.log_probs(ids, hooks)

    @torch.no_grad()
    def log_probs(self, ids, hooks):
        """One pass, after which the hooks are gone."""
        replaced = getattr(self.library, "eager_attention_forward", None)
        try:
            if self.attention is not None:
                self.library.eager_attention_forward = self.attention
            return torch.log_softmax(self.model(torch.tensor([ids]), use_cache=False).logits[0, -1].double(), -1)
        finally:
            if self.attention is not None:
                self.library.eager_attention_forward = replaced
            for h in hooks:
                h.remove()

    def parts(self, ids, kind, head):
        seen = {}

        def keep(l, part):
            seen[l] = part.clone()
            return part

        self.run(ids, range(len(self.layers)), kind, head, keep)
        return seen

    def wrong(self, ids, window, head, rows):
        """The head's columns of what the projection gives are zeroed, which are no head's."""
        def after(module, args, out):
            out = out.clone()
            width = out.shape[-1] // self.heads
            out.view(len(ids), -1)[rows, head * width:(head + 1) * width] = 0.0
            return out

        return self.log_probs(ids, [self.layers[l].get_submodule(self.projection).register_forward_hook(after) for l in window])


def expected(hooked, prompts, clean, n, name, window, kind, head, way):
    """The cell by hooks, or None where it is vacuous.  clean: of each prompt {layer: [T, width]}."""
    rows = token_set(name, prompts[n])
    if way == "":
        value = {l: 0.0 for l in window}
    elif way == "mean":
        value = {l: sum(clean[m][l][i] for m, p in enumerate(prompts) for i in token_set(name, p))
                 / sum(len(token_set(name, p)) for p in prompts) for l in window}
    else:
        others = [m for m in range(len(prompts)) if m != n]
        donor = draw(others, 1, int(way.split(":")[1]), fnv1a64(prompts[n].id))[0]
        there = token_set(name, prompts[donor])
        if len(there) < len(rows):
            return None
        value = {l: torch.stack([clean[donor][l][i] for i in there[:len(rows)]]) for l in window}

    def change(l, part):
        part = part.clone()
        part[rows] = value[l]
        return part

    return hooked.run(prompts[n].ids, window, kind, head, change)


def compare(path):
    """{what: (largest difference, cells, largest effect)}, and the same of the wrong way."""
    hooked = Hooked(str(path))
    oracle, facts = OracleModel(str(path)), [json.loads(line) for line in open(ROOT / "jobs/facts.jsonl")]
    picked = stratified(facts, Tokenizer.from_file(str(path / "tokenizer.json")), 3, 0)
    prompts = [picked[n][1] for n in file_order(facts, picked)]
    replacements, L, out = Replacements(oracle, prompts), oracle.n_layers, {}
    clean_lp = [oracle.log_probs(p.ids) for p in prompts]
    last_head = hooked.heads - 1
    cells = [(kind, None) for kind in hooked.outputs] + [(hooked.mixer, 0), (hooked.mixer, last_head)]
    worst_wrong = 0.0
    for kind, head in cells:
        clean = [hooked.parts(p.ids, kind, head) for p in prompts]
        part = "all" if head is None else f"{'ssm-head' if kind == 'ssm' else 'head'}:{head}"
        for way in ("", "mean", "resample:3"):
            feature, worst, count, effect = part + ("~" + way if way else ""), 0.0, 0, 0.0
            for name in ("last", "subject"):
                for window in (range(L // 2, L // 2 + 1), range(1, L)):
                    for n, p in enumerate(prompts):
                        route = f"{kind}@{name}"
                        k = route_knockout(route, p, window, feature, replacements.values(route, feature, n))
                        want = expected(hooked, prompts, clean, n, name, window, kind, head, way)
                        if oracle.vacuous(k, p.T) != (want is None):
                            raise SystemExit(f"compare_parts.py: {path.name}: {route}, {feature}, {p.id}: vacuous in one of two")
                        if want is None:
                            continue
                        got = oracle.log_probs(p.ids, k)
                        worst, count = max(worst, (got - want).abs().max().item()), count + 1
                        effect = max(effect, (got - clean_lp[n]).abs().max().item())
                        if head is not None and not way and len(window) == 1:
                            wrong = hooked.wrong(p.ids, window, head, token_set(name, p))
                            worst_wrong = max(worst_wrong, (wrong - got).abs().max().item())
            out[f"{kind}, {feature}"] = worst, count, effect
    return out, worst_wrong


def places(path, n_prompts):
    """What one-layer cells at `last` do to the log-probability of the answer: heads left out in the right and in the wrong place, and
    mixers left out and replaced.  Of the facts those whose answer ranks first."""
    hooked = Hooked(str(path))
    oracle, facts = OracleModel(str(path)), [json.loads(line) for line in open(ROOT / "jobs/facts.jsonl")]
    picked = stratified(facts, Tokenizer.from_file(str(path / "tokenizer.json")), n_prompts, 0)
    prompts = [picked[n][1] for n in file_order(facts, picked)]
    prompts = [p for p in prompts if int(oracle.log_probs(p.ids).argmax()) == p.target]
    clean = torch.stack([oracle.log_probs(p.ids)[p.target] for p in prompts])
    replacements, L = Replacements(oracle, prompts), oracle.n_layers
    prefix = "ssm-head" if hooked.mixer == "ssm" else "head"

    def effect(feature, l):
        route = f"{hooked.mixer}@last"
        cells = [route_knockout(route, p, range(l, l + 1), feature, replacements.values(route, feature, n)) for n, p in enumerate(prompts)]
        return torch.stack([oracle.log_probs(p.ids, k)[p.target] for p, k in zip(prompts, cells)]) - clean

    right = torch.stack([torch.stack([effect(f"{prefix}:{h}", l) for h in range(hooked.heads)]) for l in range(L)])
    wrong = torch.stack([torch.stack([torch.stack([hooked.wrong(p.ids, [l], h, [p.T - 1])[p.target] for p in prompts]) - clean
                                      for h in range(hooked.heads)]) for l in range(L)])
    means = [x.mean(-1).flatten() for x in (right, wrong)]
    ranks = torch.stack([m.argsort().argsort().double() for m in means])
    print(f"{path.name}: {len(prompts)} facts, {right.numel()} cells of {L} layers x {hooked.heads} heads, change of log p of the answer")
    print(f"  right and wrong place differ by up to {(right - wrong).abs().max():.2f}, the means over the facts by {(means[0] - means[1]).abs().max():.2f}; "
          f"rank correlation of the heads' means {torch.corrcoef(ranks)[0, 1]:.2f}")
    for name, m in zip(("right", "wrong"), means):
        k = int(m.argmin())
        print(f"  {name} place: the head that matters most is {k // hooked.heads}.{k % hooked.heads}, {m[k]:.2f}; "
              f"it is {means[0][k]:.2f} and {means[1][k]:.2f} in the right and the wrong place")
    print("  first layer, mean change of log p: zero, mean, resample (seed 3) of the whole mixer")
    for l in range(L):
        print(f"  {l:4}" + "".join(f"  {effect(feature, l).mean():7.2f}" for feature in ("all", "all~mean", "all~resample:3")), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("checkpoints", nargs="*", type=Path)
    ap.add_argument("--bound", type=float, default=1e-4)
    ap.add_argument("--places", type=int, default=0, metavar="N")
    a = ap.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if a.places:
        for path in a.checkpoints or DEFAULT[:1]:
            places(path, a.places)
        return
    bad = False
    for path in a.checkpoints or DEFAULT:
        out, wrong = compare(path)
        for what, (worst, count, effect) in out.items():
            failed = not worst <= a.bound or count == 0
            bad |= failed
            print(f"{path.name:14}  {what:28}  {count:3} cells  {worst:.1e}  largest effect {effect:.2g}{'  WRONG' if failed else ''}", flush=True)
        print(f"{path.name:14}  slices zeroed after the projection instead: other log p by up to {wrong:.2g}", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main()
