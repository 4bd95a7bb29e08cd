"""What goes wrong, as exceptions that carry the program's own line."""
from __future__ import annotations

from typing import Optional, Sequence

from knockout_figures.cube import CubeError

__all__ = ["CubeError", "FailedCells", "Incomplete", "InputError", "Interrupted", "KnockoutError", "KnockoutWarning", "ProgramNotFound",
           "Stopped"]


class KnockoutError(Exception):
    """A command failed. `line` is what it said, without its name in front; `status` its exit status (negative: the signal that ended
    it); `command` how it was called; `output` the last lines of its standard error."""

    def __init__(self, line: str, status: Optional[int] = None, command: Sequence[str] = (), output: str = "") -> None:
        super().__init__(line)
        self.line, self.status, self.command, self.output = line, status, list(command), output


class InputError(KnockoutError, ValueError):
    """Wrong usage, spec or file: nothing was computed (exit status 2)."""


class Incomplete(KnockoutError):
    """Cells are not computed yet (exit status 4, of a merge)."""


class Stopped(KnockoutError):
    """The run was stopped early, by a signal or at `stop_at`; `resume=True` continues it (exit status 75)."""


class Interrupted(Stopped, KeyboardInterrupt):
    """Ctrl-C: the run has committed what was finished and stopped; `resume=True` continues it."""


class ProgramNotFound(KnockoutError):
    """The program, or what starts its ranks, is not on this machine."""


class KnockoutWarning(UserWarning):
    """A warning of the program."""


class FailedCells(KnockoutWarning):
    """The sweep is complete, and some of its cells are recorded as failed (exit status 3)."""


KINDS = {2: InputError, 4: Incomplete, 75: Stopped}  # by exit status


def error_of(status: int, line: str, command: Sequence[str], output: str) -> KnockoutError:
    return KINDS.get(status, KnockoutError)(line, status, command, output)
