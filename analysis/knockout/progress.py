"""The progress of a run: a bar of tqdm in a notebook or a terminal, or the caller's own function."""
from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Optional, Union

ProgressLike = Union[bool, Callable[[Dict[str, Any]], None]]


def _seconds(seconds: float) -> str:
    if seconds < 0:
        return "?"
    minutes, seconds = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Bar:
    """A bar a phase: the evaluation, then the sweep. The time left is the program's own, which knows what cells cost."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make, self.phase = make, ""
        self.bar: Any = None

    def __call__(self, event: Dict[str, Any]) -> None:
        if event["phase"] != self.phase or self.bar is None:
            self.close()
            self.phase = event["phase"]
            self.bar = self.make(total=event["cells_total"], desc=self.phase, unit=" cells", bar_format=(
                "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} cells [{elapsed}{postfix}]"))
        self.bar.n = event["cells_done"]
        self.bar.set_postfix_str(f"left {_seconds(event['seconds_left'])}" if event["cells_done"] < event["cells_total"] else "done",
                                 refresh=False)
        self.bar.refresh()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Line:
    """Without tqdm: one line of the terminal that is written anew."""

    def __init__(self) -> None:
        self.open = False

    def __call__(self, event: Dict[str, Any]) -> None:
        done = event["cells_done"] >= event["cells_total"]
        left = "" if done else f"  left {_seconds(event['seconds_left'])}"
        sys.stderr.write(f"\r{event['phase']:<8} {event['percent']:5.1f} %  {event['cells_done']:,} of {event['cells_total']:,} cells"
                         f"{left}\033[K" + "\n" * done)
        sys.stderr.flush()
        self.open = not done

    def close(self) -> None:
        if self.open:
            sys.stderr.write("\n")
            self.open = False


class Own:
    """The caller's function."""

    def __init__(self, function: Callable[[Dict[str, Any]], None]) -> None:
        self.function = function

    def __call__(self, event: Dict[str, Any]) -> None:
        self.function(event)

    def close(self) -> None:
        pass


def shown(progress: ProgressLike) -> Optional[Union[Bar, Line, Own]]:
    if callable(progress):
        return Own(progress)
    if not progress:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Line() if sys.stderr.isatty() else None
    return Bar(tqdm)
