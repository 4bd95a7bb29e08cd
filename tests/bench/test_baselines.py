"""The baselines against the oracle: random models of every kind, each form of each kind of baseline, every route.

Usage: test_baselines.py    exits with 77, after the reason, where torch, transformers or safetensors is missing

The oracle computes in float64 from the same weights. Log-probabilities over the whole vocabulary and the target's metrics must agree to
1e-5 in float64 and to 1e-3 in float32, whose rounding these random models amplify (largest seen: 3e-6, where transformers'
rotary angles are float32, and 2e-4), ranks and top tokens
exactly where the oracle's values are not that close.
"""
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

missing = [m for m in ("torch", "transformers", "safetensors") if find_spec(m) is None]
if missing:
    print(f"skipped: this Python has no {', '.join(missing)}")
    sys.exit(77)

import torch
from safetensors.torch import save_file

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "oracle")]
from baseline_models import FAMILIES, forms
from baseline_shapes import Shape, with_baseline
from baseline_weights import random_weights
from gpu_baselines import metrics, sources
from knockout_oracle import Knockout, OracleModel

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-3}
EFFECT = 1e-4      # of most cells at least, on some log-probability
MAMBA = dict(model_type="mamba", hidden_size=40, num_hidden_layers=5, vocab_size=97, state_size=16, conv_kernel=4, expand=2,
             time_step_rank=3, tie_word_embeddings=True)
LLAMA = dict(model_type="llama", hidden_size=48, num_hidden_layers=4, vocab_size=101, num_attention_heads=6, num_key_value_heads=2,
             head_dim=16, intermediate_size=80, max_position_embeddings=128, rms_norm_eps=1e-5, rope_theta=500.0, tie_word_embeddings=False)
MAMBA2 = dict(model_type="mamba2", hidden_size=48, num_hidden_layers=4, vocab_size=90, state_size=16, expand=2, head_dim=16, num_heads=6,
              n_groups=2, conv_kernel=4, layer_norm_epsilon=1e-5, tie_word_embeddings=False)
CONFIGS = {
    "mamba": MAMBA,
    "falcon-mamba": MAMBA | dict(model_type="falcon_mamba", intermediate_size=96, mixer_rms_eps=1e-6, tie_word_embeddings=False),
    "mamba2": MAMBA2 | dict(n_groups=1, tie_word_embeddings=True),
    "mamba2-groups": MAMBA2 | dict(time_step_limit=[0.05, 0.4]),
    "gpt2": dict(model_type="gpt2", n_embd=48, n_layer=4, n_head=4, n_positions=32, vocab_size=103, bos_token_id=0, eos_token_id=0,
                 tie_word_embeddings=True),
    "llama": LLAMA,
    "llama-scaled": LLAMA | dict(tie_word_embeddings=True, rope_scaling=dict(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)),
    "mistral": LLAMA | dict(model_type="mistral", sliding_window=14),
}


def oracle_of(config, weights):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        save_file({name: w.contiguous() for name, w in weights.items()}, f"{folder}/model.safetensors", metadata={"format": "pt"})
        return OracleModel(folder)


