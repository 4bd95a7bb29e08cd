"""Attention-knockout ablations of language models, from Python.

    import knockout

    plan = knockout.plan("first.yaml")               # what a run would do
    cube = knockout.run("first.yaml", ranks=3)       # the sweep, with a progress bar; Ctrl-C stops it, resume=True continues
    cube = knockout.open("first.h5")                 # or a cube that is there
    cube.curves()                                    # pandas: mean change and 95 % interval of every window
    cube.to_pandas(); cube.to_xarray()               # every cell
    knockout.figures.flow(cube)                      # the figures

docs/python.md has more.
"""
from knockout_figures.cube import CubeError

from . import figures
from .commands import evaluate, inspect, merge, open, plan, run, status, verify, version
from .cube import Cube, Evaluation
from .embeddings import export_embeddings
from .errors import (FailedCells, Incomplete, InputError, Interrupted, KnockoutError, KnockoutWarning, ProgramNotFound, Stopped)
from .plan import Plan
from .spec import Spec

__version__ = "0.1.0"
__all__ = ["Cube", "CubeError", "Evaluation", "FailedCells", "Incomplete", "InputError", "Interrupted", "KnockoutError", "KnockoutWarning",
           "Plan", "ProgramNotFound", "Spec", "Stopped", "__version__", "evaluate", "export_embeddings", "figures", "inspect", "merge", "open", "plan", "run",
           "status", "verify", "version"]
