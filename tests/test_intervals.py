import math

import numpy as np
import pytest
from scipy import stats

from analysis.intervals import (
    bootstrap_interval,
    interquartile_mean,
    mean_interval,
    pooled_deviation,
)


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean([100, 2, 3, 4, 5, 6, 7, -50]) == pytest.approx(4.5)
    assert interquartile_mean([9, 1, 2, 3, 100]) == pytest.approx(14 / 3)  # one off each end
    assert interquartile_mean([1, 2, 6]) == pytest.approx(3)
    rows = draws(4, 11)
    expected = [stats.trim_mean(row, 0.25) for row in rows]
    assert interquartile_mean(rows, axis=1) == pytest.approx(expected)
    assert interquartile_mean(rows) == pytest.approx(stats.trim_mean(rows.ravel(), 0.25))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_interval_of_one_cluster_is_that_of_the_paired_t_test(count):
    one, other = draws(2, count) + np.array([[0.5], [0.0]])
    test = stats.ttest_rel(one, other)
    found = mean_interval(one - other, level=0.9)
    assert found.p == pytest.approx(test.pvalue)
    assert found[1:3] == pytest.approx(tuple(test.confidence_interval(0.9)))
    assert found == pytest.approx(mean_interval(one - other, clusters=["a"] * count, level=0.9))


def test_interval_of_two_clusters_speaks_of_their_spread_within():
    values = np.array([1.0, 2.0, 3.0, 11.0, 12.0, 13.0])
    found = mean_interval(values, clusters="aaabbb")
    error = math.sqrt(1.0 / 6)  # pooled variance 1, six values
    half = stats.t.ppf(0.975, 4) * error
    assert found[:3] == pytest.approx((7, 7 - half, 7 + half))
    assert found.p == pytest.approx(2 * stats.t.sf(7 / error, 4))


def test_interval_of_clusters_that_differ_is_that_of_their_means():
    values = draws(5, 4) * 0.01 + np.arange(5)[:, None]
    found = mean_interval(values.ravel(), clusters=np.repeat(np.arange(5), 4))
    test = stats.ttest_1samp(values.mean(axis=1), 0)
    assert found[1:3] == pytest.approx(tuple(test.confidence_interval()))
    assert found.p == pytest.approx(test.pvalue)


def test_clusters_that_agree_by_chance_are_no_more_certain_than_their_values():
    values = np.array([[-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]]) + 0.1
    found = mean_interval(values.ravel(), clusters=np.repeat([0, 1, 2], 2))
    half = stats.t.ppf(0.975, 3) * math.sqrt(2 / 6)
    assert found[:3] == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    assert found.p > 0.5


def test_mean_counts_clusters_alike_however_many_values_they_have():
    assert mean_interval([1, 1, 1, 3], clusters="aaab").mean == pytest.approx(2)


def test_nothing_can_be_told_from_single_values():
    for values, clusters in (([1.0], None), ([1.0, 2.0], "ab")):
        found = mean_interval(values, clusters=clusters)
        assert found.mean == pytest.approx(np.mean(values))
        assert np.isnan(found[1:]).all()
    assert np.isnan(bootstrap_interval([1.0])).all()
    assert np.isnan(bootstrap_interval([1.0, 2.0], clusters="ab", fixed=True)).all()
    assert math.isnan(pooled_deviation([1.0, 2.0], "ab"))


def test_values_that_are_all_alike():
    assert mean_interval([0.0, 0.0, 0.0]) == (0, 0, 0, 1)
    assert mean_interval([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0.3, 0.3, 0))
    assert bootstrap_interval([2.0, 2.0, 2.0]) == pytest.approx((2, 2))


def test_pooled_deviation_is_weighted_by_degrees_of_freedom():
    values = [1.0, 3.0, 10.0, 11.0, 12.0, 50.0]
    assert pooled_deviation(values, "aabbbc") == pytest.approx(math.sqrt((2 + 2) / (1 + 2)))


def test_bootstrap_of_a_mean_comes_to_students_interval():
    values = draws(6)
    expected = mean_interval(values)
    found = bootstrap_interval(values, resamples=20_000)
    assert found == pytest.approx((expected.low, expected.high), rel=0.05)

    values = (draws(4, 3) * 0.01 + 3 * draws(4, 1, seed=1)).ravel()
    clusters = np.repeat(list("abcd"), 3)
    expected = mean_interval(values, clusters=clusters)
    found = bootstrap_interval(values, clusters=clusters, resamples=20_000)
    assert found == pytest.approx((expected.low, expected.high), rel=0.05)


