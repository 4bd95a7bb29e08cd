#!/usr/bin/env python3
"""Trains the small tokenizers of tests/data/tokenizers and stores what `tokenizers` makes of texts with them.

    tests/tokenizers/make_small.py jobs/facts.jsonl tests/data/tokenizers

Each has the normalizer, pre-tokenizer, post-processor and model options of a published family of tokenizers and a vocabulary of its
own, trained on the prompts of facts.jsonl and on generated ASCII, in pieces between white space, so that where a tokenizer cuts
shows. NAME/tokenizer.json is the tokenizer, NAME/expected.json holds texts and, for each, its tokens as a flat list
[id, begin, end, ...] and how many special tokens the post-processor put in front and behind.
"""
import json
import pathlib
import sys

from tokenizers import Regex, Tokenizer, __version__, models, pre_tokenizers, trainers

import texts

N_TEXTS, MAX_CHARACTERS = 200, 32
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_level(prefix=False, trim=True, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": regex}


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def template(front, behind=()):
    special = [t for t in front] + [t for t in behind]
    piece = {t: {"SpecialToken": {"id": t, "type_id": 0}} for t in special}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {"type": "TemplateProcessing",
            "single": [piece[t] for t in front] + [text] + [piece[t] for t in behind],
            "pair": [text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [None], "tokens": [t]} for t in special}}


PREPEND = sequence("normalizers", {"type": "Prepend", "prepend": "▁"},
                   {"type": "Replace", "pattern": {"String": " "}, "content": "▁"})
BYTES = dict(kind="bytes", special=["<|endoftext|>"], size=600)
PIECES = dict(kind="pieces", special=["<unk>", "<s>", "</s>"], size=640)

