"""Compares clean runs of the program with those of the classes of transformers, prompt by prompt.

Usage: compare_hf.py PROGRAM FACTS_JSONL CHECKPOINT_DIR ... [--prompts N] [--seed S] [--bound B]

The program runs `evaluate` over N facts; transformers reads the same folders with AutoModelForCausalLM and computes in
float32.  Its code is not changed, except where it is known to read a configuration otherwise than it is meant (`corrected`).
Compared are the token ids of each prompt, which of them can be run, the log-probability of
the target, and the token that comes first (unless two are as close as the bound).  A table has the largest difference for
each checkpoint.  The exit status is 1 where one exceeds the bound, and 77, after the reason, where a module is missing.

Folders in the original layout of Mamba and Mamba-2, which transformers cannot read, are renamed for it first.
"""
import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from golden_command import need

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

import h5py
import torch
import transformers
from tokenizers import Tokenizer

from knockout_oracle import read_prompt

NOT_RUNNABLE, DONE = 0, 2           # eval_status
SPEC = """
models: {models}
prompts: {{file: facts.jsonl, select: all}}
routes: ['last<-last']
windows: {{sizes: [1], starts: all}}
"""


def evaluate(program, folders, facts, scratch):
    """The program's clean runs: the datasets of an evaluation that are compared."""
    models = [{"name": f"m{k}", "path": str(folder.resolve())} for k, folder in enumerate(folders)]
    (scratch / "facts.jsonl").write_text("".join(json.dumps(f) + "\n" for f in facts))
    (scratch / "spec.yaml").write_text(SPEC.format(models=json.dumps(models)))
    subprocess.run([program, "evaluate", scratch / "spec.yaml", "-o", scratch / "clean.h5", "--backend", "cpu", "--progress", "none",
                    "--log-level", "error"], check=True)
    with h5py.File(scratch / "clean.h5") as cube:
        return {name: cube[name][()] for name in ("eval_status", "eval_logprob", "eval_top1_id", "eval_token_id")}


def original_layout(folder, config):
    """The class of transformers for a checkpoint of mamba_ssm."""
    vocabulary, multiple, width = config["vocab_size"], config["pad_vocab_size_multiple"], config["d_model"]
    common = dict(hidden_size=width, num_hidden_layers=config["n_layer"], vocab_size=-(-vocabulary // multiple) * multiple)
    if config["ssm_cfg"].get("layer") == "Mamba2":
        model = transformers.Mamba2ForCausalLM(transformers.Mamba2Config(
            **common, num_heads=2 * width // 64, head_dim=64, n_groups=1, layer_norm_epsilon=1e-5, tie_word_embeddings=True))
    else:
        model = transformers.MambaForCausalLM(transformers.MambaConfig(**common))
    tensors = torch.load(folder / "pytorch_model.bin")
    model.load_state_dict({name.replace("backbone.embedding.", "backbone.embeddings."): t for name, t in tensors.items()})
    return model


def corrected(folder, written):
    """A model whose class reads its configuration otherwise than the published code.  written: config.json.

    Nemotron-H: the width of a head is `attention_head_dim`; the class reads `head_dim` alone.
    Nemotron-H and Zamba2: time steps are clamped to `time_step_limit`; the classes clamp them to `time_step_min` and more.
    """
    config = transformers.AutoConfig.from_pretrained(folder)
    if "head_dim" not in written and "attention_head_dim" in written:
        config.head_dim = written["attention_head_dim"]
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)
    for module in model.modules():
        if hasattr(module, "time_step_limit"):
            module.time_step_limit = tuple(written.get("time_step_limit") or (0.0, math.inf))
    return model


def load_class(folder):
    written = json.loads((folder / "config.json").read_text())
    if "model_type" not in written and "d_model" in written:
        model = original_layout(folder, written)
    elif written["model_type"] in ("nemotron_h", "zamba2"):
        model = corrected(folder, written)
    else:
        # The faster products of experts need widths of whole 16 bytes.
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, experts_implementation="eager")
    return model.float().eval()


@torch.no_grad()
def class_log_probs(model, ids):
    return torch.log_softmax(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double(), -1)


def compare(folder, found, facts, bound):
    """Prompts compared, the largest difference of a log-probability, and what else differs.  found: the program's datasets of it."""
    model, tokenizer = load_class(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    n, worst, others = 0, 0.0, []
    for k, fact in enumerate(facts):
        try:
            prompt = read_prompt(tokenizer, fact)
        except ValueError:
            prompt = None
        if (found["eval_status"][k] == DONE) != (prompt is not None):
            others.append(f"prompt {fact['id']} can be run by one of the two alone")
        if prompt is None or found["eval_status"][k] != DONE:
            continue
        if found["eval_token_id"][k][:prompt.T].tolist() != prompt.ids:
            others.append(f"prompt {fact['id']} has other tokens")
            continue
        log_probs = class_log_probs(model, prompt.ids)
        apart = abs(log_probs[prompt.target].item() - found["eval_logprob"][k])
        worst, n = max(worst, apart if apart == apart else math.inf), n + 1
        top = log_probs.topk(2)
        if top.values[0] - top.values[1] > 2 * bound and top.indices[0] != found["eval_top1_id"][k]:
            others.append(f"prompt {fact['id']}: token {found['eval_top1_id'][k]} comes first, not {top.indices[0]}")
    return n, worst, others


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("program"), ap.add_argument("facts"), ap.add_argument("checkpoints", nargs="+", type=Path)
    ap.add_argument("--prompts", type=int, default=20)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--bound", type=float, default=1e-4)
    a = ap.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    facts = random.Random(a.seed).sample([json.loads(line) for line in open(a.facts)], a.prompts)
    with tempfile.TemporaryDirectory() as scratch:
        found = evaluate(a.program, a.checkpoints, facts, Path(scratch))
    bad, width = False, max(len(c.name) for c in a.checkpoints)
    print(f"{'checkpoint':{width}}  prompts  largest difference of log p")
    for k, folder in enumerate(a.checkpoints):
        n, worst, others = compare(folder, {name: values[k] for name, values in found.items()}, facts, a.bound)
        wrong = n == 0 or not worst <= a.bound or bool(others)
        bad |= wrong
        print(f"{folder.name:{width}}  {n:7}  {worst:.1e}{'  WRONG' if wrong else ''}", flush=True)
        for line in others:
            print(f"{'':{width}}  {line}")
    sys.exit(bad)


if __name__ == "__main__":
    main()
