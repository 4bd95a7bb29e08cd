"""What `plan` says."""
from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping

from . import program
from .html import page, rows_of
from .spec import SpecLike


class Plan(Mapping[str, Any]):
    """The report of `knockout plan --json` as a map. print() shows what the command prints for people."""

    def __init__(self, report: Dict[str, Any], spec: SpecLike, options: Dict[str, Any]) -> None:
        self._report, self._spec, self._options = report, spec, options

    def __getitem__(self, key: str) -> Any:
        return self._report[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._report)

    def __len__(self) -> int:
        return len(self._report)

    @property
    def cells(self) -> int:
        """The planned cells."""
        return int(self["cells"]["planned"])

    @property
    def seconds(self) -> float:
        """The predicted time of the run, of its evaluation too."""
        return float(self["time"]["makespan_seconds"])

    def __repr__(self) -> str:
        return f"<knockout.Plan: {self.cells:,} cells, {len(self['models'])} models, {self['prompts']} prompts, about {self.seconds:.2g} s>"

    def __str__(self) -> str:
        return program.call_with_spec("plan", self._spec, {**self._options, "color": "never"})

    def _repr_html_(self) -> str:
        models = [[m["name"], m["architecture"], m["layers"], m["prompts_selected"], m["cells"]["planned"], m["cells"]["vacuous"],
                   sum(s["prompts"] for s in m["skipped"])] for m in self["models"]]
        facts = [("cells", f"{self.cells:,}"), ("routes", ", ".join(self["routes"] + self["heat_routes"])),
                 ("classes", ", ".join(self["feature_classes"])), ("windows", f"{', '.join(map(str, self['window_sizes']))} {self['windows_over']}"),
                 ("time", f"about {self.seconds:.2g} s with {self['time']['workers']} worker(s)")]
        return page("Plan", facts, rows_of(["model", "family", "layers", "prompts", "cells", "vacuous", "prompts skipped"], models),
                    list(self["warnings"]))