def test_bootstrap_of_fixed_clusters_does_not_see_how_they_differ():
    values, clusters = draws(2, 4), np.repeat([0, 1], 4)
    near, far = values.ravel(), (values + np.array([[0], [100]])).ravel()
    expected = mean_interval(far, clusters=clusters)
    found = bootstrap_interval(far, clusters=clusters, fixed=True, resamples=20_000)
    assert np.diff(found) == pytest.approx(np.diff(expected[1:3]), rel=0.05)
    same = bootstrap_interval(near, clusters=clusters, fixed=True, resamples=20_000)
    assert np.diff(found) == pytest.approx(np.diff(same))
    loose = bootstrap_interval(far, clusters=clusters, resamples=20_000)
    assert np.diff(loose) > 50 * np.diff(found)


def test_bootstrap_repeats_with_its_seed_and_takes_any_statistic():
    values = draws(9)
    one = bootstrap_interval(values, statistic=np.median, seed=3)
    assert one == bootstrap_interval(values, statistic=np.median, seed=3)
    assert one != bootstrap_interval(values, statistic=np.median, seed=4)
    assert one[0] < np.median(values) < one[1]
    uneven = bootstrap_interval(values, clusters="aabbbcccc", statistic=interquartile_mean)
    assert uneven[0] < interquartile_mean(values) < uneven[1]


def test_groups_within_one_or_two_clusters_are_the_values():
    values = draws(2, 2, 5) + 3 * draws(2, 2, 1, seed=1)
    clusters, groups = np.repeat([0, 1], 10), np.repeat(list("abcd"), 5)
    found = mean_interval(values.ravel(), clusters=clusters, groups=groups)
    means = values.mean(axis=-1)
    assert found == pytest.approx(mean_interval(means.ravel(), clusters=[0, 0, 1, 1]))
    one = mean_interval(values[0].ravel(), groups=groups[:10])
    assert one == pytest.approx(mean_interval(means[0]))


def test_groups_change_nothing_where_clusters_have_one_each_or_are_three():
    values = draws(12)
    two, three = np.repeat([0, 1], 6), np.repeat([0, 1, 2], 4)
    for clusters, groups in ((two, two + 5), (three, np.repeat(np.arange(6), 2))):
        found = mean_interval(values, clusters=clusters, groups=groups)
        assert found == mean_interval(values, clusters=clusters)


@pytest.mark.parametrize(("pictures", "noises"), [(1, 2), (1, 4), (2, 2)])
def test_intervals_over_noises_of_few_pictures_cover_the_truth(pictures, noises):
    rng = np.random.default_rng(pictures * noises)
    groups = np.repeat(np.arange(pictures * noises), 5)
    hits = []
    for _ in range(600):
        levels = 0.3 * rng.standard_normal((pictures * noises, 1))
        values = (levels + 0.1 * rng.standard_normal((pictures * noises, 5))).ravel()
        found = mean_interval(values, clusters=groups // noises, groups=groups)
        hits.append(covers(found[1:3]))
    assert 0.92 < np.mean(hits) < 0.98


def covers(interval: tuple[float, ...]) -> bool:
    return interval[0] <= 0 <= interval[1]


@pytest.mark.parametrize("count", [3, 5, 8])
def test_intervals_from_few_seeds_cover_the_truth(count):
    samples = draws(600, count, seed=count)
    students = np.mean([covers(mean_interval(sample)[1:3]) for sample in samples])
    boots = [bootstrap_interval(s, statistic=interquartile_mean, resamples=300) for s in samples]
    assert 0.92 < students < 0.98
    assert np.mean([covers(each) for each in boots]) > 0.90


@pytest.mark.parametrize(("pictures", "seeds"), [(3, 3), (5, 3), (3, 8)])
@pytest.mark.parametrize("apart", [0.0, 0.5, 2.0])
def test_intervals_over_few_pictures_cover_the_truth(pictures, seeds, apart):
    rng = np.random.default_rng(pictures * seeds)
    clusters = np.repeat(np.arange(pictures), seeds)
    hits = []
    for _ in range(600):
        levels = apart * rng.standard_normal((pictures, 1))
        values = (levels + rng.standard_normal((pictures, seeds))).ravel()
        hits.append(covers(mean_interval(values, clusters=clusters)[1:3]))
    assert np.mean(hits) > 0.92
