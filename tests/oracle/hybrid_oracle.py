"""Slow, independent oracle for knockout experiments in models that mix attention with state-space or convolution layers.

Plain float64 torch, straight from config.json and the safetensors files of a checkpoint: no code of transformers.  Every
cell is one full forward pass with the edges removed from the materialised token-to-token matrix of each mixer, or with a
sublayer's or a head's output left out or replaced at some rows.  Nothing is cached, shared or batched.

    HybridModel(path).log_probs(ids, Knockout(...)) -> [V]

Families, by model_type: falcon_h1, nemotron_h, bamba, granitemoehybrid, jamba, zamba2, lfm2, qwen3_next, qwen3_5 (and
qwen3_5_text), recurrent_gemma, kimi_linear.

Usage as a program: hybrid_oracle.py CHECKPOINT_DIR ...    compares with transformers and checks the identities
"""
from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open

from knockout_oracle import Knockout, feature_mask
from replaced import part_of

Tensor = torch.Tensor


# ---------------------------------------------------------------- what a sublayer loses
@dataclass
class Sublayer:
    """One residual write.  kind: attention, ssm, conv or mlp."""
    kind: str
    run: object = None                   # (normed rows [T, d], Cut or None) -> [T, d], before the residual addition
    n_heads: int = 0                     # attention: query heads; Mamba-2, DeltaNet, KDA: heads; 0: no heads (Mamba-1, RG-LRU)
    a_log: Tensor | None = None          # Mamba-1 and Mamba-2 only: what the decay norm is made of
    reach: int = 1 << 30                 # sources further back than reach - 1 do not exist (convolution, sliding window)


@dataclass
class Cut:
    """What one sublayer loses in one cell."""
    gone: Tensor | None = None           # [T, T] bool, True where the edge is removed
    features: Tensor | None = None       # heads (channels of Mamba-1) whose edges are removed
    after_softmax: bool = False
    taps: bool = False                   # the removed edges' taps of the SSM's short convolution too
    rows: list = field(default_factory=list)
    head: int | None = None              # component cell of one head; None: the whole output
    value: object = 0.0                  # component cell: what stands at the rows, 0 or [rows, width]
    seen: dict | None = None             # nothing is cut, but the parts are put in here (`parts`)


def cut_of(k: Knockout, sub: Sublayer, layer: int, number: int, T: int) -> Cut | None:
    """What `sub`, the layer's sublayer `number`, loses in the cell `k`, or None if nothing: the cell does not name it, or it has
    no such edge or row, or nothing that could replace it."""
    if k is None or layer not in k.layers or (k.replaces and (not k.component or k.values is None)):
        return None
    name = k.part
    if k.component:
        named = k.component == sub.kind or (k.component == "mixer" and sub.kind != "mlp")
        if not named or not len(k.rows):
            return None
        if name == "all":
            return Cut(rows=list(k.rows), value=k.value(layer, number))
        prefix = {"attention": "head:", "ssm": "ssm-head:"}.get(k.component)
        if prefix and name.startswith(prefix) and int(name[len(prefix):]) < sub.n_heads:
            return Cut(rows=list(k.rows), head=int(name[len(prefix):]), value=k.value(layer, number))
        return None
    if sub.kind == "mlp":
        return None
    taps = name.endswith("+conv")
    name = name.removesuffix("+conv")
    thirds = name.endswith("-third") or name.startswith("random-third:")
    if taps and not (name in ("all", "ssm") or thirds):
        raise ValueError(f"no class {k.feature_class}")
    width = sub.n_heads or (sub.a_log.shape[0] if sub.a_log is not None else 1)
    features = torch.ones(width, dtype=torch.bool)
    after = False
    if name in ("attention", "ssm", "conv"):
        if name != sub.kind:
            return None
    elif name.startswith("head:") or name.startswith("ssm-head:"):
        kind, head = ("attention", int(name[5:])) if name.startswith("head:") else ("ssm", int(name[9:]))
        if kind != sub.kind or head >= sub.n_heads:
            return None
        features = torch.arange(width) == head
    elif name == "after-softmax":
        if sub.kind != "attention":
            return None
        after = True
    elif thirds:
        if sub.kind != "ssm" or sub.a_log is None:
            return None
        features = feature_mask(sub.a_log, name, layer)
    elif name != "all":
        raise ValueError(f"unknown feature class: {k.feature_class}")
    gone = torch.zeros(T, T, dtype=torch.bool)
    for i, j in k.edges:
        if 0 <= i - j < sub.reach:
            gone[i, j] = True
    if not gone.any() or not features.any():
        return None
    return Cut(gone=gone, features=features, after_softmax=after, taps=taps and sub.kind == "ssm")


# ---------------------------------------------------------------- pieces
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    y = x @ weight.T
    return y if bias is None else y + bias


