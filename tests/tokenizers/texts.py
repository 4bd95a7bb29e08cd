"""Generated texts that a tokenizer has to get right: mixed scripts, marks, emoji, white space, digits, contractions."""
import random
import sys
import unicodedata

SCRIPTS = [  # first and last code point of blocks of letters
    (0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x250, 0x2AF), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x587),
    (0x5D0, 0x5F4), (0x620, 0x6FF), (0x710, 0x74F), (0x780, 0x7B1), (0x7C0, 0x7FA), (0x840, 0x86A), (0x870, 0x8E1),
    (0x900, 0x97F), (0x980, 0x9FE), (0xA01, 0xA76), (0xA81, 0xAFF), (0xB01, 0xB77), (0xB82, 0xBFA), (0xC00, 0xC7F),
    (0xC80, 0xCF2), (0xD00, 0xD7F), (0xD81, 0xDF4), (0xE01, 0xE5B), (0xE81, 0xEDF), (0xF00, 0xFDA), (0x1000, 0x109F),
    (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x1399), (0x13A0, 0x13FD), (0x1401, 0x167F), (0x1680, 0x169C),
    (0x16A0, 0x16F8), (0x1700, 0x1773), (0x1780, 0x17F9), (0x1800, 0x18AA), (0x1C90, 0x1CBF), (0x1D00, 0x1DBF),
    (0x1E00, 0x1FFE), (0x2C00, 0x2D30), (0x3041, 0x30FF), (0x3105, 0x312F), (0x3131, 0x318E), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA000, 0xA48C), (0xA640, 0xA69F), (0xA720, 0xA7FF), (0xAB30, 0xAB6B), (0xAC00, 0xD7A3),
    (0xF900, 0xFAD9), (0xFB00, 0xFDFF), (0xFE70, 0xFEFC), (0xFF01, 0xFFDC), (0x10280, 0x1031F), (0x10330, 0x1034A),
    (0x10400, 0x104FB), (0x10570, 0x105BC), (0x10780, 0x107BA), (0x10900, 0x1091B), (0x11000, 0x1107F),
    (0x11A00, 0x11AA2), (0x12000, 0x1254F), (0x13000, 0x1342E), (0x16800, 0x16A38), (0x17000, 0x187F7),
    (0x1AFF0, 0x1B122), (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1EE00, 0x1EEBB), (0x20000, 0x2A6DF),
    (0x2F800, 0x2FA1D), (0x30000, 0x3134A)]
MARKS = [c for c in range(0x300, 0x20000) if unicodedata.category(chr(c)).startswith("M")]
SYMBOLS = [c for c in range(0x20, 0x20000) if unicodedata.category(chr(c))[0] in "PS"]
NUMBERS = [c for c in range(0x80, 0x20000) if unicodedata.category(chr(c))[0] == "N"]
SPACES = [" ", "  ", "   ", "    ", "\t", "\n", "\n\n", "\r\n", "\r", " \n ", "\n ", " \t", "\u00a0", "\u2009", "\u3000",
          "\u200b", "\u180e", "\u0085", "\u2028", "\x0b", "\x0c", "\x1c", "\x00", "\ufeff"]
WORDS = ("the The capital of France is Paris and its mother tongue was Edwin Northumbria don't we'll I'm you're they've he'd it's "
         "DON'T WE'LL I'M YOU'RE THEY'VE HE'D IT'S O'Brien 'tis rock'n'roll '' 's 'S 'ſ 'Re 'lL foo_bar snake_case CamelCase e-mail "
         "http://example.org/a?b=c&d #tag @you C++ C# <b> </b> ... -- --- — “quoted” ‘single’ naïve café Zürich São İstanbul ﬁn ΑΣ "
         "x² ½ ① Ⅷ ㎏ Å Ǆ ﬀ ａｂｃ ｶﾞ").split()
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷", "❤️", "🧑🏿‍🚀", "1️⃣", "🫠", "🫱🏻‍🫲🏿", "☃", "\u200d", "\ufe0f"]


def _letters(r, first, last):
    out = []
    for _ in range(r.randint(1, 8)):
        c = r.randint(first, last)
        if unicodedata.category(chr(c)) != "Cn" or r.random() < 0.05:
            out.append(chr(c))
            if r.random() < 0.1:
                out.extend(chr(r.choice(MARKS)) for _ in range(r.randint(1, 3)))
    return "".join(out)


def _decomposed(r):
    form = r.choice(["NFC", "NFD", "NFKC", "NFKD"])
    return unicodedata.normalize(form, r.choice([
        "café", "Ångström", "Việt Nam", "한국어", "ガギグ", "ﬁancée", "q̣̇", "ạ̈", "ỗ", "क़", "Ǖ"]))


def _any(r):
    c = r.randint(0, 0x10FFFF)
    return chr(c) if not 0xD800 <= c < 0xE000 else "\ufffd"


def _part(r, special):
    kind = r.random()
    if kind < 0.30:
        return r.choice(WORDS)
    if kind < 0.45:
        return _letters(r, *r.choice(SCRIPTS))
    if kind < 0.53:
        return str(r.randint(0, 10 ** r.randint(1, 12)))
    if kind < 0.58:
        return "".join(chr(r.choice(NUMBERS)) for _ in range(r.randint(1, 4)))
    if kind < 0.66:
        return "".join(chr(r.choice(SYMBOLS)) for _ in range(r.randint(1, 3)))
    if kind < 0.72:
        return "".join(chr(r.randint(0x21, 0x7E)) for _ in range(r.randint(1, 5)))
    if kind < 0.78:
        return r.choice(EMOJI)
    if kind < 0.83:
        return _decomposed(r)
    if kind < 0.88 and special:
        return r.choice(special)
    if kind < 0.91:
        return "".join(_any(r) for _ in range(r.randint(1, 3)))
    return "".join(r.choice(SPACES) * r.choice([1, 1, 2, 7, 30]) for _ in range(r.randint(1, 3)))


def generate(n, seed, special):
    """n texts; `special` are the added tokens that some of them contain."""
    r = random.Random(seed)
    fixed = ["", " ", "  ", "\n", "\t", "a", " a", "a ", "\u0301", "e\u0301", "\u200d", "\U0010ffff", "\x00"]
    fixed += special + [" " + s for s in special] + [s + " a" for s in special] + ["a" + s + s + "b" for s in special[:50]]
    out = fixed[:n]
    while len(out) < n:
        glue = r.choice(["", " ", " ", " ", "  ", "\n"])
        out.append(glue.join(_part(r, special) for _ in range(r.randint(1, 12))))
    return out


def generate_invalid(n, seed):
    """n byte strings that are not UTF-8."""
    r = random.Random(seed)
    bad = [b"\xff", b"\x80", b"\xc0\x80", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80",
           b"\xf8\x88\x80\x80\x80"]
    out = []
    while len(out) < n:
        text = generate(20, r.random(), [])[-1].encode()
        at = r.randint(0, len(text))
        out.append(text[:at] + r.choice(bad) + text[at:])
        try:
            out[-1].decode()
            out.pop()
        except UnicodeDecodeError:
            pass
    return out


if __name__ == "__main__":
    for text in generate(int(sys.argv[1]), 1, []):
        print(repr(text))
