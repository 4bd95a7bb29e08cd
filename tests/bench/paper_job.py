#!/usr/bin/env python3
"""Writes what paper_job.sh measures: the 17 checkpoints of jobs/paper/models.yaml at their real shapes with random weights in
bfloat16 (119 GB), and jobs/paper/all.yaml for them.

    paper_job.py --prompts FILE --tokenizers FOLDER -o FOLDER [--sample N] [--processes N] [--models NAME,NAME]

Random weights answer no prompt correctly, so the prompts are a sample and not `correct-by-all`: the number of cells is the
paper's where the sample is as large as its selection.  Single prompts are named by their number in the file where the paper's are not
in it.  --tokenizers has a folder for each of gpt-neox-20b, falcon, gpt2, llama3 and mistral.
"""
import argparse
import json
import multiprocessing
import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAPER = HERE.parents[1] / "jobs" / "paper"
TOKENIZER = {"mamba2": "gpt-neox-20b", "mamba": "gpt-neox-20b", "falcon_mamba": "falcon", "gpt2": "gpt2", "llama": "llama3",
             "mistral": "mistral"}


def in_layout_of_hugging_face(config):
    """The configuration itself, or Hugging Face's for a Mamba-2 of the original release."""
    from baseline_shapes import Shape
    if "model_type" in config:
        return config
    s = Shape.of(config)
    return {"model_type": "mamba2", "hidden_size": s.d, "num_hidden_layers": s.layers, "vocab_size": s.vocab,
            "tie_word_embeddings": s.tied, "state_size": s.state, "num_heads": s.heads, "head_dim": s.head_dim, "n_groups": s.groups,
            "conv_kernel": s.taps, "expand": 2, "layer_norm_epsilon": s.eps, "time_step_limit": [0.0, 1e30]}


def write_checkpoint(job):
    config, folder, tokenizer = job
    import torch
    from baseline_shapes import Shape
    from random_checkpoint import write_safetensors
    folder.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    n_bytes = write_safetensors(folder / "model.safetensors", Shape.of(config), device, seed=0)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    shutil.copy(tokenizer, folder / "tokenizer.json")
    return f"{folder.name}: {n_bytes / 1e9:.2f} GB"


def checkpoints(models):
    """{name: folder} of jobs/paper/models.yaml."""
    found = dict(re.findall(r"\{name: ([^,]+), path: '\$\{KNOCKOUT_CHECKPOINTS\}/([^']+)'", (PAPER / "models.yaml").read_text()))
    unknown = [m for m in models if m not in found]
    if unknown:
        sys.exit(f"{PAPER / 'models.yaml'} has no {', '.join(unknown)}; it has {', '.join(found)}")
    return {name: folder for name, folder in found.items() if not models or name in models}


def spec(folders, prompts, sample):
    """all.yaml without what it includes, for a sample of the prompts and the models that are there."""
    ids = [str(json.loads(line).get("case_id", k)) for k, line in enumerate(prompts.open())]
    text = (PAPER / "all.yaml").read_text()
    models = "\n".join(f"  - {{name: {name}, path: {folder}}}" for name, folder in folders.items())
    text, n = re.subn(r"(?m)^include: models.yaml$", f"models:\n{models}", text)
    text, n_prompts = re.subn(r"(?m)^prompts: \{select: correct-by-all\}$",
                              f"prompts: {{file: {prompts}, sample: {{n: {sample}, seed: 0}}}}", text)
    if n != 1 or n_prompts != 1:
        sys.exit(f"{PAPER / 'all.yaml'}: expected one line 'include:' and one 'prompts:'")

    def known(match):
        named = re.findall(r"'([^']+)'", match[1])
        spare = iter(i for i in ids if i not in named)
        return "{id: [" + ", ".join(f"'{i if i in ids else next(spare)}'" for i in named) + "]}"
    text = re.sub(r"\{id: \[([^]]*)\]\}", known, text)
    # Single prompts are chosen of the whole file, not of the sample.
    text = re.sub(r"prompts: \{select: (\{id: [^}]*\})\}", r"prompts: {select: \1, sample: null}", text)
    missing = set(checkpoints([])) - set(folders)
    for name in missing:
        text = re.sub(rf"(?<=[\[ ]){re.escape(name)}(?:,\s*|(?=\]))", "", text)
    text = re.sub(r",\s*\]", "]", text)
    return re.sub(r"(?m)^  - name: \S+\n    models: \[\]\n(?:    .*\n)*", "", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--prompts", type=pathlib.Path, required=True)
    parser.add_argument("--tokenizers", type=pathlib.Path, required=True)
    parser.add_argument("--sample", type=int, default=672)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--models", type=lambda text: text.split(","), default=[])
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from baseline_shapes import published
    shapes, folders, jobs = published(), checkpoints(args.models), []
    for name, folder in folders.items():
        config = in_layout_of_hugging_face(shapes[name])
        if not (args.output / folder / "tokenizer.json").exists():      # written last
            jobs.append((config, args.output / folder, args.tokenizers / TOKENIZER[config["model_type"]] / "tokenizer.json"))
    jobs.sort(key=lambda job: job[0].get("hidden_size", 0), reverse=True)
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for line in pool.imap_unordered(write_checkpoint, jobs):
            print(line, flush=True)
    (args.output / "paper.yaml").write_text(spec(folders, args.prompts.resolve(), args.sample))


if __name__ == "__main__":
    main()
