"""Compare cells of prompts that are matrices of embeddings with the classes of transformers.

Usage: compare_embeddings.py PROGRAM
       compare_embeddings.py write FOLDER [NAME...]       the golden files of tests/data/embeddings

Makes tiny vision-language models with seeded random weights (LLaVA on Llama and on Mistral, Qwen2.5-VL, Qwen3-VL without DeepStack and
with it, in the layouts that save_pretrained writes, LLaVA's newer one too), exports prompts with knockout.export_embeddings, sweeps them with the program, and
computes every cell again: one pass of the class's language model in float64 with eager attention, whose 4-D mask lacks the removed edges
in the layers of the window. Log-probabilities must agree to BOUND, ranks but for tokens closer than NEAR. Several right answers and
options are compared too, each answer in a pass of its own with the embeddings of its tokens behind the matrix. Exits with 77 where torch
or transformers is missing.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from golden_command import need

need("torch", "transformers", "tokenizers", "safetensors", "h5py")

import h5py
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from make_choices import summarise
from whole_answers import RULES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "analysis" / "knockout"))
sys.path.append(str(ROOT / "tests" / "e2e"))  # the last, since it has a statistics.py
from embeddings import export_embeddings  # noqa: E402, without the package, which needs more libraries
import choices  # noqa: E402

BOUND = 1e-4  # largest difference seen: 2e-5
NEAR = 2e-5   # tokens that are closer may be in another order
TOKENIZER = ROOT / "jobs" / "models" / "llama-facts" / "tokenizer.json"
VOCABULARY, IMAGE, START = 2400, 2399, 2398  # the tokenizer has 2397 ids
CHOICE_ROUTES = ["last<-image", "question<-image", "mlp@last"]
ROUTES = ["last<-image", "question<-image", "image<-image", "last<-image:0", "mlp@question", "attention@image"]
TEXT = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, vocab_size=VOCABULARY,
            max_position_embeddings=256, initializer_range=0.25, bos_token_id=1, eos_token_id=2)
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
VISION = dict(depth=2, hidden_size=32, intermediate_size=48, num_heads=2, out_hidden_size=48, patch_size=4, initializer_range=0.25)
IDS = dict(image_token_id=IMAGE, vision_start_token_id=START, video_token_id=START - 1)


def make_llava(text):
    clip = transformers.CLIPVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=24,
                                         patch_size=6)
    return transformers.LlavaForConditionalGeneration(transformers.LlavaConfig(vision_config=clip, text_config=text, image_token_id=IMAGE))


def make_qwen25():
    text = dict(TEXT, rope_parameters=dict(ROPE, mrope_section=[1, 2, 3]))
    vision = dict(VISION, fullatt_block_indexes=[1], window_size=16)
    return transformers.Qwen2_5_VLForConditionalGeneration(transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **IDS))


def make_qwen3(deepstack=()):
    """deepstack: layers of the vision tower whose features are added behind the first layers of the language part."""
    text = dict(TEXT, head_dim=16, rope_parameters=dict(ROPE, mrope_section=[4, 2, 2]))
    vision = dict(VISION, deepstack_visual_indexes=list(deepstack))
    return transformers.Qwen3VLForConditionalGeneration(transformers.Qwen3VLConfig(text_config=text, vision_config=vision, **IDS))


MODELS = {
    "llava": lambda: make_llava(transformers.LlamaConfig(**TEXT)),
    "llava-mistral": lambda: make_llava(transformers.MistralConfig(**dict(TEXT, sliding_window=None))),
    "qwen2.5-vl": make_qwen25,
    "qwen3-vl": make_qwen3,
    "qwen3-vl-deepstack": lambda: make_qwen3([0, 1]),
}


def inputs_of(name, tokenizer, question, seed):
    """What a processor returns: tokens with image tokens among them, and pixels. Qwen's image has 2 x 3 merged patches, LLaVA's 16."""
    ids = tokenizer(question)["input_ids"]
    generator = torch.Generator().manual_seed(seed)
    if name.startswith("llava"):
        pixels = torch.randn(1, 3, 24, 24, generator=generator)
        return {"input_ids": torch.tensor([ids[:3] + [IMAGE] * 16 + ids[1:]]), "pixel_values": pixels}
    pixels = torch.randn(24, 3 * 2 * 4 * 4, generator=generator)
    tokens = torch.tensor([ids[:2] + [START] + [IMAGE] * 6 + ids[1:]])
    return {"input_ids": tokens, "pixel_values": pixels, "image_grid_thw": torch.tensor([[1, 4, 6]]),
            "mm_token_type_ids": (tokens == IMAGE).int()}


def records(name, tokenizer):
    """Three prompts: an answer in text, one by its ids, and one with a span of the caller's own."""
    questions = ["What is the capital of France", "Which language is spoken in Peru", "The city of Rome lies in"]
    for k, question in enumerate(questions):
        record = {"id": f"vqa/{k}", "prompt": question, "question": question, "foil": "Rome"}
        record.update({"target": "Paris"} if k == 0 else {"target_ids": [700 + k], "foil_ids": [900]})
        if k == 2:
            record["token_spans"] = {"frame": [[4, 6], [6, 8]]}
        yield record, inputs_of(name, tokenizer, question, k)


