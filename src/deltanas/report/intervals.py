"""Intervals for shares. Six lines of arithmetic: importing SciPy for them costs more than rendering the whole page."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

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
