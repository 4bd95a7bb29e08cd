"""Baselines in PyTorch for the cells of `knockout bench --shape`: what a cell costs without the token tree.

Usage: gpu_baselines.py --shape A,B [--kind released,batched] [--precision float32,tf32,bfloat16] [--tokens 10,20] [--batch 64,256]
                        [--classes all,attention,ssm] [--seconds S] [--device cuda|cpu] [--config JSON] [--compile] [--json]

Prompts of random tokens with the subject at positions 1 to 3, the routes last<-{subject, relation, last, first}, a window of 9 layers
at every start, random weights of the real shape; a cell is timed from the embedding to its metrics (log-probability, rank, top-1 and
KL divergence at the last position), the clean runs are not. The cells of a hybrid are of the classes `all`, `attention` and `ssm` in
turn, in one batch.

  released   one forward pass a cell, as the paper's released code goes about it: plain PyTorch, batch 1, in the window of an SSM the
             token-to-token matrix of every channel or head (`matrix`) or the layer twice (`hook`)
  batched    full forward passes of many cells at once, one window a batch; the fastest batch size and form are what counts.
             --batch 1 says what one cell at a time takes at best.

Each kind has several forms, in ms_per_cell_by_form; the fastest is ms_per_cell. Forms must agree and cells must differ from their clean
runs, else nothing is timed. The time is the median over batches, each ended by a synchronisation. One JSON line a result, as soon as it
is known; without --json a readable line on stderr beside it.
"""
import argparse
import gc
import json
import statistics
import sys
import time

import torch

from baseline_models import FAMILIES, forms, wide
from baseline_shapes import Shape, with_baseline
from baseline_weights import random_weights

WINDOW, SUBJECT, CHECKED = 9, (1, 2, 3), 8
DTYPES = {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}
# Largest difference in log-probability between forms. Deep random models amplify rounding; test_baselines.py is the strict check.
TOLERANCE = {"float32": 0.05, "tf32": 2.0, "bfloat16": 8.0}


def sources(T, subject=SUBJECT):
    """The source sets of the four routes, [4, T] bool."""
    sets = [subject, [t for t in range(T) if t not in subject], [T - 1], [0]]
    return torch.tensor([[t in positions for t in range(T)] for positions in sets])


def by_mixer(shape, removed, classes):
    """What a model takes as source sets.  removed: [b, T] bool; classes: b names; of a hybrid -> [b, 2, T], else removed itself."""
    if not shape.ssm:
        return removed
    cut = torch.tensor([[c in ("all", mixer) for mixer in ("attention", "ssm")] for c in classes], device=removed.device)
    return removed[:, None] & cut[..., None]


def metrics(logits, target, clean):
    """[4, b]: log-probability and rank of the target, the top token, KL(clean || cell).  clean: [b, V] log-probabilities."""
    logp = torch.log_softmax(wide(logits), -1)
    own = logp.gather(1, target[:, None])
    kl = (clean.exp() * (clean - logp)).sum(1)
    return torch.stack([own[:, 0], 1 + (logp > own).sum(1).float(), logp.argmax(1).float(), kl])


