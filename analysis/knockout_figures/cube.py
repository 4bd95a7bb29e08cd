"""Reading a cube, a slice at a time."""
import h5py
import numpy as np
import xarray as xr

NOT_PLANNED, PENDING, DONE, VACUOUS, FAILED = range(5)
KEPT_BYTES = 64 << 20
MIXERS = {"attention": 1, "ssm": 2, "conv": 4}  # kinds of mixers and their bits in layer_mixers
METRICS = {  # name: (what the axis says, unit)
    "change": ("change of the answer's probability", "%"),
    "median": ("median change of the answer's probability", "%"),
    "delta": ("probability minus clean probability", "points"),
    "logprob": ("change of the answer's log-probability", "nats"),
    "kl": ("KL(clean ‖ knocked out)", "nats"),
    "hit": ("prompts whose answer is ranked first", "%"),
    "margin": ("log-probability, answer minus foil", "nats"),
    "margin-change": ("change of the margin, answer minus foil", "nats"),
}

# What xarray's plots write at an axis.
START_ATTRIBUTES = {"long_name": "first layer of the window"}  # by its number among the layers that windows count
FIRST_ATTRIBUTES, LAST_ATTRIBUTES = {"long_name": "first layer of the window"}, {"long_name": "last layer of the window"}
CENTRE_ATTRIBUTES = {"long_name": "layer in the middle of the window"}
DEPTH_ATTRIBUTES = {"long_name": "start of the window", "units": "% of its range"}

# What the y axis of a figure spans at least, in the metric's unit: less would make a mountain of rounding, or one number of all ticks.
LEAST_SPAN = {"change": 5, "median": 5, "delta": 5, "logprob": 0.05, "kl": 0.01, "hit": 100, "margin": 0.05, "margin-change": 0.05}

# The least and the greatest value of a metric. None: there is no bound on that side.
BOUNDS = {"change": (-100, None), "median": (-100, None), "delta": (-100, 100), "kl": (0, None), "hit": (0, 100)}


def bounds_of(metric):
    return BOUNDS.get(metric, (None, None))


def bounds_of_difference(metric, other_model=False):
    """The bounds of one value minus another. Two shares, or two probabilities, differ by at most 100, whatever the clean runs are. The
    differences of two models from their own clean runs differ by at most 200. A metric without an upper bound gives no bounds."""
    if metric == "delta":
        return (-200, 200) if other_model else (-100, 100)
    return (-100, 100) if metric == "hit" else (None, None)


class CubeError(Exception):
    """What is wrong with the file or with what was asked of it, in one line."""


