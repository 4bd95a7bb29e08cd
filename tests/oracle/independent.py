"""Forward passes of seventeen Transformer families in plain NumPy, from config.json and the tensors as they lie in the files.

Usage: independent.py FACTS_JSONL CHECKPOINT_DIR ... [--prompts N] [--seed S]

It shares nothing with the oracle of knockout_oracle.py, which computes with the classes of transformers: every formula is
written out here, in float64, with a loop over the positions.  The program compares the two on clean runs and on cells of
every kind, prints the largest difference of a log-probability for each checkpoint, and exits with 1 where it exceeds 1e-8.

Families, by model_type: gpt_neox, gptj, opt, phi, gemma, gemma2, gemma3_text, olmo2, olmo3, phi3, granite, smollm3, qwen3,
mixtral, qwen3_moe, olmoe, gpt_oss.  Needs numpy, torch (which reads the files) and safetensors; to compare also transformers.
"""
import argparse
import glob
import json
import math
import random
import sys
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load_file

TOLERANCE = 1e-8


# ---------------------------------------------------------------- pieces
def erf(x):
    return np.vectorize(math.erf)(x)


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def silu(x):
    return x / (1 + np.exp(-x))


def layer_norm(x, weight, bias, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + eps) * weight + bias


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def frequencies(theta, width):
    return np.array([theta ** (-2.0 * i / width) for i in range(width // 2)])


def yarn(theta, width, scaling):
    """The frequencies of YaRN and the factor of its rotations (Peng et al. 2023)."""
    factor, original = scaling["factor"], scaling["original_max_position_embeddings"]

    def at_turns(turns):
        return width * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = at_turns(scaling.get("beta_fast") or 32), at_turns(scaling.get("beta_slow") or 1)
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    high += 0.001 if low == high else 0
    ramp = np.clip((np.arange(width // 2) - low) / (high - low), 0, 1)       # 0: the frequency as it is, 1: divided by the factor
    kept = frequencies(theta, width)
    return kept / factor * ramp + kept * (1 - ramp), scaling.get("attention_factor") or 0.1 * math.log(factor) + 1


def rotate(x, freq, scale=1.0, interleaved=False):
    """x [T, heads, d]: the first 2 len(freq) numbers of a head turn, as pairs of neighbours or of halves."""
    n, y = len(freq), x.copy()
    angle = np.arange(x.shape[0])[:, None] * freq[None]
    cos, sin = np.cos(angle)[:, None] * scale, np.sin(angle)[:, None] * scale
    first, second = (slice(0, 2 * n, 2), slice(1, 2 * n, 2)) if interleaved else (slice(0, n), slice(n, 2 * n))
    a, b = x[..., first], x[..., second]
    y[..., first], y[..., second] = a * cos - b * sin, b * cos + a * sin
    return y


def attend(q, k, v, scale, window, cell, cap=None, sinks=None):
    """q [T, heads, d]; k, v [T, groups, d] -> the contexts [T, heads, d].  cell: the knockout if its window has this layer, else None."""
    T, n_heads, _ = q.shape
    out = np.zeros((T, n_heads, v.shape[-1]))
    for h in range(n_heads):
        g = h * k.shape[1] // n_heads
        cuts = cell is not None and not cell.component and cell.feature_class in ("all", "attention", "after-softmax", f"head:{h}")
        for i in range(T):
            gone = {j for target, j in cell.edges if target == i} if cuts else set()
            seen = [j for j in range(i + 1) if not window or i - j < window]
            seen = [j for j in seen if j not in gone or cell.feature_class == "after-softmax"]
            if not seen:
                continue
            score = np.array([q[i, h] @ k[j, g] * scale for j in seen])
            score = cap * np.tanh(score / cap) if cap else score
            top = score.max()
            total = np.exp(score - top).sum() + (math.exp(sinks[h] - top) if sinks is not None else 0)
            for j, s in zip(seen, score):
                if j not in gone:
                    out[i, h] += math.exp(s - top) / total * v[j, g]
    if cell is not None and cell.component == "attention" and cell.feature_class.startswith("head:"):
        out[list(cell.rows), int(cell.feature_class[5:])] = 0
    return out


# ---------------------------------------------------------------- a checkpoint
class Pass:
    """One forward pass of a checkpoint over `ids`, in which the cell `knockout` (or None) is left out."""

    def __init__(self, checkpoint, ids, knockout):
        self.config, self.tensors = checkpoint
        self.ids, self.knockout = ids, knockout
        self.T = len(ids)

    def linear(self, x, name):
        return x @ self.tensors[name + ".weight"].T + self.tensors.get(name + ".bias", 0.0)

    def layer_norm(self, x, name, eps=1e-5):
        return layer_norm(x, self.tensors[name + ".weight"], self.tensors[name + ".bias"], eps)

    def heads(self, x, n):
        return x.reshape(self.T, n, -1)

    def cell(self, layer):
        return self.knockout if self.knockout is not None and layer in self.knockout.layers else None

    def write(self, layer, kinds, y):
        """What a sublayer of one of these kinds adds: zero at the rows of a cell of the whole component."""
        cell = self.cell(layer)
        if cell is not None and cell.component in kinds and cell.feature_class == "all":
            y = y.copy()
            y[list(cell.rows)] = 0
        return y

    def attention_write(self, layer, y):
        return self.write(layer, ("attention", "mixer"), y)

    def mlp_write(self, layer, y):
        return self.write(layer, ("mlp",), y)


def gpt_neox(p):
    c = p.config
    d, n_heads, eps = c["hidden_size"], c["num_attention_heads"], c["layer_norm_eps"]
    width = d // n_heads
    freq = frequencies(c["rotary_emb_base"], int(width * c["rotary_pct"]))
    x = p.tensors["gpt_neox.embed_in.weight"][p.ids]
    for layer in range(c["num_hidden_layers"]):
        name = f"gpt_neox.layers.{layer}."
        qkv = p.linear(p.layer_norm(x, name + "input_layernorm", eps), name + "attention.query_key_value").reshape(p.T, n_heads, 3,
            width)
        q, k, v = (qkv[:, :, part] for part in range(3))
        context = attend(rotate(q, freq), rotate(k, freq), v, width ** -0.5, None, p.cell(layer)).reshape(p.T, d)
        a = p.attention_write(layer, p.linear(context, name + "attention.dense"))
        before = x if c["use_parallel_residual"] else x + a
        hidden = gelu(p.linear(p.layer_norm(before, name + "post_attention_layernorm", eps), name + "mlp.dense_h_to_4h"))
        x = x + a + p.mlp_write(layer, p.linear(hidden, name + "mlp.dense_4h_to_h"))
    return p.layer_norm(x, "gpt_neox.final_layer_norm", eps)[-1] @ p.tensors["embed_out.weight"].T


def gptj(p):
    c = p.config
    d, n_heads, eps = c["n_embd"], c["n_head"], c["layer_norm_epsilon"]
    freq = frequencies(10000.0, c["rotary_dim"])
    x = p.tensors["transformer.wte.weight"][p.ids]
    for layer in range(c["n_layer"]):
        name = f"transformer.h.{layer}."
        normed = p.layer_norm(x, name + "ln_1", eps)
        q, k, v = (p.heads(p.linear(normed, name + f"attn.{part}_proj"), n_heads) for part in "qkv")
        context = attend(rotate(q, freq, interleaved=True), rotate(k, freq, interleaved=True), v, (d // n_heads) ** -0.5, None,
                         p.cell(layer))
        a = p.attention_write(layer, p.linear(context.reshape(p.T, d), name + "attn.out_proj"))
        x = x + a + p.mlp_write(layer, p.linear(gelu_tanh(p.linear(normed, name + "mlp.fc_in")), name + "mlp.fc_out"))
    return p.linear(p.layer_norm(x, "transformer.ln_f", eps)[-1], "lm_head")


def opt(p):
    c = p.config
    p.tensors = {"model." + n if n.startswith("decoder.") else n: v for n, v in p.tensors.items()}
    root = "model.decoder."
    d, n_heads, norm_first = c["hidden_size"], c["num_attention_heads"], c["do_layer_norm_before"]
    x = p.tensors[root + "embed_tokens.weight"][p.ids]
    if root + "project_in.weight" in p.tensors:
        x = p.linear(x, root + "project_in")
    x = x + p.tensors[root + "embed_positions.weight"][2:2 + p.T]
    for layer in range(c["num_hidden_layers"]):
        name = f"{root}layers.{layer}."
        normed = p.layer_norm(x, name + "self_attn_layer_norm") if norm_first else x
        q, k, v = (p.heads(p.linear(normed, name + f"self_attn.{part}_proj"), n_heads) for part in "qkv")
        context = attend(q, k, v, (d // n_heads) ** -0.5, None, p.cell(layer)).reshape(p.T, d)
        x = x + p.attention_write(layer, p.linear(context, name + "self_attn.out_proj"))
        x = x if norm_first else p.layer_norm(x, name + "self_attn_layer_norm")
        normed = p.layer_norm(x, name + "final_layer_norm") if norm_first else x
        x = x + p.mlp_write(layer, p.linear(np.maximum(p.linear(normed, name + "fc1"), 0), name + "fc2"))
        x = x if norm_first else p.layer_norm(x, name + "final_layer_norm")
    x = p.layer_norm(x, root + "final_layer_norm") if norm_first else x
    if root + "project_out.weight" in p.tensors:
        x = p.linear(x, root + "project_out")
    return x[-1] @ p.tensors[root + "embed_tokens.weight"].T


def phi(p):
    c = p.config
    d, n_heads, eps = c["hidden_size"], c["num_attention_heads"], c["layer_norm_eps"]
    width, groups = d // n_heads, c["num_key_value_heads"] or n_heads
    freq = frequencies(c["rope_theta"], int(width * c["partial_rotary_factor"]))
    x = p.tensors["model.embed_tokens.weight"][p.ids]
    for layer in range(c["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        normed = p.layer_norm(x, name + "input_layernorm", eps)
        q, k, v = (p.heads(p.linear(normed, name + f"self_attn.{part}_proj"), n) for part,
                   n in zip("qkv", (n_heads, groups, groups)))
        context = attend(rotate(q, freq), rotate(k, freq), v, width ** -0.5, None, p.cell(layer)).reshape(p.T, d)
        a = p.attention_write(layer, p.linear(context, name + "self_attn.dense"))
        x = x + a + p.mlp_write(layer, p.linear(gelu_tanh(p.linear(normed, name + "mlp.fc1")), name + "mlp.fc2"))
    return p.linear(p.layer_norm(x, "model.final_layernorm", eps)[-1], "lm_head")


# ---------------------------------------------------------------- the families that are like Llama
POST_NORM = ("olmo2", "olmo3")                 # norms stand after the sublayers alone
BOTH_NORMS = ("gemma2", "gemma3_text")         # before and after them
LISTED_EXPERTS = {"mixtral": ("block_sparse_moe.", ("w1", "w3", "w2")),
                  "qwen3_moe": ("mlp.", ("gate_proj", "up_proj", "down_proj")),
                  "olmoe": ("mlp.", ("gate_proj", "up_proj", "down_proj"))}


@dataclass
class Rotary:
    freq: np.ndarray
    scale: float = 1.0


def slides(kind, layer, config):
    """Whether the layer has a sliding window."""
    return {"gemma2": layer % 2 == 0, "gemma3_text": (layer + 1) % config.get("sliding_window_pattern", 6) != 0,
            "olmo3": (layer + 1) % 4 != 0, "gpt_oss": layer % 2 == 0, "phi3": True}.get(kind, False)


def rotary_of(p, kind, width, sliding):
    c = p.config
    theta, scaling = c["rope_theta"], c.get("rope_scaling")
    if kind == "gpt_oss" or kind == "olmo3" and not sliding:
        return Rotary(*yarn(theta, width, scaling))
    if kind == "gemma3_text" and sliding:
        theta = c["rope_local_base_freq"]
    freq = frequencies(theta, int(width * c.get("partial_rotary_factor", 1.0)))
    if kind == "gemma3_text" and not sliding and scaling:
        freq = freq / scaling["factor"]
    if kind == "phi3" and scaling:             # LongRoPE: two sets of factors, for short and for long prompts
        original = c["original_max_position_embeddings"]
        longer = c["max_position_embeddings"] / original
        factors = scaling["long_factor" if p.T > original else "short_factor"]
        return Rotary(freq / np.array(factors), math.sqrt(1 + math.log(longer) / math.log(original)) if longer > 1 else 1.0)
    return Rotary(freq)


def listed_experts(p, kind, name, x):
    """Experts with a tensor for each matrix; the shares of a row's experts."""
    part, (gate, up, down) = LISTED_EXPERTS[kind]
    out = np.zeros_like(x)
    for i, row in enumerate(x):
        logit = p.tensors[name + part + "gate.weight"] @ row
        share = np.exp(logit - logit.max())
        share /= share.sum()
        chosen = np.argsort(-logit)[:p.config["num_experts_per_tok"]]
        total = share[chosen].sum() if kind == "mixtral" or p.config.get("norm_topk_prob") else 1.0
        for e in chosen:
            g, u, w = (p.tensors[f"{name}{part}experts.{e}.{m}.weight"] for m in (gate, up, down))
            out[i] += share[e] / total * ((silu(g @ row) * (u @ row)) @ w.T)
    return out


def stacked_experts(p, name, x):
    """gpt-oss: one tensor for all experts, gate and up interleaved and clamped."""
    limit, out, t = p.config["swiglu_limit"], np.zeros_like(x), p.tensors
    for i, row in enumerate(x):
        logit = t[name + "router.weight"] @ row + t[name + "router.bias"]
        chosen = np.argsort(-logit)[:p.config["num_experts_per_tok"]]
        share = np.exp(logit[chosen] - logit[chosen].max())
        for e, s in zip(chosen, share / share.sum()):
            both = row @ t[name + "experts.gate_up_proj"][e] + t[name + "experts.gate_up_proj_bias"][e]
            gate, up = np.minimum(both[0::2], limit), np.clip(both[1::2], -limit, limit)
            hidden = (up + 1) * gate / (1 + np.exp(-1.702 * gate))
            out[i] += s * (hidden @ t[name + "experts.down_proj"][e] + t[name + "experts.down_proj_bias"][e])
    return out


def mlp_of(p, kind, name, x):
    act = gelu_tanh if kind.startswith("gemma") else silu
    if kind == "gpt_oss":
        return stacked_experts(p, name + "mlp.", x)
    if kind in LISTED_EXPERTS and name + LISTED_EXPERTS[kind][0] + "gate.weight" in p.tensors:
        return listed_experts(p, kind, name, x)
    if kind == "phi3":
        gate, up = np.split(p.tensors[name + "mlp.gate_up_proj.weight"], 2)
    else:
        gate, up = (p.tensors[name + f"mlp.{part}_proj.weight"] for part in ("gate", "up"))
    return (act(x @ gate.T) * (x @ up.T)) @ p.tensors[name + "mlp.down_proj.weight"].T


def score_scale(kind, config, width):
    if kind == "granite":
        return config["attention_multiplier"]
    return (config["query_pre_attn_scalar"] if kind in BOTH_NORMS else width) ** -0.5


def llama_like(p):
    c, kind = p.config, p.config["model_type"]
    gemma, eps, residual = kind.startswith("gemma"), c["rms_norm_eps"], c.get("residual_multiplier", 1.0)
    d, n_heads, groups = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
    width = c.get("head_dim") or d // n_heads
    cap = c.get("attn_logit_softcapping") if kind == "gemma2" else None

    def norm(x, name):
        return rms_norm(x, p.tensors[name + ".weight"] + (1.0 if gemma else 0.0), eps)

    x = p.tensors["model.embed_tokens.weight"][p.ids] * (math.sqrt(d) if gemma else c.get("embedding_multiplier", 1.0))
    for layer in range(c["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        at, sliding = name + "self_attn.", slides(kind, layer, c)
        rotary = rotary_of(p, kind, width, sliding)
        normed = x if kind in POST_NORM else norm(x, name + "input_layernorm")
        if kind == "phi3":
            q, k, v = np.split(normed @ p.tensors[at + "qkv_proj.weight"].T, [n_heads * width, (n_heads + groups) * width], -1)
        else:
            q, k, v = (p.linear(normed, at + f"{part}_proj") for part in "qkv")
        if kind in ("olmo2", "olmo3", "olmoe"):              # over the whole width
            q, k = norm(q, at + "q_norm"), norm(k, at + "k_norm")
        q, k, v = p.heads(q, n_heads), p.heads(k, groups), p.heads(v, groups)
        if kind in ("qwen3", "qwen3_moe", "gemma3_text"):    # over each head
            q, k = norm(q, at + "q_norm"), norm(k, at + "k_norm")
        if kind != "smollm3" or c["no_rope_layers"][layer]:
            q, k = rotate(q, rotary.freq, rotary.scale), rotate(k, rotary.freq, rotary.scale)
        window = c.get("sliding_window") if sliding else None
        context = attend(q, k, v, score_scale(kind, c, width), window, p.cell(layer), cap, p.tensors.get(at + "sinks"))
        a = p.linear(context.reshape(p.T, n_heads * width), at + "o_proj")
        if kind in POST_NORM + BOTH_NORMS:
            a = norm(a, name + "post_attention_layernorm")
        x = x + residual * p.attention_write(layer, a)
        before = "pre_feedforward_layernorm" if kind in BOTH_NORMS else "post_attention_layernorm"
        m = mlp_of(p, kind, name, x if kind in POST_NORM else norm(x, name + before))
        if kind in POST_NORM + BOTH_NORMS:
            m = norm(m, name + "post_feedforward_layernorm")
        x = x + residual * p.mlp_write(layer, m)
    tied = c.get("tie_word_embeddings", gemma or kind == "smollm3")
    head = p.tensors["model.embed_tokens.weight" if tied else "lm_head.weight"]
    logits = norm(x, "model.norm")[-1] @ head.T / c.get("logits_scaling", 1.0)
    cap = c.get("final_logit_softcapping")
    return cap * np.tanh(logits / cap) if cap else logits


# ---------------------------------------------------------------- the whole
OTHERS = {"gpt_neox": gpt_neox, "gptj": gptj, "opt": opt, "phi": phi}
FAMILIES = (*OTHERS, "gemma", "gemma2", "gemma3_text", "olmo2", "olmo3", "phi3", "granite", "smollm3", "qwen3", "mixtral",
            "qwen3_moe",
            "olmoe", "gpt_oss")


def read(folder):
    """config.json and the tensors of a checkpoint, by name, in float64."""
    config, tensors = json.load(open(f"{folder}/config.json")), {}
    if config["model_type"] not in FAMILIES:
        raise ValueError(f"{folder}: {config['model_type']} is none of {', '.join(FAMILIES)}")
    for file in sorted(glob.glob(f"{folder}/*.safetensors")):
        tensors |= load_file(file)
    for file in sorted(glob.glob(f"{folder}/*.bin")):
        tensors |= torch.load(file)
    return config, {name: t.double().numpy() for name, t in tensors.items() if t.dtype.is_floating_point}


def log_probs(checkpoint, ids, knockout=None):
    """Log-probabilities of the token after `ids`: [vocabulary].  checkpoint: of `read`; knockout: a knockout_oracle.Knockout."""
    logits = OTHERS.get(checkpoint[0]["model_type"], llama_like)(Pass(checkpoint, ids, knockout))
    shifted = logits - logits.max()
    return shifted - math.log(np.exp(shifted).sum())


def cells_of(model, prompt):
    """The clean run, and cells of every kind that a Transformer has, over windows inside the model."""
    from knockout_oracle import route_knockout

    yield None
    middle = range(model.n_layers // 3, model.n_layers // 3 + 2)
    for route in ("last<-subject", "later<-subject", "last<-all", "attention@last", "mlp@subject", "mixer@last"):
        for name in ("all", "after-softmax", "head:0"):
            cell = route_knockout(route, prompt, middle, name)
            if not model.vacuous(cell):
                yield cell


def main():
    from tokenizers import Tokenizer

    from knockout_oracle import OracleModel, read_prompt

    ap = argparse.ArgumentParser()
    ap.add_argument("facts"), ap.add_argument("checkpoints", nargs="+")
    ap.add_argument("--prompts", type=int, default=2)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    facts, bad = [json.loads(line) for line in open(a.facts)], False
    for folder in a.checkpoints:
        checkpoint, model, tokenizer = read(folder), OracleModel(folder), Tokenizer.from_file(f"{folder}/tokenizer.json")
        worst, n = 0.0, 0
        for fact in random.Random(a.seed).sample(facts, a.prompts):
            prompt = read_prompt(tokenizer, fact)
            for cell in cells_of(model, prompt):
                apart = np.abs(log_probs(checkpoint, prompt.ids, cell) - model.log_probs(prompt.ids, cell).numpy()).max()
                worst, n = max(worst, float(apart)) if apart == apart else math.inf, n + 1
        bad |= not worst <= TOLERANCE
        print(f"{folder}: {n} cells, largest difference {worst:.1e}", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main()
