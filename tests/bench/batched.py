"""Baseline: the same knockout cells as `knockout bench`, by batched full forward passes in PyTorch.

Usage: batched.py --shape mamba-130m|gpt2-medium [--prompts N] [--cells N] [--threads N] [--device cpu|cuda] [--json]

Prompts of 10 tokens, four routes into `last` (from the subject, the relation, the last and the first token), a window of 9 layers
at every start, batches of 32 full forward passes in float32, logits of the last position only; random weights of the real shape.
Every cell of a batch has its own window and its own removed edges. Each family has two forms of its mixer, which must agree, and
the faster one is timed: Mamba a recurrence over positions and the materialised token-to-token matrix, GPT-2 PyTorch's fused
attention and plain matrix products. Cells are ordered by window, so that most layers are in the window for the whole batch or for
none of it, and every weight is multiplied by whatever is fastest here (MKL, MKL with a transposed copy, oneDNN with a packed one).
The clean runs, which the KL divergence needs, are not timed. The last line of the output is JSON.
"""
import argparse
import json
import platform
import sys
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F

N_TOKENS, WINDOW, BATCH = 10, 9, 32
SUBJECT = range(2, 5)
ROUTES = {"last<-subject": list(SUBJECT), "last<-relation": [i for i in range(N_TOKENS) if i not in SUBJECT],
          "last<-last": [N_TOKENS - 1], "last<-first": [0]}
SHAPES = {
    "mamba-130m": dict(family="mamba", d=768, layers=24, vocab=50280, state=16, rank=48),
    "mamba-1.4b": dict(family="mamba", d=2048, layers=48, vocab=50280, state=16, rank=128),
    "mamba-2.8b": dict(family="mamba", d=2560, layers=64, vocab=50280, state=16, rank=160),
    "mamba-7b-rw": dict(family="mamba", d=4096, layers=64, vocab=50432, state=16, rank=256),
    "gpt2-medium": dict(family="gpt2", d=1024, layers=24, vocab=50257, heads=16, positions=1024),
    "gpt2-large": dict(family="gpt2", d=1280, layers=36, vocab=50257, heads=20, positions=1024),
    "gpt2-xl": dict(family="gpt2", d=1600, layers=48, vocab=50257, heads=25, positions=1024),
}


@dataclass
class Cells:
    """Cells of one batch; their edges are (last position, j) for every j in the source set.

    prompt, start: [B] int64; source: [B, T] bool.  A cell with size 0 is a clean run.
    """
    prompt: torch.Tensor
    start: torch.Tensor
    source: torch.Tensor
    size: int

    def rows(self, layer):
        """The rows whose window holds the layer: None, slice(None) for all, or their indices."""
        inside = (self.start <= layer) & (layer < self.start + self.size)
        if not inside.any():
            return None
        return slice(None) if inside.all() else inside.nonzero()[:, 0]


# ------------------------------------------------------------------------------------------------ matrix products
def plain_way(weight, bias, n_rows):
    return lambda x: F.linear(x, weight, bias)


def transposed_way(weight, bias, n_rows):
    t = weight.t().contiguous()
    return lambda x: x @ t if bias is None else torch.addmm(bias, x, t)


def packed_way(weight, bias, n_rows):
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, n_rows)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def least_seconds(f, x, n):
    times = []
    for _ in range(n + 1):
        begin = time.perf_counter()
        f(x)
        times.append(time.perf_counter() - begin)
    return min(times[1:])


CHOSEN = {}     # (weight's shape, has bias, rows) -> the fastest way


