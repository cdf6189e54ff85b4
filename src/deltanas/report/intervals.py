"""Intervals for shares and for means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev, variance

_Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution, for two-sided 95 % intervals."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval, all three in the same unit."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> Estimate:
    """The share `successes / n` with its 95 % score interval; all in [0, 1].

    E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22:209-212.

    Raises:
        ValueError: if n < 1 or `successes` is outside [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    share, z2 = successes / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b for two shares with Wilson intervals, taken as independent.

    Two networks scored on the same images are not independent: they tend to err on the same ones, and the interval is
    then wider than it need be. R. G. Newcombe (1998), "Interval estimation for the difference between independent
    proportions", Statistics in Medicine 17:873-890, method 10.
    """
    gain = a.value - b.value
    below = sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    above = sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Estimate(gain, gain - below, gain + above)


def mean(values: Sequence[float]) -> Estimate | None:
    """The mean with its 95 % interval by Student's t; None for fewer than two values, which have no spread."""
    if len(values) < 2:
        return None
    centre = fmean(values)
    half = _student(len(values) - 1) * stdev(values, centre) / sqrt(len(values))
    return Estimate(centre, centre - half, centre + half)


def mean_difference(a: Sequence[float], b: Sequence[float]) -> Estimate | None:
    """mean(a) - mean(b) for independent values with spreads of their own; None where one has fewer than two.

    B. L. Welch (1947), "The generalization of 'Student's' problem", Biometrika 34:28-35.
    """
    if min(len(a), len(b)) < 2:
        return None
    first, second = variance(a) / len(a), variance(b) / len(b)
    gain, both = fmean(a) - fmean(b), first + second
    if both == 0:
        return Estimate(gain, gain, gain)
    half = _student(both**2 / (first**2 / (len(a) - 1) + second**2 / (len(b) - 1))) * sqrt(both)
    return Estimate(gain, gain - half, gain + half)


def _student(degrees: float) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit  # only a page needs it, and it takes longer to load than `runs show` runs

    return float(stdtrit(degrees, 0.975))
