"""A cube as an xarray.Dataset, without a netCDF library."""
from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

import h5py
import numpy as np
import xarray as xr

from knockout_figures.cube import DEPTH_ATTRIBUTES, DONE, FIRST_ATTRIBUTES, LAST_ATTRIBUTES, decoded

CELLS = ("logprob", "prob", "kl", "target_rank", "top1_id", "foil_logprob", "answer_logprob", "answer_rank",
         "sum_logprob", "option_rank", "correct", "option_logprob")
EVALUATED = ("eval_logprob", "eval_prob", "eval_target_rank", "eval_top1_id", "eval_answer_logprob", "eval_answer_rank",
             "eval_sum_logprob", "eval_option_rank", "eval_correct", "eval_option_logprob")
HIDDEN_ATTRIBUTES = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_FillValue", "_Encoding", "_Netcdf4Dimid", "_Netcdf4Coordinates")
# The run table and its log are of runs, not of the sweep; the labels' characters are there for readers without strings.
LEFT_OUT_AXES = ("run", "run_log_byte", "spec_byte", "label_length")


def text_of(value: Any) -> Any:
    """An attribute as Python has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def is_axis(dataset: h5py.Dataset) -> bool:
    """Whether a dataset holds the labels of an axis."""
    return bool(decoded(dataset.attrs.get("CLASS", b"")) == "DIMENSION_SCALE")


def axes_of(dataset: h5py.Dataset, file: h5py.File) -> List[str]:
    """The names of a dataset's axes; its own name where it is an axis itself."""
    name = dataset.name.lstrip("/")
    if is_axis(dataset):
        return [name]
    return [file[axis[0].ref].name.lstrip("/") if isinstance(axis[0], h5py.Reference) else axis[0].name.lstrip("/") for axis in dataset.dims]


def _values(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype) is not None and dataset.dtype.kind == "O":
        return np.asarray(dataset.asstr()[()], dtype=object)
    values = np.asarray(dataset[()])
    if dataset.dtype.kind == "S":  # characters along the last axis
        return np.array([b"".join(row.tolist()).rstrip(b"\0").decode("utf-8", "replace") for row in values.reshape(-1, values.shape[-1])],
                        dtype=object).reshape(values.shape[:-1])
    return values


def _flagged(prefix: str, name: str, flags: Dict[str, np.ndarray], values: np.ndarray) -> np.ndarray:
    """The values of a cell that is not flagged done are not there yet: NaN and -1."""
    flag = flags.get(prefix + "status")
    if flag is None:
        return values
    done = (flag == DONE).reshape(flag.shape + (1,) * (values.ndim - flag.ndim))
    return np.where(done, values, np.asarray(np.nan if values.dtype.kind == "f" else -1, values.dtype))


def dataset_of(cube: Any, names: Optional[Iterable[str]] = None) -> xr.Dataset:
    """Every dataset of the cube, or those named and `status`, with labelled axes. Reads the flags before the values, since a run may be
    writing the cube: cells that are not done are NaN and -1."""
    file: h5py.File = cube.file
    wanted = None if names is None else set(names) | {"status", "heat_status", "eval_status"}
    if wanted is not None:
        for name in names or ():
            if name not in file:
                raise KeyError(f"{cube.path}: has no dataset {name}")
    flags = {name: np.asarray(file[name][()]) for name in ("status", "heat_status") if name in file}
    if "eval_status" in file:
        flags["eval_status"] = np.asarray(file["eval_status"][()]) * (file["eval_status"][()] == 2)
    variables: Dict[str, Any] = {}
    coordinates: Dict[str, Any] = {}
    for name, dataset in file.items():
        if not isinstance(dataset, h5py.Dataset) or name.startswith("run_") or name.endswith("_label"):
            continue
        if dataset.attrs.get("NAME", b"").startswith(b"This is a netCDF dimension but not"):
            continue
        axes = axes_of(dataset, file)
        if any(axis in LEFT_OUT_AXES for axis in axes[:1]):
            continue
        attributes = {k: text_of(v) for k, v in dataset.attrs.items() if k not in HIDDEN_ATTRIBUTES}
        if is_axis(dataset):
            coordinates[name] = (axes, _values(dataset), attributes)
        elif wanted is None or name in wanted:
            values = flags[name] if name in ("status", "heat_status") else _values(dataset)
            if name in CELLS:
                values = _flagged("", name, flags, values)
            elif name.startswith("heat_") and name[5:] in CELLS:
                values = _flagged("heat_", name, flags, values)
            elif name in EVALUATED:
                values = _flagged("eval_", name, flags, values)
            if dataset.dtype.kind == "S":
                axes = axes[:-1]
            variables[name] = (axes, values, attributes)
    used = {axis for axes, *_ in variables.values() for axis in axes}
    coordinates = {name: value for name, value in coordinates.items() if name in used or wanted is None}
    if "depth" in variables:
        axes, values, _ = variables.pop("depth")
        coordinates["depth"] = (axes, values, DEPTH_ATTRIBUTES)
    _add_layers(cube, coordinates)
    attributes = {k: text_of(v) for k, v in file.attrs.items() if not k.startswith("_")}
    return xr.Dataset(variables, coordinates, attributes)


def _add_layers(cube: Any, coordinates: Dict[str, Any]) -> None:
    """The first and the last layer of every window, -1 where it does not fit the model."""
    if not {"model", "window_size", "window_start"} <= coordinates.keys():
        return
    axes = ["model", "window_size", "window_start"]
    first = np.full((len(cube.models), len(cube.sizes), len(cube.starts)), -1, np.int32)
    last = first.copy()
    for m, model in enumerate(cube.models):
        for s, size in enumerate(cube.sizes):
            fits = np.isin(cube.starts, cube.fitting(model, size))
            first[m, s, fits], last[m, s, fits] = cube.window(model, size, cube.starts[fits])
    coordinates["first_layer"] = (axes, first, FIRST_ATTRIBUTES)
    coordinates["last_layer"] = (axes, last, LAST_ATTRIBUTES)
