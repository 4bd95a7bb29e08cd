#!/usr/bin/env python3
"""Reads the #includes of src/, kernels/ and mpi/ and fails where a folder includes one that stands above it.

FLOORS lists every folder from the ground up; a folder may include those before it. So no circle joins folders, and data flows one
way. MPI, HDF5 and CUDA may be included only from the folders that are named for them.

Usage: tests/layers.py [-v] [ROOT]      -v prints each folder, how many files it has, and what it includes
"""
import os
import re
import sys
from collections import defaultdict

FLOORS = """
    src/base
    src/formats src/options
    src/checkpoint src/tokenizer/text src/tokenizer
    src/prompts
    src/spec
    src/plan
    kernels kernels/plain kernels/cpu kernels/cpu/isa kernels/cuda
    src/tree
    src/models src/models/sublayers src/models/families
    src/forward
    src/cube/format src/cube/create src/cube/read src/cube/reuse src/cube/merge
    mpi/world mpi/lock mpi/cube mpi
    src/stats src/show src/export
    src/run src/bench src/preview
    src/cli
""".split()
# What a header's name begins with, and where it may be included.
OUTSIDE = {
    "mpi.h": ("mpi",),
    "hdf5": ("src/cube", "mpi"),
    "cuda": ("kernels/cuda", "mpi/nccl_exchange.c"),
    "nccl": ("mpi/nccl_exchange.c",),
    "cublas": ("kernels/cuda",),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)


def sources(root):
    for top in ("src", "kernels", "mpi"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith((".c", ".h", ".cu", ".cuh")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def main():
    words = [word for word in sys.argv[1:] if word != "-v"]
    root = words[0] if words else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    files = sorted(sources(root))
    known = set(files)
    floor = {folder: number for number, folder in enumerate(FLOORS)}
    uses = defaultdict(set)
    faults = []
    for path in files:
        folder = os.path.dirname(path)
        if folder not in floor:
            faults.append(f"{path}: its folder is not in FLOORS of tests/layers.py")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        for own, system in INCLUDE.findall(text):
            beside = os.path.normpath(os.path.join(folder, own))
            target = os.path.dirname(own if own in known else beside) if own in known or beside in known else None
            if target is not None and target != folder:
                uses[folder].add(target)
                if floor.get(target, -1) > floor[folder]:
                    faults.append(f"{path}: includes {own}, and {target} stands above {folder}")
            for begin, places in OUTSIDE.items():
                if system.startswith(begin) and not path.startswith(places):
                    faults.append(f"{path}: includes <{system}>, which is for {' and '.join(places)}")
    if "-v" in sys.argv:
        for folder in FLOORS:
            n = sum(os.path.dirname(path) == folder for path in files)
            print(f"{folder:24} {n:3} files, includes {' '.join(sorted(uses[folder], key=floor.get)) or 'nothing of ours'}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
