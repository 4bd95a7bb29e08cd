#!/usr/bin/env python3
"""Checks the shape of src/, kernels/ and mpi/, and fails with one line for each fault.

- Floors: FLOORS lists every folder from the ground up. A folder may include only folders before it.
- Circles: no files of one folder include each other in a circle. A header and the sources of its folder that define what it
  declares count as one unit. The includes that make a circle are printed below it.
- MPI, HDF5, CUDA, NCCL and cuBLAS are included only where OUTSIDE allows it.
- Size: a folder holds at most 30 files. WIDE lists the exceptions, each with its reason.
- Names: the name of a static function has at least two words (build_wave, not build).
- Picture: ARCHITECTURE.md holds the drawing that --picture prints.

Usage: tests/layers.py [-v | --picture | --self-check] [ROOT]
  -v            also prints each folder, how many files it has, and what it includes
  --picture     prints the drawing of the floors, and checks nothing
  --self-check  makes small trees with one fault each, and fails where the check does not find it
"""
import os
import re
import sys
import tempfile
from collections import defaultdict

# From the ground up; each line is a floor of the drawing. Within a line, too, a folder may include those before it.
FLOORS = """
    src/base src/base/machine src/base/user
    src/formats src/options
    src/checkpoint/mapped src/checkpoint/safetensors src/checkpoint/torch src/checkpoint
    src/tokenizer/text src/tokenizer
    src/prompts/answers src/prompts src/prompts/matrices
    src/spec
    src/plan
    kernels kernels/plain kernels/cpu kernels/cpu/isa kernels/cuda kernels/cuda/attention kernels/cuda/mamba kernels/backends
    src/tree/branches src/tree src/tree/waves
    src/models src/models/sublayers src/models/families
    src/forward
    src/cube/format src/cube/create src/cube/read src/cube/reuse src/cube/run src/cube/merge
    mpi/world mpi/lock mpi/cube mpi/compute mpi
    src/stats src/status src/show src/export
    src/run src/bench src/preview
    src/cli
"""
# What a system header's name begins with, and where it may be included.
OUTSIDE = {
    "mpi.h": ("mpi",),
    "hdf5": ("src/cube", "mpi"),
    "cuda": ("kernels/cuda", "mpi/compute/nccl_exchange.c"),
    "nccl": ("mpi/compute/nccl_exchange.c",),
    "cublas": ("kernels/cuda",),
}
MOST_FILES = 30
WIDE = {
    "src/models/families": "one file for each family",
    "src/tokenizer": "one file for each component of tokenizer.json",
    "src/models/families": "one file for each family of models",
}
TOPS = ("src", "kernels", "mpi")
HEADERS = (".h", ".cuh")

# Strings and characters are matched so that what looks like a comment in them stays.
COMMENT = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')|/\*.*?\*/|//[^\n]*""", re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
DECLARED = re.compile(r"^(?!static|typedef)[\w\s*]*?\b(ko_\w+)\s*(?:\([^;{]*\)[^;{]*|\[[^;{=]*\]\s*);", re.M)
DEFINED = re.compile(r"^(?!static|extern|typedef)(?:[\w*]+\s+)+\**(ko_\w+)\s*(?:\([^;{]*\)\s*\{|\[[^;{=]*\]\s*=)", re.M)
EXTERN = re.compile(r"^extern\s[\w\s*]*?\b(ko_\w+)\s*;", re.M)
CONSTANT = re.compile(r"^(?!static|extern|typedef)(?:[\w*]+\s+)+\**(ko_\w+)\s*=\s*\{", re.M)
# The first name before a parameter list that is not an attribute or a macro (__launch_bounds__, KO_PRINTF).
STATIC = re.compile(r"^(?:template\s*<[^>]*>\s*)?(?:(?:inline|__\w+__)\s+)*static\b([^;{}=]*?)"
                    r"\b(?!__)(?![A-Z0-9_]+\b)(\w+)\s*\(([^;{}]*)\)\s*\{", re.M)


def folders():
    return FLOORS.split()


def read_sources(root):
    """{path from the root: its text without comments} of every source and header."""
    found = {}
    for top in TOPS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith((".c", ".cu") + HEADERS):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        found[os.path.relpath(path, root)] = COMMENT.sub(lambda m: m[1] or " ", file.read())
    return dict(sorted(found.items()))


