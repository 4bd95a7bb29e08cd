"""Baseline in PyTorch for head cells: hooks before the output projections, in batched full forward passes.

Usage: head_cells.py --shape A,B [--precision float32,tf32,bfloat16] [--tokens 10] [--prompts 100] [--batch 8,16,32,64] [--seconds S]
                     [--threads 2] [--device cuda|cpu] [--config JSON] [--json]

A cell is `attention@last` with the class `head:K` in a window of one layer: the slice of head K of the output projection's input is zero
at the last position. There are prompts x layers x heads of them; a random sample is timed. A batch holds cells of any layers and heads,
one full pass each, and nothing is shared between cells; a hook before each output projection (`register_forward_pre_hook`) zeroes the
slices of the cells of its layer in place, which copies nothing. Models, weights, forms and the way of timing are those of
gpu_baselines.py; GPT-2 on a CPU has the products of batched.py, each the fastest of three kinds. The last line of a result is JSON;
without --json a readable line is on stderr beside it. processor_us_per_cell is the time of all processors together (user and system).
"""
import argparse
import gc
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

import baseline_models
import batched
import gpu_baselines as gpu
from baseline_shapes import Shape, with_baseline
from baseline_weights import random_weights


class Projection(torch.nn.Module):
    """An output projection that takes hooks.  product: (its input, [b * T, heads * e], ...) -> [b * T, d]."""

    def __init__(self, product):
        super().__init__()
        self.product = product

    def forward(self, *args):
        return self.product(*args)


class HookedGpt2(baseline_models.Gpt2):
    def take_layer(self, weights, i):
        w = super().take_layer(weights, i)
        weight, bias = w["out"]
        return w | dict(out=Projection(lambda y: torch.addmm(bias, y, weight)))

    def layer(self, w, x, b, edges, mix):
        product = lambda x, weight_bias: torch.addmm(weight_bias[1], x, weight_bias[0])
        q, k, v = product(self.norm(x, w["ln_1"]), w["qkv"]).view(b, -1, 3, self.s.heads, self.s.head_dim).unbind(2)
        x = x + w["out"](self.attend(q, k, v, edges, mix))
        return x + product(F.gelu(product(self.norm(x, w["ln_2"]), w["up"]), approximate="tanh"), w["down"])


class HookedLlama(baseline_models.Llama):
    def take_layer(self, weights, i):
        w = super().take_layer(weights, i)
        weight = w["out"].t()
        return w | dict(out=Projection(lambda y, x: torch.addmm(x, y, weight)))

    def layer(self, w, x, b, edges, mix):
        return self.add_mlp(w, w["out"](self.attention(w, self.norm(x, w["norm_1"]), b, edges, mix), x))


class TunedGpt2(batched.Gpt2):
    """batched.py's GPT-2, whose products are chosen for a number of rows."""

    def __init__(self, weights, s, b, T):
        super().__init__(weights, dict(heads=s.heads, layers=s.layers), b * T, b)
        for w in self.layers:
            w["out"] = Projection(w["out"])

    def last_logits(self, ids, source, start, size, form):
        name = "fused" if form.outside is baseline_models.attend_fused else "plain"
        nothing = batched.Cells(None, torch.zeros(len(ids), dtype=torch.long), source, 0)
        return super().last_logits(ids, nothing, name)


HOOKED = {"gpt2": HookedGpt2, "llama": HookedLlama}


class HeadJob(gpu.Job):
    """A hooked model with its prompts.  A batch is (prompts [b], {layer: (which of the batch, heads)})."""

    def __init__(self, shape, model, device, T, n_prompts, seed=0):
        self.s, self.device, self.model, self.size, self.classes = shape, device, model, 1, ["all"]
        self.reset(T, torch.Generator().manual_seed(seed), n_prompts)

    def cells(self, prompt, layer, head):
        """The batch of the cells whose prompts, layers and heads these are, each [b]."""
        plan = {int(l): tuple(x.to(self.device) for x in ((layer == l).nonzero()[:, 0], head[layer == l])) for l in layer.unique()}
        return prompt.to(self.device), plan

    def batch(self, b):
        draw = lambda n: torch.randint(n, (b,), generator=self.generator)
        return self.cells(draw(len(self.ids)), draw(self.s.layers), draw(self.s.heads))

    def logits(self, batch, form):
        prompt, plan = batch
        shape = (len(prompt), self.T, self.s.heads, -1)

        def hook(rows, heads):
            def zero(module, args):
                args[0].view(shape)[rows, -1, heads] = 0
            return zero

        hooks = [self.model.layers[l]["out"].register_forward_pre_hook(hook(*which)) for l, which in plan.items()]
        try:
            nothing = torch.zeros(len(prompt), self.T, dtype=torch.bool, device=self.device)
            return self.model.last_logits(self.ids[prompt], nothing, 0, 0, form)
        finally:
            for h in hooks:
                h.remove()

    def run(self, batch, form):
        prompt = batch[0]
        return gpu.metrics(self.logits(batch, form), self.target[prompt], self.clean[prompt])