def move_to_new_layout(folder):
    """The names of newer files: the language part under model., the head beside it."""
    tensors = load_file(folder / "model.safetensors")
    renamed = {}
    for key, tensor in tensors.items():
        if key.startswith("language_model."):
            key = "model.language_model." + key[len("language_model.model."):] if ".model." in key else key[len("language_model."):]
        else:
            key = "model." + key
        renamed[key] = tensor
    save_file(renamed, folder / "model.safetensors")


def positions(name, record, length):
    """The set of a route's side."""
    if name == "last":
        return [length - 1]
    span, _, run = name.partition(":")
    runs = record["token_spans"][span]
    runs = runs if isinstance(runs[0], list) else [runs]
    return [i for k, (begin, end) in enumerate(runs) if run in ("", str(k)) for i in range(begin, end)]


def rotary_positions(record, length, n):
    """[1 or 3, 1, n] of the matrix's rows and of those behind them, which go on from the largest; None where the record has none."""
    given = record.get("position_ids")
    if given is None:
        return None
    given = torch.tensor(given).reshape(-1, length)
    behind = given.max() + 1 + torch.arange(n - length)
    given = torch.cat([given, behind.expand(len(given), -1)], dim=1)
    return given[:, None] if len(given) > 1 else given


def deepstack(parts, n):
    """The arguments with which Qwen3-VL's language part adds rows [layers, T, d] behind its first layers, of n positions."""
    used = torch.zeros(1, n, dtype=torch.bool)
    used[0, :parts.shape[1]] = (parts != 0).any(-1).any(0)
    return {"visual_pos_masks": used, "deepstack_visual_embeds": [part[used[0, :parts.shape[1]]] for part in parts]}


def distributions(model, record, matrix, route, layers, answer=(), rule="clean"):
    """[1 + len(answer)] log p over the vocabulary, behind the matrix and each token of the answer, with the route knocked out in these
    layers. rule: as in whole_answers.py."""
    part, length, n = model.model.language_model, matrix.shape[-2], matrix.shape[-2] + len(answer)
    matrix, added = (matrix, {}) if matrix.ndim == 2 else (matrix[0], deepstack(matrix[1:].double(), n))
    clean = torch.full((1, 1, n, n), torch.finfo(torch.float64).min, dtype=torch.float64).triu(1)
    removed, hooks = clean.clone(), []
    component, _, where = route.partition("@")

    def knocked(name):
        """The rows of a route's side."""
        rows = positions(name, record, length)
        return rows + (list(range(length, n)) if rule == "knocked" and length - 1 in rows else [])

    if "<-" in route:
        target, source = route.split("<-")
        for i in knocked(target):
            removed[0, 0, i, [j for j in positions(source, record, length) if j <= i]] = torch.finfo(torch.float64).min

    def set_mask(mask):
        return lambda module, args, kwargs: (args, dict(kwargs, attention_mask=mask))

    def clear(module, args, output):
        first = output[0] if isinstance(output, tuple) else output
        first = first.clone()
        first[0, knocked(where)] = 0
        return (first, *output[1:]) if isinstance(output, tuple) else first

    for l, layer in enumerate(part.layers):
        hooks.append(layer.register_forward_pre_hook(set_mask(removed if l in layers else clean), with_kwargs=True))
        if l in layers and where:
            hooks.append({"mlp": layer.mlp, "attention": layer.self_attn}[component].register_forward_hook(clear))
    with torch.no_grad():
        rows = torch.cat([matrix.double(), part.embed_tokens(torch.tensor(answer, dtype=torch.long))])
        hidden = part(inputs_embeds=rows[None], position_ids=rotary_positions(record, length, n), use_cache=False, **added).last_hidden_state
        result = torch.log_softmax(model.lm_head(hidden[0, length - 1:]), dim=-1)
    for hook in hooks:
        hook.remove()
    return result