def read_includes(texts):
    """{path: [(included file of ours or None, name as written, system header's name)]}"""
    includes = {}
    for path, text in texts.items():
        includes[path] = []
        for own, system in INCLUDE.findall(text):
            beside = os.path.normpath(os.path.join(os.path.dirname(path), own))
            target = own if own in texts else beside if beside in texts else None
            includes[path].append((target, own, system))
    return includes


def floor_faults(texts, includes):
    floor = {folder: number for number, folder in enumerate(folders())}
    for path in texts:
        folder = os.path.dirname(path)
        if folder not in floor:
            yield f"{path}: its folder is not in FLOORS of tests/layers.py, add it there"
            continue
        for target, own, system in includes[path]:
            if target and floor.get(os.path.dirname(target), -1) > floor[folder]:
                yield f"{path}: includes {own}, and {os.path.dirname(target)} stands above {folder}"
            for begin, places in OUTSIDE.items():
                if system.startswith(begin) and not path.startswith(places):
                    yield f"{path}: includes <{system}>, which is for {' and '.join(places)}"


def group_units(texts):
    """{path: the first file of its unit}. Sources join the header of their folder that declares what they define."""
    declared = {}
    for path, text in texts.items():
        if path.endswith(HEADERS):
            for name in DECLARED.findall(text) + EXTERN.findall(text):
                declared.setdefault(name, path)
    leader = {path: path for path in texts}

    def find_leader(path):
        while leader[path] != path:
            path = leader[path]
        return path

    for path, text in texts.items():
        if not path.endswith(HEADERS):
            for name in DEFINED.findall(text) + CONSTANT.findall(text):
                header = declared.get(name)
                if header and os.path.dirname(header) == os.path.dirname(path):
                    leader[find_leader(path)] = find_leader(header)
    return {path: find_leader(path) for path in texts}


def find_circles(edges):
    """Tarjan's strongly connected components of {node: set of nodes}, those of two nodes or more."""
    number, lowest, stack, circles = {}, {}, [], []

    def visit(node):
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in sorted(edges[node]):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == number[node]:
            first = stack.index(node)
            if len(stack) - first > 1:
                circles.append(stack[first:])
            del stack[first:]

    for node in sorted(edges):
        if node not in number:
            visit(node)
    return circles


def circle_faults(texts, includes):
    unit = group_units(texts)
    edges = {leader: set() for leader in set(unit.values())}
    for path in texts:
        edges[unit[path]].update(unit[target] for target, _, _ in includes[path] if target and unit[target] != unit[path])
    for circle in find_circles(edges):
        inside = [path for path in texts if unit[path] in circle]
        lines = [f"{path} includes {target}" for path in inside for target, _, _ in includes[path]
                 if target and unit[target] in circle and unit[target] != unit[path]]
        yield f"a circle of {len(circle)} units:\n    " + "\n    ".join(lines)


def size_faults(texts):
    held = defaultdict(int)
    for path in texts:
        held[os.path.dirname(path)] += 1
    for folder, n in sorted(held.items()):
        if n > MOST_FILES and folder not in WIDE:
            yield f"{folder}: holds {n} files, at most {MOST_FILES} are allowed, divide it"
        if n <= MOST_FILES and folder in WIDE:
            yield f"{folder}: holds {n} files, take it out of WIDE in tests/layers.py"


def name_faults(texts):
    for path, text in texts.items():
        for _, name, _ in STATIC.findall(text):
            if "_" not in name:
                yield f"{path}: static function {name} is named by one bare word, add its noun"


def draw_floors():
    """The floors as boxes, the highest first."""
    lines = [" ".join(line.split()) for line in FLOORS.strip().splitlines()]
    width = max(map(len, lines)) + 4
    edge = "    +" + "-" * width + "+"
    rows = [f"    |  {line:{width - 2}}|\n{edge}" for line in reversed(lines)]
    return "\n".join([edge, *rows])


def picture_faults(root):
    with open(os.path.join(root, "ARCHITECTURE.md"), encoding="utf-8") as file:
        if draw_floors() not in file.read():
            yield "ARCHITECTURE.md: its picture of the floors is not the one of tests/layers.py --picture, copy that"