# name -> what differs from null and false. `added` are tokens behind the vocabulary: (text, normalized, special); `normalized` are special
# tokens of the vocabulary that are looked for in normalized text. "opt" is what transformers saves for the files of facebook/opt-125m.
SMALL = {
    "gpt2": dict(BYTES, pre_tokenizer=byte_level(), post_processor=byte_level(True, False)),
    "opt": dict(BYTES, special=["<s>", "<pad>", "</s>", "<unk>"], pre_tokenizer=byte_level(), post_processor=template(["</s>"]),
                model=dict(continuing_subword_prefix="", end_of_word_suffix=""), normalized=["<pad>", "</s>"]),
    "gpt-neox": dict(BYTES, normalizer={"type": "NFC"}, pre_tokenizer=byte_level(), post_processor=byte_level(),
                     added=[(" " * n, True, False) for n in range(24, 1, -1)]),
    "llama3": dict(BYTES, special=[], pre_tokenizer=sequence("pretokenizers", split(LLAMA3), byte_level(regex=False)),
                   post_processor=sequence("processors", byte_level(True, False), template(["<|begin_of_text|>"])),
                   model=dict(ignore_merges=True), added=[("<|begin_of_text|>", False, True), ("<|end_of_text|>", False, True)]),
    "qwen2": dict(BYTES, special=[], normalizer={"type": "NFC"}, post_processor=byte_level(False, False, False),
                  pre_tokenizer=sequence("pretokenizers", split(QWEN2), byte_level(trim=False, regex=False)),
                  added=[("<|endoftext|>", False, True), ("<|im_start|>", False, True), ("<|im_end|>", False, True)]),
    "falcon": dict(BYTES, special=[">>TITLE<<", ">>ABSTRACT<<", "<|endoftext|>"], post_processor=byte_level(True, False),
                   pre_tokenizer=sequence("pretokenizers", {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(),
                                          {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]"))),
    "single-digits": dict(BYTES, pre_tokenizer=sequence("pretokenizers", {"type": "Digits", "individual_digits": True},
                                                        {"type": "Punctuation", "behavior": "Isolated"}, byte_level()),
                          model=dict(ignore_merges=True)),
    "llama2": dict(PIECES, normalizer=PREPEND, post_processor=template(["<s>"])),
    "gemma": dict(PIECES, special=["<pad>", "<eos>", "<bos>", "<unk>"], normalizer=PREPEND["normalizers"][1], pre_tokenizer={
        "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
                  post_processor=template(["<bos>"]), added=[("<start_of_turn>", False, True)] + [
                      (t * n, False, False) for t in ("\n", "▁") for n in range(2, 5)] + [("<b>", False, False)]),
    "mistral-v3": dict(PIECES, post_processor=template(["<s>"]), added=[("[INST]", False, True)], pre_tokenizer={
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}),
    "metaspace": dict(PIECES, normalizer={"type": "NFKC"}, post_processor=template([], ["</s>"]),
                      pre_tokenizer={"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}),
}


def train(how, lines):
    """The vocabulary and the merges."""
    tokenizer = Tokenizer(models.BPE())
    between = pre_tokenizers.Split(Regex(r" ?\S+|\s+"), "isolated")
    if how["kind"] == "bytes":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([between, pre_tokenizers.ByteLevel(False, use_regex=False)])
        first, alphabet = how["special"], pre_tokenizers.ByteLevel.alphabet()
    else:
        spaces = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([between, spaces])
        first, alphabet = how["special"] + [f"<0x{b:02X}>" for b in range(256)], []
    trainer = trainers.BpeTrainer(vocab_size=how["size"], special_tokens=first, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], model["merges"]


def build(how, lines):
    vocab, merges = train(how, lines)
    added = [(t, t in how.get("normalized", []), True) for t in how["special"]] + how.get("added", [])
    ids = {}
    for text, _, _ in added:
        ids[text] = vocab.get(text, len(vocab) + sum(t not in vocab for t in ids))
    post = json.loads(json.dumps(how["post_processor"])) if "post_processor" in how else None
    for part in post.get("processors", [post]) if post else []:
        for text, token in part.get("special_tokens", {}).items():
            token["ids"] = [ids[text]]
    pieces = how["kind"] == "pieces"
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>" if pieces else None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": pieces, "byte_fallback": pieces, "ignore_merges": False}
    model.update(how.get("model", {}), vocab=vocab, merges=merges)
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [dict(id=ids[t], content=t, single_word=False, lstrip=False, rstrip=False, normalized=n, special=s)
                             for t, n, s in added],
            "normalizer": how.get("normalizer"), "pre_tokenizer": how.get("pre_tokenizer"), "post_processor": post,
            "decoder": None, "model": model}


def expected(tokenizer, special):
    generated = [t for t in texts.generate(40 * N_TEXTS, 7, special) if len(t) <= MAX_CHARACTERS]
    some = list(dict.fromkeys(generated))[:N_TEXTS]
    out = {"tokenizers": __version__, "texts": some, "tokens": [], "special": []}
    for text in some:
        e = tokenizer.encode(text)
        mask = "".join(map(str, e.special_tokens_mask))
        front = len(mask) - len(mask.lstrip("1"))
        behind = 0 if front == len(mask) else len(mask) - len(mask.rstrip("1"))
        assert mask.count("1") == front + behind
        out["tokens"].append([n for i, (a, b) in zip(e.ids, e.offsets) for n in (i, a, b)])
        out["special"].append([front, behind])
    return out


def main():
    lines = [json.loads(line)["prompt"] for line in open(sys.argv[1], encoding="utf-8")]
    lines += [t for t in texts.generate(12000, 3, []) if t.isascii() and "\0" not in t]
    for name, how in SMALL.items():
        spec = build(how, lines)
        tokenizer = Tokenizer.from_str(json.dumps(spec))
        special = [t["content"] for t in spec["added_tokens"]]
        folder = pathlib.Path(sys.argv[2]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, value in (("tokenizer", spec), ("expected", expected(tokenizer, special))):
            path = folder / f"{file}.json"
            path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
            print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
