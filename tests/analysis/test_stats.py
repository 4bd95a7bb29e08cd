"""The statistics of analysis/ against scipy's, against numpy on the same resamples, and against R's p.adjust."""
import math
import unittest

import numpy as np
from scipy import stats as scipy_stats

from knockout_figures import curves, stats
from knockout_figures.cube import BOUNDS, bounds_of

RNG = np.random.default_rng(7)
TIGHT = dict(rtol=1e-11, atol=1e-12)  # seen: 3e-14
AS_SCIPY = dict(rtol=1e-7, atol=1e-9)  # scipy 1.10's quantiles of t are off by up to 4e-10 of themselves; seen: 4e-9


def with_gaps(prompts, windows):
    """Values with prompts missing here and there, one window with a single prompt, one with none."""
    values = RNG.normal(-20, 15, (prompts, windows))
    values[RNG.random(values.shape) < 0.2] = np.nan
    values[:, -1] = np.nan
    values[1:, -2] = np.nan
    values[0, -2] = 3.5
    return values


class StudentT(unittest.TestCase):
    def test_quantile_is_rs(self):
        """R 4.2: qt(0.975, c(1, 2, 5, 11, 30, 671))"""
        for degrees, t in ((1, 12.706204736174694), (2, 4.3026527297494619), (5, 2.5705818356363137), (11, 2.2009851600916388),
                           (30, 2.0422724563012378), (671, 1.9635056884423965)):
            np.testing.assert_allclose(stats.t_quantile(degrees), t, rtol=1e-12)  # seen: 5e-14

    def test_quantile_is_scipys(self):
        for degrees in (1, 2, 3, 5, 11, 30, 100, 671, 5999, 10**6):
            np.testing.assert_allclose(stats.t_quantile(degrees), scipy_stats.t.ppf(0.975, degrees), rtol=1e-8)  # scipy 1.10's is off by 4e-10

    def test_two_sided_p_is_scipys(self):
        for degrees in (1, 2, 7, 40, 671, 6000):
            for t in (0.0, 1e-6, 0.3, -1.0, 1.96, -4.0, 12.0, 40.0):
                np.testing.assert_allclose(stats.two_sided_p(t, degrees), 2 * scipy_stats.t.sf(abs(t), degrees), rtol=1e-9, atol=1e-300)
        self.assertEqual(stats.two_sided_p(math.inf, 4), 0)
        self.assertTrue(math.isnan(stats.two_sided_p(math.nan, 4)))


class Means(unittest.TestCase):
    def test_interval_is_scipys(self):
        values = with_gaps(40, 9)
        found = stats.mean(values)
        for k in range(7):
            x = values[:, k][~np.isnan(values[:, k])]
            low, high = scipy_stats.t.interval(0.95, len(x) - 1, np.mean(x), scipy_stats.sem(x))
            np.testing.assert_allclose([found.value[k], found.low[k], found.high[k]], [np.mean(x), low, high], **AS_SCIPY)
            self.assertEqual(found.n[k], len(x))

    def test_too_few_prompts_have_no_interval(self):
        for kind in ("t", "bootstrap"):
            found = stats.mean(with_gaps(40, 9), stats.Interval(kind, 50))
            self.assertEqual((found.value[7], found.n[7], found.n[8]), (3.5, 1, 0))
            for name in ("low", "high"):
                self.assertTrue(np.isnan(getattr(found, name)[7:]).all())
            self.assertTrue(np.isnan(found.value[8]))

    def test_median_is_numpys_with_order_statistics(self):
        values = with_gaps(60, 9)
        found = stats.median(values)
        x = np.sort(values[:, 2][~np.isnan(values[:, 2])])
        self.assertEqual(found.value[2], np.median(x))
        # The pair of order statistics covers the median with at least 94 % (the exact binomial probability).
        below = int(np.flatnonzero(x == found.low[2])[0]) + 1
        above = int(np.flatnonzero(x == found.high[2])[0]) + 1
        cover = scipy_stats.binom.cdf(above - 1, len(x), 0.5) - scipy_stats.binom.cdf(below - 1, len(x), 0.5)
        self.assertGreater(cover, 0.94)
        self.assertLess(cover, 0.99)
        self.assertTrue(np.isnan(found.low[7]))

    def test_share_is_wilsons(self):
        for hits, n in ((0, 10), (3, 10), (10, 10), (600, 672)):
            values = np.array([100.0] * hits + [0.0] * (n - hits) + [np.nan])
            found = stats.share(values)
            reference = scipy_stats.binomtest(hits, n).proportion_ci(0.95, "wilson")  # with z = 1.95996, ours is 1.96
            np.testing.assert_allclose([found.value, found.low, found.high], [100 * hits / n, 100 * reference.low, 100 * reference.high],
                                       rtol=1e-4, atol=1e-3)
            self.assertEqual(found.n, n)