def jobs(shape, dtype, a):
    """(batch sizes, HeadJob): one job for all sizes, or on a CPU one for each, whose products are chosen for it."""
    weights = random_weights(shape, dtype, a.device)
    if a.device == "cpu" and shape.family == "gpt2" and dtype == torch.float32:
        for b in a.batch:
            yield [b], HeadJob(shape, TunedGpt2(weights, shape, b, a.tokens), a.device, a.tokens, a.prompts)
    else:
        yield a.batch, HeadJob(shape, HOOKED[shape.family](weights, shape, dtype), a.device, a.tokens, a.prompts)


def measure(name, shape, precision, a):
    gpu.set_precision(precision)
    ways, found, best = baseline_models.forms(shape.family, "batched"), {}, None      # best: batch size, form, seconds a cell
    for sizes, job in jobs(shape, gpu.DTYPES[precision], a):
        worst, effect = job.check(ways.values(), gpu.TOLERANCE[precision])
        found |= gpu.fastest(job, ways, sizes, 2)
        b, form = min((k for k in found if k[0] in sizes), key=found.get)
        begin = time.process_time()
        times = [s / b for s in job.seconds(b, ways[form], a.seconds)]
        busy = (time.process_time() - begin) / (b * (len(times) + 1))       # one more batch than was timed, for warming up
        if best is None or statistics.median(times) < statistics.median(best[2]):
            best = b, form, times, busy
        del job
        gc.collect()
    b, form, times, busy = best
    return dict(shape=name, cells="attention@last, head:K, one layer", precision=precision, tokens=a.tokens, prompts=a.prompts, batch=b,
                form=form, us_per_cell=1e6 * statistics.median(times), us_per_cell_range=[1e6 * min(times), 1e6 * max(times)],
                processor_us_per_cell=1e6 * busy, n_batches=len(times), us_per_cell_by_form={f"{form} x {b}": 1e3 * ms for (b, form), ms in found.items()},
                all_cells=a.prompts * shape.layers * shape.heads, largest_difference_of_forms=worst, largest_effect=effect,
                threads=torch.get_num_threads(), torch=torch.__version__,
                device=torch.cuda.get_device_name() if a.device == "cuda" else batched.cpu_name(),
                gpu_bytes=torch.cuda.max_memory_allocated() if a.device == "cuda" else None)


def main():
    listed = lambda text: text.split(",")
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shapes = {name: c for name, c in with_baseline().items() if Shape.of(c).family in HOOKED}
    ap.add_argument("--shape", type=listed, default=["gpt2-medium"], help=f"a list of: {', '.join(shapes)}")
    ap.add_argument("--config", type=json.loads, help="the configuration of a shape that is not in the list, as JSON")
    ap.add_argument("--precision", type=listed, default=["float32"])
    ap.add_argument("--tokens", type=int, default=10, help="tokens a prompt (default 10)")
    ap.add_argument("--prompts", type=int, default=100)
    ap.add_argument("--batch", type=lambda text: [int(x) for x in text.split(",")], default=[8, 16, 32, 64])
    ap.add_argument("--seconds", type=float, default=5, help="timed seconds a result (default 5)")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    ap.add_argument("--json", action="store_true", help="print the JSON lines alone")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    shapes = {name: a.config for name in a.shape} if a.config else shapes
    for name in a.shape:
        if name not in shapes:
            ap.error(f"--shape: unknown shape {name}, choose from {', '.join(shapes)}")
    for precision in a.precision:
        if precision not in gpu.DTYPES:
            ap.error(f"--precision: {precision}: choose from {', '.join(gpu.DTYPES)}")
    with torch.inference_mode():
        for name in a.shape:
            for precision in a.precision:
                r = measure(name, Shape.of(shapes[name]), precision, a)
                print(json.dumps(r), flush=True)
                if not a.json:
                    print(f"  {name}, {precision}, T = {a.tokens}: {r['us_per_cell']:.1f} us a head cell ({r['form']}, batch {r['batch']})",
                          file=sys.stderr)
                if a.device == "cuda":
                    torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
