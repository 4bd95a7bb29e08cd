"""Sweep specs: paths, maps, and a small builder."""
from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

SpecLike = Union[str, "os.PathLike[str]", Mapping[str, Any]]


class Spec(Dict[str, Any]):
    """A sweep spec, built from keyword arguments: the keys of docs/spec.md, as a map that every function of this package takes.

        spec = Spec("jobs/models/gpt2-facts", "jobs/facts.jsonl", routes=["last<-subject"], sizes=[1, 3], select="correct")
        spec.sweep(features=["head:each"], sizes=[1])

    models: one or several folders, names on the hub, or maps {name, path, tokenizer, bos}. prompts: a file, or the whole map. sizes,
    starts, over: of `windows`; select, sample, score: of `prompts`. Other keys as they are called there (row_budget: row-budget).
    """

    def __init__(self, models: Union[str, "os.PathLike[str]", Mapping[str, Any], Sequence[Any], None] = None,
                 prompts: Union[str, "os.PathLike[str]", Mapping[str, Any], None] = None, *,
                 routes: Union[str, Sequence[str], None] = None, features: Union[str, Sequence[str], None] = None,
                 sizes: Union[int, str, Sequence[Any], None] = None, starts: Any = None, over: Optional[str] = None,
                 select: Any = None, sample: Union[int, Mapping[str, int], None] = None, score: Optional[str] = None, **keys: Any) -> None:
        super().__init__(_keys(models, prompts, routes, features, sizes, starts, over, select, sample, score, keys))

    def sweep(self, *, name: Optional[str] = None, models: Any = None, prompts: Any = None, routes: Union[str, Sequence[str], None] = None,
              features: Union[str, Sequence[str], None] = None, sizes: Any = None, starts: Any = None, select: Any = None,
              sample: Union[int, Mapping[str, int], None] = None) -> "Spec":
        """Adds a block that overrides some keys; the plan is the union of the blocks. Returns the spec itself."""
        named = {} if name is None else {"name": name}
        block = _keys(models, prompts, routes, features, sizes, starts, None, select, sample, None, named)
        self.setdefault("sweeps", []).append(block)
        return self

    def to_yaml(self) -> str:
        """The spec as a file of its own: JSON, which is YAML."""
        return text_of(self)


def _listed(value: Any) -> List[Any]:
    """One or several as a list."""
    return [value] if isinstance(value, (str, os.PathLike, Mapping)) or not isinstance(value, Iterable) else list(value)


def _keys(models: Any, prompts: Any, routes: Any, features: Any, sizes: Any, starts: Any, over: Any, select: Any, sample: Any, score: Any,
          others: Mapping[str, Any]) -> Dict[str, Any]:
    """The keys that were given, as a map."""
    keys: Dict[str, Any] = {}
    for name, value in (("models", models), ("routes", routes), ("features", features)):
        if value is not None:
            keys[name] = _listed(value)
    chosen: Dict[str, Any] = dict(prompts) if isinstance(prompts, Mapping) else {} if prompts is None else {"file": prompts}
    drawn = {"n": sample} if isinstance(sample, int) else sample
    chosen.update({name: value for name, value in (("select", select), ("sample", drawn), ("score", score)) if value is not None})
    windows = {name: value for name, value in (("sizes", None if sizes is None else _listed(sizes)), ("starts", starts), ("over", over))
               if value is not None}
    keys.update({name: value for name, value in (("prompts", chosen), ("windows", windows)) if value})
    keys.update({name.replace("_", "-"): value for name, value in others.items()})
    return keys


def _plain(value: Any) -> Any:
    """What json does not know: paths, and numpy's numbers and arrays."""
    if isinstance(value, PurePath):
        return os.fspath(value)
    for method in ("tolist", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, (range, set, frozenset)):
        return sorted(value) if not isinstance(value, range) else list(value)
    raise TypeError(f"a spec cannot hold {value!r}: it takes maps, lists, texts, numbers and paths")


def text_of(spec: Mapping[str, Any]) -> str:
    return json.dumps(spec, indent=1, ensure_ascii=False, default=_plain)


def written(spec: SpecLike) -> Tuple[str, Optional[str]]:
    """(the argument SPEC, standard input): a map goes through standard input, so its paths are relative to the current folder."""
    if isinstance(spec, Mapping):
        return "-", text_of(spec)
    return os.fspath(spec), None


@contextmanager
def written_for(ranks: int, spec: SpecLike) -> Iterator[Tuple[str, Optional[str]]]:
    """What `written` returns. For several ranks a map goes through a file of the current folder, which is removed at the end: mpirun of Open
    MPI 5 does not say where standard input ends, so the ranks would wait for ever (github.com/openpmix/openpmix/pull/4024)."""
    if ranks == 1 or not isinstance(spec, Mapping):
        yield written(spec)
        return
    with tempfile.NamedTemporaryFile("w", dir=os.curdir, prefix=".knockout-", suffix=".yaml", encoding="utf-8") as file:
        file.write(text_of(spec))
        file.flush()
        yield file.name, None