class Bounds(unittest.TestCase):
    def test_an_interval_of_t_ends_at_the_bounds(self):
        values = np.array([[-99, -98, -90, -23], [-20, -30, -40, -25], [np.nan, np.nan, np.nan, -3], [-100, -100, -100, -100]]).T
        plain, found = stats.mean(values), stats.mean(values, bounds=(-100, None))
        self.assertLess(plain.low[0], -135)
        np.testing.assert_array_equal(found.low, [-100, plain.low[1], np.nan, -100])
        np.testing.assert_array_equal(found.high, plain.high)
        np.testing.assert_array_equal(found.value, plain.value)
        both = stats.mean(values, bounds=(-60, -30))
        np.testing.assert_array_equal([both.low[1], both.high[0]], [plain.low[1], -30])
        self.assertEqual(both.low[0], -77.5)  # never beyond the value

    def test_no_interval_of_a_bounded_metric_leaves_its_bounds(self):
        few = {"change": 100 * (RNG.beta(0.3, 1, (4, 400)) - 1), "delta": 200 * RNG.beta(0.2, 0.2, (4, 400)) - 100,
               "kl": RNG.gamma(0.1, 1, (4, 400)), "hit": 100.0 * (RNG.random((4, 400)) < 0.5), "median": RNG.gamma(0.1, 1, (9, 400)) - 100}
        self.assertEqual(set(few), set(BOUNDS))
        for metric, values in few.items():
            for kind in ("usual", "t", "bootstrap"):
                found = curves.estimate(metric, values, stats.Interval(kind, 50))
                least, most = bounds_of(metric)
                self.assertTrue((found.low >= least).all(), (metric, kind))
                self.assertTrue(most is None or (found.high <= most).all(), (metric, kind))
            plain = stats.mean(values)
            self.assertTrue(metric == "median" or (plain.low < least).any() or (plain.high > (most or np.inf)).any())

    def test_cutting_costs_no_coverage_and_a_bootstrap_would(self):
        """Means of 4 changes drawn from 100 (Beta(0.3, 1) - 1), 4,000 times: how often each interval holds the true mean."""
        values, truth = 100 * (np.random.default_rng(1).beta(0.3, 1, (4, 4000)) - 1), 100 * (0.3 / 1.3 - 1)

        def held(found):
            return np.mean((found.low <= truth) & (truth <= found.high))

        t, cut = stats.mean(values), stats.mean(values, bounds=(-100, None))
        bootstrap = stats.mean(values, stats.Interval("bootstrap", 1000))
        self.assertEqual(held(t), held(cut))
        self.assertGreater(np.mean(t.low < -100), 0.9)
        self.assertGreater(held(cut), 0.83)  # seen: 0.849
        self.assertLess(held(bootstrap), 0.78)  # seen: 0.744


