"""Baseline for one long prompt: cells of `knockout bench --tokens T`, by batched full forward passes in PyTorch on a CPU.

Usage: long_cells.py --shape gpt2-medium [--tokens N] [--threads N] [--batch 1,2,4] [--form NAME] [--cells N] [--json]

One prompt of random tokens, its subject at positions 1 to 3, the routes of `bench` into `last`, a window of 9 layers, GPT-2 of
batched.py with random weights; every batch has one window. The attention has three forms, which must agree:

  fused    PyTorch's fused attention with the additive mask [batch, 1, T, T] that transformers makes
  causal   the same in the layers and batches that remove something, and the fused causal attention without a mask in all others
  plain    two matrix products and a softmax, with the same mask

Every form with every batch size computes --cells cells or one batch, whichever is more; the fastest is what counts. Its time on the
clock and its processor time, of all threads, are both the smallest that was seen. The clean run is not timed. The last line is JSON.
"""
import argparse
import json
import time

import torch
import torch.nn.functional as F

import batched

SUBJECT = (1, 2, 3)


def attend_causal(q, k, v, mask):
    if torch.isinf(mask[:, 0, -1]).any():
        return batched.attend_fused(q, k, v, mask)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class Gpt2(batched.Gpt2):
    forms = {"fused": batched.attend_fused, "causal": attend_causal, "plain": batched.attend_plain}


class Job:
    """A model with one prompt."""

    def __init__(self, shape, T):
        s = batched.SHAPES[shape]
        if s["family"] != "gpt2":
            raise SystemExit(f"long_cells.py: --shape: {shape} has no attention, choose a GPT-2")
        self.layers, self.T = s["layers"], T
        self.model = Gpt2(Gpt2.random_weights(s, "cpu"), s, T, 1)
        self.ids = torch.randint(s["vocab"], (1, T))
        self.target = torch.randint(s["vocab"], (1,))
        sets = [SUBJECT, [t for t in range(T) if t not in SUBJECT], [T - 1], [0]]
        self.source = torch.tensor([[t in positions for t in range(T)] for positions in sets])
        nothing = batched.Cells(None, torch.zeros(1, dtype=torch.long), torch.zeros(1, T, dtype=torch.bool), 0)
        self.clean = torch.log_softmax(self.model.last_logits(self.ids, nothing, "fused"), -1)
        self.clean_p = self.clean.exp()
        self.clean_dot = torch.linalg.vecdot(self.clean_p, self.clean)

    def run(self, b, form, first):
        """[4, b] metrics of b cells of one window: the routes from `first` on in turn."""
        route = torch.arange(first, first + b)
        start = torch.full((b,), int(first * 5 % (self.layers - batched.WINDOW + 1)))
        cells = batched.Cells(None, start, self.source[route % 4], batched.WINDOW)
        logits = self.model.last_logits(self.ids.expand(b, -1), cells, form)
        return batched.metrics(logits, self.target.expand(b), self.clean_p.expand(b, -1), self.clean_dot.expand(b))

    def check(self):
        """Largest difference in log-probability between the forms, of the four cells of a window."""
        results = {form: self.run(4, form, 0)[0] for form in Gpt2.forms}
        effect = float((results["fused"] - self.clean[0, self.target[0]]).abs().max())
        worst = max(float((results["fused"] - r).abs().max()) for r in results.values())
        if not effect > 1e-4:
            raise SystemExit(f"long_cells.py: no cell differs from its clean run by more than {effect:.1e}")
        if not worst <= 1e-3:
            raise SystemExit(f"long_cells.py: the forms differ by {worst:.1e} in log-probability")
        return worst, effect

    def seconds(self, b, form, n_cells):
        """Seconds a cell, on the clock and of processors: the smallest of the batches."""
        wall, processor = [], []
        for first in range(0, max(b, n_cells), b):
            begin, had = time.perf_counter(), time.process_time()
            self.run(b, form, first)
            wall.append((time.perf_counter() - begin) / b)
            processor.append((time.process_time() - had) / b)
        return min(wall), min(processor)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--shape", default="gpt2-medium", choices=batched.SHAPES)
    ap.add_argument("--tokens", type=int, default=620)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--batch", type=lambda text: [int(x) for x in text.split(",")], default=[1, 2, 4], help="sizes to try (default 1,2,4)")
    ap.add_argument("--form", choices=Gpt2.forms, help="this form alone (default: all)")
    ap.add_argument("--cells", type=int, default=4, help="cells of each form and size (default 4)")
    ap.add_argument("--json", action="store_true", help="print the JSON line alone")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        job = Job(a.shape, a.tokens)
        worst, effect = job.check()
        found = {(form, b): job.seconds(b, form, a.cells) for form in ([a.form] if a.form else Gpt2.forms) for b in a.batch}
    form, b = min(found, key=lambda key: found[key][1])
    r = dict(shape=a.shape, tokens=a.tokens, threads=torch.get_num_threads(), torch=torch.__version__, device=batched.cpu_name(), form=form,
             batch=b, ms_per_cell=1e3 * found[form, b][0], processor_ms_per_cell=1e3 * found[form, b][1],
             processor_ms_per_cell_by_form={f"{form} x {b}": round(1e3 * s[1]) for (form, b), s in found.items()},
             largest_difference_of_forms=worst, largest_effect=effect)
    if not a.json:
        print(f"{a.shape}, T = {a.tokens}: {r['ms_per_cell']:.0f} ms a cell, {r['processor_ms_per_cell']:.0f} of processors "
              f"({form}, batches of {b}); forms agree to {worst:.1e}")
    print(json.dumps(r))


if __name__ == "__main__":
    main()
