#!/usr/bin/env python3
"""Compares the program's tokenizer with Hugging Face's `tokenizers`: ids, offsets, special tokens.

    tests/tokenizers/compare.py PROGRAM FOLDER... [--facts FILE.jsonl] [--generated N] [--seed S] [--show K]

PROGRAM is build/PRESET/bin/tests/encode_lines. Each FOLDER holds a tokenizer.json, or folders that do. The texts are the prompts of
FILE and each with its answers behind it, N generated strings, and byte strings that are not UTF-8, which have to be refused.
Of each fact's answers, and of years, numbers and words of other scripts behind its prompt, the tokens of white space alone that come first
and the first token with text are compared too. Prints the number of differences; the exit status is 1 where there are any.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys

import tokenizers

import texts

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "oracle"))
from answers import split_answer  # noqa: E402


def facts(path):
    """Prompts, answers, and both together as the program reads them."""
    for line in open(path, encoding="utf-8"):
        fact = json.loads(line)
        yield fact["prompt"]
        for key in ("target", "target_true", "target_false", "subject"):
            if key in fact:
                yield fact[key]
                yield fact["prompt"] + " " + fact[key].strip()


def run(program, path, inputs, *words):
    """A line for each input (with `answers`: for each two), and what the program said about the time."""
    packed = b"".join(struct.pack("<I", len(i)) + i for i in inputs)
    done = subprocess.run([program, str(path), *words], input=packed, capture_output=True)
    if done.returncode:
        sys.exit(f"{path}: exit status {done.returncode}: {done.stderr.decode()}")
    lines = done.stdout.decode().split("\n")[:-1]
    if len(lines) != len(inputs) // (2 if words else 1):
        sys.exit(f"{path}: {len(inputs)} texts gave {len(lines)} lines")
    return lines, done.stderr.decode().strip()


ANSWERS = ["1809", "2005", "7", "3.14", "1,000,000", "50 %", "Dari", "New York", "d'Ivoire", "北京", "東京都", "カタカナ", "한국", "Москва",
           "العربية", "กรุง", "दिल्ली", "😀", " ", ""]


def pairs_of(path):
    """Prompts, each with answers of its own and some that no fact has."""
    for n, line in enumerate(open(path, encoding="utf-8")):
        fact = json.loads(line)
        for key in ("target", "target_true", "target_false", "foil"):
            if fact.get(key):
                yield fact["prompt"], fact[key]
        for answer in ANSWERS if n < 50 else []:
            yield fact["prompt"], answer


def expected_answer(tokenizer, prompt, answer):
    try:
        blank, text = split_answer(tokenizer, prompt, answer)
    except ValueError:
        return "none"
    return "".join(f"{i} " for i in blank) + f": {text}"


def compare_answers(program, path, tokenizer, pairs, show):
    wanted = [expected_answer(tokenizer, *pair) if pair[1].strip() else "none" for pair in pairs]
    lines, _ = run(program, path, [text.encode() for pair in pairs for text in pair], "answers")
    wrong = [(p, w, line) for p, w, line in zip(pairs, wanted, lines) if w != line]
    for pair, w, line in wrong[:show]:
        print(f"  {pair!r}\n    expected {w}\n    got      {line}")
    lone = sum(not w.startswith(":") and w != "none" for w in wanted)
    print(f"{path}: {len(pairs)} answers, {lone} begin with white space alone: {len(wrong)} differences")
    return len(wrong)


def expected(tokenizer, text):
    e = tokenizer.encode(text)
    return " ".join(f"{i}:{a}-{b}:{s}" for i, (a, b), s in zip(e.ids, e.offsets, e.special_tokens_mask))


def compare(program, path, inputs, pairs, args):
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    special = [t["content"] for t in json.load(open(path, encoding="utf-8"))["added_tokens"]]
    sets = {"facts": inputs, "generated": texts.generate(args.generated, args.seed, special)}
    differences = 0
    for name, wanted in sets.items():
        if not wanted:
            continue
        lines, time = run(program, path, [t.encode() for t in wanted])
        wrong = [(t, line) for t, line in zip(wanted, lines) if line != expected(tokenizer, t)]
        for text, line in wrong[:args.show]:
            print(f"  {text!r}\n    expected {expected(tokenizer, text)}\n    got      {line}")
        print(f"{path}: {name}: {time}: {len(wrong)} differences")
        differences += len(wrong)
    invalid = texts.generate_invalid(args.generated // 20, args.seed)
    lines, _ = run(program, path, invalid)
    accepted = sum(not line.startswith("error: ") or "not valid UTF-8" not in line for line in lines)
    print(f"{path}: {len(invalid)} byte strings that are not UTF-8: {accepted} accepted")
    if pairs:
        differences += compare_answers(program, path, tokenizer, pairs, args.show)
    return differences + accepted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", nargs="+", type=pathlib.Path)
    parser.add_argument("--facts")
    parser.add_argument("--generated", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3)
    args = parser.parse_args()
    inputs = list(facts(args.facts)) if args.facts else []
    pairs = list(pairs_of(args.facts)) if args.facts else []
    found = [p for f in args.folder for p in ([f / "tokenizer.json"] if (f / "tokenizer.json").exists() else
                                              sorted(f.glob("*/tokenizer.json")))]
    if not found:
        sys.exit("no tokenizer.json found")
    differences = sum(compare(args.program, path, inputs, pairs, args) for path in found)
    print(f"{len(found)} tokenizers, tokenizers {tokenizers.__version__}: {differences} differences")
    return differences > 0


if __name__ == "__main__":
    sys.exit(main())
