"""Write what torch.load finds in pytorch_model.bin, for the tests of the project's own reader.

Usage: torch_files.py FOLDER...          writes FOLDER/tensors.txt for checkpoints that are there
       torch_files.py --generate OUT     writes many small checkpoints, each with its tensors.txt, in the ways that
                                         torch.save knows; then KO_TORCH_FOLDERS=OUT unit.checkpoint.torch_file reads them

A line of tensors.txt: name, type, shape, CRC-32 of the bytes.
"""
import collections
import json
import shutil
import sys
import zlib
from pathlib import Path

import torch
from torch.utils.serialization import config

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32",
         torch.uint8: "U8", torch.bool: "BOOL"}
SHAPES = [(), (1,), (3,), (2, 3), (7, 1, 4), (0, 5), (64, 33), (2, 3, 4, 5), (300,), (1, 1, 7000), (2, 1, 1, 1, 1, 1, 1, 2)]


def line(name, tensor):
    flat = tensor.detach().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return f"{name} {TYPES[tensor.dtype]} [{','.join(map(str, tensor.shape))}] {zlib.crc32(data):08x}\n"


def write_list(folder, tensors):
    lines = [line(name, tensor) for name, tensor in sorted(tensors.items(), key=lambda item: item[0].encode())]
    (folder / "tensors.txt").write_text("".join(lines))


def load(folder):
    index = folder / "pytorch_model.bin.index.json"
    files = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else ["pytorch_model.bin"]
    tensors = {}
    for file in files:
        tensors.update(torch.load(folder / file, weights_only=True))
    return tensors


def random_tensor(shape, dtype, generator):
    if dtype.is_floating_point:
        return (torch.randn(shape, generator=generator) * 3).to(dtype)
    return torch.randint(0, 2 if dtype == torch.bool else 100, shape, generator=generator).to(dtype)


class Out:
    def __init__(self, root):
        self.root = Path(root)
        shutil.rmtree(self.root, ignore_errors=True)

    def folder(self, name):
        folder = self.root / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        return folder

    def save(self, name, tensors, **options):
        folder = self.folder(name)
        torch.save(tensors, folder / "pytorch_model.bin", **options)
        write_list(folder, load(folder))


def generate(out, generator):
    for dtype, label in TYPES.items():
        for container in (dict, collections.OrderedDict):
            tensors = container((f"l.{i}.w", random_tensor(s, dtype, generator)) for i, s in enumerate(SHAPES))
            out.save(f"{label}-{container.__name__}", tensors)
            if dtype.is_floating_point:
                parameters = container((name, torch.nn.Parameter(tensor)) for name, tensor in tensors.items())
                out.save(f"{label}-{container.__name__}-parameters", parameters)

    embedding, base = random_tensor((100, 16), torch.float16, generator), random_tensor((1000,), torch.float32, generator)
    shared = {"embedding": embedding, "head": embedding, "alias": embedding.view(1600), "tail": embedding[40:],
              "row": embedding[3], "b0": base[:10], "b1": base[10:34].view(4, 6)}
    shared |= {f"x.{i}": torch.full((i % 5 + 1,), float(i), dtype=torch.bfloat16) for i in range(3000)}
    for alignment in (1, 8, 64, 4096):
        config.save.storage_alignment = alignment
        out.save(f"shared-alignment-{alignment}", shared)
    config.save.storage_alignment = 64

    module = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))
    out.save("module", module.state_dict())
    parameter = torch.nn.Parameter(torch.ones(4))
    parameter._no_weight_decay = True
    out.save("attribute", {"p": parameter})
    out.save("unicode", {"ü→名": torch.ones(2)})

    folder, weight_map = out.folder("sharded"), {}
    tensors = {f"l.{i}.w": random_tensor((5, i + 1), torch.float16, generator) for i in range(9)}
    for shard in range(3):
        part = {name: tensor for i, (name, tensor) in enumerate(tensors.items()) if i % 3 == shard}
        file = f"pytorch_model-{shard + 1:05d}-of-00003.bin"
        torch.save(part, folder / file)
        weight_map |= {name: file for name in part}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    write_list(folder, load(folder))


if len(sys.argv) == 3 and sys.argv[1] == "--generate":
    generate(Out(sys.argv[2]), torch.Generator().manual_seed(1))
elif len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
    for argument in sys.argv[1:]:
        write_list(Path(argument), load(Path(argument)))
else:
    sys.exit(__doc__)
