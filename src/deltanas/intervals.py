"""Values with their 95 % intervals: shares, means, and differences of either, paired and unpaired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution, for two-sided 95 % intervals."""
CHI2 = Z * Z
"""The 95 % quantile of chi-square with one degree of freedom."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval, all three in the same unit."""

    value: float
    low: float
    high: float

    def __format__(self, form: str) -> str:
        """The value and, in brackets, the ends of its interval, each by `form`, as of a float."""
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


def wilson(successes: float, n: float, z: float = Z) -> Estimate:
    """The share `successes / n` with its score interval; all in [0, 1].

    E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22:209-212.

    Args:
        z: quantile of the interval's upper end; 95 % if not given.

    Raises:
        ValueError: if n < 1 or `successes` is outside [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    share, square = successes / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b of independent estimates, for two shares with Wilson intervals among others.

    Two networks that were scored on the same images are not independent: `paired` is narrower. R. G. Newcombe (1998),
    "Interval estimation for the difference between independent proportions", Statistics in Medicine 17:873-890, method
    10.
    """
    gap = a.value - b.value
    below = sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    above = sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Estimate(gap, gap - below, gap + above)


def mean(values: ArrayLike) -> Estimate | None:
    """The mean with its interval by Student's t; None for fewer than two values, which have no spread."""
    array = np.asarray(values, float)
    if len(array) < 2:
        return None
    return student(float(array.mean()), float(array.std(ddof=1)) / sqrt(len(array)), len(array) - 1)


def welch(a: ArrayLike, b: ArrayLike) -> tuple[float, float, float] | None:
    """mean(a) - mean(b) of independent values, its standard error and the degrees of freedom of Student's t.

    B. L. Welch (1947), "The generalization of 'Student's' problem", Biometrika 34:28-35. None if either has fewer than
    two values. Without any spread the error is 0 and the degrees are 1.
    """
    one, two = np.asarray(a, float), np.asarray(b, float)
    if min(len(one), len(two)) < 2:
        return None
    first, second = (float(values.var(ddof=1)) / len(values) for values in (one, two))
    gap, both = float(one.mean() - two.mean()), first + second
    degrees = both**2 / (first**2 / (len(one) - 1) + second**2 / (len(two) - 1)) if both else 1.0
    return gap, sqrt(both), degrees


def mean_difference(a: ArrayLike, b: ArrayLike) -> Estimate | None:
    """mean(a) - mean(b) of independent values with Welch's interval; None if either has fewer than two values."""
    found = welch(a, b)
    return student(*found) if found else None


def pooled_difference(a: ArrayLike, b: ArrayLike, squares: float, degrees: int) -> Estimate:
    """mean(a) - mean(b) of independent values whose scatter was measured elsewhere too; one value each is enough.

    squares, degrees: sum of squared deviations from their groups' means, with its degrees of freedom, 1 or more.
    """
    one, two = np.asarray(a, float), np.asarray(b, float)
    error = sqrt(squares / degrees * (1 / len(one) + 1 / len(two)))
    return student(float(one.mean() - two.mean()), error, degrees)


def paired(child: ArrayLike, parent: ArrayLike) -> Estimate:
    """mean(child) - mean(parent) of two programs that were scored on the same images.

    Scores that are all 0 or 1 get the interval of `paired_shares`, others that of Student's t over the differences.
    The interval tells how another sample of images would move the difference, not how other seeds would.

    Args:
        child, parent: [n] score of each image, in the same order; any real dtype, n >= 1, n >= 2 unless all are 0 or 1.

    Raises:
        ValueError: lengths that differ, too few images, or a score that is not finite.
    """
    one, two = np.asarray(child), np.asarray(parent)
    if one.shape != two.shape or one.ndim != 1:
        raise ValueError(f"scores of shapes {one.shape} and {two.shape} do not belong to the same images")
    if _binary(one) and _binary(two):
        one, two = one.astype(bool), two.astype(bool)
        return paired_shares(int((one & ~two).sum()), int((two & ~one).sum()), len(one))
    differences = one.astype(float) - two.astype(float)
    if not np.isfinite(differences).all():
        raise ValueError("the score of an image is not finite")
    found = mean(differences)
    if found is None:
        raise ValueError(f"{len(one)} image: the interval of a difference of real scores needs two or more")
    return found


def _binary(scores: NDArray[np.generic]) -> bool:
    return scores.dtype == bool or bool(((scores == 0) | (scores == 1)).all())


def paired_shares(gained: int, lost: int, n: int) -> Estimate:
    """The difference of two shares of the same `n` images with its score interval; all in [-1, 1].

    T. Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17:891-908. The width is not 0 if no image differs: 2 Z^2 / (n + Z^2).
    `python -m benchmarks paired_coverage` compares its coverage with that of other intervals.

    Args:
        gained, lost: number of images that only the first, and only the second, gets right.

    Raises:
        ValueError: if n < 1, a count is negative, or gained + lost > n.
    """
    if n < 1 or min(gained, lost) < 0 or gained + lost > n:
        raise ValueError(f"{gained} gained and {lost} lost of {n} images are no counts of pairs")
    gap = (gained - lost) / n
    return Estimate(gap, min(gap, -_tango(lost, gained, n)), max(gap, _tango(gained, lost, n)))


def _tango(gained: int, lost: int, n: int) -> float:
    """The upper limit: the largest difference that the score test does not reject."""

    def excess(gap: float) -> float:
        b, c = (2 * n - gained + lost) * gap - gained - lost, lost * gap * (1 - gap)
        lost_share = (sqrt(max(0.0, b * b + 8 * n * c)) - b) / (4 * n)  # most likely share of `lost` at this difference
        variance = n * (2 * lost_share + gap * (1 - gap))
        return n * gap - gained + lost - Z * sqrt(max(0.0, variance))

    return bisect(excess, (gained - lost) / n, 1.0)


def bisect(rising: Callable[[float], float], low: float, high: float, steps: int = 200) -> float:
    """The root of a rising function between two points; an end if it has none."""
    for _ in range(steps):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def student(centre: float, error: float, degrees: float, alpha: float = 0.05) -> Estimate:
    """A value with its interval by Student's t. error: its standard error. alpha: 1 less the level of the interval."""
    from scipy.special import stdtrit  # it takes longer to load than `runs show` runs

    half = float(stdtrit(degrees, 1 - alpha / 2)) * error
    return Estimate(centre, centre - half, centre + half)
