from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special

from deltanas.intervals import CHI2, Z, difference, mean, mean_difference, paired, paired_shares, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 1, 0.0, 0.7934506856),
        (1, 1, 0.2065493144, 1.0),
        (0, 20, 0.0, 0.1611251581),
        (20, 20, 0.8388748419, 1.0),
        (7, 12, 0.3195113125, 0.8067396863),
        (1860, 2000, 0.9179739154, 0.9403774239),
        (5, 10_000, 0.0002135884, 0.0011700259),
    ],
)
def test_wilson_is_that_of_scipy(successes: int, n: int, low: float, high: float) -> None:
    # scipy.stats.binomtest(successes, n).proportion_ci(method="wilson"), SciPy 1.17.1
    share = wilson(successes, n)
    assert share.value == successes / n
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_what_is_no_share_is_an_error(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson(successes, n)


def test_wilson_by_hand() -> None:
    """Newcombe (1998), table I: 81 of 263 is 0.2553 to 0.3662, 0 of 20 is 0 to 0.1611."""
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert round(wilson(0, 20).high, 4) == 0.1611


def test_difference_is_newcombes_published_example() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10.
    first = difference(wilson(56, 70), wilson(48, 80))
    assert (first.value, first.low, first.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    second = difference(wilson(9, 10), wilson(3, 10))
    assert (second.low, second.high) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_means_have_the_intervals_of_students_t() -> None:
    # SciPy 1.17: ttest_1samp(one, 0) and ttest_ind(one, two, equal_var=False), their confidence_interval()
    one, two = [0.8, 0.82, 0.9], [0.7, 0.75, 0.74, 0.71]
    found = mean(one)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.84, 0.7085517878, 0.9714482122))
    over = mean_difference(one, two)
    assert over is not None
    assert (over.value, over.low, over.high) == pytest.approx((0.115, 0.0013475377, 0.2286524623))
    assert mean([0.5]) is None
    assert mean_difference([0.5, 0.5], [0.5]) is None
    flat = mean_difference([0.5, 0.5], [0.25, 0.25])
    assert flat is not None
    assert (flat.value, flat.low, flat.high) == (0.25, 0.25, 0.25)


def test_paired_shares_have_the_published_interval() -> None:
    # M. W. Fagerland, S. Lydersen, P. Laake (2014), Statistics in Medicine 33:2850-2875: 1, 1, 7, 12 of 21 children,
    # Tango's interval: -0.517 to -0.026.
    found = paired_shares(1, 7, 21)
    assert found.value == pytest.approx(-6 / 21)
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(("gained", "lost", "n"), [(3, 0, 360), (0, 9, 40), (25, 14, 1000), (1, 1, 8)])
def test_the_limits_are_where_the_score_test_rejects(gained: int, lost: int, n: int) -> None:
    """The likelihood of the counts is maximised numerically at each limit, in place of the closed form."""
    found = paired_shares(gained, lost, n)
    for gap in (found.low, found.high):

        def misfit(share: float, gap: float = gap) -> float:
            cells = np.array([share + gap, share, 1 - 2 * share - gap])
            return -float(special.xlogy([gained, lost, n - gained - lost], cells).sum())

        ends = max(0.0, -gap) + 1e-15, (1 - gap) / 2 - 1e-15
        share = optimize.minimize_scalar(misfit, bounds=ends, method="bounded", options={"xatol": 1e-13}).x
        statistic = (gained - lost - n * gap) / sqrt(n * (2 * share + gap - gap * gap))
        assert abs(statistic) == pytest.approx(Z, abs=1e-4)


def test_the_same_network_twice_is_not_certain_to_be_no_better() -> None:
    right = np.arange(360) % 5 > 0
    found = paired(right, right)
    assert found.value == 0
    assert found.high == pytest.approx(CHI2 / (360 + CHI2))
    assert found.low == -found.high
    one = paired_shares(1, 0, 360)
    assert one.low < 0 < one.value < one.high