def rms(x: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def group_rms(x: Tensor, weight: Tensor, groups: int, eps: float) -> Tensor:
    T, d = x.shape
    return rms(x.view(T, groups, d // groups), eps).reshape(T, d) * weight


def rotary(x: Tensor, theta: float, width: int) -> Tensor:
    """x: [T, heads, d].  The first `width` values of each head are rotated, halves paired (not interleaved)."""
    T = x.shape[0]
    freq = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(T, dtype=torch.float64)[:, None] * freq                    # [T, width/2]
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    a, b, rest = x[..., :width // 2], x[..., width // 2:width], x[..., width:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, cut: Cut | None, window: int | None = None) -> Tensor:
    """q: [T, H, d]; k, v: [T, G, d or dv] -> [T, H, dv].  A row that loses every source gives zeros."""
    T, H = q.shape[:2]
    k, v = (x.repeat_interleave(H // x.shape[1], 1) for x in (k, v))
    score = torch.einsum("ihd,jhd->hij", q, k) * scale
    seen = torch.ones(T, T, dtype=torch.bool).tril()
    if window:
        seen &= torch.ones(T, T, dtype=torch.bool).triu(1 - window)
    score = score.masked_fill(~seen, -math.inf)
    removed = cut.gone[None] & cut.features[:, None, None] if cut is not None and cut.gone is not None else None
    if removed is not None and not cut.after_softmax:
        score = score.masked_fill(removed, -math.inf)
    weight = torch.softmax(score, -1).nan_to_num(0.0)
    if removed is not None and cut.after_softmax:
        weight = weight.masked_fill(removed, 0.0)
    return torch.einsum("hij,jhd->ihd", weight, v)


def drop_head(heads: Tensor, cut: Cut | None) -> Tensor:
    """heads: [T, H, p], the input of the output projection -> [T, H p], one head's slice replaced at the cell's rows."""
    if cut is not None and cut.seen is not None:
        cut.seen["heads"] = heads
    if cut is not None and cut.head is not None:
        heads = heads.clone()
        heads[cut.rows, cut.head] = cut.value
    return heads.reshape(heads.shape[0], -1)


def causal_conv(x: Tensor, weight: Tensor, bias: Tensor | None, gone: Tensor | None, channels: Tensor | None) -> Tensor:
    """x: [T, C]; weight: [C, 1, K] -> [T, C].  Tap i - j of position i is 0 where gone[i, j], in `channels`."""
    T, K = x.shape[0], weight.shape[-1]
    out = torch.zeros_like(x)
    for i in range(T):
        for j in range(max(0, i - K + 1), i + 1):
            tap = weight[:, 0, K - 1 - (i - j)] * x[j]
            if gone is not None and gone[i, j]:
                tap = torch.where(channels, torch.zeros_like(tap), tap)
            out[i] += tap
    return out if bias is None else out + bias


def tri(T: int) -> Tensor:
    return torch.ones(T, T, dtype=torch.float64).tril()


# ---------------------------------------------------------------- state-space mixers: the token-to-token matrices
def mamba1_alpha(delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """delta: [T, c]; A: [c, n]; B, C: [T, n] -> [T, T, c]."""
    T = delta.shape[0]
    cum = torch.cumsum(delta, 0)
    span = (cum[:, None] - cum[None]).clamp_min(0.0)
    alpha = torch.einsum("in,ijcn,jn->ijc", C, torch.exp(span[..., None] * A), B) * delta[None]
    return alpha * tri(T)[..., None]


def mamba2_alpha(delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """delta: [T, H]; A: [H]; B, C: [T, G, n] -> [T, T, H]."""
    T, H = delta.shape
    cum = torch.cumsum(delta, 0)
    decay = torch.exp((cum[:, None] - cum[None]).clamp_min(0.0) * A)
    score = torch.einsum("ign,jgn->ijg", C, B).repeat_interleave(H // B.shape[1], -1)
    return score * decay * delta[None] * tri(T)[..., None]


def delta_weights(q: Tensor, k: Tensor, beta: Tensor, g: Tensor) -> Tensor:
    """The exact edge weights of the gated delta rule, by materialised products of its transition matrices.

    q, k: [T, H, d]; beta: [T, H]; g: [T, H], or [T, H, d] for a decay of every key channel (KDA); both decays as factors.
    w_ij = beta_j k_j^T [prod_{s = j+1 .. i} M_s] q_i, the product in increasing s, M_s = D_s (I - beta_s k_s k_s^T) with
    D_s the decay.  (S_s = (I - beta k k^T) D S_{s-1} + beta k v^T; o_i = S_i^T q_i.)  -> [T, T, H]
    """
    T, H, d = q.shape
    if g.dim() == 2:
        g = g[..., None].expand(T, H, d)
    eye = torch.eye(d, dtype=torch.float64)
    w = torch.zeros(T, T, H, dtype=torch.float64)
    P = eye.expand(T, H, d, d).clone()                       # P[j]: the product from j+1 to i
    for i in range(T):
        M = g[i][:, :, None] * (eye - beta[i][:, None, None] * k[i][:, :, None] * k[i][:, None, :])
        if i:
            P[:i] = P[:i] @ M
        w[i, :i + 1] = torch.einsum("jh,jhd,jhde,he->jh", beta[:i + 1], k[:i + 1], P[:i + 1], q[i])
    return w


def delta_second_state(q, k, v, beta, g, gone, heads):
    """The same outputs by recurrences: a state, and for each target a second one in which its removed sources write
    nothing but still erase and decay.  -> [T, H, dv]"""
    T, H, d = q.shape
    if g.dim() == 2:
        g = g[..., None].expand(T, H, d)
    out = torch.zeros(T, H, v.shape[-1], dtype=torch.float64)
    for i in range(T):
        for h in range(H):
            S = torch.zeros(d, v.shape[-1], dtype=torch.float64)
            for s in range(i + 1):
                S = g[s, h][:, None] * S
                value = v[s, h] if not (gone is not None and gone[i, s] and heads[h]) else torch.zeros_like(v[s, h])
                S = S + beta[s, h] * k[s, h][:, None] * (value - S.T @ k[s, h])[None]
            out[i, h] = S.T @ q[i, h]
    return out


def mamba2_second_state(u, delta, A, B, C, gone, heads):
    """y without the D skip, token by token: u: [T, H, p] -> [T, H, p]."""
    T, H, p = u.shape
    per = H // B.shape[1]
    out = torch.zeros_like(u)
    for h in range(H):
        S = torch.zeros(p, B.shape[-1], dtype=torch.float64)
        for i in range(T):
            S = torch.exp(delta[i, h] * A[h]) * S + delta[i, h] * u[i, h][:, None] * B[i, h // per][None]
            out[i, h] = S @ C[i, h // per]
            if gone is not None and heads[h]:
                R = torch.zeros_like(S)                      # what the removed sources wrote
                for s in range(i + 1):
                    R = torch.exp(delta[s, h] * A[h]) * R
                    if gone[i, s]:
                        R = R + delta[s, h] * u[s, h][:, None] * B[s, h // per][None]
                out[i, h] -= R @ C[i, h // per]
    return out


def mamba1_second_state(u, delta, A, B, C, gone, channels):
    """y without the D skip, token by token: u, delta: [T, c] -> [T, c]."""
    out = torch.zeros_like(u)
    for i in range(u.shape[0]):
        S, R = torch.zeros_like(A), torch.zeros_like(A)      # all that was written; what the removed sources wrote
        for s in range(i + 1):
            decay, write = torch.exp(delta[s][:, None] * A), (delta[s] * u[s])[:, None] * B[s][None]
            S = decay * S + write
            R = decay * R + (write if gone is not None and gone[i, s] else 0.0)
        out[i] = S @ C[i] - (torch.where(channels, R @ C[i], torch.zeros_like(u[i])) if gone is not None else 0.0)
    return out


def without(alpha: Tensor, cut: Cut | None) -> Tensor:
    """alpha: [T, T, features], 0 at the removed edges of the cut's features."""
    if cut is None or cut.gone is None:
        return alpha
    return alpha.masked_fill(cut.gone[..., None] & cut.features, 0.0)


# ---------------------------------------------------------------- the model
def real(x):
    """A number of config.json; transformers 5 writes infinity as {"__float__": "Infinity"}, older ones as Infinity."""
    return float(x["__float__"]) if isinstance(x, dict) else float(x)


class HybridModel:
    def __init__(self, path: str):
        path = Path(path)
        self.path = path
        whole = json.loads((path / "config.json").read_text())
        self.kind = whole["model_type"]
        self.config = whole.get("text_config") or whole
        c = self.config
        self.tensors: dict[str, Tensor] = {}
        for file in sorted(path.glob("*.safetensors")):
            with safe_open(file, "pt") as f:
                for name in f.keys():
                    self.tensors[name] = f.get_tensor(name).double()
        family = {"qwen3_5_text": "qwen3_5", "qwen3_5": "qwen3_5"}.get(self.kind, self.kind)
        self.router_gap = None                               # mixtures of experts: see chosen()
        self.seen = None                                     # while parts() runs
        self.record = None                                   # a list that the mixers' inputs are put in, for the checks
        self.x0 = None
        self.layers: list[list] = []                         # a layer: steps; a step: (norm, [Sublayer, ...], scale)
        self.embed_scale, self.logit_scale, self.soft_cap = 1.0, 1.0, None
        self.tied = bool(whole.get("tie_word_embeddings", c.get("tie_word_embeddings", False)))
        getattr(self, "_" + family)(c)
        tie = self.head_name not in self.tensors or self.tied
        self.unembedding = self.tensors[self.embed_name if tie else self.head_name]

    # ------------------------------------------------------------ reading
    def get(self, name: str) -> Tensor:
        return self.tensors[name]

    def lin(self, name: str):
        w, b = self.tensors[name + ".weight"], self.tensors.get(name + ".bias")
        return lambda x: linear(x, w, b)

    def norm(self, name: str, eps: float, plus_one: bool = False):
        w = self.tensors[name + ".weight"] + (1.0 if plus_one else 0.0)
        return lambda x: rms(x, eps) * w

    @staticmethod
    def rope_theta(c: dict, default: float = 10000.0) -> float:
        p = c.get("rope_parameters") or {}
        scaling = c.get("rope_scaling") or {}
        kind = p.get("rope_type", scaling.get("rope_type", scaling.get("type", "default")))
        if kind != "default":
            raise ValueError(f"rope type {kind}")
        return float(p.get("rope_theta", c.get("rope_theta", default)))

    # ------------------------------------------------------------ shape of the model
    @property
    def n_layers(self) -> int:
        return len(self.layers)

    @property
    def layer_kinds(self) -> list[list[str]]:
        return [[s.kind for s in self._subs(l)] for l in range(self.n_layers)]

    def _subs(self, layer: int) -> list[Sublayer]:
        return [s for step in self.layers[layer] for s in step[1]]

    def n_heads(self, component: str) -> int:
        """How many heads head:K ("attention") or ssm-head:K ("ssm") can name."""
        return max((s.n_heads for l in range(self.n_layers) for s in self._subs(l) if s.kind == component), default=0)

    def vacuous(self, k: Knockout, T: int) -> bool:
        """No sublayer in the window has an edge or a row that the class names."""
        return all(cut_of(k, s, l, n, T) is None for l in range(self.n_layers) for n, s in enumerate(self._subs(l)))

    def cut(self, cells: tuple, sub: Sublayer, layer: int, number: int, T: int) -> Cut | None:
        """What a sublayer loses in one of the cells; while parts() runs, where it puts its parts."""
        if self.seen is not None:
            return Cut(seen=self.seen.setdefault((layer, number), {}))
        cuts = [c for k in cells if (c := cut_of(k, sub, layer, number, T)) is not None]
        assert len(cuts) < 2
        return cuts[0] if cuts else None

    # ------------------------------------------------------------ the forward pass
    @torch.no_grad()
    def hidden(self, ids: list[int], knockout=None) -> Tensor:
        """Rows after the last layer, before the final norm.  knockout: one cell, or a tuple of cells whose cuts are joined
        (used by the checks alone; no sublayer may be cut by two)."""
        cells = knockout if isinstance(knockout, tuple) else (knockout,)
        if self.router_gap is not None:
            self.router_gap = math.inf
        T = len(ids)
        x = self.get(self.embed_name)[torch.tensor(ids)] * self.embed_scale
        self.x0 = x
        for l, steps in enumerate(self.layers):
            first = 0                                        # sublayers of the steps before
            for norm, subs, scale in steps:
                cuts = [self.cut(cells, sub, l, first + k, T) for k, sub in enumerate(subs)]
                first += len(subs)
                if callable(subs[0].run):
                    n = norm(x)
                    total = torch.zeros_like(x)
                    for sub, cut in zip(subs, cuts):
                        total = total + self.leave_out(sub.run(n, cut), cut)
                    x = x + scale * total
                else:                                        # Zamba2's hybrid layer
                    x = norm(x, cuts)
        return x

    def parts(self, ids: list[int]) -> dict:
        """Of the clean run, for each (layer, sublayer): "whole", [T, d], what it adds to the residual stream (but for the factor
        of all sublayers of its step; in Zamba2's block, what it hands on); of mixers with heads "heads", [T, H, width], the
        input of the output projection."""
        self.seen = {}
        self.hidden(ids)
        seen, self.seen = self.seen, None
        return seen

    @staticmethod
    def leave_out(y: Tensor, cut: Cut | None) -> Tensor:
        """A sublayer's output, replaced (by zero or otherwise) at the rows of a component cell of the whole sublayer."""
        if cut is not None and cut.seen is not None:
            cut.seen["whole"] = y
        if cut is not None and cut.rows and cut.head is None:
            y = y.clone()
            y[cut.rows] = cut.value
        return y

    @torch.no_grad()
    def log_probs(self, ids: list[int], knockout=None) -> Tensor:
        """Log-probabilities of the next token after `ids`: [V] float64."""
        h = self.final_norm(self.hidden(ids, knockout)[-1])
        logits = (self.unembedding @ h) * self.logit_scale
        if self.soft_cap:
            logits = self.soft_cap * torch.tanh(logits / self.soft_cap)
        return torch.log_softmax(logits, -1)

    # ------------------------------------------------------------ sublayers
    def attention(self, p: str, heads: int, kv: int, d: int, scale=None, theta=None, width=None, key_scale=1.0, in_scale=1.0,
                  out_scale=1.0, out="o_proj", norms=None, gated=False, window=None) -> Sublayer:
        """norms: (q norm, k norm) over each head's values, before the rotation.  gated: q_proj gives [query | gate] a head."""
        q_, k_, v_, o_ = (self.lin(f"{p}.{n}") for n in ("q_proj", "k_proj", "v_proj", out))
        scale = d ** -0.5 if scale is None else scale
        assert self.get(f"{p}.k_proj.weight").shape[0] == kv * d, (p, kv, d)

        def run(n, cut):
            T = n.shape[0]
            n = n * in_scale
            q, gate = q_(n), None
            if gated:
                q, gate = q.view(T, heads, 2 * d).split(d, -1)
            q, k, v = q.reshape(T, heads, d), k_(n).view(T, kv, d) * key_scale, v_(n).view(T, kv, d)
            if norms:
                q, k = norms[0](q), norms[1](k)
            if theta:
                q, k = rotary(q, theta, width or d), rotary(k, theta, width or d)
            context = attend(q, k, v, scale, cut, window)
            if self.record is not None:
                self.record.append(("attention", context))
            if gated:
                context = context * torch.sigmoid(gate)
            return o_(drop_head(context, cut)) * out_scale

        return Sublayer("attention", run, n_heads=heads, reach=window or 1 << 30)

    def mamba2(self, p: str, H: int, P: int, N: int, G: int, limit, norm=None, in_scale=1.0, out_scale=1.0, mup=None) -> Sublayer:
        """norm: None (gate only) or (eps, norm before gate): one norm a group.  mup: factors of the [z | x | B | C | dt] rows."""
        in_, out_ = self.lin(f"{p}.in_proj"), self.lin(f"{p}.out_proj")
        conv_w, conv_b = self.get(f"{p}.conv1d.weight"), self.tensors.get(f"{p}.conv1d.bias")
        a_log, D, dt_bias = (self.get(f"{p}.{n}") for n in ("A_log", "D", "dt_bias"))
        inner, lo, hi = H * P, *limit
        sizes = [inner, inner, G * N, G * N, H]
        mup = torch.cat([torch.full((s,), float(m), dtype=torch.float64) for s, m in zip(sizes, mup or [1.0] * 5)])
        weight = self.get(f"{p}.norm.weight") if norm else None
        assert a_log.shape == (H,) and conv_w.shape[0] == inner + 2 * G * N

        def run(n, cut):
            T = n.shape[0]
            z, xBC, dt = torch.split(in_(n * in_scale) * mup, [inner, inner + 2 * G * N, H], -1)
            gone = cut.gone if cut is not None and cut.taps else None
            channels = torch.cat([cut.features.repeat_interleave(P),
                                  cut.features.all().expand(2 * G * N)]) if gone is not None else None
            u, B, C = torch.split(F.silu(causal_conv(xBC, conv_w, conv_b, gone, channels)), [inner, G * N, G * N], -1)
            u, B, C = u.view(T, H, P), B.view(T, G, N), C.view(T, G, N)
            delta = F.softplus(dt + dt_bias).clamp(lo, hi)
            A = -torch.exp(a_log)
            y = torch.einsum("ijh,jhp->ihp", without(mamba2_alpha(delta, A, B, C), cut), u)
            if self.record is not None:
                self.record.append(("mamba2", (y, u, delta, A, B, C, cut)))
            y = (y + u * D[:, None]).reshape(T, inner)
            if norm is None:
                y = y * F.silu(z)
            elif norm[1]:
                y = group_rms(y, weight, G, norm[0]) * F.silu(z)
            else:
                y = group_rms(y * F.silu(z), weight, G, norm[0])
            return out_(drop_head(y.view(T, H, P), cut)) * out_scale

        return Sublayer("ssm", run, n_heads=H, a_log=a_log)

    def mamba1(self, p: str, inner: int, N: int, R: int, eps: float) -> Sublayer:
        """Jamba's: weighted norms on dt's input, B and C."""
        in_, x_, dt_, out_ = (self.lin(f"{p}.{n}") for n in ("in_proj", "x_proj", "dt_proj", "out_proj"))
        conv_w, conv_b = self.get(f"{p}.conv1d.weight"), self.tensors.get(f"{p}.conv1d.bias")
        dt_n, b_n, c_n = (self.norm(f"{p}.{n}_layernorm", eps) for n in "dt b c".split())
        a_log, D = self.get(f"{p}.A_log"), self.get(f"{p}.D")
        assert a_log.shape == (inner, N)

        def run(n, cut):
            u, z = in_(n).chunk(2, -1)
            taps = cut is not None and cut.taps
            u = F.silu(causal_conv(u, conv_w, conv_b, cut.gone if taps else None, cut.features if taps else None))
            dt, B, C = torch.split(x_(u), [R, N, N], -1)
            delta, B, C = F.softplus(dt_(dt_n(dt))), b_n(B), c_n(C)
            y = torch.einsum("ijc,jc->ic", without(mamba1_alpha(delta, -torch.exp(a_log), B, C), cut), u)
            if self.record is not None:
                self.record.append(("mamba1", (y, u, delta, -torch.exp(a_log), B, C, cut)))
            return out_((y + u * D) * F.silu(z))

        return Sublayer("ssm", run, a_log=a_log)

    def delta_net(self, p: str, HK: int, HV: int, dk: int, dv: int, eps: float, fused: bool) -> Sublayer:
        """fused: Qwen3-Next's in_proj_qkvz and in_proj_ba, laid out by key heads; otherwise Qwen3.5's four projections."""
        r = HV // HK
        out_, conv_w, conv_b = self.lin(f"{p}.out_proj"), self.get(f"{p}.conv1d.weight"), self.tensors.get(f"{p}.conv1d.bias")
        a_log, dt_bias, weight = self.get(f"{p}.A_log"), self.get(f"{p}.dt_bias"), self.get(f"{p}.norm.weight")
        if fused:
            qkvz_, ba_ = self.lin(f"{p}.in_proj_qkvz"), self.lin(f"{p}.in_proj_ba")
        else:
            qkv_, z_, b_, a_ = (self.lin(f"{p}.in_proj_{n}") for n in ("qkv", "z", "b", "a"))

        def run(n, cut):
            T = n.shape[0]
            if fused:
                q, k, v, z = torch.split(qkvz_(n).view(T, HK, -1), [dk, dk, r * dv, r * dv], -1)
                b, a = (x.reshape(T, HV) for x in torch.split(ba_(n).view(T, HK, 2 * r), [r, r], -1))
                qkv = torch.cat([x.reshape(T, -1) for x in (q, k, v)], -1)
                z = z.reshape(T, HV, dv)
            else:
                qkv, z, b, a = qkv_(n), z_(n).view(T, HV, dv), b_(n), a_(n)
            gone = cut.gone if cut is not None and cut.taps else None
            every = torch.ones(qkv.shape[-1], dtype=torch.bool)
            q, k, v = torch.split(F.silu(causal_conv(qkv, conv_w, conv_b, gone, every)), [HK * dk, HK * dk, HV * dv], -1)
            q, k = (x.view(T, HK, dk).repeat_interleave(r, 1) for x in (q, k))
            v = v.view(T, HV, dv)
            q, k = (x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + 1e-6) for x in (q, k))
            q = q * dk ** -0.5
            beta, g = torch.sigmoid(b), torch.exp(-torch.exp(a_log) * F.softplus(a + dt_bias))
            o = torch.einsum("ijh,jhd->ihd", without(delta_weights(q, k, beta, g), cut), v)
            if self.record is not None:
                self.record.append(("delta", (o, q, k, v, beta, g, cut)))
            o = rms(o, eps) * weight * F.silu(z)
            return out_(drop_head(o, cut))

        return Sublayer("ssm", run, n_heads=HV)

    def gated_mlp(self, p: str, act=F.silu, names=("gate_proj", "up_proj", "down_proj"), gate_scale=1.0, down_scale=1.0):
        g_, u_, d_ = (self.lin(f"{p}.{n}") for n in names)
        return lambda n, cut=None: d_(u_(n) * act(g_(n) * gate_scale)) * down_scale

    def chosen(self, score: Tensor, K: int) -> Tensor:
        """The K highest, and `router_gap`: the smallest distance in the last forward of one that is chosen to one that is not."""
        top = score.topk(min(K + 1, score.numel()))
        if len(top.values) > K:
            self.router_gap = min(self.router_gap, (top.values[K - 1] - top.values[K]).item())
        return top.indices[:K]

    def route(self, n: Tensor, weight: Tensor, choose, expert) -> Tensor:
        """Mixture of experts, row by row.  choose: router logits [E] -> (expert ids, weights)."""
        out = torch.zeros_like(n)
        for t in range(n.shape[0]):
            for e, w in zip(*choose(weight @ n[t])):
                out[t] += w * expert(int(e), n[t])
        return out

    # ------------------------------------------------------------ families
    def _falcon_h1(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        eps, heads = c["rms_norm_eps"], c["num_attention_heads"]
        d = c.get("head_dim") or c["hidden_size"] // heads
        inner = c.get("mamba_d_ssm")
        inner = inner if inner is not None else c.get("mamba_expand", 2) * c["hidden_size"]
        H, mlp_m = c["mamba_n_heads"], c.get("mlp_multipliers") or [1.0, 1.0]
        norm = (eps, c.get("mamba_norm_before_gate", True)) if c.get("mamba_rms_norm", False) else None
        limit = [real(x) for x in c.get("time_step_limit") or (0.0, math.inf)]
        self.embed_scale, self.logit_scale = c.get("embedding_multiplier", 1.0), c.get("lm_head_multiplier", 1.0)
        for l in range(c["num_hidden_layers"]):
            p = f"model.layers.{l}."
            attn = self.attention(p + "self_attn", heads, c.get("num_key_value_heads") or heads, d, theta=self.rope_theta(c),
                                  key_scale=c.get("key_multiplier", 1.0), in_scale=c.get("attention_in_multiplier", 1.0),
                                  out_scale=c.get("attention_out_multiplier", 1.0))
            ssm = self.mamba2(p + "mamba", H, inner // H, c["mamba_d_state"], c.get("mamba_n_groups", 1), limit, norm,
                              in_scale=c.get("ssm_in_multiplier", 1.0), out_scale=c.get("ssm_out_multiplier", 1.0),
                              mup=c.get("ssm_multipliers"))
            mlp = Sublayer("mlp", self.gated_mlp(p + "feed_forward", gate_scale=mlp_m[0], down_scale=mlp_m[1]))
            self.layers.append([(self.norm(p + "input_layernorm", eps), [attn, ssm], 1.0),
                                (self.norm(p + "pre_ff_layernorm", eps), [mlp], 1.0)])
        self.final_norm = self.norm("model.final_layernorm", eps)

    def _nemotron_h(self, c):
        base = "backbone." if "backbone.embeddings.weight" in self.tensors else "model."
        self.embed_name, self.head_name = base + "embeddings.weight", "lm_head.weight"
        self.tied = bool(c.get("tie_word_embeddings", False)) and "lm_head.weight" not in self.tensors
        eps, heads = c.get("layer_norm_epsilon", 1e-5), c["num_attention_heads"]
        d = c.get("head_dim") or c.get("attention_head_dim") or 128
        types = c.get("layers_block_type") or [{"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}[x]
                                               for x in c["hybrid_override_pattern"]]
        limit = [real(x) for x in c.get("time_step_limit") or (0.0, math.inf)]      # not time_step_min: see the report
        for l, kind in enumerate(types):
            p = f"{base}layers.{l}.mixer"
            if kind in ("mamba", "linear_attention"):
                sub = self.mamba2(p, c["mamba_num_heads"], c["mamba_head_dim"], c["ssm_state_size"], c["n_groups"], limit,
                                  (eps, False))
            elif kind in ("attention", "full_attention"):
                sub = self.attention(p, heads, c.get("num_key_value_heads") or heads, d)
            elif kind == "mlp":
                sub = Sublayer("mlp", self.relu2_mlp(p))
            else:
                sub = Sublayer("mlp", self._nemotron_moe(p, c))
            self.layers.append([(self.norm(f"{base}layers.{l}.norm", eps), [sub], 1.0)])
        self.final_norm = self.norm(base + "norm_f", eps)

    def relu2_mlp(self, p):
        up, down = self.lin(p + ".up_proj"), self.lin(p + ".down_proj")
        return lambda n, cut=None: down(torch.relu(up(n)) ** 2)

    def _nemotron_moe(self, p, c):
        E, K, G, top_g = c["n_routed_experts"], c["num_experts_per_tok"], c.get("n_group", 1), c.get("topk_group", 1)
        router, bias = self.get(p + ".gate.weight"), self.get(p + ".gate.e_score_correction_bias")
        experts, shared = [self.relu2_mlp(f"{p}.experts.{e}") for e in range(E)], self.relu2_mlp(p + ".shared_experts")
        choose = self.sigmoid_choice(bias, E, K, G, top_g, c.get("norm_topk_prob", True), c.get("routed_scaling_factor", 1.0))
        fc1, fc2 = (self.lin(f"{p}.{n}") if f"{p}.{n}.weight" in self.tensors else (lambda x: x) for n in ("fc1_latent_proj",
            "fc2_latent_proj"))

        def run(n, cut=None):
            rows = []
            for t in range(n.shape[0]):
                latent = fc1(n[t])
                rows.append(fc2(sum(w * experts[int(e)](latent) for e, w in zip(*choose(router @ n[t])))))
            return torch.stack(rows) + shared(n)

        return run

    def _bamba(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        eps, heads = c["rms_norm_eps"], c["num_attention_heads"]
        d = c["hidden_size"] // heads
        H = c["mamba_n_heads"]
        limit = [real(x) for x in c.get("time_step_limit") or (0.0, math.inf)]
        for l in range(c["num_hidden_layers"]):
            p = f"model.layers.{l}."
            if l in (c.get("attn_layer_indices") or []):
                mixer = self.attention(p + "self_attn", heads, c.get("num_key_value_heads") or heads, d,
                                       theta=self.rope_theta(c), width=d // 2)
            else:
                mixer = self.mamba2(p + "mamba", H, c.get("mamba_expand", 2) * c["hidden_size"] // H, c["mamba_d_state"],
                                    c.get("mamba_n_groups", 1), limit, (eps, False))
            self.layers.append([(self.norm(p + "input_layernorm", eps), [mixer], 1.0),
                                (self.norm(p + "pre_ff_layernorm", eps), [Sublayer("mlp", self.gated_mlp(p + "feed_forward"))],
                                 1.0)])
        self.final_norm = self.norm("model.final_layernorm", eps)

    def _granitemoehybrid(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        eps, heads, scale = c["rms_norm_eps"], c["num_attention_heads"], c.get("residual_multiplier", 1.0)
        d, H = c["hidden_size"] // heads, c["mamba_n_heads"]
        limit = [real(x) for x in c.get("time_step_limit") or (0.0, math.inf)]
        self.embed_scale, self.logit_scale = c.get("embedding_multiplier", 1.0), 1.0 / c.get("logits_scaling", 1.0)
        theta = self.rope_theta(c) if c.get("position_embedding_type") == "rope" else None
        for l, kind in enumerate(c["layer_types"]):
            p = f"model.layers.{l}."
            if kind in ("attention", "full_attention"):
                mixer = self.attention(p + "self_attn", heads, c.get("num_key_value_heads") or heads, d,
                                       scale=c.get("attention_multiplier", 1.0), theta=theta)
            else:
                mixer = self.mamba2(p + "mamba", H, c.get("mamba_expand", 2) * c["hidden_size"] // H, c["mamba_d_state"],
                                    c.get("mamba_n_groups", 1), limit, (eps, False))
            self.layers.append([(self.norm(p + "input_layernorm", eps), [mixer], scale),
                                (self.norm(p + "post_attention_layernorm", eps), [Sublayer("mlp", self._granite_mlp(p, c))],
                                 scale)])
        self.final_norm = self.norm("model.norm", eps)

    def _granite_mlp(self, p, c):
        def glu(w_in, w_out):
            def run(n):
                gate, up = (n @ w_in.T).chunk(2, -1)
                return (F.silu(gate) * up) @ w_out.T
            return run

        shared = glu(self.get(p + "shared_mlp.input_linear.weight"), self.get(p + "shared_mlp.output_linear.weight"))
        if not c.get("num_local_experts", 8):
            return lambda n, cut=None: shared(n)
        m = p + "block_sparse_moe."
        w_in, w_out = self.get(m + "input_linear.weight"), self.get(m + "output_linear.weight")
        experts = [glu(w_in[e], w_out[e]) for e in range(w_in.shape[0])]
        router, K = self.get(m + "router.layer.weight"), c["num_experts_per_tok"]

        self.router_gap = math.inf

        def choose(logits):                                  # softmax over the chosen ones alone
            pick = self.chosen(logits, K)
            return pick, torch.softmax(logits[pick], -1)

        return lambda n, cut=None: shared(n) + self.route(n, router, choose, lambda e, x: experts[e](x))

    def _jamba(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        eps, heads, width = c.get("rms_norm_eps", 1e-6), c["num_attention_heads"], c["hidden_size"]
        R = c.get("mamba_dt_rank", "auto")
        R = -(-width // 16) if R == "auto" else R
        for l in range(c["num_hidden_layers"]):
            p = f"model.layers.{l}."
            if l % c["attn_layer_period"] == c["attn_layer_offset"]:
                mixer = self.attention(p + "self_attn", heads, c.get("num_key_value_heads") or heads, width // heads)
            else:
                mixer = self.mamba1(p + "mamba", c.get("mamba_expand", 2) * width, c["mamba_d_state"], R, eps)
            moe = c.get("num_experts", 16) > 1 and l % c["expert_layer_period"] == c["expert_layer_offset"]
            mlp = self._jamba_moe(p + "feed_forward", c) if moe else self.gated_mlp(p + "feed_forward")
            self.layers.append([(self.norm(p + "input_layernorm", eps), [mixer], 1.0),
                                (self.norm(p + "pre_ff_layernorm", eps), [Sublayer("mlp", mlp)], 1.0)])
        self.final_norm = self.norm("model.final_layernorm", eps)

    def _jamba_moe(self, p, c):
        experts = [self.gated_mlp(f"{p}.experts.{e}") for e in range(c["num_experts"])]
        router = self.get(p + ".router.weight")

        self.router_gap = math.inf

        def choose(logits):                                  # softmax over all; the chosen ones' weights are not renormalised
            pick = self.chosen(logits, c["num_experts_per_tok"])
            return pick, torch.softmax(logits, -1)[pick]

        return lambda n, cut=None: self.route(n, router, choose, lambda e, x: experts[e](x))

    def _zamba2(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        self.tied = bool(c.get("tie_word_embeddings", True))
        eps, width, heads = c.get("rms_norm_eps", 1e-5), c["hidden_size"], c["num_attention_heads"]
        d = 2 * width // heads
        H, G = c["n_mamba_heads"], c.get("mamba_ngroups", 1)
        limit = [real(x) for x in c.get("time_step_limit") or (0.0, math.inf)]      # not time_step_min: see the report
        if c.get("use_long_context"):
            raise ValueError("use_long_context")
        theta = self.rope_theta(c) if c.get("use_mem_rope") else None
        hybrid = [l for l, t in enumerate(c["layers_block_type"]) if t == "hybrid"]
        blocks, act = c.get("num_mem_blocks", 1), {"gelu": F.gelu, "silu": F.silu}[c.get("hidden_act", "gelu")]
        for l, kind in enumerate(c["layers_block_type"]):
            p = f"model.layers.{l}." + ("mamba_decoder." if kind == "hybrid" else "")
            ssm = self.mamba2(p + "mamba", H, c.get("mamba_expand", 2) * width // H, c["mamba_d_state"], G, limit, (1e-5, False))
            norm = self.norm(p + "input_layernorm", eps)
            if kind == "hybrid":
                h = hybrid.index(l)
                source = f"model.layers.{hybrid[h % blocks]}.shared_transformer."     # stored once, where the block first occurs
                attn, mlp = self._zamba2_attention(source, h, heads, c.get("num_key_value_heads") or heads, d, theta,
                                                   c), self._zamba2_mlp(source, h, act)
                first, second = self.norm(source + "input_layernorm", eps), self.norm(source + "pre_ff_layernorm", eps)
                out = self.lin(f"model.layers.{l}.linear")

                def step(x, cuts, attn=attn, mlp=mlp, ssm=ssm, norm=norm, first=first, second=second, out=out):
                    a = self.leave_out(attn(first(torch.cat([x, self.x0], -1)), cuts[0]), cuts[0])
                    m = self.leave_out(mlp(second(a)), cuts[1])                       # no residual inside the block
                    return x + self.leave_out(ssm.run(norm(x + out(m)), cuts[2]), cuts[2])

                self.layers.append([(step, [Sublayer("attention", None, n_heads=heads), Sublayer("mlp"),
                                            Sublayer("ssm", None, n_heads=H, a_log=ssm.a_log)], 1.0)])
            else:
                self.layers.append([(norm, [ssm], 1.0)])
        self.final_norm = self.norm("model.final_layernorm", eps)

    def _zamba2_attention(self, p, h, heads, kv, d, theta, c):
        q_, k_, v_, o_ = (self.lin(f"{p}self_attn.{n}_proj") for n in "qkvo")
        low = None
        if c.get("use_shared_attention_adapter"):
            low = [(self.get(f"{p}self_attn.linear_{n}_adapter_list.{h}.0.weight"),
                    self.get(f"{p}self_attn.linear_{n}_adapter_list.{h}.1.weight"))
                   for n in "qkv"]

        def run(n, cut):
            T = n.shape[0]
            q, k, v = q_(n), k_(n), v_(n)
            if low:
                q, k, v = (x + n @ a.T @ b.T for x, (a, b) in zip((q, k, v), low))
            q, k, v = q.view(T, heads, d), k.view(T, kv, d), v.view(T, kv, d)
            if theta:
                q, k = rotary(q, theta, d), rotary(k, theta, d)
            context = attend(q, k, v, (d / 2) ** -0.5, cut)
            if self.record is not None:
                self.record.append(("attention", context))
            return o_(drop_head(context, cut))

        return run

    def _zamba2_mlp(self, p, h, act):
        gu, down = self.lin(p + "feed_forward.gate_up_proj"), self.lin(p + "feed_forward.down_proj")
        a, b = (self.get(f"{p}feed_forward.gate_up_proj_adapter_list.{h}.{i}.weight") for i in (0, 1))

        def run(n):
            gate, up = (gu(n) + n @ a.T @ b.T).chunk(2, -1)
            return down(act(gate) * up)

        return run

    def _lfm2(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        self.tied = bool(c.get("tie_embedding", c.get("tie_word_embeddings", True)))
        eps, heads, width = c.get("norm_eps", 1e-5), c["num_attention_heads"], c["hidden_size"]
        L, d = c["num_hidden_layers"], width // heads
        if c.get("layer_types"):
            types = ["attention" if t == "full_attention" else "conv" for t in c["layer_types"]]
        else:
            full = c.get("full_attn_idxs")
            types = ["attention" if l in (full if full is not None else range(L)) else "conv" for l in range(L)]
        for l, kind in enumerate(types):
            p = f"model.layers.{l}."
            if kind == "attention":
                norms = self.norm(p + "self_attn.q_layernorm", eps), self.norm(p + "self_attn.k_layernorm", eps)
                mixer = self.attention(p + "self_attn", heads, c["num_key_value_heads"], d, theta=self.rope_theta(c, 1e6),
                                       out="out_proj", norms=norms)
            else:
                mixer = self.short_conv(p + "conv")
            mlp = self.gated_mlp(p + "feed_forward", names=("w1", "w3", "w2"))
            self.layers.append([(self.norm(p + "operator_norm", eps), [mixer], 1.0),
                                (self.norm(p + "ffn_norm", eps), [Sublayer("mlp", mlp)], 1.0)])
        self.final_norm = self.norm("model.embedding_norm", eps)

    def short_conv(self, p: str) -> Sublayer:
        in_, out_ = self.lin(p + ".in_proj"), self.lin(p + ".out_proj")
        w, b = self.get(p + ".conv.weight"), self.tensors.get(p + ".conv.bias")

        def run(n, cut):
            B, C, x = in_(n).chunk(3, -1)
            every = torch.ones(x.shape[-1], dtype=torch.bool)
            return out_(C * causal_conv(B * x, w, b, cut.gone if cut is not None else None, every))

        return Sublayer("conv", run, reach=w.shape[-1])

    def _qwen3_next(self, c):
        self._qwen(c, "model.", fused=True)

    def _qwen3_5(self, c):
        self._qwen(c, next(p for p in ("model.language_model.", "model.") if p + "embed_tokens.weight" in self.tensors),
                   fused=False)

    def _qwen(self, c, base, fused):
        self.embed_name, self.head_name = base + "embed_tokens.weight", "lm_head.weight"
        eps, heads = c.get("rms_norm_eps", 1e-6), c["num_attention_heads"]
        d = c.get("head_dim") or 256
        part = (c.get("rope_parameters") or {}).get("partial_rotary_factor", c.get("partial_rotary_factor", 0.25))
        types = c.get("layer_types")
        if not types:
            every = c.get("full_attention_interval", 4)
            types = ["linear_attention" if (l + 1) % every else "full_attention" for l in range(c["num_hidden_layers"])]
        for l, kind in enumerate(types):
            p = f"{base}layers.{l}."
            if kind == "full_attention":
                norms = self.norm(p + "self_attn.q_norm", eps, True), self.norm(p + "self_attn.k_norm", eps, True)
                mixer = self.attention(p + "self_attn", heads, c["num_key_value_heads"], d, theta=self.rope_theta(c),
                                       width=int(d * part),
                                       norms=norms, gated=True)
            else:
                mixer = self.delta_net(p + "linear_attn", c["linear_num_key_heads"], c["linear_num_value_heads"],
                                       c["linear_key_head_dim"],
                                       c["linear_value_head_dim"], eps, fused)
            moe = c.get("num_experts", 0) > 0 and l not in (c.get("mlp_only_layers") or []) and (l
                + 1) % c.get("decoder_sparse_step", 1) == 0
            mlp = self._qwen_moe(p + "mlp", c) if moe else self.gated_mlp(p + "mlp")
            self.layers.append([(self.norm(p + "input_layernorm", eps, True), [mixer], 1.0),
                                (self.norm(p + "post_attention_layernorm", eps, True), [Sublayer("mlp", mlp)], 1.0)])
        self.final_norm = self.norm(base + "norm", eps, True)

    def _qwen_moe(self, p, c):
        experts = [self.gated_mlp(f"{p}.experts.{e}") for e in range(c["num_experts"])]
        shared, gate, router = self.gated_mlp(p + ".shared_expert"), self.get(p + ".shared_expert_gate.weight"), self.get(p
            + ".gate.weight")

        self.router_gap = math.inf

        def choose(logits):
            pick = self.chosen(logits, c["num_experts_per_tok"])
            w = torch.softmax(logits, -1)[pick]
            return pick, w / w.sum() if c.get("norm_topk_prob", True) else w

        return lambda n, cut=None: self.route(n, router, choose, lambda e, x: experts[e](x)) + torch.sigmoid(n @ gate.T) * shared(n)

    def _recurrent_gemma(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        self.tied = bool(c.get("tie_word_embeddings", True))
        eps, heads, width = c.get("rms_norm_eps", 1e-6), c["num_attention_heads"], c["hidden_size"]
        self.embed_scale = float(torch.tensor(width ** 0.5, dtype=torch.bfloat16)) if c.get("embeddings_scale_by_sqrt_dim",
            True) else 1.0
        self.soft_cap, d = c.get("logits_soft_cap", 30.0), width // heads
        part = (c.get("rope_parameters") or {}).get("partial_rotary_factor", c.get("partial_rotary_factor", 0.5))
        window = c.get("attention_window_size", 2048)
        types = c.get("block_types") or c.get("_block_types") or ["recurrent", "recurrent", "attention"]
        gelu = lambda x: F.gelu(x, approximate="tanh")
        for l in range(c["num_hidden_layers"]):
            p = f"model.layers.{l}."
            if types[l % len(types)] == "attention":
                mixer = self.attention(p + "temporal_block", heads, c.get("num_key_value_heads") or heads, d,
                                       theta=self.rope_theta(c),
                                       width=int(d * part), window=window)
            else:
                mixer = self.rg_lru(p + "temporal_block", heads, gelu)
            self.layers.append([(self.norm(p + "temporal_pre_norm", eps, True), [mixer], 1.0),
                                (self.norm(p + "channel_pre_norm", eps, True),
                                 [Sublayer("mlp", self.gated_mlp(p + "mlp_block", gelu))], 1.0)])
        self.final_norm = self.norm("model.final_norm", eps, True)

    def rg_lru(self, p: str, blocks: int, act) -> Sublayer:
        """h_i = a_i h_{i-1} + sqrt(1 - a_i^2) gate_i u_i, so the weight of (i, j) is prod_{s = j+1 .. i} a_s a channel."""
        x_, y_, out_ = (self.lin(f"{p}.linear_{n}") for n in ("x", "y", "out"))
        conv_w, conv_b = self.get(p + ".conv_1d.weight"), self.get(p + ".conv_1d.bias")
        param, iw, ib, rw, rb = (self.get(f"{p}.rg_lru.{n}") for n in ("recurrent_param", "input_gate_weight", "input_gate_bias",
                                                                      "recurrent_gate_weight", "recurrent_gate_bias"))

        def run(n, cut):
            T = n.shape[0]
            gone = cut.gone if cut is not None and cut.taps else None
            u = causal_conv(x_(n), conv_w, conv_b, gone, torch.ones(conv_w.shape[0], dtype=torch.bool))
            block = u.view(T, blocks, -1)
            gate = torch.sigmoid(torch.einsum("thi,hij->thj", block, iw) + ib).reshape(T, -1)
            r = torch.sigmoid(torch.einsum("thi,hij->thj", block, rw) + rb).reshape(T, -1)
            log_a = -8.0 * r * F.softplus(param)
            scale = torch.sqrt(1 - torch.exp(2 * log_a))
            scale[0] = 1.0                                   # the state starts at position 0
            cum = torch.cumsum(log_a, 0)
            alpha = torch.exp((cum[:, None] - cum[None]).clamp_max(0.0)) * tri(T)[..., None]
            h = torch.einsum("ijc,jc->ic", without(alpha, cut), gate * u * scale)
            if self.record is not None and cut is None:
                state = torch.zeros_like(u[0])
                for t in range(T):
                    state = torch.exp(log_a[t]) * state + (gate * u * scale)[t]
                    self.record.append(("recurrence", (h[t] - state).abs().max().item()))
            return out_(h * act(y_(n)))

        return Sublayer("ssm", run)

    def _kimi_linear(self, c):
        self.embed_name, self.head_name = "model.embed_tokens.weight", "lm_head.weight"
        eps, a = c.get("rms_norm_eps", 1e-5), c["linear_attn_config"]
        for l in range(c["num_hidden_layers"]):
            p = f"model.layers.{l}."
            if l + 1 in a["full_attn_layers"]:               # counted from 1
                mixer = self._mla(p + "self_attn", c)
            else:
                mixer = self._kda(p + "self_attn", a["num_heads"], a["head_dim"], eps)
            mlp = self.gated_mlp(p + "mlp") if l < c.get("first_k_dense_replace", 1) else self._kimi_moe(p + "block_sparse_moe", c)
            self.layers.append([(self.norm(p + "input_layernorm", eps), [mixer], 1.0),
                                (self.norm(p + "post_attention_layernorm", eps), [Sublayer("mlp", mlp)], 1.0)])
        self.final_norm = self.norm("model.norm", eps)

    def _mla(self, p, c) -> Sublayer:
        """Latent attention without positions: the "rope" part of the keys is shared by the heads and not rotated."""
        heads, nope, rope = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"]
        dv, rank = c["v_head_dim"], c["kv_lora_rank"]
        q_, a_, b_, o_ = (self.lin(f"{p}.{n}") for n in ("q_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"))
        latent_norm = self.norm(p + ".kv_a_layernorm", 1e-6)                  # not rms_norm_eps

        def run(n, cut):
            T = n.shape[0]
            latent, shared = a_(n).split([rank, rope], -1)
            k, v = b_(latent_norm(latent)).view(T, heads, nope + dv).split([nope, dv], -1)
            k = torch.cat([k, shared[:, None].expand(T, heads, rope)], -1)
            context = attend(q_(n).view(T, heads, nope + rope), k, v, (nope + rope) ** -0.5, cut)
            if self.record is not None:
                self.record.append(("attention", context))
            return o_(drop_head(context, cut))

        return Sublayer("attention", run, n_heads=heads)

    def _kda(self, p, H, d, eps) -> Sublayer:
        """Kimi delta attention: the gated delta rule with a decay of every key channel; the output gate is a sigmoid."""
        qkv_ = [self.lin(f"{p}.{n}_proj") for n in "qkv"]
        conv_w = torch.cat([self.get(f"{p}.{n}_conv1d.weight") for n in "qkv"])
        fa, fb, b_, ga, gb, out_ = (self.lin(f"{p}.{n}_proj") for n in ("f_a", "f_b", "b", "g_a", "g_b", "o"))
        a_log, dt_bias, weight = self.get(p + ".A_log").reshape(-1), self.get(p + ".dt_bias"), self.get(p + ".o_norm.weight")

        def run(n, cut):
            T = n.shape[0]
            gone = cut.gone if cut is not None and cut.taps else None
            x = torch.cat([f(n) for f in qkv_], -1)
            q, k, v = F.silu(causal_conv(x, conv_w, None, gone, torch.ones(3 * H * d, dtype=torch.bool))).view(T, 3, H, d).unbind(1)
            q, k = (x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + 1e-6) for x in (q, k))
            q = q * d ** -0.5
            g = torch.exp(-torch.exp(a_log)[:, None] * F.softplus((fb(fa(n)) + dt_bias).view(T, H, d)))
            beta = torch.sigmoid(b_(n))
            o = torch.einsum("ijh,jhd->ihd", without(delta_weights(q, k, beta, g), cut), v)
            if self.record is not None:
                self.record.append(("delta", (o, q, k, v, beta, g, cut)))
            o = rms(o, eps) * weight * torch.sigmoid(gb(ga(n)).view(T, H, d))
            return out_(drop_head(o, cut))

        return Sublayer("ssm", run, n_heads=H)

    def _kimi_moe(self, p, c):
        E, K, G, top_g = c["num_experts"], c["num_experts_per_token"], c.get("num_expert_group", 1), c.get("topk_group", 1)
        router, bias = self.get(p + ".gate.weight"), self.get(p + ".gate.e_score_correction_bias")
        experts = [self.gated_mlp(f"{p}.experts.{e}", names=("w1", "w3", "w2")) for e in range(E)]
        shared = self.gated_mlp(p + ".shared_experts")
        choose = self.sigmoid_choice(bias, E, K, G, top_g, c.get("moe_renormalize", True), c.get("routed_scaling_factor", 1.0))
        return lambda n, cut=None: self.route(n, router, choose, lambda e, x: experts[e](x)) + shared(n)

    def sigmoid_choice(self, bias, E, K, G, top_g, renormalise, factor):
        """DeepSeek-V3 routing: sigmoid scores; groups and experts are chosen with the correction bias, weighted without."""
        self.router_gap = math.inf

        def choose(logits):
            score = torch.sigmoid(logits)
            biased = score + bias
            ok = torch.zeros(G, dtype=torch.bool)
            ok[self.chosen(biased.view(G, E // G).topk(2, -1).values.sum(-1), top_g)] = True
            pick = self.chosen(biased.masked_fill(~ok.repeat_interleave(E // G), -math.inf), K)
            w = score[pick]
            return pick, (w / (w.sum() + 1e-20) if renormalise else w) * factor

        return choose


# ---------------------------------------------------------------- checks
def transformers_class(path: str, clamp: str = "config"):
    """The transformers model in float32, eager attention and experts, torch path.

    clamp (Nemotron-H and Zamba2, whose class clamps dt to (time_step_min, inf)): "class" as it is; "agree" with time_step_min
    1e-30 in the configuration, where the two say the same; "config" with the class's limit replaced by time_step_limit.
    """
    import logging
    from transformers import AutoConfig, AutoModelForCausalLM
    logging.disable(logging.WARNING)
    whole = json.loads((Path(path) / "config.json").read_text())
    config = AutoConfig.from_pretrained(path)
    if whole["model_type"] == "nemotron_h" and "head_dim" not in whole:
        config.head_dim = whole["attention_head_dim"]        # the class reads head_dim alone
    if clamp == "agree":
        config.time_step_min = 1e-30
    model, info = AutoModelForCausalLM.from_pretrained(path, config=config, dtype=torch.float32, attn_implementation="eager",
                                                       experts_implementation="eager", output_loading_info=True)
    assert not [k for k in info["missing_keys"] if k != "lm_head.weight"], info["missing_keys"]
    for module in model.modules():
        if clamp == "config" and whole["model_type"] in ("nemotron_h", "zamba2") and hasattr(module, "time_step_limit"):
            module.time_step_limit = tuple(real(x) for x in whole.get("time_step_limit") or (0.0, math.inf))
    return model.eval()


@torch.no_grad()
def class_log_probs(model, ids, mask=None):
    logits = model(torch.tensor([ids]), attention_mask=mask, use_cache=False).logits[0, -1].double()
    return torch.log_softmax(logits, -1)


def compare_cells(path: str, ids: list[int]) -> dict[str, float]:
    """Cells against the transformers class with hooks: components (whole and one head) and attention edges (a 4-d mask)."""
    hf, m = transformers_class(path), HybridModel(path)
    T, L, out, V = len(ids), m.n_layers, {}, m.unembedding.shape[0]
    rows, window = [1, T - 3, T - 1], range(1, L)
    layers = next(x for name, x in hf.named_modules() if name.endswith("layers") and len(x) == L)
    names = {"attention": ("self_attn", "shared_transformer.self_attn", "temporal_block", "mixer"), "conv": ("conv",),
             "ssm": ("mamba", "mamba_decoder.mamba", "linear_attn", "self_attn", "temporal_block", "mixer"),
             "mlp": ("feed_forward", "shared_transformer.feed_forward", "mlp", "mlp_block", "mixer")}

    def module(l, kind):
        if m.kind == "granitemoehybrid" and kind == "mlp":
            return [x for x in (layers[l].shared_mlp, layers[l].block_sparse_moe) if x is not None]
        for name in names[kind]:
            try:
                return [layers[l].get_submodule(name)]
            except AttributeError:
                pass
        raise KeyError((l, kind))

    def zero(_, __, y):
        first = (y[0] if isinstance(y, tuple) else y).clone()
        first[:, rows] = 0.0
        return (first, *y[1:]) if isinstance(y, tuple) else first

    for kind in sorted({k for layer in m.layer_kinds for k in layer}):
        hooks = [x.register_forward_hook(zero) for l in window if kind in m.layer_kinds[l] for x in module(l, kind)]
        out[kind + "@"] = (class_log_probs(hf, ids) - m.log_probs(ids,
                                                                  Knockout([], window, "all", kind,
                                                                           tuple(rows)))).abs().max().item()
        for h in hooks:
            h.remove()
        if m.n_heads(kind) and kind in ("attention", "ssm"):
            H = m.n_heads(kind)

            def pre(_, args):
                x = args[0].clone()
                x.view(*x.shape[:2], H, -1)[:, rows, H - 1] = 0.0
                return (x, *args[1:])

            hooks = []
            for l in window:
                if kind in m.layer_kinds[l]:
                    x = module(l, kind)[0]
                    hooks.append((x.out_proj if hasattr(x, "out_proj") else x.o_proj).register_forward_pre_hook(pre))
            cls = f"head:{H - 1}" if kind == "attention" else f"ssm-head:{H - 1}"
            out[kind + "@, " + cls] = (class_log_probs(hf, ids) - m.log_probs(ids,
                                                                              Knockout([], window, cls, kind,
                                                                                  tuple(rows)))).abs().max().item()
            for h in hooks:
                h.remove()
    if any("attention" in k for k in m.layer_kinds):
        edges = [(i, j) for i in range(T) for j in range(i) if (2 * i + j) % 3 == 0]
        mask = torch.full((T, T), torch.finfo(torch.float32).min).triu(1)
        sub = next(s for l in range(L) for s in m._subs(l) if s.kind == "attention")
        if sub.reach < T:
            mask += torch.full((T, T), torch.finfo(torch.float32).min).tril(-sub.reach)
        for i, j in edges:
            mask[i, j] = torch.finfo(torch.float32).min
        mask = {"full_attention": mask[None, None], "sliding_attention": mask[None, None], "linear_attention": None, "conv": None,
                "mamba": None, "attention": mask[None, None]}
        want = m.log_probs(ids, Knockout(edges, range(L), "attention"))
        try:
            out["attention edges"] = (class_log_probs(hf, ids, mask) - want).abs().max().item()
        except Exception as e:
            out["attention edges: " + type(e).__name__ + str(e)[:60]] = math.nan
    return out


def by_linearity(fn, value, dim, head_dim, gone, heads, off=()):
    """A function of transformers that is linear in its values, without the removed edges: what source j gives to target i
    is what the function itself gives there when every other position's value is zero.

    value: index of the argument; dim: the axis of positions in the argument and in the output; head_dim: the axis of heads in
    the output, or None; off: keyword arguments set to None for the contributions (skips).
    """
    def wrapped(*args, **kwargs):
        out = fn(*args, **kwargs)
        y = (out[0] if isinstance(out, tuple) else out).clone()
        for j in range(gone.shape[1]):
            targets = [i for i in range(gone.shape[0]) if gone[i, j]]
            if targets:
                v = args[value]
                keep = torch.zeros(v.shape[dim[0]])
                keep[j] = 1.0
                shape = [1] * v.dim()
                shape[dim[0]] = -1
                part = fn(*args[:value], v * keep.view(shape), *args[value + 1:],
                          **{k: None if k in off else x for k, x in kwargs.items()})
                part = part[0] if isinstance(part, tuple) else part
                where = torch.zeros_like(part)
                where.index_fill_(dim[1], torch.tensor(targets), 1.0)
                if head_dim is not None and heads is not None:
                    only = torch.zeros_like(part)
                    only.index_fill_(head_dim, torch.tensor(heads), 1.0)
                    where = where * only
                y = y - part * where
        return (y, *out[1:]) if isinstance(out, tuple) else y

    return wrapped


def compare_edges(path: str, ids: list[int]) -> dict[str, float]:
    """Edge cells in every layer against the transformers class, whose scans, convolutions and attention are changed by
    `by_linearity`: none of the formulas above is used on that side."""
    import sys
    hf, m = transformers_class(path), HybridModel(path)
    T, L, out = len(ids), m.n_layers, {}
    lib = sys.modules[type(hf).__module__]
    edges = [(i, j) for i in range(1, T) for j in range(i + 1) if (2 * i + j) % 3 == 0]
    gone = torch.zeros(T, T, dtype=torch.bool)
    for i, j in edges:
        gone[i, j] = True
    kinds = {k for layer in m.layer_kinds for k in layer}
    H = m.n_heads("ssm")
    swaps = {"mamba2_chunk_scan": (0, (1, 1), 2, ("D",)), "mamba_selective_scan": (0, (2, 2), None, ("D",)),
             "torch_chunk_gated_delta_rule": (2, (1, 1), 2, ()),
             "chunk_kimi_delta_attention": (2, (1, 1), 2, ())}

    def cell(name, cls, mask=None, heads=None, which=("ssm",)):
        saved = {}
        for fn, (value, dim, head_dim, off) in swaps.items():
            if hasattr(lib, fn) and "ssm" in which:
                saved[fn] = getattr(lib, fn)
                setattr(lib, fn, by_linearity(saved[fn], value, dim, head_dim, gone, heads, off))
        if "conv" in which and m.kind == "lfm2":
            saved["causal_conv1d_fn"] = lib.causal_conv1d_fn
            plain = lib.causal_conv1d_fn

            def conv(x, weight, bias=None, **kw):
                return by_linearity(lambda x, w: plain(x, w, None), 0, (2, 2), None, gone, None)(x,
                    weight) + (0 if bias is None else bias[None, :, None])

            lib.causal_conv1d_fn = conv
        if "after" in which:
            saved["eager_attention_forward"] = lib.eager_attention_forward
            plain_attention = lib.eager_attention_forward
            lib.eager_attention_forward = by_linearity(plain_attention, 3, (2, 1), 2, gone, heads)
        rglru = getattr(lib, "RecurrentGemmaRglru", None)
        if rglru is not None and "ssm" in which:
            scan = rglru._rnn_scan
            rglru._rnn_scan = lambda self, hidden_states, **kw: by_linearity(lambda x: scan(self, x, **kw), 0, (1, 1), None, gone,
                                                                             None)(hidden_states)
        got = class_log_probs(hf, ids, mask)
        for fn, f in saved.items():
            setattr(lib, fn, f)
        if rglru is not None and "ssm" in which:
            rglru._rnn_scan = scan
        out[name] = (got - m.log_probs(ids, Knockout(edges, range(L), cls))).abs().max().item()

    low = torch.finfo(torch.float32).min
    blocked = torch.full((T, T), low).triu(1)
    reach = max((s.reach for l in range(L) for s in m._subs(l) if s.kind == "attention"), default=0)
    if 0 < reach < T:
        blocked += torch.full((T, T), low).tril(-reach)
    clear = blocked.clone()
    blocked[gone] = low
    as_dict = lambda x: {"full_attention": x[None, None], "sliding_attention": x[None, None], "linear_attention": None,
                         "conv": None}
    if "ssm" in kinds:
        cell("ssm", "ssm")
        if H:
            cell(f"ssm-head:{H - 1}", f"ssm-head:{H - 1}", heads=[H - 1])
    if "conv" in kinds:
        cell("conv", "conv", which=("conv",))
    if "attention" in kinds:
        cell("after-softmax", "after-softmax", which=("after",))
    if not any(gone[i, :i + 1].all() for i in range(T)):     # the class's float minimum is no -inf: no row may lose all
        cell("all", "all", mask=as_dict(blocked) if "attention" in kinds else None, which=("ssm", "conv"))
    return out


def identities(path: str, ids: list[int]) -> dict[str, float]:
    """Distances that must be zero."""
    m = HybridModel(path)
    T, L, out = len(ids), m.n_layers, {}
    kinds = {k for layer in m.layer_kinds for k in layer}
    clean = m.log_probs(ids)
    edges = [(i, j) for i in range(T) for j in range(i + 1)]
    some = [(i, j) for i, j in edges if (i + 2 * j) % 3 == 0]
    out["nothing removed"] = max((m.log_probs(ids, Knockout([], range(L))) - clean).abs().max().item(),
                                 (m.log_probs(ids, Knockout(some, range(0))) - clean).abs().max().item())
    # linearity, and the second state, on the inputs that the mixers really get, clean and cut
    cells = [("clean", None), ("cut", Knockout(some, range(L), "all"))]
    if m.n_heads("ssm"):
        cells.append(("one head cut", Knockout(some, range(L), f"ssm-head:{m.n_heads('ssm') - 1}")))
    for name, cell in cells:
        m.record = []
        m.log_probs(ids, cell)
        for kind, values in m.record:
            if kind in ("mamba1", "mamba2"):
                y, u, delta, A, B, C, cut = values
                ref = (mamba1_second_state if kind == "mamba1" else mamba2_second_state)(u, delta, A, B, C,
                    *((cut.gone, cut.features) if cut else (None, None)))
                out[f"{kind} second state, {name}"] = max(out.get(f"{kind} second state, {name}", 0.0),
                                                          (y - ref).abs().max().item())
            if kind == "recurrence":
                out["RG-LRU recurrence"] = max(out.get("RG-LRU recurrence", 0.0), values)
            if kind == "delta":
                o, q, k, v, beta, g, cut = values
                ref = delta_second_state(q, k, v, beta, g, *((cut.gone, cut.features) if cut else (None, None)))
                out[f"delta second state, {name}"] = max(out.get(f"delta second state, {name}", 0.0), (o - ref).abs().max().item())
        m.record = None
    if "attention" in kinds:                                 # all edges into a row: zero context there, and only there
        m.record = []
        m.log_probs(ids, Knockout([(T - 2, j) for j in range(T - 1)], range(L), "attention"))
        contexts = [v for kind, v in m.record if kind == "attention"]
        m.record = None
        out["attention: every edge into a row"] = max(c[T - 2].abs().max().item() for c in contexts)
        assert min(c[T - 1].abs().max().item() for c in contexts) > 1e-6
    mixers = [k for k in ("attention", "ssm", "conv") if k in kinds]
    joined = m.log_probs(ids, tuple(Knockout(some, range(L), k) for k in mixers))
    out["all = its kinds together"] = (m.log_probs(ids, Knockout(some, range(L), "all")) - joined).abs().max().item()
    if len(mixers) > 1:                                      # and it is no sum (not zero: a figure, not a check)
        apart = sum(m.log_probs(ids, Knockout(some, range(L), k)) - clean for k in mixers)
        out["(not additive)"] = (joined - clean - apart).abs().max().item()
    generator = torch.Generator().manual_seed(1)             # the heads' shares of the output projection add up to the whole
    for l in range(L):
        for sub in m._subs(l):
            if callable(sub.run) and sub.n_heads:
                n = torch.randn(T, clean_width(m), generator=generator, dtype=torch.float64)
                m.x0 = n
                rows = list(range(T))
                y = sub.run(n, None)
                rest = sum(y - sub.run(n, Cut(rows=rows, head=h)) for h in range(sub.n_heads))
                bias = next((v for k, v in m.tensors.items() if k.endswith(("o_proj.bias", "out_proj.bias"))), None)
                if bias is None:
                    out["heads add up"] = max(out.get("heads add up", 0.0), (rest - y).abs().max().item())
    rows, own = (1, T - 3, T - 1), m.parts(ids)              # parts replaced by themselves change nothing, by zeros they are left out
    worst = 0.0
    for kind in sorted(kinds):
        for part in ["all"] + [f"{name}:1" for name, of in (("head", "attention"), ("ssm-head", "ssm")) if of == kind and m.n_heads(kind) > 1]:
            put = {key: x[list(rows)] for key, parts in own.items() if (x := part_of(parts, part)) is not None}
            cell = lambda put: m.log_probs(ids, Knockout([], range(L), part + "~mean", kind, rows, put))
            none = cell({key: torch.zeros_like(x) for key, x in put.items()}) - m.log_probs(ids, Knockout([], range(L), part, kind, rows))
            worst = max(worst, (cell(put) - clean).abs().max().item(), none.abs().max().item())
    out["parts put back"] = worst
    for kind in sorted(kinds):
        assert not torch.equal(m.log_probs(ids, Knockout([], range(L), "all", kind, (T - 1,))), clean), kind
    return out


def conditioning(path: str, ids: list[int]) -> float:
    """The largest change of a log-probability when every weight moves by about float32's rounding."""
    m, g = HybridModel(path), torch.Generator().manual_seed(5)
    base = m.log_probs(ids)
    for v in m.tensors.values():
        v.mul_(1 + 6e-8 * torch.randn(v.shape, generator=g, dtype=torch.float64))
    return (m.log_probs(ids) - base).abs().max().item()


def clean_width(m: HybridModel) -> int:
    return m.get(m.embed_name).shape[1]


if __name__ == "__main__":
    import os
    import sys

    os.environ["TRANSFORMERS_VERBOSITY"], os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "critical", "1"
    torch.set_num_threads(1)
    for path in sys.argv[1:]:
        m = HybridModel(path)
        V = m.unembedding.shape[0]
        ids = [(37 * i * i + 11 * i + 5) % (V - 20) for i in range(13)]
        print(f"{path}: {m.kind}, {' '.join('+'.join(k) for k in m.layer_kinds)}")
        for clamp in ("class", "agree", "config") if m.kind in ("nemotron_h", "zamba2") else ("config",):
            try:
                print(f"  transformers ({clamp}): {(class_log_probs(transformers_class(path, clamp), ids) - m.log_probs(ids)).abs().max().item():.1e}")
            except Exception as e:
                print(f"  transformers ({clamp}): {type(e).__name__} {str(e)[:300]}")
        print(f"  float32 rounding of the weights: {conditioning(path, ids):.1e}")
        print("  cells of transformers: " + ", ".join(f"{name} {value:.1e}" for name, value in compare_cells(path, ids).items()))
        print("  edges of transformers: " + ", ".join(f"{name} {value:.1e}" for name, value in compare_edges(path, ids).items()))
        print("  " + ", ".join(f"{name} {value:.1e}" for name, value in identities(path, ids).items()), flush=True)
