"""What the component classes ~mean and ~resample:SEED put in place of a part, from clean runs of the oracle.

The part of a whole sublayer is what it adds to the residual stream; the part of a head its slice of the input of the output
projection.  The prompts are those for which the sweep computes the route and class in the model, in the order of the prompt file.

  ~mean            the part's mean over all positions of SET of all these prompts; each sublayer of each layer has its own
  ~resample:SEED   row k of SET gets the part of row k of the donor's SET, both counted from the smallest position.  The donor is
                   drawn from the other prompts, with the prompt's id as the stream: every route, class, layer and head of a
                   prompt has the same donor.  Without another prompt, or if the donor's SET is smaller, the cell is vacuous.
"""
import torch

from knockout_oracle import component_rows, draw, fnv1a64


class Replacements:
    """What replaces the parts of a model in the cells of `prompts`, which are in the order of the prompt file."""

    def __init__(self, model, prompts):
        self.model, self.prompts = model, prompts
        self.parts = None                                    # of each prompt, once they are asked for
        self.known = {}                                      # (route, part) -> means

    def values(self, route, feature_class, n):
        """{(layer, sublayer): [rows, width]} for prompt n, or None: nothing is replaced, or nothing can be."""
        part, _, way = feature_class.partition("~")
        if not way or "@" not in route:
            return None
        if self.parts is None:
            self.parts = [self.model.parts(p.ids) for p in self.prompts]
        rows = component_rows(route, self.prompts[n])
        if way == "mean":
            means = self.mean(route, part)
            return {key: mean.expand(len(rows), -1) for key, mean in means.items()} if rows else None
        name, _, seed = way.partition(":")
        if name != "resample":
            raise ValueError(f"unknown feature class: {feature_class}")
        donor = self.donor(n, int(seed))
        there = component_rows(route, self.prompts[donor]) if donor is not None else []
        if not rows or len(there) < len(rows):
            return None
        return {key: part_of(parts, part)[there[:len(rows)]]
                for key, parts in self.parts[donor].items() if part_of(parts, part) is not None}

    def mean(self, route, part):
        """{(layer, sublayer): [width]}"""
        if (route, part) not in self.known:
            every = {}
            for p, parts in zip(self.prompts, self.parts):
                rows = component_rows(route, p)
                for key, values in parts.items():
                    if part_of(values, part) is not None:
                        every.setdefault(key, []).append(part_of(values, part)[rows])
            self.known[route, part] = {key: torch.cat(values).mean(0) for key, values in every.items()}
        return self.known[route, part]

    def donor(self, n, seed):
        """The number of the prompt whose parts prompt n gets, or None."""
        others = [m for m in range(len(self.prompts)) if m != n]
        return draw(others, 1, seed, fnv1a64(self.prompts[n].id))[0] if others else None


def part_of(parts, part):
    """[T, width] of a sublayer's parts, or None where it has no such head.  part: "all", "head:K" or "ssm-head:K"."""
    if part == "all":
        return parts["whole"]
    head = int(part.rpartition(":")[2])
    heads = parts.get("heads")
    return heads[:, head] if heads is not None and head < heads.shape[1] else None