@pytest.mark.parametrize(("gained", "lost", "n"), [(5, 0, 5), (0, 1, 1), (0, 0, 1), (2, 3, 5), (0, 360, 360)])
def test_paired_shares_stay_in_their_range_and_turn_with_the_sign(gained: int, lost: int, n: int) -> None:
    found, turned = paired_shares(gained, lost, n), paired_shares(lost, gained, n)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, float])
def test_scores_of_0_and_1_are_counted_whatever_their_type(dtype: type) -> None:
    rows: NDArray[np.generic] = np.array([[1, 1, 1, 0, 0, 1], [1, 0, 0, 1, 0, 1]], dtype)
    assert paired(rows[0], rows[1]) == paired_shares(2, 1, 6)
    assert paired(rows[0].tolist(), rows[1].tolist()) == paired_shares(2, 1, 6)


def test_real_scores_get_students_interval_of_their_differences() -> None:
    child, parent = np.array([31.5, 28.25, 30.0], np.float16), np.array([30.5, 28.0, 29.25], np.float16)
    found, known = paired(child, parent), mean([1.0, 0.25, 0.75])
    assert found == known
    assert found.value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("child", "parent", "why"),
    [
        ([1, 0], [1], "same images"),
        ([[1, 0]], [[1, 0]], "same images"),
        ([], [], "no counts of pairs"),
        ([30.5], [30.0], "two or more"),
        ([30.5, np.inf], [30.0, 31.0], "not finite"),
        ([30.5, np.nan], [30.0, 31.0], "not finite"),
    ],
)
def test_scores_that_are_no_pairs_are_an_error(child: list[float], parent: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        paired(child, parent)


@pytest.mark.parametrize(("gained", "lost", "n"), [(0, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_counts_that_are_no_pairs_are_an_error(gained: int, lost: int, n: int) -> None:
    with pytest.raises(ValueError, match="no counts of pairs"):
        paired_shares(gained, lost, n)


def covered(n: int, accuracy: float, better: float, shared: float, studies: int = 600) -> float:
    """How often the interval holds the true gain if errors share a part of a normal difficulty of the images."""
    cuts = special.ndtri([better, accuracy])
    held = 0
    for study in range(studies):
        rng = np.random.default_rng([study, n, round(1000 * better)])
        hard = rng.normal(size=n)
        child, parent = (sqrt(shared) * hard + sqrt(1 - shared) * rng.normal(size=n) < cut for cut in cuts)
        found = paired(child, parent)
        held += found.low <= better - accuracy <= found.high
    return held / studies


@pytest.mark.parametrize(("n", "accuracy"), [(360, 0.5), (360, 0.8), (360, 0.95), (1000, 0.99)])
@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_paired_intervals_cover_the_true_gain_as_often_as_they_say(n: int, accuracy: float, gain: float) -> None:
    assert 0.92 <= covered(n, accuracy, accuracy + gain * (1 - accuracy), shared=0.9) <= 0.98


@pytest.mark.parametrize(("n", "accuracy"), [(360, 0.95), (360, 0.99), (1000, 0.99)])
@pytest.mark.parametrize("gain", [0.0, 0.02])
def test_paired_intervals_cover_where_hardly_an_image_differs(n: int, accuracy: float, gain: float) -> None:
    """With about 3 images or fewer that differ, counts are too coarse for 95 %: the interval covers more."""
    assert covered(n, accuracy, accuracy + gain * (1 - accuracy), shared=0.99) >= 0.92


def test_the_interval_of_a_gain_in_decibels_covers_it() -> None:
    """The differences of single images are skewed, as some images hold more noise to remove."""
    held = 0
    for study in range(600):
        rng = np.random.default_rng([study, 1])
        parent = rng.normal(29.0, 3.0, 360)
        found = paired(parent + rng.gamma(2.0, 0.2, 360), parent)
        held += found.low <= 0.4 <= found.high
    assert 0.92 <= held / 600 <= 0.98
