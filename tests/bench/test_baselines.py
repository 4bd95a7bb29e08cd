"""The baselines against the oracle: random models of every kind, each form of each kind of baseline, every route, of hybrids every
class; against golden cells of a hybrid; and head_cells.py's hooks, every head of every layer.

Usage: test_baselines.py    exits with 77, after the reason, where torch, transformers, safetensors, h5py or numpy is missing

The oracle computes in float64 from the same weights. Log-probabilities over the whole vocabulary and the target's metrics must agree to
1e-5 in float64 and to 1e-3 in float32, whose rounding these random models amplify (largest seen: 3e-6, where transformers'
rotary angles are float32, and 2e-4), ranks and top tokens
exactly where the oracle's values are not that close. Golden cells must agree to GOLDEN in float64.
"""
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

missing = [m for m in ("torch", "transformers", "safetensors", "h5py", "numpy") if find_spec(m) is None]
if missing:
    print(f"skipped: this Python has no {', '.join(missing)}")
    sys.exit(77)

import h5py
import torch
from safetensors.torch import load_file, save_file

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "oracle")]
from baseline_models import FAMILIES, forms
from baseline_shapes import Shape, with_baseline
from baseline_weights import random_weights
from gpu_baselines import by_mixer, metrics, sources
from head_cells import HOOKED, HeadJob, TunedGpt2
from hybrid_oracle import HybridModel
from knockout_oracle import Knockout, OracleModel

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-3}
GOLDEN = 1e-10     # largest seen: 9e-15
EFFECT = 1e-4      # of most cells at least, on some log-probability
MAMBA = dict(model_type="mamba", hidden_size=40, num_hidden_layers=5, vocab_size=97, state_size=16, conv_kernel=4, expand=2,
             time_step_rank=3, tie_word_embeddings=True)
LLAMA = dict(model_type="llama", hidden_size=48, num_hidden_layers=4, vocab_size=101, num_attention_heads=6, num_key_value_heads=2,
             head_dim=16, intermediate_size=80, max_position_embeddings=128, rms_norm_eps=1e-5, rope_theta=500.0, tie_word_embeddings=False)
MAMBA2 = dict(model_type="mamba2", hidden_size=48, num_hidden_layers=4, vocab_size=90, state_size=16, expand=2, head_dim=16, num_heads=6,
              n_groups=2, conv_kernel=4, layer_norm_epsilon=1e-5, tie_word_embeddings=False)
FALCON_H1 = LLAMA | dict(
    model_type="falcon_h1", rope_theta=1e11, mamba_d_ssm=64, mamba_n_heads=4, mamba_d_state=12, mamba_n_groups=1, mamba_d_conv=4,
    mamba_rms_norm=False, embedding_multiplier=1.7, lm_head_multiplier=0.6, attention_in_multiplier=1.2, key_multiplier=0.7,
    attention_out_multiplier=0.9, ssm_in_multiplier=1.3, ssm_out_multiplier=0.8, ssm_multipliers=[1.1, 0.9, 0.8, 1.2, 0.7],
    mlp_multipliers=[0.9, 0.7])
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
    "falcon-h1": FALCON_H1,
    "falcon-h1-groups": FALCON_H1 | dict(mamba_n_groups=2, time_step_limit=[0.05, 0.4], tie_word_embeddings=True),
}


def oracle_of(config, weights):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        save_file({name: w.contiguous() for name, w in weights.items()}, f"{folder}/model.safetensors", metadata={"format": "pt"})
        return (HybridModel if Shape.of(config).ssm else OracleModel)(folder)


