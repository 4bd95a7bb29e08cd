"""Which tokens of an answer follow on its prompt. Needs a tokenizer of Hugging Face's `tokenizers`, nothing else."""
from __future__ import annotations


def has_text(tokenizer, token: int) -> bool:
    """Whether a token is more than white space; a tokenizer without a decoder leaves the letters that stand for spaces."""
    text = tokenizer.decode([token], skip_special_tokens=False)
    return bool(text.replace("\u0120", " ").replace("\u2581", " ").strip())


def split_answer(tokenizer, prompt: str, answer: str) -> tuple[list[int], int]:
    """The answer's tokens beyond the prompt's: those of white space alone that come first, and the first with text."""
    ids = [tokenizer.encode(text) for text in (prompt, prompt + " " + answer.strip())]
    before, whole = ([i for i, special in zip(e.ids, e.special_tokens_mask) if not special] for e in ids)
    if whole[:len(before)] != before or len(whole) == len(before):
        raise ValueError("answer merges with prompt")
    beyond = whole[len(before):]
    blank = next(k for k, i in enumerate(beyond) if has_text(tokenizer, i))
    return beyond[:blank], beyond[blank]
