from __future__ import annotations

import pytest

from deltanas.report.intervals import difference, wilson


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


def test_difference_is_newcombes_published_example() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10.
    first = difference(wilson(56, 70), wilson(48, 80))
    assert (first.value, first.low, first.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    second = difference(wilson(9, 10), wilson(3, 10))
    assert (second.low, second.high) == pytest.approx((0.1705, 0.8090), abs=5e-5)