def log_probabilities(model, record, matrix, route, layers):
    """log p over the vocabulary at the last position."""
    return distributions(model, record, matrix, route, layers)[0]


def add_choices(lines):
    """The records with lists of answers in place of one: three right ones, one of them the beginning of another; or four options, of which
    two are right and two share rows."""
    lists = [{"targets": [[9, 11], [12], [9, 11, 30, 5]]}, {"target_ids": [21, 9, 33], "targets": [[40]],
             "options": [[21, 9], [40], [21, 9, 33], [7, 8]]}]
    for k, line in enumerate(lines):
        kept = {key: value for key, value in line.items() if key not in ("target", "target_ids", "foil", "foil_ids")}
        yield {**kept, **lists[k % 2]}


def choice_cells(model, records, matrices, routes, size, starts):
    """The cells of such records in the layout of make_choices.py."""
    for record in records:
        right = [list(a) for a in dict.fromkeys(map(tuple, ([record["target_ids"]] if "target_ids" in record else []) + record["targets"]))]
        answers = record.get("options", right)
        for score, rules in (("first-token", ["clean"]), ("whole-answer", RULES)):
            tokens = [a[:1] for a in answers] if score == "first-token" else answers
            if "options" in record and len({tuple(t) for t in tokens}) < len(tokens):
                continue
            for rule, (route, start) in ((rule, at) for rule in rules for at in [(None, None)] + [(r, s) for r in routes for s in starts]):
                found = []
                for answer, scored in zip(answers, tokens):
                    layers = () if start is None else range(start, start + size)
                    p = distributions(model, record, matrices[record["id"]], route or "", layers, scored[:-1], rule)
                    at = [(float(row[t]), 1 + int((row > row[t]).sum())) for row, t in zip(p, scored)]
                    found.append({"text": json.dumps(answer), "right": answer in right, "option": "options" in record,
                                  "logprob": sum(x for x, _ in at), "rank": max(r for _, r in at)})
                yield dict(score=score, rule=rule, id=record["id"], route=route, size=size, start=start, choices=found,
                           **summarise(found, tokens))


def make(name, folder):
    torch.manual_seed(sum(map(ord, name)))
    model = MODELS[name]().eval()
    model.set_attn_implementation("eager")
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
    return model


def sweep(program, folder, model, data, lines=None, routes=ROUTES, sizes=(1, 2, 4), **score):
    """lines: the prompt file, DATA.jsonl where there is none."""
    spec = {"models": [str(model)], "prompts": {"file": str(lines or f"{data}.jsonl"), "embeddings": f"{data}.safetensors", **score},
            "routes": routes, "windows": {"sizes": list(sizes), "starts": "all"}}
    (folder / "spec.yaml").write_text(json.dumps(spec))
    subprocess.run([program, "run", str(folder / "spec.yaml"), "-o", str(folder / "cube.h5"), "--threads", "1", "--progress", "none",
                    "--log-level", "warn", "--overwrite"], check=True)
    return h5py.File(folder / "cube.h5")


def read_exported(data):
    """The records by their ids, and the matrices."""
    lines = {line["id"]: line for line in map(json.loads, Path(f"{data}.jsonl").read_text().splitlines())}
    return lines, load_file(f"{data}.safetensors")


def compare_cells(cube, model, lines, matrices):
    """Computes every cell of a cube again; the largest difference and the largest effect. model: in float64."""
    worst = largest = 0.0
    for p, key in enumerate(cube["prompt"].asstr()[:]):
        record, target = lines[key], int(cube["target_id"][0, p])
        clean = log_probabilities(model, record, matrices[key], "", ())
        assert abs(float(clean[target]) - cube["clean_logprob"][0, p]) <= BOUND, (key, "clean")
        for r, route in enumerate(cube["route"].asstr()[:]):
            for s, size in enumerate(cube["window_size"][:]):
                for k, start in enumerate(cube["window_start"][:]):
                    if start + size > 4:
                        continue
                    wanted = log_probabilities(model, record, matrices[key], route, range(start, start + size))
                    seen = float(cube["logprob"][0, p, r, 0, s, k])
                    difference = abs(seen - float(wanted[target]))
                    assert difference <= BOUND, (key, route, size, start, seen, float(wanted[target]))
                    rank = int(cube["target_rank"][0, p, r, 0, s, k])
                    first, last = (1 + int((wanted > wanted[target] + by).sum()) for by in (NEAR, -NEAR))
                    assert first <= rank <= last, (key, route, size, start, first, rank, last)
                    worst, largest = max(worst, difference), max(largest, abs(float(wanted[target] - clean[target])))
    return worst, largest


