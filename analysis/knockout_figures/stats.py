"""Statistics over prompts: means, medians, intervals, paired differences and corrected p-values.

The definitions are those of `knockout show` (docs/statistics.md). Values are arrays [prompts, ...], NaN where a prompt has no
cell; what is NaN is left out, and n says how many remained. numpy is all that is needed.
"""
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 10_000
Z = 1.96  # of the intervals of medians and of shares
BLOCK = 1 << 22  # counts of resampled prompts that are held at a time (32 MiB)
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Interval:
    """How 95 % intervals are made: `t`, or `bootstrap` with a number of resamples and a seed; `usual` is t, for a share of hits
    Wilson's and for a median order statistics."""
    kind: str = "usual"
    resamples: int = RESAMPLES
    seed: int = 0


@dataclass
class Estimate:
    """value, low and high (NaN where there is too little), n prompts: arrays of one shape, that of values without its first axis."""
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


@dataclass
class Difference(Estimate):
    """A paired difference; p is two-sided, of the paired t-test, not corrected."""
    p: np.ndarray


# ---- Student's t -----------------------------------------------------------------------------------------------------------

def _beta_fraction(a, b, x):
    """The continued fraction of the incomplete beta function (Lentz's method, as in Numerical Recipes 6.4)."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    h = d
    for m in range(1, 10_000):
        for numerator in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                          -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + numerator / c
            c = c if abs(c) > tiny else tiny
            h *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return h


def beta_share(a, b, x, y):
    """The regularised incomplete beta function I_x(a, b); y = 1 - x is given too, so that neither loses its digits."""
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, y) / b


def two_sided_p(t, degrees):
    """P(|T| >= |t|) of Student's t."""
    if math.isnan(t) or degrees < 1:
        return math.nan
    if math.isinf(t):
        return 0.0
    whole = degrees + t * t
    return beta_share(degrees / 2, 0.5, degrees / whole, t * t / whole)


@lru_cache(maxsize=None)
def t_quantile(degrees):
    """The 97.5 % quantile of Student's t: the t beyond which both tails together hold 5 %."""
    low, high = 1.0, 13.0  # 12.706 at one degree of freedom
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if two_sided_p(middle, degrees) > 0.05 else (low, middle)
    return (low + high) / 2


# ---- seeded resampling -----------------------------------------------------------------------------------------------------

