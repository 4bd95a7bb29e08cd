"""The schema against the reader: schema.py SCHEMA PROGRAM FOLDER. Every spec in the folder validates, and what the reader refuses for its
keys or words does not."""
import copy
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml

WHOLE = {"models": ["m", {"name": "a", "path": "p", "tokenizer": "t", "bos": "none"}, {"path": "q", "bos": 3}], "include": "x.yaml",
         "prompts": {"file": "f.jsonl", "select": {"all-of": ["correct", {"not": {"relation": ["r"]}}, {"id": [1, "b"]}, {"correct-by": ["a"]},
                                                              {"any-of": ["all", {"rank-at-most": 3}]}]},
                     "sample": {"n": 3, "seed": 0}, "score": "first-text"},
         "evaluation": "e.h5", "routes": ["last<-subject"], "features": ["all", "head:each"], "precision": "float32", "row-budget": 0,
         "backend": "cpu", "windows": {"sizes": [1, "25%", "12.5%"], "starts": {"every": 2}, "over": "mixers"},
         "sweeps": [{}, {"name": "n", "models": ["a"], "prompts": {"sample": None}, "windows": {"starts": [0, 3]}}]}
# What replaces what: (path, value). The reader refuses each, and so does the schema.
WRONG = [(("promts",), {}), (("models",), []), (("models", 1, "pth"), "x"), (("models", 1), {"name": "x"}), (("prompts", "files"), "x"),
         (("prompts", "select"), "corect"), (("prompts", "select"), {}), (("prompts", "select"), {"id": ["1"], "relation": ["r"]}),
         (("prompts", "select"), {"rank": 3}), (("prompts", "sample"), {"seed": 1}), (("prompts", "sample", "n"), 0),
         (("prompts", "sample", "size"), 1), (("prompts", "score"), "last"), (("windows", "size"), [1]), (("windows", "sizes"), []),
         (("windows", "sizes"), [0]), (("windows", "sizes"), ["half"]), (("windows", "starts"), "some"), (("windows", "starts"), {"each": 2}),
         (("windows", "starts"), {"every": 0}), (("windows", "over"), "mlp"), (("precision",), "double"), (("row-budget",), -1),
         (("backend",), "gpu"), (("sweeps", 0, "evaluation"), "x"), (("sweeps",), [])]


def replaced(path, value):
    spec = copy.deepcopy(WHOLE)
    at = spec
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return spec


def refusal(program, spec):
    """The reader's line; nothing of WHOLE is there, so there always is one."""
    done = subprocess.run([program, "plan", "-"], input=json.dumps(spec), capture_output=True, text=True)
    assert done.returncode == 2, (spec, done)
    return done.stderr.strip()


def main():
    schema, program = json.load(open(sys.argv[1], encoding="utf-8")), sys.argv[2]
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    specs = sorted(Path(sys.argv[3]).rglob("*.yaml"))
    assert len(specs) > 50, specs
    for path in specs:
        errors = list(check.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8"))))
        assert not errors, (path, errors[:2])
    assert check.is_valid(WHOLE), list(check.iter_errors(WHOLE))
    whole = {k: v for k, v in WHOLE.items() if k != "include"}
    accepted = refusal(program, whole)
    assert "m/config.json" in accepted or "no such" in accepted.lower() or "m:" in accepted or "'m'" in accepted, accepted
    for path, value in WRONG:
        spec = replaced(path, value)
        assert not check.is_valid(spec), (path, value, "the schema takes it")
        spec.pop("include")
        line = refusal(program, spec)
        assert line != accepted and "standard input:" in line, (path, value, line)
    print(f"{len(specs)} specs validate, {len(WRONG)} wrong ones do not")


if __name__ == "__main__":
    sys.exit(main())
