"""Prompts that are matrices of embeddings, for embeddings.sh. Usage: embeddings.py SCRATCH"""
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

SCRATCH, SOURCES, PROGRAM = Path(sys.argv[1]), Path(os.environ["KO_SOURCE_DIR"]), os.environ["KNOCKOUT"]
LLAMA, MAMBA, GPT2 = (SOURCES / "jobs" / "models" / f"{name}-facts" for name in ("llama", "mamba", "gpt2"))
GOLDEN = SOURCES / "tests" / "data" / "embeddings"
BOUND = 1e-4  # of golden cells, which are float64; largest difference seen: 2e-5
TEXTS = [("one", "The city of Kabul is known to everyone as the capital of", "Kabul", "Afghanistan"),
         ("two", "The city of Seoul is known to everyone as the capital of", "Seoul", "Japan")]
METRICS = ("logprob", "kl", "target_rank", "top1_id", "clean_logprob", "heat_logprob")


def program(*words, status=0):
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == status, f"{words}: exit {done.returncode}, not {status}\n{done.stdout}{done.stderr}"
    return done.stdout if status == 0 else done.stderr.strip()


def read_tensors(path):
    """name -> (type, shape, bytes)"""
    data = Path(path).read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    header.pop("__metadata__", None)
    return {k: (t["dtype"], t["shape"], data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]]) for k, t in header.items()}


def write_tensors(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(raw for _, _, raw in tensors.values()))


def write_lines(path, records):
    Path(path).write_text("".join(json.dumps(r) + "\n" for r in records))


def write_spec(path, models, prompts, **keys):
    spec = {"models": [m if isinstance(m, dict) else str(m) for m in models], "prompts": prompts, "routes": ["last<-name", "later<-name", "mlp@name", "last<-each"],
            "windows": {"sizes": [1, 3], "starts": "all"}, **keys}
    Path(path).write_text(json.dumps(spec))
    return path


def run(spec, cube, *words, status=0):
    return program("run", spec, "-o", cube, "--threads", 1, "--progress", "none", "--log-level", "warn", *words, status=status)


def same_bits(a, b, names=METRICS):
    with h5py.File(a) as x, h5py.File(b) as y:
        for name in names:
            assert x[name].size and x[name][()].tobytes() == y[name][()].tobytes(), f"{a}, {b}: {name} differs"
        assert np.isfinite(x["logprob"][()]).mean() > 0.5


def text_and_matrices(model, key, score):
    """The same prompts as texts and as the rows of their tokens; the specs of both."""
    tensors = read_tensors(model / "model.safetensors")
    dtype, shape, raw = tensors[key]
    row = len(raw) // shape[0]
    name = f"{model.name}-{score}"
    spans = [text.split(subject)[0] for _, text, subject, _ in TEXTS]
    write_lines(SCRATCH / f"{name}-text.jsonl", [
        {"id": i, "prompt": t, "subject": s, "target": a, "spans": {"name": [len(b), len(b) + len(s)]}}
        for (i, t, s, a), b in zip(TEXTS, spans)])
    text = write_spec(SCRATCH / f"{name}-text.yaml", [model], {"file": f"{name}-text.jsonl", "score": score})
    run(text, SCRATCH / f"{name}-text.h5", "--overwrite")
    records, matrices = [], {}
    with h5py.File(SCRATCH / f"{name}-text.h5") as cube:
        for p, i in enumerate(cube["prompt"].asstr()[:]):
            n = cube["n_tokens"][0, p]
            ids = cube["token_id"][0, p, :n]
            answer = cube["answer_id"][0, p] if score == "whole-answer" else cube["target_id"][0, [p]]
            matrices[i] = (dtype, [int(n), shape[1]], b"".join(raw[k * row:(k + 1) * row] for k in ids))
            span = [int(cube["subject_begin"][0, p]), int(cube["subject_end"][0, p])]
            records.append({"id": i, "embeddings": True, "target_ids": [int(k) for k in answer if k >= 0], "token_spans": {"name": span}})
    write_tensors(SCRATCH / f"{name}.safetensors", matrices)
    write_lines(SCRATCH / f"{name}.jsonl", records)
    prompts = {"file": f"{name}.jsonl", "embeddings": f"{name}.safetensors", "score": score}
    return records, matrices, write_spec(SCRATCH / f"{name}.yaml", [model], prompts), SCRATCH / f"{name}-text.h5"


def check_bits():
    for model, key in ((LLAMA, "model.embed_tokens.weight"), (MAMBA, "backbone.embeddings.weight")):
        for score in ("first-token", "whole-answer"):
            _, _, spec, text = text_and_matrices(model, key, score)
            cube = spec.with_suffix(".h5")
            run(spec, cube)
            same_bits(text, cube)
            program("verify", cube, "--sample", 20)