class Case:
    """One model, one prompt length, one window; the cells are two prompts times the four routes."""

    def __init__(self, name, T, start, size, dtype=torch.float64):
        g = torch.Generator().manual_seed(T)
        self.name, self.start, self.size, config = f"{name}, {dtype}", start, size, CONFIGS[name]
        self.tolerance = TOLERANCE[dtype]
        self.shape = Shape.of(config)
        weights = random_weights(self.shape, torch.float32, "cpu", seed=7)
        self.oracle = oracle_of(config, weights)
        self.model = FAMILIES[self.shape.family]({n: w.to(dtype) for n, w in weights.items()}, self.shape, dtype)
        self.ids = torch.randint(self.shape.vocab, (2, T), generator=g).repeat_interleave(4, 0)
        self.target = torch.randint(self.shape.vocab, (8,), generator=g)
        self.source = sources(T).repeat(2, 1)
        self.clean = torch.stack([self.oracle.log_probs(ids.tolist()) for ids in self.ids])
        self.expected = torch.stack([self.expect(c) for c in range(8)])

    def expect(self, c):
        T = self.ids.shape[1]
        edges = [(T - 1, j) for j in range(T) if self.source[c, j]]
        return self.oracle.log_probs(self.ids[c].tolist(), Knockout(edges, range(self.start, self.start + self.size)))

    def compare(self, what, got, expected):
        worst = float((got - expected).abs().max())
        if not worst <= self.tolerance:
            raise SystemExit(f"test_baselines.py: {self.name}: {what}: differs from the oracle by {worst:.1e}")
        return worst

    def check_metrics(self, logits):
        got = metrics(logits, self.target, self.clean.to(logits.dtype))
        e = self.expected
        own = e.gather(1, self.target[:, None])
        worst = self.compare("log-probability", got[0], own[:, 0])
        worst = max(worst, self.compare("KL divergence", got[3], (self.clean.exp() * (self.clean - e)).sum(1)))
        others = (e - own).abs().scatter(1, self.target[:, None], torch.inf)
        clear = others.min(1).values > 2 * self.tolerance
        top = e.topk(2).values
        decided = top[:, 0] - top[:, 1] > 2 * self.tolerance
        if not (clear.any() and torch.equal(got[1][clear].long(), 1 + (e > own).sum(1)[clear])):
            raise SystemExit(f"test_baselines.py: {self.name}: ranks differ from the oracle's")
        if not (decided.any() and torch.equal(got[2][decided].long(), e.argmax(1)[decided])):
            raise SystemExit(f"test_baselines.py: {self.name}: top tokens differ from the oracle's")
        return worst

    def run(self):
        """Every form over the whole batch and, as `released` runs it, cell by cell.  The largest difference seen."""
        nothing = torch.zeros_like(self.source)
        if not (self.expected - self.clean).abs().amax(1).median() > EFFECT:
            raise SystemExit(f"test_baselines.py: {self.name}: most cells hardly differ from their clean run, which tests nothing")
        worst = 0.0
        for kind in ("batched", "released"):
            for form_name, form in forms(self.shape.family, kind).items():
                what = f"{kind}, {form_name}, T = {self.ids.shape[1]}"
                run = lambda part: self.model.last_logits(self.ids[part], self.source[part], self.start, self.size, form)
                logits = run(slice(None)) if kind == "batched" else torch.cat([run(slice(c, c + 1)) for c in range(8)])
                clean = self.model.last_logits(self.ids, nothing, 0, 0, form)
                worst = max(worst, self.compare(what, torch.log_softmax(logits, -1), self.expected),
                            self.compare(f"{what}, clean run", torch.log_softmax(clean, -1), self.clean), self.check_metrics(logits))
        return worst


def large_is_small():
    """The step-by-step ways of Mamba, which only large batches take, give what the small ones do."""
    import baseline_models
    case, limit = Case("mamba", 10, 1, 2), baseline_models.SMALL
    baseline_models.SMALL = 0
    worst = case.run()
    baseline_models.SMALL = limit
    return worst


def main():
    torch.set_num_threads(1)
    shapes = with_baseline()
    if len(shapes) != 17:
        raise SystemExit(f"test_baselines.py: {len(shapes)} shapes of families with a baseline were read, there are 17")
    for shape in shapes.values():
        Shape.of(shape)
    with torch.inference_mode():
        for name in CONFIGS:
            worst = max(Case(name, T, start, size).run() for T, start, size in ((10, 1, 2), (5, 0, 3), (17, 2, 2)))
            single = max(Case(name, T, 1, 2, torch.float32).run() for T in (5, 10))
            print(f"{name}: largest difference from the oracle {worst:.1e}, in float32 {single:.1e}", flush=True)
        print(f"mamba, step by step: {large_is_small():.1e}")


if __name__ == "__main__":
    main()
