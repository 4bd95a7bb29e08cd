#!/usr/bin/env python3
"""Seeds for the fuzz targets, made from the files that the repository holds: small ones of every kind.

Usage: tests/fuzz/make_seeds.py FOLDER      writes FOLDER/TARGET/NAME

Tensors are cut to at most two elements a dimension, so that a file is its header and little else. The
corpus in tests/fuzz/corpus grew from these; they are needed again only to begin anew."""

import io
import json
import re
import struct
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
FAMILIES = ("mamba", "mamba2", "falcon_mamba", "gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2",
            "gemma3_text", "gpt_neox", "gptj", "phi", "opt", "olmo2", "olmo3", "phi3", "granite", "smollm3",
            "mixtral", "qwen3_moe", "olmoe", "gpt_oss", "falcon_h1", "lfm2", "qwen3_next", "qwen3_5", "granitemoehybrid",
            "bamba", "jamba", "nemotron_h", "zamba2", "kimi_linear", "recurrent_gemma")


def checkpoints():
    for folder in sorted((ROOT / "tests/data/variants").iterdir()) + sorted((ROOT / "jobs/models").iterdir()):
        if (folder / "config.json").exists():
            yield folder


def small_safetensors(path, most=12):
    data = path.read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    header, at, out = json.loads(data[8:8 + n]), 0, {}
    for name, entry in list(header.items())[:most]:
        if name == "__metadata__":
            out[name] = entry
            continue
        shape = [min(d, 2) for d in entry["shape"]]
        size = BYTES[entry["dtype"]]
        for d in shape:
            size *= d
        out[name] = {"dtype": entry["dtype"], "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(out, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(i * 37 % 251 for i in range(at))


def pickles(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith("/data.pkl")))


def small_torch():
    """What torch.save writes for a few tensors, two of which share their storage; needs torch."""
    import torch
    base = torch.arange(6.0)
    tensors = {"a": base[:4].view(2, 2), "b": base[4:], "half": torch.zeros(3, dtype=torch.bfloat16), "n": torch.tensor(3)}
    for name, value in (("dict", tensors), ("one", {"weight": torch.ones(1)}), ("parameter", {"p": torch.nn.Parameter(torch.ones(2))}),
                        ("module", torch.nn.Linear(2, 1).state_dict())):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        yield name, buffer.getvalue()


def tokenizers():
    for folder in sorted((ROOT / "tests/data/tokenizers").iterdir()):
        if folder.is_dir():
            spec = json.loads((folder / "tokenizer.json").read_text())
            model = spec["model"]
            keep = {t: i for t, i in model["vocab"].items() if i < 120}
            model["vocab"] = keep
            pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
            model["merges"] = [m for m, (a, b) in zip(model["merges"], pairs) if a in keep and b in keep and a + b in keep]
            next_id = len(keep)
            for token in spec.get("added_tokens") or []:
                if token["content"] not in keep:
                    token["id"], next_id = next_id, next_id + 1
            yield folder.name, spec
    table = json.loads((ROOT / "tests/data/tokenizers/components.json").read_text())
    for i, row in enumerate(table["rows"]):
        yield f"component-{i:03}", {"version": "1.0", "added_tokens": table["added_tokens"], "model": table["model"],
                                    **{key: row[key] for key in ("normalizer", "pre_tokenizer", "post_processor")}}


def texts():
    facts = [json.loads(line) for line in (ROOT / "jobs/facts.jsonl").read_text().splitlines()[:20]]
    yield from (fact["prompt"] for fact in facts)
    for path in sorted((ROOT / "tests/data/tokenizers").glob("*/expected.json")):
        yield from json.loads(path.read_text())["texts"][::7]