class Case:
    """One model, one prompt length, one window; the cells are two prompts times the four routes, of hybrids times the classes."""

    def __init__(self, name, T, start, size, dtype=torch.float64):
        g = torch.Generator().manual_seed(T)
        self.name, self.start, self.size, config = f"{name}, {dtype}", start, size, CONFIGS[name]
        self.tolerance = TOLERANCE[dtype]
        self.shape = Shape.of(config)
        weights = random_weights(self.shape, torch.float32, "cpu", seed=7)
        self.oracle = oracle_of(config, weights)
        self.model = FAMILIES[self.shape.family]({n: w.to(dtype) for n, w in weights.items()}, self.shape, dtype)
        n = 8 * len(self.shape.classes)
        self.ids = torch.randint(self.shape.vocab, (2, T), generator=g).repeat_interleave(n // 2, 0)
        self.target = torch.randint(self.shape.vocab, (n,), generator=g)
        self.removed = sources(T).repeat(n // 4, 1)
        self.classes = [name for name in self.shape.classes for _ in range(4)] * 2
        self.source = by_mixer(self.shape, self.removed, self.classes)
        self.clean = torch.stack([self.oracle.log_probs(ids.tolist()) for ids in self.ids])
        self.expected = torch.stack([self.expect(c) for c in range(n)])

    def expect(self, c):
        T = self.ids.shape[1]
        edges = [(T - 1, j) for j in range(T) if self.removed[c, j]]
        return self.oracle.log_probs(self.ids[c].tolist(), Knockout(edges, range(self.start, self.start + self.size), self.classes[c]))

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
                logits = run(slice(None)) if kind == "batched" else torch.cat([run(slice(c, c + 1)) for c in range(len(self.ids))])
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


def head_cells(name, T, dtype, tuned=False):
    """Every head of every layer, left out by a hook, in batches that mix layers and heads.  The largest difference from the oracle."""
    shape = Shape.of(CONFIGS[name])
    weights = random_weights(shape, torch.float32, "cpu", seed=7)
    oracle = oracle_of(CONFIGS[name], weights)
    own = {n: w.to(dtype) for n, w in weights.items()}
    model = TunedGpt2(own, shape, 6, T) if tuned else HOOKED[shape.family](own, shape, dtype)
    job = HeadJob(shape, model, "cpu", T, 2, seed=T)
    prompt, layer, head = torch.cartesian_prod(torch.arange(2), torch.arange(shape.layers), torch.arange(shape.heads)).T
    expected = torch.stack([oracle.log_probs(job.ids[p].tolist(), Knockout([], range(l, l + 1), f"head:{k}", "attention", (T - 1,)))
                            for p, l, k in zip(prompt.tolist(), layer.tolist(), head.tolist())])
    clean = torch.stack([oracle.log_probs(ids.tolist()) for ids in job.ids])
    if not (expected - clean[prompt]).abs().amax(1).median() > EFFECT:
        raise SystemExit(f"test_baselines.py: {name}: most head cells hardly differ from their clean run, which tests nothing")
    worst, order = 0.0, torch.randperm(len(prompt), generator=torch.Generator().manual_seed(1))
    for form in forms(shape.family, "batched").values():
        for part in order.split(6):
            batch = job.cells(prompt[part], layer[part], head[part])
            got = torch.log_softmax(job.logits(batch, form), -1)
            worst = max(worst, float((got - expected[part]).abs().max()))
        left = job.model.last_logits(job.ids, torch.zeros(2, T, dtype=torch.bool), 0, 0, form)
        worst = max(worst, float((torch.log_softmax(left, -1) - clean).abs().max()))      # the hooks are gone
    if not worst <= TOLERANCE[dtype]:
        raise SystemExit(f"test_baselines.py: {name}, {dtype}: head cells differ from the oracle by {worst:.1e}")
    return worst


def golden_cells(name):
    """Every golden cell of a hybrid variant whose route goes into the last position and whose class is of whole mixers.  The largest
    difference in log-probability and KL divergence."""
    folder = Path(__file__).parents[1] / "data" / "variants" / name
    weights = {n: w.double() for file in sorted(folder.glob("*.safetensors")) for n, w in load_file(file).items()}
    shape = Shape.of(json.loads((folder / "config.json").read_text()))
    model, worst, n_cells = FAMILIES[shape.family](weights, shape, torch.float64), 0.0, 0
    with h5py.File(folder / "golden.h5") as golden:
        read = lambda name: torch.from_numpy(golden[name][()])
        tokens, spans, targets = read("token_id").long(), read("subject_span").tolist(), read("target_id").long()
        sizes = read("window_size").tolist()
        routes, classes = golden["route"].asstr()[()].tolist(), golden["feature_class"].asstr()[()].tolist()
        columns = [classes.index(c) for c in shape.classes]
        rows = [routes.index(f"last<-{source}") for source in ("subject", "relation", "last", "first")]
        wanted = [read(name)[:, rows][:, :, columns].flatten(1, 2) for name in ("logprob", "target_rank", "top1_id", "kl")]
    for p, (ids, (begin, end)) in enumerate(zip(tokens, spans)):
        ids = ids[ids >= 0]
        removed = sources(len(ids), range(begin, end)).repeat_interleave(len(columns), 0)
        source = by_mixer(shape, removed, shape.classes * len(rows))
        ids, target = ids.repeat(len(source), 1), targets[p].repeat(len(source))
        for form_name, form in forms(shape.family, "batched").items():
            run = lambda source, start, size: model.last_logits(ids, source, start, size, form)
            clean = torch.log_softmax(run(torch.zeros_like(source), 0, 0), -1)
            for k, size in enumerate(sizes):
                for start in range(shape.layers - size + 1):
                    got = metrics(run(source, start, size), target, clean)
                    e = [x[p, :, k, start] for x in wanted]
                    difference = max(float((got[0] - e[0]).abs().max()), float((got[3] - e[3]).abs().max()))
                    if not (difference <= GOLDEN and torch.equal(got[1].int(), e[1]) and torch.equal(got[2].int(), e[2])):
                        raise SystemExit(f"test_baselines.py: {name}, {form_name}: prompt {p}, window {size} from {start}: differs from "
                                         f"the golden cells by {difference:.1e}, or in a rank or a top token")
                    worst, n_cells = max(worst, difference), n_cells + len(source)
    return worst, n_cells


def main():
    torch.set_num_threads(1)
    shapes = with_baseline()
    if len(shapes) != 23:
        raise SystemExit(f"test_baselines.py: {len(shapes)} shapes of families with a baseline were read, there are 23")
    for shape in shapes.values():
        Shape.of(shape)
    with torch.inference_mode():
        for name in CONFIGS:
            worst = max(Case(name, T, start, size).run() for T, start, size in ((10, 1, 2), (5, 0, 3), (17, 2, 2)))
            single = max(Case(name, T, 1, 2, torch.float32).run() for T in (5, 10))
            print(f"{name}: largest difference from the oracle {worst:.1e}, in float32 {single:.1e}", flush=True)
        print(f"mamba, step by step: {large_is_small():.1e}")
        for name in ("gpt2", "llama", "mistral"):
            worst = max(head_cells(name, T, torch.float64) for T in (5, 10, 17))
            single = max(head_cells(name, 10, torch.float32, tuned) for tuned in ({False, name == "gpt2"}))
            print(f"{name}, head cells: largest difference from the oracle {worst:.1e}, in float32 {single:.1e}", flush=True)
        worst, n_cells = golden_cells("falcon-h1")
        print(f"falcon-h1: largest difference from {n_cells} golden cells {worst:.1e}")


if __name__ == "__main__":
    main()
