"""Whether every link of the documents in a folder leads somewhere: links.py FOLDER... [--except FOLDER] [--root FOLDER]

Looks at the relative links and pictures of every .md file and of the texts in notebooks, and at the heading that a link's #fragment names.
Web addresses are left alone. With --root every file of the sources that a document names in its text (`docs/spec.md`) must be there too.
"""
import argparse
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

FENCED = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.M | re.S)
INDENTED = re.compile(r"(?:\A|(?<=\n\n))(?:(?: {4}|\t)[^\n]*\n?)+")
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(\s*<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\s{0,3}\[[^\]]+\]:\s*<?([^>\s]+)|<(?:img|a)\s[^>]*?(?:src|href)=\"([^\"]+)\"",
                  re.M)
NAMED = re.compile(r"(?<![\w./}-])(?:analysis|cmake|docs|jobs|kernels|mpi|slurm|src|tests)/[\w./-]+\.(?:[ch]|cu|md|py|sh|inc|yaml|sbatch|ipynb|txt|jsonl)\b")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)


def prose(text, inline=True):
    """The text without blocks of code, and without code in a line."""
    text = INDENTED.sub("\n", FENCED.sub("", text))
    return CODE.sub("", text) if inline else text


def anchors(text):
    """The fragments of a document's headings, as GitHub makes them."""
    found, times = set(), {}
    for heading in HEADING.findall(prose(text, inline=False)):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        k = times[name] = times.get(name, -1) + 1
        found.add(f"{name}-{k}" if k else name)
    return found


def text_of(path):
    """The text of a document; of a notebook, its cells of text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")


def dead_links(path, root=None):
    """[(link, why)] of one document, and how many links it has. root: where the files lie that the text names, None: not looked at."""
    text, dead, n = text_of(path), [], 0
    for name in set(NAMED.findall(text)) if root else ():
        placeholder = re.search(r"[A-Z]{4}", name.replace("README", ""))  # NAME, TARGET
        if not placeholder and not (root / name).exists() and not (path.parent / name).exists():
            dead.append((name, "named in the text, no such file"))
    for groups in LINK.findall(prose(text)):
        link = next(filter(None, groups))
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        n += 1
        name, _, fragment = link.partition("#")
        target = path.parent / unquote(name) if name else path
        # As the system follows it, and as a browser does, which takes a .. off the address whatever is a symbolic link.
        if not target.exists() or not Path(os.path.normpath(target)).exists():
            dead.append((link, "no such file"))
        elif fragment and target.suffix == ".md" and fragment not in anchors(target.read_text(encoding="utf-8")):
            dead.append((link, "no such heading"))
    return dead, n


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("folder", type=Path, nargs="+")
    ap.add_argument("--except", dest="left_out", type=Path, action="append", default=[])
    ap.add_argument("--root", type=Path)
    a = ap.parse_args()
    n_documents = n_links = n_dead = 0
    for folder in a.folder:
        for path in sorted(path for suffix in ("md", "ipynb") for path in folder.rglob(f"*.{suffix}")):
            if any(left in path.parents for left in a.left_out):
                continue
            dead, n = dead_links(path, a.root)
            n_documents, n_links, n_dead = n_documents + 1, n_links + n, n_dead + len(dead)
            for link, why in dead:
                print(f"{path}: {link}: {why}")
    print(f"{n_documents} documents, {n_links} links, {n_dead} lead nowhere")
    return n_dead > 0 or n_links == 0


if __name__ == "__main__":
    sys.exit(main())
