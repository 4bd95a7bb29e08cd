"""Reading a cube: the curves of one model, feature class and window size."""
from dataclasses import dataclass

import h5py
import numpy as np

PENDING, FAILED = 1, 4


class CubeError(Exception):
    """What is wrong with the file, in one line."""


@dataclass
class Curve:
    """One route in one model: the mean change over prompts at every window.

    depth: percent of the way through the layers, [windows]; mean and half (half the width of the 95 % interval, NaN for one
    prompt): percent, [windows]; n: prompts behind each mean, [windows].
    """
    route: str
    depth: np.ndarray
    mean: np.ndarray
    half: np.ndarray
    n: np.ndarray


def change_percent(logprob, clean_logprob):
    """Change of the answer's probability in percent: 100 (p / p_clean - 1)."""
    return 100 * np.expm1(np.asarray(logprob, np.float64) - np.asarray(clean_logprob, np.float64))


def mean_and_interval(values):
    """values: [prompts, windows], NaN where there is no cell -> mean, half the 95 % interval (normal approximation), n, each [windows]."""
    n = np.sum(~np.isnan(values), axis=0)
    some = np.maximum(n, 1)
    mean = np.where(n > 0, np.nansum(values, axis=0) / some, np.nan)
    squares = np.nansum((values - mean) ** 2, axis=0)
    deviation = np.sqrt(squares / np.maximum(n - 1, 1))
    half = np.where(n > 1, 1.96 * deviation / np.sqrt(some), np.nan)
    return mean, half, n


class Cube:
    """A sweep's cube, read a slice at a time. Use as a context manager."""

    def __init__(self, path):
        try:
            self.file = h5py.File(path, "r")
        except OSError as e:
            raise CubeError(f"{path}: cannot be opened as HDF5 ({e})") from None
        missing = [k for k in ("logprob", "clean_logprob", "depth", "status", "model", "route", "feature_class", "window_size")
                   if k not in self.file]
        if missing:
            self.file.close()
            raise CubeError(f"{path}: has no dataset {missing[0]}, so it is no cube of a sweep with plain routes; "
                            "give the file that `knockout run -o` wrote")
        text = lambda name: [s.decode() if isinstance(s, bytes) else str(s) for s in self.file[name][:]]
        self.models, self.routes, self.features = text("model"), text("route"), text("feature_class")
        self.sizes = [int(s) for s in self.file["window_size"][:]]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def unfinished(self):
        """Number of units (model, prompt, route, class, size) that are pending or failed."""
        status = self.file["status"]
        return sum(int(np.isin(status[m], (PENDING, FAILED)).sum()) for m in range(len(self.models)))

    def curves(self, model, feature, size):
        """The curves of a model, in the order of the routes; routes without any cell are left out."""
        m, f, s = self.models.index(model), self.features.index(feature), self.sizes.index(size)
        clean = self.file["clean_logprob"][m]
        depth = self.file["depth"][m, s]
        found = []
        for r, route in enumerate(self.routes):
            mean, half, n = mean_and_interval(change_percent(self.file["logprob"][m, :, r, f, s, :], clean[:, None]))
            here = n > 0
            if here.any():
                found.append(Curve(route, depth[here], mean[here], half[here], n[here]))
        return found

    def combinations(self):
        """(feature class, window size) pairs for which any model has a curve."""
        return [(f, s) for f in self.features for s in self.sizes if any(self.curves(m, f, s) for m in self.models)]