def find_faults(root):
    texts = read_sources(root)
    includes = read_includes(texts)
    for faults in (floor_faults(texts, includes), circle_faults(texts, includes), size_faults(texts), name_faults(texts),
                   picture_faults(root)):
        yield from faults


def print_folders(root):
    texts = read_sources(root)
    includes = read_includes(texts)
    for folder in folders():
        files = [path for path in texts if os.path.dirname(path) == folder]
        used = {os.path.dirname(target) for path in files for target, _, _ in includes[path] if target} - {folder}
        listed = " ".join(other for other in folders() if other in used)
        print(f"{folder:24} {len(files):3} files, includes {listed or 'nothing of ours'}")


# A sound tree, and changes to it: {file: text} and words of the one fault that each must give.
SOUND = {
    "src/base/a.h": "int ko_a(int x);\nextern const int ko_table[];\n",
    "src/base/a.c": '#include "src/base/a.h"\n#include "src/base/b.h"\n/* static int run(void) { */\nint ko_a(int x)\n{\n}\n',
    "src/base/b.h": "#include <stdint.h>\n",
    "src/base/table.c": '#include "src/base/a.h"\nconst int ko_table[] = {1};\n',
    "kernels/cuda/k.cu": "static __global__ void __launch_bounds__(256) add_rows(int n)\n{\n}\n",
    "mpi/world/w.c": '#include <mpi.h>\n#include "src/base/a.h"\n#include "v.h"\n'
                     'KO_PRINTF(1, 2)\nstatic void print_line(int x)\n{\n    say("/*");\n}\n',
    "mpi/world/v.h": "",
}
BROKEN = [
    ({"src/base/b.h": '#include "mpi/world/v.h"\n'}, "mpi/world stands above src/base"),
    ({"src/attic/z.h": ""}, "src/attic/z.h: its folder is not in FLOORS"),
    ({"src/base/b.h": '#include "src/base/a.h"\n'}, "src/base/a.c includes src/base/b.h\n    src/base/b.h includes src/base/a.h"),
    ({"src/base/b.h": '#include "a.h"\n'}, "a circle of 2 units"),
    ({"src/base/b.h": "int ko_b(void);\n", "src/base/b.c": '#include "a.h"\nint ko_b(void)\n{\n}\n'},
     "src/base/b.c includes src/base/a.h"),
    ({"src/base/b.h": '#include "src/base/t.h"\n', "src/base/t.h": '#include "src/base/a.h"\n'}, "a circle of 3 units"),
    ({"src/base/table.c": '#include "src/base/c.h"\nconst int ko_table[] = {1};\n', "src/base/c.h": '#include "src/base/a.h"\n'},
     "src/base/table.c includes src/base/c.h"),
    ({"src/base/a.c": "#include <mpi.h>\n"}, "<mpi.h>, which is for mpi"),
    ({f"src/spec/{i}.h": "" for i in range(31)}, "src/spec: holds 31 files"),
    ({"src/base/b.h": "static inline int\nbuild(void)\n{\n}\n"}, "static function build is named by one bare word"),
    ({"kernels/cuda/k.cu": "template <int N>\nstatic __global__ void __launch_bounds__(256) add(int n)\n{\n}\n"},
     "static function add "),
    ({"ARCHITECTURE.md": "no picture\n"}, "ARCHITECTURE.md: its picture"),
]


def check_tree(files):
    """The faults of a tree that holds only these files, without those of WIDE."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in {"ARCHITECTURE.md": draw_floors(), **files}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return [fault for fault in find_faults(root) if "out of WIDE" not in fault]


def check_itself():
    wrong = [f"a sound tree: {fault}" for fault in check_tree(SOUND)]
    for change, words in BROKEN:
        faults = check_tree({**SOUND, **change})
        if len(faults) != 1 or words not in faults[0]:
            wrong.append(f"expected the fault '{words}', found {faults}")
    return wrong


def main():
    known = ("-v", "--picture", "--self-check")
    words = [word for word in sys.argv[1:] if word not in known]
    root = words[0] if words else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    if "--picture" in sys.argv:
        print(draw_floors())
        return 0
    if "-v" in sys.argv:
        print_folders(root)
    faults = check_itself() if "--self-check" in sys.argv else list(find_faults(root))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