class Job:
    """One model with its prompts and cells.  A batch is (prompts [b], source sets [b, T], of hybrids [b, 2, T], start); it has one
    window.  classes: names, none of which a model without hybrid layers needs."""

    def __init__(self, shape, weights, dtype, device, T, classes, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.classes = classes
        self.s, self.device, self.T = shape, device, T
        self.size = min(WINDOW, shape.layers)
        self.model = FAMILIES[shape.family](weights, shape, dtype)
        self.reset(T, g)

    def reset(self, T, g, n_prompts=None):
        """n_prompts; by default 64, or fewer long ones. Their clean runs are passes of 4,096 tokens or so."""
        n_prompts, at_once = n_prompts or max(4, min(64, 65536 // T)), max(1, min(16, 4096 // T))
        self.T, self.generator = T, g
        self.ids = torch.randint(self.s.vocab, (n_prompts, T), generator=g).to(self.device)
        self.target = torch.randint(self.s.vocab, (n_prompts,), generator=g).to(self.device)
        source = sources(T).to(self.device)
        self.source = torch.stack([by_mixer(self.s, source, [name] * len(source)) for name in self.classes])
        usual = next(iter(forms(self.s.family, "batched").values()))
        nothing = torch.zeros_like(self.source[0, :1])
        logits = [self.model.last_logits(part, nothing.expand(len(part), *nothing.shape[1:]), 0, 0, usual) for part in self.ids.split(at_once)]
        self.clean = torch.log_softmax(torch.cat(logits).float(), -1)

    def batch(self, b):
        """b random cells of one random start, without repetition while there are enough, as many of each class."""
        order = torch.randperm(4 * len(self.ids), generator=self.generator)
        order = order.repeat(-(-b // len(order)))[:b]
        start = torch.randint(self.s.layers - self.size + 1, (), generator=self.generator).item()
        first = torch.randint(len(self.classes), (), generator=self.generator).item()
        turn = (first + torch.arange(b)) % len(self.classes)
        return (order // 4).to(self.device), self.source[turn.to(self.device), (order % 4).to(self.device)], start

    def run(self, batch, form):
        prompt, source, start = batch
        logits = self.model.last_logits(self.ids[prompt], source, start, self.size, form)
        return metrics(logits, self.target[prompt], self.clean[prompt])

    def synchronise(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, b, form, budget, least=3):
        """Seconds of each of several batches, after one for warming up."""
        self.run(self.batch(b), form)
        self.synchronise()
        out, end = [], time.perf_counter() + budget
        while len(out) < least or (time.perf_counter() < end and len(out) < 1000):
            batch = self.batch(b)
            self.synchronise()
            begin = time.perf_counter()
            self.run(batch, form)
            self.synchronise()
            out.append(time.perf_counter() - begin)
        return out

    def check(self, ways, tolerance):
        """Largest difference in log-probability between the forms, and largest effect of a cell."""
        batch = self.batch(CHECKED)
        results = [self.run(batch, form)[0] for form in ways]
        clean = self.clean[batch[0]].gather(1, self.target[batch[0], None])[:, 0]
        effect = float((results[0] - clean).abs().max())
        worst = max(float((results[0] - r).abs().max()) for r in results)
        if not effect > 1e-4:
            raise ArithmeticError(f"no cell differs from its clean run by more than {effect:.1e}")
        if not worst <= tolerance:
            raise ArithmeticError(f"the forms differ by {worst:.1e} in log-probability, more than {tolerance:.1e}")
        return worst, effect


def fastest(job, ways, batches, tries):
    """{(batch, form): ms a cell} by a few batches each; a size that does not fit in memory is left out, said on stderr."""
    found = {}
    for b in batches:
        for name, form in ways.items():
            try:
                found[b, name] = 1e3 * statistics.median(job.seconds(b, form, 0, tries)) / b
            except torch.OutOfMemoryError:
                print(f"gpu_baselines.py: batch {b}, {name}: does not fit in memory", file=sys.stderr)
                gc.collect(), torch.cuda.empty_cache()
    if not found:
        raise MemoryError(f"no batch of {batches} fits in memory")
    return found


def measure(job, name, kind, precision, a):
    ways = forms(job.s.family, kind)
    worst, effect = job.check(ways.values(), TOLERANCE[precision])
    found = fastest(job, ways, [1] if kind == "released" else a.batch, 2)
    b, form = min(found, key=found.get)
    times = job.seconds(b, ways[form], a.seconds)
    return dict(shape=name, kind=kind, precision=precision, tokens=job.T, window=job.size, classes=job.classes, batch=b,
                form=form,
                ms_per_cell=1e3 * statistics.median(times) / b, n_batches=len(times),
                ms_per_cell_by_form={f"{form} x {b}": ms for (b, form), ms in found.items()},
                ms_per_cell_range=[1e3 * min(times) / b, 1e3 * max(times) / b], largest_difference_of_forms=worst,
                largest_effect=effect, compiled=a.compile, torch=torch.__version__,
                device=torch.cuda.get_device_name() if a.device == "cuda" else "cpu",
                gpu_bytes=torch.cuda.max_memory_allocated() if a.device == "cuda" else None)


def set_precision(precision):
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def report(result, begin, a):
    result["wall_seconds"] = round(time.perf_counter() - begin, 2)
    print(json.dumps(result), flush=True)
    if not a.json and "error" not in result:
        r = result
        print(f"  {r['shape']}, {r['kind']}, {r['precision']}, T = {r['tokens']}: {r['ms_per_cell']:.3f} ms a cell "
              f"({r['form']}, batch {r['batch']}; {r['wall_seconds']:.0f} s in all)", file=sys.stderr)


def measure_shape(name, shape, a):
    """Every result of a shape, weights drawn once a type.  True if all went well."""
    well = True
    for dtype in dict.fromkeys(DTYPES[p] for p in a.precision):
        begin = time.perf_counter()
        classes = a.classes or list(shape.classes)
        job = Job(shape, random_weights(shape, dtype, a.device), dtype, a.device, a.tokens[0], classes)
        if a.compile:
            torch.compiler.reset()
            torch._dynamo.config.recompile_limit = 64        # beyond it layers would run uncompiled, unsaid
            job.model.run_layer = torch.compile(job.model.layer, dynamic=False)
        for T in a.tokens:
            for precision in (p for p in a.precision if DTYPES[p] == dtype):
                set_precision(precision)
                job.reset(T, torch.Generator().manual_seed(0))
                for kind in a.kind:
                    try:
                        result = measure(job, name, kind, precision, a)
                    except (ArithmeticError, MemoryError, RuntimeError) as e:
                        result = dict(shape=name, kind=kind, precision=precision, tokens=T, error=f"{type(e).__name__}: {e}"[:500])
                        well = False
                    report(result, begin, a)
                    begin = time.perf_counter()
        del job
        gc.collect()
        if a.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    return well


def main():
    listed = lambda allowed: lambda text: [
        x if x in allowed else ap.error(f"{x}: choose from {', '.join(allowed)}") for x in text.split(",")]
    numbers = lambda text: [int(x) for x in text.split(",")]
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shapes = with_baseline()
    ap.add_argument("--shape", type=lambda text: text.split(","), default=["mamba-130m"], help=f"a list of: {', '.join(shapes)}")
    ap.add_argument("--config", type=json.loads, help="the configuration of a shape that is not in the list, as JSON")
    ap.add_argument("--kind", type=listed(["released", "batched"]), default=["released", "batched"])
    ap.add_argument("--precision", type=listed(list(DTYPES)), default=["float32"])
    ap.add_argument("--tokens", type=numbers, default=[10], help="tokens a prompt (default 10)")
    ap.add_argument("--batch", type=numbers, default=[64, 256], help="batch sizes to try (default 64,256)")
    ap.add_argument("--classes", type=listed(["all", "attention", "ssm"]),
                    help="the classes of cells, in turn (default: all; of hybrids all, attention and ssm)")
    ap.add_argument("--seconds", type=float, default=3, help="timed seconds a result (default 3)")
    ap.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    ap.add_argument("--compile", action="store_true", help="put layers through torch.compile, which takes long")
    ap.add_argument("--json", action="store_true", help="print the JSON lines alone")
    a = ap.parse_args()
    if a.config:
        shapes = {name: a.config for name in a.shape}
    for name in a.shape:
        if name not in shapes:
            ap.error(f"--shape: unknown shape {name}, choose from {', '.join(shapes)}")
        if not set(a.classes or []) <= set(Shape.of(shapes[name]).classes):
            ap.error(f"--classes: {name} has no others than {', '.join(Shape.of(shapes[name]).classes)}")
    if min(a.tokens) < len(SUBJECT) + 2:
        ap.error(f"--tokens: at least {len(SUBJECT) + 2}")
    with torch.inference_mode():
        well = [measure_shape(name, Shape.of(shapes[name]), a) for name in a.shape]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
