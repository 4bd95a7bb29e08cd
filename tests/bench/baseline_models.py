"""Full forward passes in plain PyTorch for cells whose removed edges go into the last position: Mamba, Falcon-Mamba, Mamba-2, GPT-2,
Llama, Mistral and Falcon-H1, with weights under Hugging Face's names.

All cells of a batch have the same window and each its own removed edges, so every layer is in the window for all of them or for none.
A family's layer takes [b * T, d] rows, so that each weight is one GEMM over the rows of the batch; how positions are mixed is a
function, `mix`, of which each family has two. A hybrid has a pair wherever another family has one: functions, edges and source sets.
"""
from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F


@dataclass
class Edges:
    """What position i of each cell may see.  keep: [b, T], 0 where the last position does not read j, or None where nothing is
    removed; mask: [b or 1, 1, T, T], 0 or -inf, additive, causal."""
    keep: torch.Tensor | None
    mask: torch.Tensor


@dataclass
class Form:
    """How layers outside and inside the window mix positions.  twice: layers of the window are computed as usual first, in vain, as
    a hook does that replaces a module's output."""
    outside: Callable
    inside: Callable
    twice: bool = False


def causal_mask(T, window, dtype, device):
    mask = torch.full((T, T), float("-inf"), dtype=dtype, device=device).triu(1)
    return mask + torch.full_like(mask, float("-inf")).tril(-window) if window else mask


def causal_conv(u, taps, bias):
    """u: [b, T, c]; taps: [k, c], the last one for the position itself; bias: [c] -> SiLU of the depthwise convolution, [b, T, c]."""
    out = torch.addcmul(bias, u, taps[-1])
    for k in range(1, min(len(taps), u.shape[1])):
        out[:, k:].addcmul_(u[:, :-k], taps[-1 - k])
    return F.silu(out)


def wide(x):
    """What scans compute in: float32, or float64 where the model has it."""
    return x if x.dtype == torch.float64 else x.float()


