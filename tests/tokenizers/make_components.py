#!/usr/bin/env python3
"""Stores what `tokenizers` makes of short texts with each component and each of its options.

    tests/tokenizers/make_components.py tests/data/tokenizers/components.json

A row of the file is a normalizer, a pre-tokenizer and a post-processor, a text, and its tokens as "ID:BEGIN-END ...", those that
the post-processor added with a '*' behind.
"""
import json
import sys

from tokenizers import Tokenizer, __version__

TOKENS = (["<unk>", "<s>", "</s>"] + list("abcdexyz123.,-'_▁Ġ iABéÃ©Ċ!") +
          ["ab", "▁a", "▁ab", "Ġab", "12", "123"])
MERGES = [["a", "b"], ["▁", "a"], ["▁", "ab"], ["Ġ", "ab"], ["1", "2"], ["12", "3"]]
ADDED = {"id": 1, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def component(kind, **options):
    return dict(type=kind, **options)


def sequence(key, *parts):
    return {"type": "Sequence", key: list(parts)}


def replace(pattern, content):
    return component("Replace", pattern=pattern, content=content)


def strip(left, right):
    return component("Strip", strip_left=left, strip_right=right)


def split(pattern, behavior, invert=False):
    return component("Split", pattern=pattern, behavior=behavior, invert=invert)


def string(text):
    return {"String": text}


def regex(text):
    return {"Regex": text}


def byte_level(prefix=False, trim=True, use_regex=True):
    return component("ByteLevel", add_prefix_space=prefix, trim_offsets=trim, use_regex=use_regex)


def metaspace(**options):
    return component("Metaspace", replacement="▁", **options)


def special(name):
    return {"SpecialToken": {"id": name, "type_id": 0}}


A, B = ({"Sequence": {"id": i, "type_id": 0}} for i in "AB")


def template(*pieces):
    return component("TemplateProcessing", single=list(pieces), pair=[A, B], special_tokens={
        "<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "E": {"id": "E", "ids": [2, 1], "tokens": ["</s>", "<s>"]}})


# name, normalizer, pre-tokenizer, post-processor, text
ROWS = [
    ("Lowercase", component("Lowercase"), None, None, "ABİé A"),
    ("Prepend", component("Prepend", prepend="▁"), None, None, "ab a"),
    ("Prepend of several characters", component("Prepend", prepend="xy▁"), None, None, "éb"),
    ("Prepend to nothing", component("Prepend", prepend="▁"), None, None, ""),
    ("Replace a string", replace(string(" "), "▁"), None, None, "a  ab"),
    ("Replace a string by several", replace(string("ab"), "xyz"), None, None, "éab1abab"),
    ("Replace a string by nothing", replace(string("ab"), ""), None, None, "abéab1ab"),
    ("Replace a regular expression", replace(regex(r"\s+"), "▁"), None, None, " a \n b "),
    ("Replace characters that mean something to a regular expression", replace(string("."), "x"), None, None, "a.b.c"),
    ("Strip", strip(True, True), None, None, " \u3000ab a\t "),
    ("Strip on the left", strip(True, False), None, None, " ab "),
    ("Strip on the right", strip(False, True), None, None, " éb "),
    ("Strip everything", strip(True, True), None, None, "  "),
    ("Sequence of normalizers",
     sequence("normalizers", strip(True, False), component("NFC"), component("Prepend", prepend="▁"), replace(string(" "), "▁")),
     None, None, "  ae\u0301 ab"),
    ("Sequence of none", sequence("normalizers"), sequence("pretokenizers"), sequence("processors"), "ab"),
    ("Digits, each", None, component("Digits", individual_digits=True), None, "a123b1"),
    ("Digits, all", None, component("Digits", individual_digits=False), None, "a123b1"),
    ("Punctuation", None, component("Punctuation"), None, "a..b,-ab'"),
    ("Punctuation, contiguous",
     None, sequence("pretokenizers", component("Punctuation", behavior="Contiguous"), metaspace(prepend_scheme="always")),
     None, "a..b,-ab"),
    ("Punctuation, removed", None, component("Punctuation", behavior="Removed"), None, "a..b,-ab\u061d"),
    ("Split, removed", None, split(string("."), "Removed"), None, ".a..ab."),
    ("Split, isolated", None, sequence("pretokenizers", split(string("a"), "Isolated"), metaspace()), None, "xaaby"),
    ("Split, merged with the one before",
     None, sequence("pretokenizers", split(string("a"), "MergedWithPrevious"), metaspace()), None, "axaaby"),
    ("Split, merged with the next",
     None, sequence("pretokenizers", split(string("a"), "MergedWithNext"), metaspace()), None, "xaabya"),
    ("Split, contiguous", None, sequence("pretokenizers", split(string("a"), "Contiguous"), metaspace()), None, "xaabya"),
    ("Split, inverted",
     None, sequence("pretokenizers", split(regex("[a-d]+"), "Removed", True), metaspace()), None, "xab..cy ab"),
    ("Split at nothing", None, sequence("pretokenizers", split(string(""), "Isolated"), metaspace()), None, "abé"),
    ("Split, merged, with empty matches",
     None, sequence("pretokenizers", split(regex("x*"), "MergedWithPrevious"), metaspace()), None, "axxbc"),
    ("Split of Llama-3",
     None, sequence("pretokenizers", split(regex(LLAMA3), "Isolated"), byte_level(use_regex=False)),
     None, "ab'D  ab1231 .\n\n\n a"),
    ("Split of Falcon",
     None, sequence("pretokenizers", component("Punctuation", behavior="Contiguous"), byte_level(),
                    component("Digits", individual_digits=False), split(regex("[0-9][0-9][0-9]"), "Isolated")),
     None, " ab 1231 a.-é"),
    ("Whitespace", None, component("Whitespace"), None, " ab a_.b  1"),
    ("WhitespaceSplit", None, component("WhitespaceSplit"), None, " ab a_.b\u3000 1"),
    ("Metaspace", None, metaspace(), None, "ab  ab"),
    ("Metaspace, always", None, metaspace(prepend_scheme="always"), None, " ab a"),
    ("Metaspace, never", None, metaspace(prepend_scheme="never"), None, "ab ab"),
    ("Metaspace, first",
     None, sequence("pretokenizers", split(string("."), "Isolated"), metaspace(prepend_scheme="first")), None, "ab.ab"),
    ("Metaspace, first, text is cut off in front",
     sequence("normalizers", strip(True, True)), metaspace(prepend_scheme="first"), None, " ab ab"),
    ("Metaspace, not split", None, metaspace(split=False), None, "ab ab"),
    ("Metaspace, add_prefix_space", None, metaspace(add_prefix_space=True, str_rep="▁"), None, "ab a"),
    ("Metaspace, add_prefix_space false", None, metaspace(add_prefix_space=False, prepend_scheme="never"), None, "ab a"),
    ("Metaspace with another character", None, component("Metaspace", replacement="_", prepend_scheme="always"), None, "ab a"),
    ("Template in front", None, None, template(special("<s>"), A), "ab"),
    ("Template behind", None, None, template(A, special("E")), "ab"),
    ("Template on both sides", None, None, template(special("<s>"), special("E"), A, special("E"), special("<s>")), "ab a"),
    ("Template without special tokens", None, None, template(A), "ab"),
    ("Template of nothing", None, None, template(special("<s>"), A, special("<s>")), ""),
    ("Template, then offsets trimmed",
     None, byte_level(True), sequence("processors", template(special("<s>"), A), byte_level(True)), "ab ab"),
    ("Offsets trimmed, then template",
     None, byte_level(True), sequence("processors", byte_level(True), template(special("<s>"), A)), "ab ab"),
    ("Special token in the text", None, None, template(special("<s>"), A), "<s>ab"),
]


def main():
    vocab = {token: i for i, token in enumerate(TOKENS)}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": True, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": MERGES}
    rows = []
    for name, normalizer, pre_tokenizer, post_processor, text in ROWS:
        spec = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [ADDED], "normalizer": normalizer,
                "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": None, "model": model}
        e = Tokenizer.from_str(json.dumps(spec)).encode(text)
        tokens = " ".join(f"{i}:{a}-{b}" + "*" * s for i, (a, b), s in zip(e.ids, e.offsets, e.special_tokens_mask))
        rows.append({"name": name, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor,
                     "text": text, "tokens": tokens})
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        head = {"tokenizers": __version__, "added_tokens": [ADDED], "model": model}
        out.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "rows": [\n')
        out.write(",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]}\n")


if __name__ == "__main__":
    main()