class Bootstrap(unittest.TestCase):
    def test_draws_are_splitmix64s(self):
        """Written out with Python's integers."""
        mask = (1 << 64) - 1

        def mix(z):
            z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
            return z ^ z >> 31

        for seed, n in ((0, 7), (3, 672), (2**63, 5)):
            state, expected = mix((seed + stats.GOLDEN) & mask), []
            for _ in range(4 * n):
                state = (state + stats.GOLDEN) & mask
                expected.append(((mix(state) >> 32) * n) >> 32)
            np.testing.assert_array_equal(stats.resample_indices(n, 4, seed), np.reshape(expected, (4, n)))
            np.testing.assert_array_equal(stats.resample_indices(n, 2, seed, first=2), np.reshape(expected, (4, n))[2:])

    def test_interval_is_numpys_quantile_of_the_same_resamples(self):
        values = with_gaps(30, 5)
        found = stats.mean(values, stats.Interval("bootstrap", 400, 5))
        for k in range(3):
            x = values[:, k][~np.isnan(values[:, k])]
            means = x[stats.resample_indices(len(x), 400, 5)].mean(axis=1)
            np.testing.assert_allclose([found.low[k], found.high[k]], np.quantile(means, [0.025, 0.975]), **TIGHT)

    def test_blocks_do_not_matter(self):
        values, interval = RNG.normal(size=(20, 3)), stats.Interval("bootstrap", 301, 1)
        whole, block = stats.resampled_means(values, interval), stats.BLOCK
        try:
            stats.BLOCK = 200
            np.testing.assert_allclose(stats.resampled_means(values, interval), whole, **TIGHT)
        finally:
            stats.BLOCK = block

    def test_interval_is_scipys_within_monte_carlo_error(self):
        x = RNG.gamma(2, 10, 80)
        found = stats.mean(x[:, None], stats.Interval("bootstrap"))
        other = scipy_stats.bootstrap((x,), np.mean, n_resamples=10_000, method="percentile", random_state=1).confidence_interval
        # A 2.5 % quantile of 10,000 normal draws has a standard error of 0.027 of their deviation; two of them, four times that.
        error = 4 * math.sqrt(2) * 0.027 * scipy_stats.sem(x)
        self.assertLess(abs(found.low[0] - other.low), error)
        self.assertLess(abs(found.high[0] - other.high), error)
        self.assertGreater(abs(found.low[0] - other.low), 0)  # other draws


class Paired(unittest.TestCase):
    def test_p_and_interval_are_scipys(self):
        a = with_gaps(50, 9)
        b = a + RNG.normal(2, 6, a.shape)
        b[RNG.random(b.shape) < 0.1] = np.nan
        found = stats.paired(a, b)
        for k in range(7):
            both = ~np.isnan(a[:, k] + b[:, k])
            test = scipy_stats.ttest_rel(a[both, k], b[both, k])
            d = (a - b)[both, k]
            np.testing.assert_allclose(found.p[k], test.pvalue, rtol=1e-9)
            low, high = scipy_stats.t.interval(0.95, len(d) - 1, d.mean(), scipy_stats.sem(d))
            np.testing.assert_allclose([found.low[k], found.high[k]], [low, high], **AS_SCIPY)
            self.assertEqual(found.n[k], both.sum())
        self.assertTrue(np.isnan(found.p[7:]).all())

    def test_p_of_a_mean_is_scipys(self):
        values = with_gaps(50, 9)
        p = stats.p_of_mean(values)
        for k in range(7):
            np.testing.assert_allclose(p[k], scipy_stats.ttest_1samp(values[~np.isnan(values[:, k]), k], 0).pvalue, rtol=1e-9)
        self.assertTrue(np.isnan(p[7:]).all())
        np.testing.assert_array_equal(stats.p_of_mean(np.array([[0.0, 1.0], [0.0, 1.0]])), [np.nan, 0])

    def test_constant_differences(self):
        a = np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]])
        np.testing.assert_array_equal(stats.paired(a, a - [1, 0]).p, [0, np.nan])

    def test_control_is_the_mean_over_seeds(self):
        seeds = RNG.normal(size=(3, 20, 4))
        seeds[:, 5] = np.nan
        control = stats.mean_over_seeds(seeds)
        np.testing.assert_allclose(control[:5], seeds[:, :5].mean(axis=0), **TIGHT)
        self.assertTrue(np.isnan(control[5]).all())


class Holm(unittest.TestCase):
    def test_is_rs_p_adjust(self):
        """R 4.2: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") and so on."""
        for p, expected in (([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
                            ([0.03, 0.001, 0.8, 0.001, 0.04], [0.09, 0.005, 0.8, 0.005, 0.09]),
                            ([0.2, 0.9, 0.4], [0.6, 0.9, 0.8]),
                            ([0.01, np.nan, 0.02], [0.02, np.nan, 0.02]), ([np.nan], [np.nan]), ([0.7], [0.7])):
            np.testing.assert_allclose(stats.holm(p), expected, rtol=1e-14)


if __name__ == "__main__":
    unittest.main()