def _mix(z):
    """The finaliser of splitmix64 on an array of uint64 (Steele, Lea & Flood 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def resample_indices(n, resamples, seed=0, first=0):
    """Prompts of the resamples first ... first + resamples - 1, [resamples, n]: value k of the stream 0 of `seed`, times n."""
    with np.errstate(over="ignore"):
        state = _mix(np.array([(seed + GOLDEN) % (1 << 64)], np.uint64))
        k = np.arange(first * n + 1, (first + resamples) * n + 1, dtype=np.uint64)
        drawn = _mix(state + k * np.uint64(GOLDEN))
    return (((drawn >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)).astype(np.int64).reshape(resamples, n)


@lru_cache(maxsize=4)
def _kept_counts(n, resamples, seed, first):
    """How often each resample draws each prompt, [resamples, n]."""
    cell = resample_indices(n, resamples, seed, first) + n * np.arange(resamples)[:, None]
    return np.bincount(cell.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float64)


def resampled_means(values, interval):
    """values: [prompts, windows] without NaN -> the means of the resamples, [resamples, windows]."""
    n = values.shape[0]
    means = np.empty((interval.resamples, values.shape[1]))
    step = max(1, BLOCK // n)
    for first in range(0, interval.resamples, step):
        last = min(first + step, interval.resamples)
        means[first:last] = _kept_counts(n, last - first, interval.seed, first) @ values / n
    return means


# ---- estimates -------------------------------------------------------------------------------------------------------------

def _spread(values):
    """values: [prompts, windows] -> mean, standard deviation (n - 1), n; NaN where there are no, or fewer than two."""
    there = ~np.isnan(values)
    n = there.sum(axis=0)
    mean = np.where(n > 0, np.where(there, values, 0).sum(axis=0) / np.maximum(n, 1), np.nan)
    square = np.where(there, values - mean, 0) ** 2
    deviation = np.where(n > 1, np.sqrt(square.sum(axis=0) / np.maximum(n - 1, 1)), np.nan)
    return mean, deviation, n


def _bootstrap(flat, n, interval):
    low, high = np.full(n.shape, np.nan), np.full(n.shape, np.nan)
    there = ~np.isnan(flat)
    for pattern in np.unique(there, axis=1).T:  # windows with the same prompts are resampled together
        count = int(pattern.sum())
        if count < 2:
            continue
        same = (there == pattern[:, None]).all(axis=0)
        means = resampled_means(flat[pattern][:, same], interval)
        low[same], high[same] = np.quantile(means, (0.025, 0.975), axis=0)
    return low, high


def cut(low, high, value, bounds):
    """The interval, cut at the least and the greatest value that a mean can have (None: no bound)."""
    least, most = bounds
    if least is not None:
        low = np.maximum(low, np.minimum(least, value))  # never above the value, which rounding may have put beyond; NaN stays NaN
    if most is not None:
        high = np.minimum(high, np.maximum(most, value))
    return low, high


def mean(values, interval=Interval(), bounds=(None, None)):
    """The mean over prompts with its 95 % interval; that of t ends at the bounds, which bootstrapped means cannot leave."""
    values = np.asarray(values, np.float64)
    flat = values.reshape(values.shape[0], -1)
    value, deviation, n = _spread(flat)
    if interval.kind == "bootstrap":
        low, high = _bootstrap(flat, n, interval)
    else:
        t = np.array([t_quantile(int(k) - 1) if k > 1 else np.nan for k in n])
        half = t * deviation / np.sqrt(np.maximum(n, 1))
        low, high = cut(value - half, value + half, value, bounds)
    return Estimate(*(x.reshape(values.shape[1:]) for x in (value, low, high, n)))


def median(values):
    """The median over prompts with its 95 % interval, two order statistics; NaN where there are too few for one."""
    values = np.asarray(values, np.float64)
    flat = np.sort(values.reshape(values.shape[0], -1), axis=0)  # NaN last
    n = (~np.isnan(flat)).sum(axis=0)
    value, low, high = (np.full(n.shape, np.nan) for _ in range(3))
    for k, count in enumerate(n):
        if count == 0:
            continue
        value[k] = np.median(flat[:count, k])
        first = math.floor(count / 2 - Z / 2 * math.sqrt(count))
        last = math.ceil(1 + count / 2 + Z / 2 * math.sqrt(count))
        if first >= 1 and last <= count:
            low[k], high[k] = flat[first - 1, k], flat[last - 1, k]
    return Estimate(*(x.reshape(values.shape[1:]) for x in (value, low, high, n)))


def share(values):
    """values: 0 or 100, NaN where there is none -> their mean with Wilson's 95 % interval of a proportion (Wilson 1927)."""
    values = np.asarray(values, np.float64)
    n = (~np.isnan(values)).sum(axis=0)
    some = np.maximum(n, 1)
    p = np.nansum(values, axis=0) / some / 100
    middle = (p + Z * Z / (2 * some)) / (1 + Z * Z / some)
    half = Z / (1 + Z * Z / some) * np.sqrt(p * (1 - p) / some + Z * Z / (4 * some * some))
    low, high = np.where(p > 0, middle - half, 0), np.where(p < 1, middle + half, 1)  # rounding must not leave the ends
    return Estimate(*(np.where(n > 0, 100 * x, np.nan) for x in (p, low, high)), n)


def paired(a, b, interval=Interval(), bounds=(None, None)):
    """The mean of a - b over the prompts that have both, with its interval and the p-value of the paired t-test; bounds are those
    of the difference."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    estimate = mean(difference, interval, bounds)
    return Difference(estimate.value, estimate.low, estimate.high, estimate.n, p_of_mean(difference))


def p_of_mean(values):
    """The two-sided p-values of the t-test that the mean over prompts is 0; NaN for fewer than two prompts and where all are 0."""
    values = np.asarray(values, np.float64)
    means, deviation, n = _spread(values.reshape(values.shape[0], -1))
    p = []
    for value, s, count in zip(means, deviation, n):
        if count < 2 or (s == 0 and value == 0):
            p.append(math.nan)
        else:
            p.append(two_sided_p(value / (s / math.sqrt(count)) if s > 0 else math.inf, int(count) - 1))
    return np.reshape(p, values.shape[1:])


def holm(p):
    """Holm's correction over p-values, of one curve or of many, as R's p.adjust(p, "holm"); NaN stays NaN and is not counted."""
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[:int((~np.isnan(p)).sum())]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def mean_over_seeds(controls):
    """controls: [seeds, prompts, ...] of one matched control -> its value for each prompt, [prompts, ...]."""
    controls = np.asarray(controls, np.float64)
    n = (~np.isnan(controls)).sum(axis=0)
    return np.where(n > 0, np.nansum(controls, axis=0) / np.maximum(n, 1), np.nan)
