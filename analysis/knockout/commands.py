"""The program's commands as functions."""
from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from knockout_figures.cube import CubeError

from . import program
from .cube import Cube, Evaluation, kind_of
from .errors import FailedCells, InputError
from .plan import Plan
from .progress import ProgressLike, shown
from .spec import SpecLike, written_for

PathLike = Union[str, "os.PathLike[str]"]
PathsLike = Union[PathLike, Sequence[PathLike]]


def open(path: PathLike) -> Union[Cube, Evaluation]:  # noqa: A001, a user writes knockout.open
    """Opens a cube: a Cube of a sweep, or an Evaluation. Needs no program. Use it as a context manager, or close() it."""
    try:
        return Evaluation(path) if kind_of(path) == "evaluation" else Cube(path)
    except CubeError as e:
        raise InputError(str(e)) from None


def _output(spec: SpecLike, output: Optional[PathLike], ending: str) -> str:
    if output is not None:
        return os.fspath(output)
    if isinstance(spec, Mapping):
        raise TypeError("output is missing: name the file to write, as in output='first.h5' (a spec that is a map has no name to take)")
    return Path(os.fspath(spec)).stem + ending


def _compute(command: str, spec: SpecLike, output: str, ranks: int, progress: ProgressLike, options: Dict[str, Any]) -> str:
    """Runs the command and returns the name of the file that it wrote."""
    options = {"output": output, "log_level": "info", "progress": "json", **options}
    bar = shown(progress)
    if bar is None and options["progress"] == "json":
        options["progress"] = "none"
    with written_for(ranks, spec) as (argument, text):
        process = program.Process([command, *program.option_words(options), "--", argument], text, ranks, bar, may_end=(0, 3))
        try:
            status, _ = process.run()
        finally:
            if bar is not None:
                bar.close()
    written_to = process.output or output
    if status == 3:
        warnings.warn(f"{written_to}: some cells are recorded as failed, knockout.status() lists them with their reasons", FailedCells,
                      stacklevel=3)
    return written_to


def run(spec: SpecLike, output: Optional[PathLike] = None, *, ranks: int = 1, progress: ProgressLike = True, **options: Any) -> Cube:
    """Runs a sweep and opens its cube.

    spec: the path of a spec, or a map of its keys (Spec builds one), whose paths are relative to the current folder. output: the cube to
    write; where the spec is a path, its name with .h5 in the current folder. ranks: 1, or that many processes under mpirun: a coordinator and
    ranks - 1 workers. progress: a bar (of tqdm, where it is installed), False for no display, or a function that gets a map with phase, cells_done,
    cells_total, seconds_left. options: those of `knockout run`, `--row-budget 512` as row_budget=512, a flag as True, one that may be
    repeated as a list, and set={"windows.sizes": [1]}.

    Ctrl-C stops the run: it commits what is finished, and Interrupted is raised; resume=True continues. Ctrl-C once more ends it at once.
    Other errors are exceptions with the program's line (InputError, Stopped, KnockoutError); its warnings are KnockoutWarning. Where cells
    failed that are recorded as failed, the cube is returned with the warning FailedCells.
    """
    return Cube(_compute("run", spec, _output(spec, output, ".h5"), ranks, progress, options))


def evaluate(spec: SpecLike, output: Optional[PathLike] = None, *, ranks: int = 1, progress: ProgressLike = True,
             **options: Any) -> Evaluation:
    """The clean runs alone: every model of the spec on every prompt. Arguments as of run(); the file is NAME.evaluation.h5."""
    return Evaluation(_compute("evaluate", spec, _output(spec, output, ".evaluation.h5"), ranks, progress, options))


def plan(spec: SpecLike, **options: Any) -> Plan:
    """What a run would do, without doing it: axes, cells, skipped prompts, token sets, memory, time. Reads no weights."""
    return Plan(json.loads(program.call_with_spec("plan", spec, {**options, "json": True})), spec, options)


def inspect(checkpoint: PathLike, **options: Any) -> Dict[str, Any]:
    """What a checkpoint is: architecture, shape, types, tokenizer, and under `problems` what would stop a run. A folder, or a name on the
    Hugging Face hub that lies in the local cache. tokens="TEXT" adds its tokens, answer="TEXT" which of an answer's tokens is scored."""
    printed = program.call("inspect", [os.fspath(checkpoint)], {**options, "json": True}, may_end=(0, 1, 2))
    if not printed:  # not even a report: once more, for the error
        program.call("inspect", [os.fspath(checkpoint)], {**options, "json": True})
    report: Dict[str, Any] = json.loads(printed)
    return report


def merge(shards: PathsLike, output: PathLike, **options: Any) -> Cube:
    """Merges the shards of a sweep into one cube. Incomplete where one is missing or not finished; partial=True merges what is there."""
    paths: List[str] = [os.fspath(s) for s in ([shards] if isinstance(shards, (str, os.PathLike)) else shards)]
    may_end = (0, 4) if options.get("partial") else (0,)
    program.call("merge", paths, {"output": output, **options}, may_end=may_end)
    return Cube(output)


def status(cube: PathLike) -> Dict[str, Any]:
    """How far a cube is: cells done, vacuous, failed and pending, by model and route; failures with their reasons; a run under way."""
    found: Dict[str, Any] = json.loads(program.call("status", [os.fspath(cube)], {"json": True}, may_end=(0, 4)))
    return found


def verify(cube: PathLike, **options: Any) -> str:
    """Computes a sample of cells again, each in its own forward pass, and returns the report; KnockoutError where a cell differs."""
    return program.call("verify", [os.fspath(cube)], options)


def version() -> str:
    """The version of the program, and the commit it was built from."""
    return program.Process(["--version"]).run()[1].strip()