def choose_way(weight, bias, n_rows):
    if weight.device.type != "cpu":
        return plain_way
    probe, ways = torch.randn(n_rows, weight.shape[1]), [plain_way, transposed_way]
    try:
        torch.testing.assert_close(packed_way(weight, bias, n_rows)(probe), F.linear(probe, weight, bias), rtol=1e-3, atol=1e-3)
        ways.append(packed_way)
    except (AttributeError, RuntimeError):
        print("batched.py: this PyTorch has no packed oneDNN product", file=sys.stderr)
    tries = max(2, min(20, 20 * 320 // n_rows))
    return min(ways, key=lambda way: least_seconds(way(weight, bias, n_rows), probe, tries))


def linear(weight, bias, n_rows):
    """x [n_rows, in] -> x W^T + b, by the fastest way for this shape of weight, [out, in], and number of rows."""
    key = (tuple(weight.shape), bias is not None, n_rows)
    if key not in CHOSEN:
        CHOSEN[key] = choose_way(weight, bias, n_rows)
    return CHOSEN[key](weight, bias, n_rows)


def rms_norm(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


# ------------------------------------------------------------------------------------------------ Mamba
def scan_recurrent(delta, u, B, C, A_t, rows, keep):
    """y[b, t, c] = sum_n C h with h = exp(delta A) h + delta u B; rows in the window read, at the last position, a second state
    that has no input from removed sources.  delta, u: [b, T, c]; B, C: [b, T, n]; A_t: [n, c]; keep: [b, T] float, 0 = removed."""
    b, T, c = u.shape
    du, y = delta * u, torch.empty_like(u)
    h = torch.zeros(b, A_t.shape[0], c, device=u.device)
    decay = torch.empty_like(h)
    if rows is not None:
        kept, B_kept = torch.zeros_like(h[rows]), B[rows]
        du_kept = du[rows] * keep[rows][..., None]
    for t in range(T):
        torch.mul(delta[:, t, None, :], A_t, out=decay)
        decay.exp_()
        h.mul_(decay).addcmul_(B[:, t, :, None], du[:, t, None, :])
        y[:, t] = torch.bmm(C[:, t, None, :], h)[:, 0]
        if rows is not None:
            kept.mul_(decay[rows]).addcmul_(B_kept[:, t, :, None], du_kept[:, t, None, :])
    if rows is not None:
        y[rows, -1] = torch.bmm(C[rows, -1, None, :], kept)[:, 0]
    return y


def scan_materialised(delta, u, B, C, A_t, rows, keep):
    """y = alpha u with alpha[b, i, j, c] = sum_n C[i, n] exp(A[c, n] sum_{k=j+1..i} delta[k, c]) delta[j, c] B[j, n], the removed
    ones set to 0; row by row and a few prompts at a time, so that the exponentials stay in the cache."""
    b, T, c = u.shape
    n = A_t.shape[0]
    total, du, y = delta.cumsum(1), delta * u, torch.empty_like(u)
    last_keep = torch.ones(b, T, device=u.device)
    if rows is not None:
        last_keep[rows] = keep[rows]
    step = b if u.is_cuda else 4
    for s in range(0, b, step):
        part = slice(s, s + step)
        for i in range(T):
            decay = torch.exp((total[part, i, None] - total[part, :i + 1])[:, :, None, :] * A_t)      # [step, i + 1, n, c]
            weight = C[part, i, None] * B[part, :i + 1]
            alpha = torch.bmm(weight.reshape(-1, 1, n), decay.view(-1, n, c)).view(-1, i + 1, c)
            if i == T - 1:
                alpha = alpha * last_keep[part, :, None]
            y[part, i] = (alpha * du[part, :i + 1]).sum(1)
    return y


class Mamba:
    """Gu & Dao 2023, in the arithmetic of Hugging Face's MambaForCausalLM; weights under its names."""
    forms = {"recurrence": scan_recurrent, "materialised": scan_materialised}

    @staticmethod
    def random_weights(s, device):
        d, inner = s["d"], 2 * s["d"]
        normal = lambda *shape: torch.randn(*shape, device=device) * shape[-1] ** -0.5
        w = {"backbone.embeddings.weight": 0.02 * torch.randn(s["vocab"], d, device=device),
             "backbone.norm_f.weight": torch.ones(d, device=device)}
        for i in range(s["layers"]):
            dt = torch.exp(torch.rand(inner, device=device) * 4.6 - 6.9)
            w |= {f"backbone.layers.{i}.{k}": v for k, v in {
                "norm.weight": torch.ones(d, device=device),
                "mixer.in_proj.weight": normal(2 * inner, d), "mixer.conv1d.weight": 0.5 * torch.randn(inner, 1, 4, device=device),
                "mixer.conv1d.bias": 0.1 * torch.randn(inner, device=device),
                "mixer.x_proj.weight": normal(s["rank"] + 2 * s["state"], inner), "mixer.dt_proj.weight": normal(inner, s["rank"]),
                "mixer.dt_proj.bias": dt + torch.log(-torch.expm1(-dt)),
                "mixer.A_log": torch.log(torch.arange(1, s["state"] + 1, device=device).float()).repeat(inner, 1),
                "mixer.D": torch.ones(inner, device=device), "mixer.out_proj.weight": normal(d, inner)}.items()}
        return w

    def __init__(self, w, s, n_rows, n_last):
        self.rank, self.state, self.eps = s["rank"], s["state"], 1e-5
        self.embedding, self.norm_f = w["backbone.embeddings.weight"], w["backbone.norm_f.weight"]
        self.unembed = linear(self.embedding, None, n_last)
        self.layers = []
        for i in range(s["layers"]):
            get = lambda name: w[f"backbone.layers.{i}.{name}"]
            self.layers.append(dict(
                norm=get("norm.weight"), in_proj=linear(get("mixer.in_proj.weight"), None, n_rows),
                taps=get("mixer.conv1d.weight")[:, 0].t().contiguous(), conv_bias=get("mixer.conv1d.bias"),
                x_proj=linear(get("mixer.x_proj.weight"), None, n_rows),
                dt_proj=linear(get("mixer.dt_proj.weight"), get("mixer.dt_proj.bias"), n_rows),
                A_t=-torch.exp(get("mixer.A_log")).t().contiguous(), D=get("mixer.D"),
                out_proj=linear(get("mixer.out_proj.weight"), None, n_rows)))

    def last_logits(self, ids, cells, form):
        b, T = ids.shape
        keep = (~cells.source).float()
        scan = self.forms[form]
        x = F.embedding(ids, self.embedding).view(b * T, -1)
        for index, layer in enumerate(self.layers):
            u, z = layer["in_proj"](rms_norm(x, layer["norm"], self.eps)).chunk(2, -1)
            u3, taps = u.view(b, T, -1), layer["taps"]
            conv = torch.addcmul(layer["conv_bias"], u3, taps[-1])
            for k in range(1, min(len(taps), T)):
                conv[:, k:].addcmul_(u3[:, :-k], taps[-1 - k])
            u = F.silu(conv, inplace=True).view(b * T, -1)
            dt, B, C = layer["x_proj"](u).split([self.rank, self.state, self.state], -1)
            delta = F.softplus(layer["dt_proj"](dt))
            u3 = u.view(b, T, -1)
            y = scan(delta.view(b, T, -1), u3, B.reshape(b, T, -1), C.reshape(b, T, -1), layer["A_t"], cells.rows(index), keep)
            y = y.addcmul_(u3, layer["D"]).view(b * T, -1).mul_(F.silu(z))
            x = x.add_(layer["out_proj"](y))
        return self.unembed(rms_norm(x.view(b, T, -1)[:, -1], self.norm_f, self.eps))


# ------------------------------------------------------------------------------------------------ GPT-2
def attend_fused(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def attend_plain(q, k, v, mask):
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2)).add_(mask)
    return torch.matmul(torch.softmax(scores, -1), v)


class Gpt2:
    """Radford et al. 2019, in the arithmetic of Hugging Face's GPT2LMHeadModel; weights under its names."""
    forms = {"fused": attend_fused, "plain": attend_plain}

    @staticmethod
    def random_weights(s, device):
        d = s["d"]
        normal = lambda *shape: torch.randn(*shape, device=device) * shape[0] ** -0.5
        norm = lambda name: {f"{name}.weight": torch.ones(d, device=device), f"{name}.bias": torch.zeros(d, device=device)}
        w = {"transformer.wte.weight": 0.1 * torch.randn(s["vocab"], d, device=device),
             "transformer.wpe.weight": 0.1 * torch.randn(s["positions"], d, device=device)} | norm("transformer.ln_f")
        for i in range(s["layers"]):
            w |= norm(f"transformer.h.{i}.ln_1") | norm(f"transformer.h.{i}.ln_2")
            for name, n_in, n_out in (("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, 4 * d), ("mlp.c_proj", 4 * d, d)):
                w[f"transformer.h.{i}.{name}.weight"] = normal(n_in, n_out)
                w[f"transformer.h.{i}.{name}.bias"] = 0.02 * torch.randn(n_out, device=device)
        return w

    def __init__(self, w, s, n_rows, n_last):
        self.heads = s["heads"]
        self.wte, self.wpe = w["transformer.wte.weight"], w["transformer.wpe.weight"]
        self.ln_f = (w["transformer.ln_f.weight"], w["transformer.ln_f.bias"])
        self.unembed = linear(self.wte, None, n_last)
        self.layers = []
        for i in range(s["layers"]):
            get = lambda name: w[f"transformer.h.{i}.{name}"]
            project = lambda name: linear(get(f"{name}.weight").t().contiguous(), get(f"{name}.bias"), n_rows)
            self.layers.append(dict(
                ln_1=(get("ln_1.weight"), get("ln_1.bias")), ln_2=(get("ln_2.weight"), get("ln_2.bias")),
                qkv=project("attn.c_attn"), out=project("attn.c_proj"), up=project("mlp.c_fc"), down=project("mlp.c_proj")))

    def last_logits(self, ids, cells, form):
        b, T = ids.shape
        d, attend = self.wte.shape[1], self.forms[form]
        causal = torch.full((T, T), float("-inf"), device=ids.device).triu(1).expand(b, 1, T, T)
        cut = causal.clone()
        cut[:, 0, -1].masked_fill_(cells.source, float("-inf"))
        x = (F.embedding(ids, self.wte) + self.wpe[:T]).view(b * T, d)
        for index, layer in enumerate(self.layers):
            rows, mask = cells.rows(index), causal
            if isinstance(rows, slice):
                mask = cut
            elif rows is not None:
                mask = causal.clone()
                mask[rows] = cut[rows]
            qkv = layer["qkv"](F.layer_norm(x, (d,), *layer["ln_1"])).view(b, T, 3, self.heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            context = attend(q, k, v, mask).transpose(1, 2).reshape(b * T, d)
            x = x.add_(layer["out"](context))
            h = F.gelu(layer["up"](F.layer_norm(x, (d,), *layer["ln_2"])), approximate="tanh")
            x = x.add_(layer["down"](h))
        return self.unembed(F.layer_norm(x.view(b, T, d)[:, -1], (d,), *self.ln_f))


FAMILIES = {"mamba": Mamba, "gpt2": Gpt2}


# ------------------------------------------------------------------------------------------------ the cells
def all_cells(n_prompts, n_layers):
    """Every (prompt, route, start), windows slowest: prompt [n], start [n], source [n, T]."""
    prompt, start, source = [], [], []
    for s in range(n_layers - WINDOW + 1):
        for p in range(n_prompts):
            for positions in ROUTES.values():
                prompt.append(p), start.append(s)
                source.append([t in positions for t in range(N_TOKENS)])
    return torch.tensor(prompt), torch.tensor(start), torch.tensor(source)


def metrics(logits, target, clean_p, clean_dot):
    """[4, B]: log-probability and rank of the target, the top token, KL(clean || cell)."""
    logp = torch.log_softmax(logits, -1)
    own = logp.gather(1, target[:, None])
    rank = 1 + (logp > own).sum(1)
    kl = clean_dot - torch.linalg.vecdot(clean_p, logp)
    return torch.stack([own[:, 0], rank.float(), logp.argmax(1).float(), kl])


class Job:
    """The model, its prompts and their cells on a device."""

    def __init__(self, shape, n_prompts, n_cells, device, seed):
        torch.manual_seed(seed)
        s = SHAPES[shape]
        self.family, self.device = FAMILIES[s["family"]], device
        self.model = self.family(self.family.random_weights(s, device), s, BATCH * N_TOKENS, BATCH)
        self.ids = torch.randint(s["vocab"], (n_prompts, N_TOKENS), device=device)
        self.target = torch.randint(s["vocab"], (n_prompts,), device=device)
        prompt, start, source = (t.to(device) for t in all_cells(n_prompts, s["layers"]))
        n = len(prompt) if n_cells == 0 else min(n_cells, len(prompt))
        n -= n % BATCH
        if n == 0:
            raise SystemExit(f"batched.py: {len(prompt)} cells are fewer than one batch of {BATCH}; give more --prompts or --cells")
        self.batches = [Cells(prompt[i:i + BATCH], start[i:i + BATCH], source[i:i + BATCH], WINDOW) for i in range(0, n, BATCH)]
        self.n_cells = n
        self.clean = torch.cat([self.clean_logp(i) for i in range(0, n_prompts, BATCH)])
        self.clean_p = self.clean.exp()
        self.clean_dot = torch.linalg.vecdot(self.clean_p, self.clean)

    def clean_logp(self, first):
        ids = self.ids[first:first + BATCH]
        padded = ids.repeat(-(-BATCH // len(ids)), 1)[:BATCH]
        nothing = Cells(None, torch.zeros(BATCH, dtype=torch.long, device=self.device),
                        torch.zeros(BATCH, N_TOKENS, dtype=torch.bool, device=self.device), 0)
        return torch.log_softmax(self.model.last_logits(padded, nothing, next(iter(self.family.forms))), -1)[:len(ids)]

    def run(self, batches, form):
        """[4, cells] metrics and the seconds that they took."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        begin, out = time.perf_counter(), []
        for cells in batches:
            p = cells.prompt
            logits = self.model.last_logits(self.ids[p], cells, form)
            out.append(metrics(logits, self.target[p], self.clean_p[p], self.clean_dot[p]))
        out = torch.cat(out, 1).cpu()
        return out, time.perf_counter() - begin

    def check(self, forms):
        """Largest difference in log-probability between the forms; raises where they disagree or where nothing was removed."""
        some = [self.batches[0], self.batches[len(self.batches) // 2], self.batches[-1]]
        results = [self.run(some, form)[0] for form in forms]
        clean = torch.cat([self.clean[c.prompt, self.target[c.prompt]] for c in some]).cpu()
        effect = (results[0][0] - clean).abs()
        if not (effect.max() > 1e-3):
            raise SystemExit(f"batched.py: no cell differs from its clean run by more than {effect.max():.1e}")
        worst = max(float((results[0][0] - r[0]).abs().max()) for r in results)
        if not (worst <= 1e-3):
            raise SystemExit(f"batched.py: the forms {', '.join(forms)} differ by {worst:.1e} in log-probability")
        return worst, float(effect.max())


def cpu_name():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measure(a):
    job = Job(a.shape, a.prompts, a.cells, a.device, a.seed)
    forms = list(job.family.forms)
    worst, effect = job.check(forms)
    trial = job.batches[:2]
    by_form = {f: min(job.run(trial, f)[1] for _ in range(3)) / (len(trial) * BATCH) for f in forms}
    form = min(by_form, key=by_form.get)
    seconds = [job.run(job.batches, form)[1] / job.n_cells for _ in range(a.repeat)]
    return dict(
        shape=a.shape, device=a.device, device_name=torch.cuda.get_device_name() if a.device == "cuda" else cpu_name(),
        threads=torch.get_num_threads(), torch=torch.__version__, cells=job.n_cells, batch=BATCH, tokens=N_TOKENS, window=WINDOW,
        routes=list(ROUTES), form=form, ms_per_cell=1e3 * min(seconds), ms_per_cell_repeats=[1e3 * s for s in seconds],
        ms_per_cell_by_form={f: 1e3 * s for f, s in by_form.items()},
        products={"x".join(map(str, k[0])): way.__name__.removesuffix("_way") for k, way in CHOSEN.items()}, largest_difference_of_forms=worst, largest_effect=effect)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--shape", choices=SHAPES, default="mamba-130m")
    ap.add_argument("--prompts", type=int, default=8, help="prompts of 10 tokens (default 8)")
    ap.add_argument("--cells", type=int, default=0, help="cells at most; 0: all of them (default)")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    ap.add_argument("--repeat", type=int, default=3, help="times the cells are run; the best counts (default 3)")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--json", action="store_true", help="print the JSON line alone")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    with torch.no_grad():
        r = measure(a)
    if not a.json:
        forms = ", ".join(f"{f} {ms:.2f}" for f, ms in r["ms_per_cell_by_form"].items())
        print(f"{r['shape']} on {r['device_name']}, {r['threads']} threads, PyTorch {r['torch']}")
        print(f"  {r['cells']} cells in batches of {BATCH}; ms a cell of each form: {forms}")
        print(f"  forms agree to {r['largest_difference_of_forms']:.1e}; largest effect of a cell {r['largest_effect']:.2f} nats")
        print(f"  {r['ms_per_cell']:.2f} ms a cell ({r['form']}, best of {len(r['ms_per_cell_repeats'])})")
    print(json.dumps(r))


if __name__ == "__main__":
    main()