def check_provenance_and_changes():
    """What plan, show, status and the cube say; ranks; resume after a changed matrix; an evaluation of other matrices."""
    records, matrices, spec, _ = text_and_matrices(LLAMA, "model.embed_tokens.weight", "first-token")
    cube = spec.with_suffix(".h5")
    run(spec, cube, "--overwrite")
    with h5py.File(cube) as h:
        path, rest = h.attrs["embeddings"].decode().split(" (", 1)
        size = (SCRATCH / "llama-facts-first-token.safetensors").stat().st_size
        assert path.endswith("llama-facts-first-token.safetensors") and rest.startswith(f"{size} bytes, XXH3-128 of its header "), rest
        text = h["prompt_text"].asstr()[0]
        assert text.startswith("[matrix of llama-facts-first-token.safetensors, ") and "XXH3-128 " in text, text
        assert (h["token_id"][0, 0, :h["n_tokens"][0, 0]] == -1).all()
    for words in (("plan", spec), ("status", cube), ("show", cube)):
        program(*words)
    notes = json.loads(program("plan", spec, "--json"))["notes"]
    assert any(note.startswith("2 prompts are matrices of embeddings, of 2 in: ") for note in notes), notes
    three = spec.with_suffix(".three.h5")
    launched = subprocess.run([os.environ["KO_LAUNCH"], "120", "3", PROGRAM, "run", spec, "-o", three, "--progress", "none"],
                              capture_output=True, text=True)
    assert launched.returncode == 0, launched.stderr
    same_bits(cube, three)
    # The same matrices in two files are the same prompts but for the file's name.
    ids = list(matrices)
    write_tensors(SCRATCH / "a.safetensors", {ids[0]: matrices[ids[0]]})
    write_tensors(SCRATCH / "b.safetensors", {ids[1]: matrices[ids[1]]})
    both = ["a.safetensors", "b.safetensors"]
    two = write_spec(SCRATCH / "two.yaml", [LLAMA], {"file": "llama-facts-first-token.jsonl", "embeddings": both})
    run(two, SCRATCH / "two.h5")
    same_bits(cube, SCRATCH / "two.h5")
    # One number changes: neither the cube nor its evaluation may be continued.
    dtype, shape, raw = matrices[ids[1]]
    changed = raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:]
    write_tensors(SCRATCH / "b.safetensors", {ids[1]: (dtype, shape, changed)})
    said = run(two, SCRATCH / "two.h5", "--resume", status=2)
    assert "the hash of spec, prompts and tokens is" in said and len(said.splitlines()) == 1, said
    said = run(two, SCRATCH / "new.h5", "--evaluation", SCRATCH / "two.evaluation.h5", status=2)
    assert "two.evaluation.h5: prompt 'two' has another text" in said and len(said.splitlines()) == 1, said
    # Positions: the order of the rows is a row of positions, too.
    n = matrices[ids[0]][1][0]
    write_lines(SCRATCH / "placed.jsonl", [dict(r, position_ids=list(range(matrices[r["id"]][1][0]))) for r in records])
    placed = write_spec(SCRATCH / "placed.yaml", [LLAMA], {"file": "placed.jsonl", "embeddings": "llama-facts-first-token.safetensors"})
    run(placed, SCRATCH / "placed.h5")
    same_bits(cube, SCRATCH / "placed.h5")
    old = SCRATCH / "placed.evaluation.h5"
    write_lines(SCRATCH / "placed.jsonl", [dict(r, position_ids=[2 * i for i in range(matrices[r["id"]][1][0])]) for r in records])
    assert "prompt 'one' has another text" in run(placed, SCRATCH / "other.h5", "--evaluation", old, status=2)
    run(placed, SCRATCH / "placed.h5", "--overwrite")
    with h5py.File(cube) as x, h5py.File(SCRATCH / "placed.h5") as y:
        assert (x["clean_logprob"][()] != y["clean_logprob"][()]).all()
    return records, matrices, n


def check_golden():
    """Cells that transformers' classes computed in float64 (tests/oracle/compare_embeddings.py write)."""
    for folder in sorted(GOLDEN.iterdir()):
        golden, largest = json.loads((folder / "golden.json").read_text()), 0.0
        spec = {"models": [{"name": folder.name, "path": str(folder), "tokenizer": str(LLAMA / "tokenizer.json")}],
                "prompts": {"file": str(folder / "prompts.jsonl"), "embeddings": str(folder / "prompts.safetensors")},
                "routes": golden["routes"], "windows": {"sizes": golden["sizes"], "starts": "all"}}
        (SCRATCH / "golden.yaml").write_text(json.dumps(spec))
        run(SCRATCH / "golden.yaml", SCRATCH / f"{folder.name}.h5")
        with h5py.File(SCRATCH / f"{folder.name}.h5") as cube:
            prompts, routes, sizes = list(cube["prompt"].asstr()[:]), list(cube["route"].asstr()[:]), list(cube["window_size"][:])
            for prompt, route, size, start, logprob, rank in golden["cells"]:
                at = (0, prompts.index(prompt), routes.index(route), 0, sizes.index(size), start)
                assert abs(cube["logprob"][at] - logprob) <= BOUND, (folder.name, prompt, route, size, start, cube["logprob"][at], logprob)
                assert cube["target_rank"][at] == rank, (folder.name, prompt, route, size, start)
                largest = max(largest, abs(cube["logprob"][at] - logprob))
        print(f"{folder.name}: {len(golden['cells'])} cells, the largest difference is {largest:.1e}")
        assert golden["cells"]