def compare(program, name, folder):
    """The largest difference of the model's cells, and their largest effect."""
    model_folder, data = folder / name, folder / f"{name}-prompts"
    model, tokenizer = make(name, model_folder), PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZER))
    export_embeddings(model, records(name, tokenizer), data, tokenizer=tokenizer)
    (lines, matrices), model = read_exported(data), model.double()
    with sweep(program, folder, model_folder, data) as cube:
        worst, largest = compare_cells(cube, model, lines, matrices)
        values = cube["logprob"][:]
    compare_choices(program, folder, model_folder, data, model, list(add_choices(lines.values())), matrices)
    if name == "llava":  # the same numbers under the newer names
        move_to_new_layout(model_folder)
        with sweep(program, folder, model_folder, data) as moved:
            assert np.array_equal(moved["logprob"][:], values, equal_nan=True)
    return worst, largest


def compare_choices(program, folder, model_folder, data, model, records, matrices):
    golden, lines = folder / f"{model_folder.name}.json", folder / "choices.jsonl"
    golden.write_text(json.dumps(list(choice_cells(model, records, matrices, CHOICE_ROUTES, 2, range(3)))))
    lines.write_text("".join(json.dumps(record) + "\n" for record in records))
    for score, rule in (("first-token", "clean"), *(("whole-answer", rule) for rule in RULES)):
        rows = {"answer-rows": rule} if score == "whole-answer" else {}
        sweep(program, folder, model_folder, data, lines, CHOICE_ROUTES, [2], score=score, **rows).close()
        choices.main(str(folder / "cube.h5"), str(golden))


def write(name, folder):
    """A checkpoint of few tokens, two prompts, their cells, and those of several answers: DATA.md, tests/e2e/embeddings.py,
    tests/e2e/embedded_answers.py."""
    global TEXT, VOCABULARY, IMAGE, START
    VOCABULARY, IMAGE, START = 64, 63, 62
    TEXT = dict(TEXT, vocab_size=VOCABULARY, hidden_size=24, intermediate_size=40, num_attention_heads=2, num_key_value_heads=1)
    VISION.update(hidden_size=16, intermediate_size=24, out_hidden_size=24)
    IDS.update(image_token_id=IMAGE, vision_start_token_id=START, video_token_id=START - 1)
    folder.mkdir(parents=True, exist_ok=True)
    model, cells, sizes = make(name, folder), [], [1, 3]
    for extra in ("tokenizer.json", "generation_config.json"):
        (folder / extra).unlink(missing_ok=True)
    few = []
    for k, (record, _) in zip(range(2), records(name, lambda text: {"input_ids": [1, 5]})):
        inputs = inputs_of(name, lambda text: {"input_ids": [1] + [5 + (7 * i + k) % 50 for i in range(6)]}, "", k)
        length = inputs["input_ids"].shape[1]
        few.append(({"id": record["id"], "target_ids": [9 + k], "foil_ids": [20], "token_spans": {"question": [length - 4, length - 1]}},
                    inputs))
    export_embeddings(model, few, folder / "prompts")
    lines = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
    matrices, model = load_file(folder / "prompts.safetensors"), model.double()
    for record in lines:
        for route in ROUTES:
            for size in sizes:
                for start in range(5 - size):
                    p = log_probabilities(model, record, matrices[record["id"]], route, range(start, start + size))
                    target = record["target_ids"][0]
                    cells.append([record["id"], route, size, start, float(p[target]), 1 + int((p > p[target]).sum())])
    golden = {"routes": ROUTES, "sizes": sizes, "cells": cells}
    (folder / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    several = list(add_choices(lines))
    (folder / "choices.jsonl").write_text("".join(json.dumps(record) + "\n" for record in several))
    cells = choice_cells(model, several, matrices, CHOICE_ROUTES, 2, range(3))
    (folder / "choices.json").write_text("[\n" + ",\n".join(map(json.dumps, cells)) + "\n]\n")


def main():
    if sys.argv[1] == "write":
        for name in sys.argv[3:] or ("llava", "qwen2.5-vl", "qwen3-vl-deepstack"):
            write(name, Path(sys.argv[2]) / name)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name in MODELS:
            worst, largest = compare(sys.argv[1], name, Path(scratch))
            print(f"{name}: the largest difference is {worst:.1e}, the largest effect {largest:.2f}")
            assert largest > 0.1, "the cells hardly differ from the clean run"


if __name__ == "__main__":
    main()