def decoded(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def measure(metric, cell, clean):
    """One number a cell. cell and clean hand out float64 arrays by the name of a dataset, clean's with axes to broadcast."""
    if metric in ("change", "median"):
        return 100 * np.expm1(cell("logprob") - clean("logprob"))
    if metric == "delta":
        return 100 * (cell("prob") - clean("prob"))
    if metric == "logprob":
        return cell("logprob") - clean("logprob")
    if metric == "kl":
        return cell("kl")
    if metric == "margin":
        return cell("logprob") - cell("foil_logprob")
    if metric == "margin-change":
        return cell("logprob") - cell("foil_logprob") - (clean("logprob") - clean("foil_logprob"))
    rank = cell("target_rank")
    return np.where(rank < 1, np.nan, 100.0 * (rank == 1))


class Cube:
    """A sweep's cube. Use as a context manager; routes, features and sizes are labels, in the order of the cube."""

    def __init__(self, path):
        try:
            self.file = h5py.File(path, "r")
        except OSError as e:
            raise CubeError(f"{path}: cannot be opened as HDF5 ({e})") from None
        self.path = str(path)
        kind = decoded(self.file.attrs.get("kind", ""))
        if kind == "evaluation":
            self._refuse("is an evaluation, which has no knocked-out cells; give the file that `knockout run -o` wrote")
        if not ({"logprob", "clean_logprob", "status"} <= self.file.keys()
                or {"heat_logprob", "heat_clean_logprob", "heat_status"} <= self.file.keys()):
            self._refuse("has neither logprob nor heat_logprob with its clean runs and status, so it is no cube of a sweep; "
                         "give the file that `knockout run -o` wrote")
        for name in ("model", "feature_class", "window_size", "window_start", "n_layers"):
            if name not in self.file:
                self._refuse(f"has no dataset {name}, so it is no cube of a sweep; give the file that `knockout run -o` wrote")
        self.models, self.features = self.text("model"), self.text("feature_class")
        self.routes, self.heat_routes = self.text("route"), self.text("heat_route")
        self.prompts, self.heat_prompts = self.text("prompt"), self.text("heat_prompt")
        self.sizes = [int(s) for s in self.file["window_size"][:]]
        self.starts = self.file["window_start"][:].astype(int)
        self.layers = dict(zip(self.models, (int(n) for n in self.file["n_layers"][:])))
        self.over = decoded(self.file.attrs.get("windows_over", "layers"))  # which layers windows count
        self.style = decoded(self.file.attrs.get("windows_style", "whole"))
        self.has_foils = "foil_logprob" in self.file
        self._kept = {}  # what values() read last
        self.unfinished = 0  # units (model, prompt, route, class, size) that are pending or failed
        self._done = self._look("status", (len(self.routes), len(self.features), len(self.sizes)), drop_prompts=True)
        self._heat_done = self._look("heat_status", (len(self.heat_prompts), len(self.heat_routes), len(self.features),
                                                     len(self.sizes)), drop_prompts=False)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def _refuse(self, why):
        self.file.close()
        raise CubeError(f"{self.path}: {why}")

    def _look(self, name, shape, drop_prompts):
        """Which (route, class, size) have a done cell, [model, ...]; of heatmaps a prompt at a time. Counts what is unfinished."""
        found = np.zeros((len(self.models),) + shape, bool)
        if name not in self.file:
            return found
        for m in range(len(self.models)):
            status = self.file[name][m]
            self.unfinished += int(np.isin(status, (PENDING, FAILED)).sum())
            done = status == DONE
            found[m] = done.any(axis=0) if drop_prompts else done.any(axis=3)  # axis 3 of a map: its source positions
        return found

    def text(self, name):
        """A dataset of strings as a list; empty where there is none."""
        return [decoded(s) for s in self.file[name][:]] if name in self.file else []

    def has(self, model, route, feature, size):
        """Whether any prompt has a done cell there."""
        if model not in self.models or route not in self.routes or feature not in self.features or size not in self.sizes:
            return False
        return bool(self._done[self.models.index(model), self.routes.index(route), self.features.index(feature),
                               self.sizes.index(size)])

    def has_map(self, model, prompt, route, feature, size):
        """Whether the heatmap has a done cell."""
        if (model not in self.models or prompt not in self.heat_prompts or route not in self.heat_routes
                or feature not in self.features or size not in self.sizes):
            return False
        return bool(self._heat_done[self.models.index(model), self.heat_prompts.index(prompt), self.heat_routes.index(route),
                                    self.features.index(feature), self.sizes.index(size)])

    def values(self, metric, model, route, feature, size):
        """One number a cell: [prompt, window_start], NaN where there is none, the starts that any prompt has.

        The windows' depths (percent) are a coordinate; hits are 0 or 100. Name, `long_name` and `units` say what the numbers are, so
        that xarray's own plots have the right labels.
        """
        key = metric, model, route, feature, size
        if key not in self._kept:
            while sum(v.nbytes for v in self._kept.values()) > KEPT_BYTES:
                self._kept.pop(next(iter(self._kept)))  # the oldest
            self._kept[key] = self._read_values(*key)
        return self._kept[key]

    def _read_values(self, metric, model, route, feature, size):
        m, r = self.models.index(model), self.routes.index(route)
        f, s = self.features.index(feature), self.sizes.index(size)

        def cell(name):
            if name == "target_rank" and "correct" in self.file:  # of several right answers, or options
                return np.where(self.file["correct"][m, :, r, f, s, :] == 1, 1.0, 2.0)
            if name == "target_rank" and "answer_rank" in self.file:  # a whole answer is first where all its tokens are
                return self.file["answer_rank"][m, :, r, f, s, :].max(axis=-1).astype(np.float64)
            return self._dataset(name)[m, :, r, f, s, :].astype(np.float64)

        def clean(name):
            return self._dataset("clean_" + name)[m].astype(np.float64)[:, None]

        # Before the values: a run may be writing the cube, and flags what is written.
        done = self._dataset("status")[m, :, r, f, s] == DONE
        values = np.where(done[:, None], measure(metric, cell, clean), np.nan)
        here = np.isfinite(values).any(axis=0)
        what, unit = METRICS[metric]
        return xr.DataArray(
            values[:, here], dims=("prompt", "window_start"), name=metric, attrs={"long_name": what, "units": unit},
            coords={"prompt": self.prompts, **self._windows(model, size, self.starts[here])})

    def clean(self, metric, model):
        """The same number of the clean runs, [prompt]: `hit` (0 or 100), `prob` or `margin`; NaN where a prompt was not run."""
        m = self.models.index(model)
        if metric == "hit":
            whole = "clean_answer_rank" in self.file
            rank = self.file["clean_answer_rank"][m].max(axis=-1) if whole else self._dataset("clean_target_rank")[m]
            if "clean_correct" in self.file:
                correct = self.file["clean_correct"][m]
                return np.where(correct < 0, np.nan, 100.0 * (correct == 1))
            return np.where(rank < 1, np.nan, 100.0 * (rank == 1))
        if metric == "margin":
            return self._dataset("clean_logprob")[m].astype(float) - self._dataset("clean_foil_logprob")[m].astype(float)
        return self._dataset("clean_" + metric)[m].astype(float)

    def probability(self, model, route, feature, size):
        """The answer's probability after the knockout: [prompt, window_start] with depth, like values()."""
        delta = self.values("delta", model, route, feature, size)
        after = (delta / 100 + self.clean("prob", model)[:, None]).rename("prob")
        after.attrs = {"long_name": "probability of the answer after the knockout", "units": "1"}  # xarray may have kept those of delta
        return after

    def heat(self, model, prompt, route, feature, size):
        """One heatmap: probability minus clean probability, [token, window_start], with the tokens' pieces and the subject."""
        m, p = self.models.index(model), self.heat_prompts.index(prompt)
        r, f, s = self.heat_routes.index(route), self.features.index(feature), self.sizes.index(size)
        n = int(self.file["heat_n_tokens"][m, p])
        values = np.full((n, len(self.starts)), np.nan)
        done = self.file["heat_status"][m, p, r, f, :, s][:n] == DONE  # before the values
        held = self.file["heat_prob"][m, p, r, f, :, s, :].astype(np.float64)[:n]
        values[:len(held)] = np.where(done[:, None], held - float(self.file["heat_clean_prob"][m, p]), np.nan)
        here = np.isfinite(values).any(axis=0)
        pieces = [decoded(t) for t in self.file["heat_token_text"][m, p, :n]]
        subject = range(int(self.file["heat_subject_begin"][m, p]), int(self.file["heat_subject_end"][m, p]))
        return xr.DataArray(
            values[:, here], dims=("token", "window_start"),
            coords={"piece": ("token", pieces), "subject": ("token", np.isin(np.arange(n), subject)),
                    **self._windows(model, size, self.starts[here])},
            name="prob_difference", attrs={"long_name": "probability of the answer, minus clean", "units": "1",
                                           "clean": float(self.file["heat_clean_prob"][m, p])})

    def window(self, model, size, starts):
        """The first and the last layer of windows. Windows may count some layers alone: the cube says which."""
        starts = np.asarray(starts, int)
        if "window_layer" in self.file:
            has = self.window_layers(model, size, starts)
            return has.argmax(axis=1), has.shape[1] - 1 - has[:, ::-1].argmax(axis=1)
        if "counted_layer" not in self.file:
            return starts, starts + size - 1
        counted = self.file["counted_layer"][self.models.index(model)].astype(int)
        return counted[starts], counted[starts + size - 1]

    def centre(self, model, size, starts):
        """The layer in the middle of windows. A centred window lies around its start, also where an end of the model cuts it. Of windows that
        leave layers out it is the middle of these."""
        starts = np.asarray(starts, int)
        if not self.style.endswith("centred") and self.style != "outside":
            first, last = self.window(model, size, starts)
            return (first + last) / 2
        counted = np.arange(self.layers[model])
        if "counted_layer" in self.file:
            counted = self.file["counted_layer"][self.models.index(model)].astype(int)
        return counted[starts] if self.style.endswith("centred") else (counted[starts] + counted[starts + size - 1]) / 2

    def window_layers(self, model, size, starts):
        """Which layers windows have, [start, layer] as booleans. Windows of other styles than runs of `size` layers may leave some out
        between their first and their last: the cube stores their layers."""
        starts = np.asarray(starts, int)
        if "window_layer" in self.file:
            at = np.searchsorted(self.starts, starts)
            return self.file["window_layer"][self.models.index(model), self.sizes.index(size)][at][:, :self.layers[model]] == 1
        first, last = self.window(model, size, starts)
        layer = np.arange(self.layers[model])
        return (layer >= first[:, None]) & (layer <= last[:, None])

    def fitting(self, model, size):
        """The starts of the cube's windows that fit the model."""
        if "window_layer" in self.file:
            return self.starts[self.window_layers(model, size, self.starts).any(axis=1)]
        counted = self.layers[model]
        if "counted_layer" in self.file:
            counted = int((self.file["counted_layer"][self.models.index(model)] >= 0).sum())
        return self.starts[self.starts + size <= counted]

    def mixers(self, model):
        """Which layers of the model have a mixer of each kind: {kind: booleans}; empty where the cube does not say."""
        if "layer_mixers" not in self.file:
            return {}
        bits = self.file["layer_mixers"][self.models.index(model)][:self.layers[model]]
        found = {kind: (bits & bit) != 0 for kind, bit in MIXERS.items()}
        return {kind: has for kind, has in found.items() if has.any()}

    def depth(self, model, size, starts):
        """The paper's relative depth of windows, in percent: 100 first / (layers - length), of the layers that they reach over. Of windows of
        another style it is where their start lies in the range of starts."""
        if "window_layer" in self.file:
            stored = self.file["depth"][self.models.index(model), self.sizes.index(size)]
            return stored[np.searchsorted(self.starts, np.asarray(starts, int))].astype(float)
        first, last = self.window(model, size, starts)
        return 100.0 * first / np.maximum(self.layers[model] - (last - first + 1), 1)

    def _windows(self, model, size, starts):
        """The coordinates of windows."""
        first, last = self.window(model, size, starts)
        return {"window_start": ("window_start", np.asarray(starts), START_ATTRIBUTES),
                "depth": ("window_start", self.depth(model, size, starts), DEPTH_ATTRIBUTES),
                "first_layer": ("window_start", first, FIRST_ATTRIBUTES), "last_layer": ("window_start", last, LAST_ATTRIBUTES),
                "centre": ("window_start", self.centre(model, size, starts), CENTRE_ATTRIBUTES)}

    def relations(self):
        """The relation of every prompt, [prompt]; empty where there is none."""
        return self.text("prompt_relation") or [""] * len(self.prompts)

    def heat_prompt_fact(self, prompt, what):
        """`text`, `subject` or `target` of a heatmap's prompt."""
        return decoded(self.file["heat_prompt_" + what][self.heat_prompts.index(prompt)])

    def selected_prompts(self):
        """What each block of the spec selected, [block, model, prompt] as booleans; None where the cube does not say."""
        if "selected" not in self.file or "prompt_eval_index" not in self.file:
            return None
        return self.file["selected"][:][:, :, self.file["prompt_eval_index"][:]] == 1

    def _dataset(self, name):
        if name not in self.file:
            why = "no prompt of it has a foil" if "foil" in name else "it is no whole cube of a sweep"
            raise CubeError(f"{self.path}: has no dataset {name}: {why}")
        return self.file[name]
