#!/usr/bin/env python3
"""Writes prompts of an exact number of tokens and a tokenizer for them, for measuring where neither is at hand.

    head_inputs.py [--prompts 1000] [--tokens 10] [--seed 0] -o FOLDER

FOLDER gets prompts.jsonl and tokenizer.json. A prompt is a row of small letters, no two of a prompt alike, and its subject is its first
three. The tokenizer is a byte-level BPE that merges nothing but the blank in front of an answer: each letter is a token.
"""
import argparse
import json
import pathlib
import random
import string


def byte_letters():
    """The letter by which a byte-level BPE writes each byte."""
    shown = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    return [chr(b) for b in shown] + [chr(0x100 + k) for k in range(256 - len(shown))]


def tokenizer():
    blank = "\u0120"
    tokens = byte_letters() + [blank + letter for letter in string.ascii_lowercase]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "vocab": {token: k for k, token in enumerate(tokens)},
             "merges": [f"{blank} {letter}" for letter in string.ascii_lowercase]}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": level,
            "post_processor": None, "decoder": level, "model": model}


def prompts(n, tokens, seed):
    g = random.Random(seed)
    for k in range(n):
        text = "".join(g.sample(string.ascii_lowercase, tokens))
        yield {"id": k, "prompt": text, "subject": text[:3], "target": g.choice(string.ascii_lowercase)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--tokens", type=int, choices=range(4, 27), metavar="4 to 26", default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (args.output / "prompts.jsonl").write_text("".join(json.dumps(p) + "\n" for p in prompts(args.prompts, args.tokens, args.seed)))


if __name__ == "__main__":
    main()
