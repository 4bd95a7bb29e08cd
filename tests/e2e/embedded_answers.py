"""Several answers and options of prompts that are matrices of embeddings, for embedded_answers.sh. Usage: embedded_answers.py SCRATCH"""
import json

import h5py

import choices
from embeddings import GOLDEN, LLAMA, MAMBA, SCRATCH, SOURCES, program, read_tensors, run, write_lines, write_spec, write_tensors

CHOICES = SOURCES / "tests" / "data" / "choices"
SCORES = {"clean": {"score": "whole-answer"}, "knocked": {"score": "whole-answer", "answer-rows": "knocked"},
          "first": {"score": "first-token"}}
ROUTES = ["last<-name", "later<-name", "all<-all"]
WINDOWS = {"sizes": [3], "starts": [0, 5, 9]}
TOKENS = ("token_id", "in_subject", "subject_begin", "subject_end", "n_special")  # of texts alone
facts = [json.loads(line) for line in (CHOICES / "facts.jsonl").read_text().splitlines()]


def ids_of(model, prompt, answer):
    """The tokens of an answer behind a prompt."""
    return json.loads(program("inspect", model, "--tokens", prompt, "--answer", answer, "--json"))["answer"]["whole-answer"]["ids"]


def as_matrices(model, key):
    """The prompts of the golden cells as the rows of their tokens; of a list every other answer by its ids."""
    tensors = read_tensors(model / "model.safetensors")
    dtype, shape, raw = tensors[key]
    row, records, matrices = len(raw) // shape[0], [], {}
    blank = "" if model == LLAMA else " "  # Llama's tokenizer puts one before a text itself
    for p, fact in enumerate(facts):
        with h5py.File(SCRATCH / f"{model.name}-clean-text.h5") as cube:
            assert cube["prompt"].asstr()[p] == fact["id"]
            ids = cube["token_id"][0, p, :cube["n_tokens"][0, p]]
            span = [int(cube["subject_begin"][0, p]), int(cube["subject_end"][0, p])]
        answers = fact.get("options", []) + fact.get("targets", []) + ([fact["target"]] if "target" in fact else [])
        given = {text: blank + text if k % 2 else ids_of(model, fact["prompt"], text) for k, text in enumerate(dict.fromkeys(answers))}
        record = {"id": fact["id"], "embeddings": True, "token_spans": {"name": span}}
        if "target" in fact:
            target = given[fact["target"]]
            record["target" if isinstance(target, str) else "target_ids"] = target
        record.update({name: [given[text] for text in fact[name]] for name in ("targets", "options") if name in fact})
        matrices[fact["id"]] = (dtype, [len(ids), shape[1]], b"".join(raw[k * row:(k + 1) * row] for k in ids))
        records.append(record)
    write_lines(SCRATCH / f"{model.name}.jsonl", records)
    write_tensors(SCRATCH / f"{model.name}.safetensors", matrices)
    return {"file": f"{model.name}.jsonl", "embeddings": f"{model.name}.safetensors"}


def same_bits(text, matrices):
    with h5py.File(text) as x, h5py.File(matrices) as y:
        names = [n for n in y if n in x and x[n].dtype != object and not n.startswith(("run", "spec")) and n not in TOKENS]
        assert {"logprob", "sum_logprob", "option_logprob", "option_rank", "correct", "clean_logprob", "eval_sum_logprob"} <= set(names)
        for name in names:
            assert x[name][()].tobytes() == y[name][()].tobytes(), f"{text}, {matrices}: {name} differs"


def check_text_and_golden():
    """The oracle's cells, and the bits of the prompts as texts."""
    texts = [dict(f, spans={"name": [f["prompt"].index(f["subject"]), f["prompt"].index(f["subject"]) + len(f["subject"])]}) for f in facts]
    write_lines(SCRATCH / "texts.jsonl", texts)
    for model, key in ((LLAMA, "model.embed_tokens.weight"), (MAMBA, "backbone.embeddings.weight")):
        for name, score in SCORES.items():
            spec = write_spec(SCRATCH / f"{name}-text.yaml", [model], {"file": "texts.jsonl", **score}, routes=ROUTES, windows=WINDOWS)
            text, cube = SCRATCH / f"{model.name}-{name}-text.h5", SCRATCH / f"{model.name}-{name}.h5"
            run(spec, text)
            if name == "clean":
                prompts = as_matrices(model, key)
            spec = write_spec(SCRATCH / f"{model.name}-{name}.yaml", [model], {**prompts, **score}, routes=ROUTES, windows=WINDOWS)
            run(spec, cube)
            same_bits(text, cube)
            choices.main(str(cube), str(CHOICES / f"{model.name}.json"), subject="name")
            assert "in sums and options" in program("verify", cube, "--sample", 15)


def check_export():
    header = program("export", SCRATCH / "llama-facts-knocked.h5", "--csv").split("\n", 1)[0]
    assert header.endswith("sum_logprob,option_rank,correct,option_logprob"), header