def check_bad_input(records, matrices):
    first, n = records[0]["id"], matrices[records[0]["id"]][1][0]
    dtype, (rows, width), raw = matrices[first]
    number = len(raw) // (rows * width)
    nan = {"F32": b"\x00\x00\xc0\x7f", "F16": b"\x00\x7e", "BF16": b"\xc0\x7f"}[dtype]

    def refused(words, change=None, tensors=None, model=LLAMA, embeddings="bad.safetensors", record=None):
        """A run with a changed record or file must end with 2 and one line that has all the words."""
        write_tensors(SCRATCH / "bad.safetensors", tensors if tensors is not None else {first: matrices[first]})
        write_lines(SCRATCH / "bad.jsonl", [record or dict(records[0], **(change or {}))])
        prompts = {"file": "bad.jsonl", **({"embeddings": embeddings} if embeddings else {})}
        said = run(write_spec(SCRATCH / "bad.yaml", [model], prompts, routes=["last<-first"]), SCRATCH / "bad.h5", status=2)
        assert len(said.splitlines()) == 1 and all(word in said for word in words), f"{words}: {said}"
        assert not (SCRATCH / "bad.h5").exists()

    refused(["bad.safetensors: matrix 'one'", f"[3, 5] is nan", "finite"],
            tensors={first: (dtype, [rows, width], raw[:(3 * width + 5) * number] + nan + raw[(3 * width + 6) * number:])})
    refused(["'one'", f"matrix is {width // 2} numbers wide and the model {width}"],
            tensors={first: (dtype, [rows, width // 2], raw[:rows * (width // 2) * number])})
    refused(["expected two: [tokens, width"], tensors={first: (dtype, [rows * width], raw)})
    refused(["'one'", "rows to add behind 12 layers, and this model takes them behind 11 at most"],
            tensors={first: (dtype, [13, rows, width], 13 * raw)})
    refused(["matrix 'one': has rows to add behind 65 layers, at most 64 are read"], tensors={first: (dtype, [66, 1, 1], 66 * raw[:number])})
    refused(["matrix 'one': number [", f"{2 * rows + 1}, 5] is nan"],
            tensors={first: (dtype, [3, rows, width], 2 * raw + raw[:(width + 5) * number] + nan + raw[(width + 6) * number:])})
    refused(["matrix 'one': has the type I32", "store F32, F16 or BF16"], tensors={first: ("I32", [1, 1], bytes(4))})
    refused(["bad.jsonl:1", "prompt 'one'", "no file of embeddings has it"], tensors={"other": matrices[first]})
    refused(["bad.jsonl:1", "prompt 'one'", "the spec names no file"], embeddings=None)
    write_tensors(SCRATCH / "again.safetensors", {first: matrices[first]})
    refused(["matrix 'one' is in", "again.safetensors too"], embeddings=["again.safetensors", "bad.safetensors"])
    refused(["token_spans: name: [0, 99) is outside of the", f"{n} rows"], {"token_spans": {"name": [0, 99]}})
    refused(["position_ids: 2 numbers in a row", f"has {n} rows"], {"position_ids": [0, 1]})
    refused(["position_ids: row 1: expected"], {"position_ids": [[0] * n, [0] * (n - 1), [0] * n]})
    refused(["position_ids: expected one row, or three"], {"position_ids": [[0] * n] * 2})
    refused(["position_ids: row 0: expected"], {"position_ids": [-1] * n})
    refused(["position_ids: number 0 of row 0 is 99999", "the model has the positions 0 to"], {"position_ids": [99999] * n})
    refused(["three rows", "mrope_section"], {"position_ids": [list(range(n))] * 3})
    refused(["learned positions"], model=GPT2)
    refused(["spans: a prompt of embeddings has no characters"], {"spans": {"x": [0, 1]}})
    refused(["bad.jsonl:1: options: expected a text or a list of token ids"], {"options": [7]})
    refused(["bad.jsonl:1: the right answer", "is not among the options"], {"options": ["a", "b"]})
    refused(["embeddings: expected true, got false"], {"embeddings": False})
    refused(["missing key 'target', 'target_ids' or 'targets'"], record={"id": first, "embeddings": True})
    refused(["target_ids: expected a list of 1 to"], {"target_ids": []})
    long = 32769
    refused([f"has {long} rows, at most 32768"], tensors={first: ("F16", [long, 1], bytes(2 * long))})
    wide = read_tensors(MAMBA / "model.safetensors")["backbone.embeddings.weight"][1][1]
    refused(["position_ids", "no rotary positions"], {"position_ids": list(range(3)), "token_spans": {}}, model=MAMBA,
            tensors={first: ("F32", [3, wide], bytes(12 * wide))})


def main():
    check_bits()
    records, matrices, _ = check_provenance_and_changes()
    check_bad_input(records, matrices)
    check_golden()


if __name__ == "__main__":
    main()