def prompts():
    facts = [json.loads(line) for line in (ROOT / "jobs/facts.jsonl").read_text().splitlines()[:3]]
    yield "plain.jsonl", "".join(json.dumps(f) + "\n" for f in facts)
    f = facts[0] | {"id": 7, "foil": "Rome", "relation": "P36", "spans": {"verb": [0, 3], "tail": [4, 9]}}
    yield "spans.jsonl", json.dumps(f, ensure_ascii=False) + "\n"
    tracing = [{"case_id": i, "prompt": f["prompt"], "subject": f["subject"], "target_true": f["target"],
                "target_false": "Rome", "relation_id": "P1"} for i, f in enumerate(facts)]
    yield "tracing.jsonl", "".join(json.dumps(t) + "\n" for t in tracing)
    rows = [",".join(tracing[0])] + [",".join('"' + str(v).replace('"', '""') + '"' for v in t.values()) for t in tracing]
    yield "tracing.csv", "\r\n".join(rows) + "\r\n"
    yield "rome.json", json.dumps([{"case_id": i, "requested_rewrite": {
        "prompt": f["prompt"].replace(f["subject"], "{}", 1), "subject": f["subject"], "relation_id": "P1",
        "target_true": {"str": f["target"]}, "target_new": {"str": "Rome"}}} for i, f in enumerate(facts)])
    yield "known.json", json.dumps([{"known_id": i, "subject": f["subject"], "attribute": f["target"],
                                     "prompt": f["prompt"], "relation_id": "P1"} for i, f in enumerate(facts)])


def specs():
    for path in sorted((ROOT / "jobs").rglob("*.yaml")):
        yield path.stem, path.read_text()
    for i, block in enumerate(re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/spec.md").read_text(), re.S)):
        yield f"docs-{i}", block
    yield "everything", """\
models: [a, {name: b, path: "${HOME}/b", tokenizer: t, bos: add}]
prompts: {file: f.jsonl, select: {all-of: [correct, {not: {relation: [P36]}}, {any-of: [{id: [1, 2]}, {rank-at-most: 3},
  {correct-by: [a]}, correct-by-all]}]}, sample: {n: 100, seed: 0}}
evaluation: e.h5
routes: ["last<-subject", "relation\\\\last<-first-text", "later<-random-like:subject:1", "last<-each", "last<-position:3"]
features: [all, slow-third+conv, not-fast-third, "random-third:7", context-dependent, after-softmax]
windows: {sizes: [1, 9, 12%], starts: {every: 4}}
sweeps:
  - {windows: {sizes: [9], starts: [0, 4]}, features: [all]}
  - {models: [b], prompts: {select: {id: ["140"]}}, routes: ["last<-each"]}
precision: float32
row-budget: 8192
backend: cpu
"""
    for i, block in enumerate(re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/parts.md").read_text(), re.S)):
        yield f"parts-{i}", block
    yield "components", """\
models: [a, b]
prompts: {file: f.jsonl}
routes: ["attention@last", "ssm@subject\\\\last", "conv@position:0", "mlp@each", "mixer@random-like:subject:1", "last<-all"]
features: [all, head:0, "ssm-head:each", "head:each~mean", "all~mean", "all~resample:7", "ssm-head:12~resample:9223372036854775807"]
windows: {sizes: [1], starts: all, over: attention}
"""


def seeds():
    for folder in checkpoints():
        config = (folder / "config.json").read_bytes()
        yield "config", folder.name, b"-" + config
        for path in sorted(folder.glob("*.safetensors"))[:2]:
            yield "safetensors", f"{folder.name}-{path.stem}", small_safetensors(path)
        for path in folder.glob("*.index.json"):
            index = json.loads(path.read_text())
            names = list(index["weight_map"])[:8]
            index["weight_map"] = {name: index["weight_map"][name] for name in names}
            yield "shards", folder.name, json.dumps(index).encode()
        for path in folder.glob("*.bin"):
            yield "pickle", folder.name, pickles(path)
    for i in range(len(FAMILIES)):
        yield "config", f"small-{i}", bytes([ord("0") + i]) + b'{"hidden_size": 8, "n_embd": 8, "num_hidden_layers": 1, "vocab_size": 9}'
    yield "shards", "two", b'{"metadata": {}, "weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}'
    yield "shards", "outside", b'{"weight_map": {"x": "../a.safetensors", "y": "/etc/passwd"}}'
    for name, data in small_torch():
        yield "torch", name, data
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield "pickle", name, archive.read(next(n for n in archive.namelist() if n.endswith("/data.pkl")))
    for name, spec in tokenizers():
        yield "tokenizer", name, json.dumps(spec, ensure_ascii=False, separators=(",", ":")).encode()
    for i, text in enumerate(texts()):
        yield "encode", f"{i:03}", text.encode()[:400]
    for name, text in prompts():
        yield "prompts", name, text.encode()
    for name, text in specs():
        yield "spec", name, text.encode()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    counts = {}
    for target, name, data in seeds():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        counts[target] = counts.get(target, 0) + 1
    print(" ".join(f"{target}={n}" for target, n in counts.items()))


if __name__ == "__main__":
    main()