def rms_norm(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


class Model:
    """Common ends.  `last_logits` is the whole pass of a batch: [b, T] ids -> [b, V]."""
    embedding: str
    final_norm: str

    def __init__(self, weights, s, dtype):
        """weights: {name: tensor}, emptied while they are taken; s: a Shape."""
        self.s, self.dtype = s, dtype
        self.table = weights.pop(self.embedding)
        self.unembed = self.table if s.tied else weights.pop("lm_head.weight")
        self.norm_f = self.take_norm(weights, self.final_norm)
        self.layers = [self.take_layer(weights, i) for i in range(s.layers)]
        if weights:
            raise ValueError(f"weights that no layer takes: {', '.join(weights)}")
        self.run_layer = self.layer

    @staticmethod
    def take_norm(weights, name):
        return weights.pop(f"{name}.weight")

    def norm(self, x, weight):
        return rms_norm(x, weight, self.s.eps)

    def embed(self, ids):
        return F.embedding(ids, self.table)

    def edges(self, source):
        """The usual edges of a batch, and those of its window.  source: [b, T] bool, removed from what the last position reads."""
        T = source.shape[1]
        usual = causal_mask(T, self.s.window, self.dtype, source.device)[None, None]
        cut = usual.repeat(len(source), 1, 1, 1)
        cut[:, 0, -1].masked_fill_(source, float("-inf"))
        return Edges(None, usual), Edges(wide((~source).to(self.dtype)), cut)

    def last_logits(self, ids, source, start, size, form):
        """The window is layers start ... start + size - 1; size 0: a clean run.  source: [b, T], of hybrids [b, 2, T], by mixer."""
        b, T = ids.shape
        usual, cut = self.edges(source)
        x = self.embed(ids).view(b * T, -1)
        for i, weights in enumerate(self.layers):
            if start <= i < start + size:
                if form.twice:
                    self.run_layer(weights, x, b, usual, form.outside)
                x = self.run_layer(weights, x, b, cut, form.inside)
            else:
                x = self.run_layer(weights, x, b, usual, form.outside)
        return F.linear(self.norm(x.view(b, T, -1)[:, -1], self.norm_f), self.unembed)


# ------------------------------------------------------------------------------------------------ Mamba and Falcon-Mamba
SMALL = 1 << 26         # elements below which exponentials are computed at once, above which step by step, close to the cache


def scan_recurrence(delta, u, B, C, A_t, keep):
    """y[b, t, c] = sum_n C h with h = exp(delta A) h + delta u B; with keep the last position reads a second state that has no input
    from removed sources.  delta, u: [b, T, c]; B, C: [b, T, n]; A_t: [n, c]; all float32."""
    b, T, c = u.shape
    du, y = delta * u, []
    small = b * T * A_t.numel() <= SMALL
    decays = torch.exp(delta[:, :, None, :] * A_t) if small else None
    h = torch.zeros(b, A_t.shape[0], c, device=u.device, dtype=u.dtype)
    if keep is not None:
        kept, du_kept = torch.zeros_like(h), du * keep[..., None]
    for t in range(T):
        decay = decays[:, t] if small else torch.exp_(delta[:, t, None, :] * A_t)
        if keep is not None:
            kept = kept.mul_(decay).addcmul_(B[:, t, :, None], du_kept[:, t, None, :])
        if keep is None or t < T - 1:
            h = h.mul_(decay).addcmul_(B[:, t, :, None], du[:, t, None, :])
            y.append(torch.bmm(C[:, t, None, :], h))
        else:
            y.append(torch.bmm(C[:, t, None, :], kept))
    return torch.cat(y, 1)


def scan_materialised(delta, u, B, C, A_t, keep):
    """y = alpha u with alpha[b, i, j, c] = sum_n C[i, n] exp(A[c, n] sum_{k=j+1..i} delta[k, c]) delta[j, c] B[j, n], the removed
    ones set to 0; arguments as above."""
    b, T, c = u.shape
    n = A_t.shape[0]
    total, du = delta.cumsum(1), delta * u
    if b * T * T * A_t.numel() <= SMALL:
        span = (total[:, :, None] - total[:, None]).clamp_min_(0)                                      # [b, i, j, c]
        decay = torch.exp_(span[:, :, :, None, :] * A_t)                                               # [b, i, j, n, c]
        weight = C[:, :, None] * B[:, None]
        alpha = torch.bmm(weight.view(-1, 1, n), decay.view(-1, n, c)).view(b, T, T, c)
        alpha = alpha * torch.ones(T, T, device=u.device, dtype=u.dtype).tril()[..., None]
        if keep is not None:
            alpha[:, -1] *= keep[..., None]
        return (alpha * du[:, None]).sum(2)
    y = torch.empty_like(u)
    for i in range(T):
        decay = torch.exp_((total[:, i, None] - total[:, :i + 1])[:, :, None, :] * A_t)                # [b, i + 1, n, c]
        weight = C[:, i, None] * B[:, :i + 1]
        alpha = torch.bmm(weight.view(-1, 1, n), decay.view(-1, n, c)).view(b, i + 1, c)
        if keep is not None and i == T - 1:
            alpha = alpha * keep[..., None]
        y[:, i] = (alpha * du[:, :i + 1]).sum(1)
    return y


class Mamba(Model):
    """Gu & Dao 2023; with inner_eps the norms of Falcon-Mamba on dt, B and C."""
    embedding, final_norm = "backbone.embeddings.weight", "backbone.norm_f"

    def take_layer(self, weights, i):
        get = lambda name: weights.pop(f"backbone.layers.{i}.{name}")
        return dict(norm=get("norm.weight"), in_proj=get("mixer.in_proj.weight"),
                    taps=get("mixer.conv1d.weight")[:, 0].t().contiguous(), conv_bias=get("mixer.conv1d.bias"),
                    x_proj=get("mixer.x_proj.weight"), dt_proj=get("mixer.dt_proj.weight"), dt_bias=get("mixer.dt_proj.bias"),
                    A_t=-torch.exp(wide(get("mixer.A_log"))).t().contiguous(), D=wide(get("mixer.D")),
                    out_proj=get("mixer.out_proj.weight"))

    def layer(self, w, x, b, edges, mix):
        s = self.s
        u, z = F.linear(self.norm(x, w["norm"]), w["in_proj"]).chunk(2, -1)
        u = causal_conv(u.view(b, -1, s.inner), w["taps"], w["conv_bias"])
        dt, B, C = F.linear(u, w["x_proj"]).split([s.rank, s.state, s.state], -1)
        if s.inner_eps:
            dt, B, C = (rms_norm(v, None, s.inner_eps) for v in (dt, B, C))
        delta = F.softplus(wide(F.linear(dt, w["dt_proj"], w["dt_bias"])))
        u = wide(u)
        y = mix(delta, u, wide(B), wide(C), w["A_t"], edges.keep)
        y = torch.addcmul(y, u, w["D"]).view(len(x), -1) * F.silu(z)
        return torch.addmm(x, y.to(x.dtype), w["out_proj"].t())


# ------------------------------------------------------------------------------------------------ Mamba-2
def ssd_recurrence(delta, u, B, C, A, edges):
    """h[b, head, p, n] = exp(delta A) h + delta u B, y = C h.  delta: [b, T, H]; u: [b, T, H, P]; B, C: [b, T, G, N]; A: [H]."""
    b, T, H, P = u.shape
    G, N = B.shape[2:]
    grouped = lambda x: x.view(b, T, G, H // G, *x.shape[3:])
    decay, du = grouped(torch.exp(delta * A)), grouped(u * delta[..., None])
    h, keep, y = torch.zeros(b, G, H // G, P, N, device=u.device, dtype=u.dtype), edges.keep, []
    if keep is not None:
        kept, du_kept = torch.zeros_like(h), du * keep[..., None, None, None]
    for t in range(T):
        step = lambda state, new: state.mul_(decay[:, t, ..., None, None]).addcmul_(new[:, t, ..., None], B[:, t, :, None, None, :])
        if keep is not None:
            kept = step(kept, du_kept)
        if keep is None or t < T - 1:
            h = step(h, du)
        read = h if keep is None or t < T - 1 else kept
        y.append(torch.matmul(read.view(b, G, -1, N), C[:, t, ..., None]).view(b, 1, H, P))
    return torch.cat(y, 1)


def ssd_materialised(delta, u, B, C, A, edges):
    """alpha[b, head, i, j] = (C[i] . B[j]) exp(A sum_{k=j+1..i} delta[k]) delta[j], the removed ones 0; arguments as above."""
    b, T, H, P = u.shape
    G = B.shape[2]
    total = (delta * A).cumsum(1).transpose(1, 2)                                                      # [b, H, T]
    decay = torch.exp(total[..., None] - total[..., None, :] + wide(edges.mask))
    score = torch.matmul(C.transpose(1, 2), B.permute(0, 2, 3, 1))                                     # [b, G, T, T]
    alpha = decay.view(b, G, H // G, T, T) * score[:, :, None]
    return torch.matmul(alpha.view(b, H, T, T), (u * delta[..., None]).transpose(1, 2)).transpose(1, 2)


def take_ssd(get):
    """The weights of a Mamba-2 mixer but its norm's and its output's.  get: takes one by name."""
    return dict(in_proj=get("in_proj.weight"), taps=get("conv1d.weight")[:, 0].t().contiguous(), conv_bias=get("conv1d.bias"),
                dt_bias=wide(get("dt_bias")), A=-torch.exp(wide(get("A_log"))), D=wide(get("D"))[:, None])


def gated_ssd(s, w, rows, b, edges, mix):
    """rows: normed, [b * T, d] -> y SiLU(z), [b * T, inner]."""
    z, u, dt = F.linear(rows, w["in_proj"]).split([s.inner, s.inner + 2 * s.groups * s.state, s.heads], -1)
    u = causal_conv(u.view(b, -1, u.shape[-1]), w["taps"], w["conv_bias"])
    u, B, C = wide(u).split([s.inner, s.groups * s.state, s.groups * s.state], -1)
    u, B, C = u.unflatten(-1, (s.heads, s.head_dim)), B.unflatten(-1, (s.groups, s.state)), C.unflatten(-1, (s.groups, s.state))
    delta = F.softplus(wide(dt.view(b, -1, s.heads)) + w["dt_bias"])
    if s.step_limit != (0.0, float("inf")):
        delta = delta.clamp(*s.step_limit)
    y = mix(delta, u, B, C, w["A"], edges)
    return (torch.addcmul(y, u, w["D"]).reshape(len(rows), -1) * F.silu(z)).to(rows.dtype)


class Mamba2(Model):
    """Dao & Gu 2024; y SiLU(z) first, then one RMSNorm over each group's features."""
    embedding, final_norm = "backbone.embeddings.weight", "backbone.norm_f"

    def take_layer(self, weights, i):
        get = lambda name: weights.pop(f"backbone.layers.{i}.{name}")
        return take_ssd(lambda name: get(f"mixer.{name}")) | dict(
            norm=get("norm.weight"), inner_norm=get("mixer.norm.weight"), out_proj=get("mixer.out_proj.weight"))

    def layer(self, w, x, b, edges, mix):
        s = self.s
        y = gated_ssd(s, w, self.norm(x, w["norm"]), b, edges, mix)
        y = rms_norm(y.view(len(x), s.groups, -1), None, s.eps).view(len(x), -1) * w["inner_norm"]
        return torch.addmm(x, y, w["out_proj"].t())


# ------------------------------------------------------------------------------------------------ Transformers
def attend_fused(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def attend_plain(q, k, v, mask):
    scores = torch.matmul(q, k.transpose(-1, -2)).mul_(q.shape[-1] ** -0.5).add_(mask)
    return torch.matmul(torch.softmax(scores, -1), v)


class Transformer(Model):
    """Queries that share a key head are rows of one product: [b, key heads, (heads / key heads) T, head_dim]."""

    def edges(self, source):
        each = self.s.heads // self.s.groups
        return tuple(Edges(e.keep, e.mask.repeat(1, 1, each, 1)) for e in super().edges(source))

    def attend(self, q, k, v, edges, mix):
        """q: [b, T, heads, e]; k, v: [b, T, key heads, e] -> [b * T, heads * e]."""
        b, T, heads, e = q.shape
        groups = k.shape[2]
        q = q.reshape(b, T, groups, heads // groups, e).permute(0, 2, 3, 1, 4).reshape(b, groups, -1, e)
        y = mix(q, k.transpose(1, 2), v.transpose(1, 2), edges.mask)
        return y.view(b, groups, heads // groups, T, e).permute(0, 3, 1, 2, 4).reshape(b * T, heads * e)


class Gpt2(Transformer):
    """Radford et al. 2019; weights are stored [in, out]."""
    embedding, final_norm = "transformer.wte.weight", "transformer.ln_f"

    def __init__(self, weights, s, dtype):
        self.positions = weights.pop("transformer.wpe.weight")
        super().__init__(weights, s, dtype)

    @staticmethod
    def take_norm(weights, name):
        return weights.pop(f"{name}.weight"), weights.pop(f"{name}.bias")

    def norm(self, x, weight_bias):
        return F.layer_norm(x, (x.shape[-1],), *weight_bias, self.s.eps)

    def take_layer(self, weights, i):
        pair = lambda name: self.take_norm(weights, f"transformer.h.{i}.{name}")
        return dict(ln_1=pair("ln_1"), ln_2=pair("ln_2"), qkv=pair("attn.c_attn"), out=pair("attn.c_proj"), up=pair("mlp.c_fc"),
                    down=pair("mlp.c_proj"))

    def embed(self, ids):
        return F.embedding(ids, self.table) + self.positions[:ids.shape[1]]

    def layer(self, w, x, b, edges, mix):
        product = lambda x, weight_bias: torch.addmm(weight_bias[1], x, weight_bias[0])
        q, k, v = product(self.norm(x, w["ln_1"]), w["qkv"]).view(b, -1, 3, self.s.heads, self.s.head_dim).unbind(2)
        x = x + product(self.attend(q, k, v, edges, mix), w["out"])
        return x + product(F.gelu(product(self.norm(x, w["ln_2"]), w["up"]), approximate="tanh"), w["down"])


def rotary(s, T, dtype, device):
    """cos and sin, [T, 1, head_dim], with Llama-3's scaling of long wavelengths where the configuration has it."""
    f = s.theta ** (-torch.arange(0, s.head_dim, 2, device=device, dtype=torch.float64) / s.head_dim)
    if s.scaling:
        c = s.scaling
        turns = c["original_max_position_embeddings"] * f / (2 * torch.pi)
        share = ((turns - c["low_freq_factor"]) / (c["high_freq_factor"] - c["low_freq_factor"])).clamp(0, 1)
        f = (1 - share) * f / c["factor"] + share * f
    angle = torch.arange(T, device=device)[:, None] * f
    angle = torch.cat([angle, angle], -1)[:, None]
    return angle.cos().to(dtype), angle.sin().to(dtype)


class Llama(Transformer):
    """Touvron et al. 2023, and Mistral; q, k and v are one product, gate and up another."""
    embedding, final_norm = "model.embed_tokens.weight", "model.norm"

    def take_layer(self, weights, i):
        get = lambda *names: torch.cat([weights.pop(f"model.layers.{i}.{name}.weight") for name in names])
        return dict(norm_1=get("input_layernorm"), norm_2=get("post_attention_layernorm"),
                    qkv=get("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), out=get("self_attn.o_proj"),
                    gate_up=get("mlp.gate_proj", "mlp.up_proj"), down=get("mlp.down_proj"))

    def last_logits(self, ids, source, start, size, form):
        self.cos, self.sin = rotary(self.s, ids.shape[1], self.dtype, ids.device)
        return super().last_logits(ids, source, start, size, form)

    def attention(self, w, rows, b, edges, mix):
        """rows: normed, [b * T, d] -> [b * T, heads * head_dim]."""
        s = self.s
        qkv = F.linear(rows, w["qkv"]).view(b, -1, s.heads + 2 * s.groups, s.head_dim)
        qk, v = qkv.split([s.heads + s.groups, s.groups], 2)
        left, right = qk.chunk(2, -1)
        qk = torch.addcmul(qk * self.cos, torch.cat([-right, left], -1), self.sin)
        q, k = qk.split([s.heads, s.groups], 2)
        return self.attend(q, k, v, edges, mix)

    def add_mlp(self, w, x):
        gate, up = F.linear(self.norm(x, w["norm_2"]), w["gate_up"]).chunk(2, -1)
        return torch.addmm(x, F.silu(gate).mul_(up), w["down"].t())

    def layer(self, w, x, b, edges, mix):
        y = self.attention(w, self.norm(x, w["norm_1"]), b, edges, mix)
        return self.add_mlp(w, torch.addmm(x, y, w["out"].t()))


class FalconH1(Llama):
    """Falcon-LLM Team 2025; attention and Mamba-2, whose gate has no norm, read the same normed row. The configuration's factors are
    multiplied into the weights. Of a pair, the first is attention's."""
    final_norm = "model.final_layernorm"

    def __init__(self, weights, s, dtype):
        super().__init__(weights, s, dtype)
        self.unembed = self.unembed * s.factors["logits"]
        self.table = self.table * s.factors["embedding"]

    def take_layer(self, weights, i):
        s, f = self.s, self.s.factors
        get = lambda name: weights.pop(f"model.layers.{i}.{name}")
        times = lambda factor, *names: torch.cat([get(f"{name}.weight") * factor for name in names])
        ssm = take_ssd(lambda name: get(f"mamba.{name}"))
        widths = [s.ssm.inner, s.ssm.inner, s.ssm.groups * s.ssm.state, s.ssm.groups * s.ssm.state, s.ssm.heads]    # z, u, B, C, delta
        ssm["in_proj"] = torch.cat([part * (f["ssm_in"] * factor) for part, factor in zip(ssm["in_proj"].split(widths), f["ssm_parts"])])
        return dict(norm_1=get("input_layernorm.weight"), norm_2=get("pre_ff_layernorm.weight"),
                    qkv=torch.cat([times(f["attention_in"], "self_attn.q_proj"), times(f["attention_in"] * f["key"], "self_attn.k_proj"),
                                   times(f["attention_in"], "self_attn.v_proj")]),
                    out=times(f["attention_out"], "self_attn.o_proj"), ssm=ssm, ssm_out=times(f["ssm_out"], "mamba.out_proj"),
                    gate_up=torch.cat([times(f["mlp"][0], "feed_forward.gate_proj"), times(1, "feed_forward.up_proj")]),
                    down=times(f["mlp"][1], "feed_forward.down_proj"))

    def edges(self, source):
        attention, ssm = source.unbind(1)
        return tuple(zip(super().edges(attention), Model.edges(self, ssm)))

    def layer(self, w, x, b, edges, mix):
        rows = self.norm(x, w["norm_1"])
        attended = self.attention(w, rows, b, edges[0], mix[0])
        scanned = gated_ssd(self.s.ssm, w["ssm"], rows, b, edges[1], mix[1])
        return self.add_mlp(w, torch.addmm(torch.addmm(x, attended, w["out"].t()), scanned, w["ssm_out"].t()))


# ------------------------------------------------------------------------------------------------ what is there
FAMILIES = {"mamba": Mamba, "mamba2": Mamba2, "gpt2": Gpt2, "llama": Llama, "falcon_h1": FalconH1}


def forms(family, kind):
    """{name: Form} of a kind of baseline.

    batched: one way for every layer.  released: as the paper's released code goes about it, the recurrence over positions (Mamba) or
    the chunked form (Mamba-2) outside the window, and inside `matrix`, the token-to-token matrix with the edges set to 0, or `hook`,
    the layer as usual and once more with a second state without the removed inputs.
    """
    loop, matrix = {"mamba": (scan_recurrence, scan_materialised), "mamba2": (ssd_recurrence, ssd_materialised),
                    "gpt2": (attend_plain, attend_fused), "llama": (attend_plain, attend_fused),
                    "falcon_h1": ((attend_plain, ssd_recurrence), (attend_fused, ssd_materialised))}[family]
    if family in ("gpt2", "llama", "falcon_h1"):
        return {"plain": Form(loop, loop), "fused": Form(matrix, matrix)}
    if kind == "batched":
        return {"recurrence": Form(loop, loop), "materialised": Form(matrix, matrix)}
    if family == "mamba":
        return {"matrix": Form(loop, matrix), "hook": Form(loop, loop, twice=True)}
    return {"matrix": Form(matrix, matrix), "hook": Form(matrix, matrix, twice=True)}