def check_lists_in_the_cube():
    """Lists of texts and ids are stored as they are; other lists make an evaluation another one's."""
    cube, records = SCRATCH / "llama-facts-clean.h5", [json.loads(line) for line in (SCRATCH / "llama-facts.jsonl").read_text().splitlines()]
    with h5py.File(cube) as h:
        stored = {i: json.loads(o or "[]") for i, o in zip(h["prompt"].asstr()[:], h["prompt_options"].asstr()[:])}
        assert stored == {r["id"]: r.get("options", []) for r in records}, stored
        assert any(isinstance(x, list) for x in stored["set"]) and any(isinstance(x, str) for x in stored["set"])
    record = next(r for r in records if r["id"] == "set")
    record["options"] = record["options"][:-1] + [[77, 78]]
    write_lines(SCRATCH / "other.jsonl", records)
    spec = write_spec(SCRATCH / "other.yaml", [LLAMA], {"file": "other.jsonl", "embeddings": "llama-facts.safetensors", **SCORES["clean"]})
    said = run(spec, SCRATCH / "other.h5", "--evaluation", cube.with_suffix(".evaluation.h5"), status=2)
    assert "prompt 'set' has other right answers or options than in" in said and len(said.splitlines()) == 1, said


def check_one_token():
    """Answers of one token, as ids: the bits of first-token under both rules of whole answers."""
    records = [json.loads(line) for line in (SCRATCH / "llama-facts.jsonl").read_text().splitlines()]
    keep = ("id", "embeddings", "token_spans")
    few = [{**{k: records[0][k] for k in keep}, "targets": [[700], [701]]},
           {**{k: records[2][k] for k in keep}, "target_ids": [900], "options": [[700], [900], [901]]}]
    write_lines(SCRATCH / "one.jsonl", few)
    for name, score in SCORES.items():
        prompts = {"file": "one.jsonl", "embeddings": "llama-facts.safetensors", **score}
        run(write_spec(SCRATCH / "one.yaml", [LLAMA], prompts), SCRATCH / f"one-{name}.h5")
    with h5py.File(SCRATCH / "one-first.h5") as first:
        compared = [n for n in first if not n.startswith(("run", "spec")) and first[n].dtype != object]
        assert {"logprob", "sum_logprob", "option_logprob", "heat_logprob"} <= set(compared)
        for name in ("clean", "knocked"):
            with h5py.File(SCRATCH / f"one-{name}.h5") as other:
                for n in compared:
                    assert first[n][()].tobytes() == other[n][()].tobytes(), (name, n)


def check_correct():
    """select: correct takes a prompt whose right option comes first, and one with any answer that greedy decoding gives."""
    with h5py.File(SCRATCH / "llama-facts-first.h5") as cube:
        top = int(cube["clean_top1_id"][0, list(cube["prompt"].asstr()).index("one")])
    lists = {"alias": {"targets": [[5], [top]]}, "wrong": {"targets": [[5], [6]]},
             "option": {"target_ids": [top], "options": [[5], [top]]}, "behind": {"target_ids": [5], "options": [[5], [top]]}}
    tensors = read_tensors(SCRATCH / "llama-facts.safetensors")
    write_tensors(SCRATCH / "correct.safetensors", {name: tensors["one"] for name in lists})
    write_lines(SCRATCH / "correct.jsonl", [{"id": n, "embeddings": True, "token_spans": {"name": [1, 3]}, **x} for n, x in lists.items()])
    for score in (SCORES["first"], SCORES["clean"]):
        prompts = {"file": "correct.jsonl", "embeddings": "correct.safetensors", "select": "correct", **score}
        run(write_spec(SCRATCH / "correct.yaml", [LLAMA], prompts), SCRATCH / "correct.h5", "--overwrite")
        with h5py.File(SCRATCH / "correct.h5") as cube:
            correct = dict(zip(cube["eval_prompt"].asstr()[:], cube["eval_correct"][0].tolist()))
            assert correct == {"alias": 1, "wrong": 0, "option": 1, "behind": 0}, correct
            assert (cube["eval_correct"][:] == cube["selected"][0]).all()


def check_transformers():
    """Cells that transformers' classes computed in float64 (tests/oracle/compare_embeddings.py write), with positions of three rows too."""
    for folder in sorted(GOLDEN.iterdir()):
        golden = json.loads((folder / "choices.json").read_text())
        model = {"name": folder.name, "path": str(folder), "tokenizer": str(LLAMA / "tokenizer.json")}
        for name, score in SCORES.items():
            prompts = {"file": str(folder / "choices.jsonl"), "embeddings": str(folder / "prompts.safetensors"), **score}
            routes, starts = (sorted({c[key] for c in golden if c["start"] is not None}) for key in ("route", "start"))
            windows = {"sizes": [golden[0]["size"]], "starts": starts}
            spec = write_spec(SCRATCH / "hf.yaml", [model], prompts, routes=routes, windows=windows)
            run(spec, SCRATCH / f"{folder.name}-{name}.h5")
            choices.main(str(SCRATCH / f"{folder.name}-{name}.h5"), str(folder / "choices.json"), folder.name)
            program("verify", SCRATCH / f"{folder.name}-{name}.h5", "--sample", 20)


check_text_and_golden()
check_lists_in_the_cube()
check_export()
check_one_token()
check_correct()
check_transformers()
