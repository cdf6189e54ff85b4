"""Does quality rise from cycle to cycle? Means, a trend test, and each falling step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from deltanas.study.estimate import Absent, Estimate, Floats, LackingError, column, mean, same_length

_EXACT = 40
"""Up to so many cycles without ties the exact distribution is used for the test over the means."""


@dataclass(frozen=True, slots=True)
class CycleMean:
    """`mean`: with Student's 95 % interval, in the unit of the quality; absent for one candidate."""

    cycle: int
    n: int
    mean: Estimate | Absent


@dataclass(frozen=True, slots=True)
class Fall:
    """A step to a lower mean. `p`: one-sided Welch test, Holm-corrected over all steps; None without a variance."""

    cycle: int
    fall: float
    p: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """Mann-Kendall's test.

    Attributes:
        tau: Kendall's tau-b between cycle and quality, over candidates. p: its two-sided p value, taking candidates as
            independent. p_means: the same over the means of the cycles: weaker, but it holds where the candidates of a
            cycle have something in common; None under four cycles, where it could not reject.
    """

    tau: float
    p: float
    p_means: float | None


@dataclass(frozen=True, slots=True)
class Monotone:
    """The second diagnostic."""

    cycles: tuple[CycleMean, ...]
    trend: Trend
    falls: tuple[Fall, ...]
    verdict: str


def monotone(cycle: ArrayLike, quality: ArrayLike) -> Monotone:
    """Mean quality per cycle, Mann-Kendall trend test, and the falling steps with Holm-corrected p values.

    H. B. Mann (1945), Econometrica 13:245-259; M. G. Kendall (1975), Rank Correlation Methods, with its correction of
    the variance for ties; B. L. Welch (1947), Biometrika 34:28-35; S. Holm (1979), Scandinavian Journal of Statistics
    6:65-70.

    Args:
        cycle: of each candidate. quality: its score; NaN is left out.

    Raises:
        LackingError: fewer than two cycles or three candidates with a score, or all scores equal.
    """
    cycles, groups = _by_cycle(cycle, quality)
    n = sum(map(len, groups))
    if len(groups) < 2 or n < 3:
        raise LackingError(f"{len(groups)} cycles and {n} candidates with a score: a trend needs two and three or more")
    if len(np.unique(np.concatenate(groups))) == 1:
        raise LackingError("all candidates have the same score: there is no trend to test")
    trend = _trend(groups)
    rows = tuple(CycleMean(c, len(g), _mean(g)) for c, g in zip(cycles, groups, strict=True))
    return Monotone(rows, trend, _falls(cycles, groups), _verdict(trend))


def _by_cycle(cycle: ArrayLike, quality: ArrayLike) -> tuple[list[int], list[Floats]]:
    when, score = column(cycle, "cycle"), column(quality, "quality")
    same_length(cycle=when, quality=score)
    used = ~(np.isnan(when) | np.isnan(score))
    cycles = np.unique(when[used])
    return [int(c) for c in cycles], [np.sort(score[used & (when == c)]) for c in cycles]


def _mean(values: Floats) -> Estimate | Absent:
    try:
        return mean(values)
    except LackingError as lacking:
        return Absent(lacking.message)


def _trend(groups: list[Floats]) -> Trend:
    s, variance, pairs = _kendall(groups)
    p = float(2 * special.ndtr(-abs(s) / sqrt(variance))) if variance > 0 else 1.0
    return Trend(s / pairs if pairs else 0.0, p, _p_means([float(g.mean()) for g in groups]))


def _kendall(groups: list[Floats]) -> tuple[int, float, float]:
    """S, its variance without a trend, and tau-b's denominator; groups are sorted."""
    s = 0
    for late in range(1, len(groups)):
        earlier = np.sort(np.concatenate(groups[:late]))
        above = np.searchsorted(earlier, groups[late], "left")
        upto = np.searchsorted(earlier, groups[late], "right")
        s += int((above + upto - len(earlier)).sum())
    t = np.array([len(g) for g in groups], float)
    u = np.unique(np.concatenate(groups), return_counts=True)[1].astype(float)
    n = float(t.sum())
    whole = n * (n - 1) * (2 * n + 5)
    variance = (whole - float((t * (t - 1) * (2 * t + 5)).sum()) - float((u * (u - 1) * (2 * u + 5)).sum())) / 18
    ties = [(float((x * (x - 1)).sum()), float((x * (x - 1) * (x - 2)).sum())) for x in (t, u)]
    variance += ties[0][1] * ties[1][1] / (9 * n * (n - 1) * (n - 2))
    variance += ties[0][0] * ties[1][0] / (2 * n * (n - 1))
    return s, variance, sqrt((n * (n - 1) - ties[0][0]) * (n * (n - 1) - ties[1][0])) / 2


def _p_means(means: list[float]) -> float | None:
    n = len(means)
    if n < 4:
        return None
    s, variance, _ = _kendall([np.array([m]) for m in means])
    if len(set(means)) < n or n > _EXACT:
        return 1.0 if variance <= 0 else min(1.0, float(2 * special.ndtr(-(abs(s) - 1) / sqrt(variance))))
    counts = np.ones(1)  # orders of 1, 2, ... items by their number of inversions
    for size in range(2, n + 1):
        counts = np.convolve(counts, np.ones(size)) / size
    inversions = (n * (n - 1) // 2 - abs(s)) // 2
    return min(1.0, 2 * float(counts[: inversions + 1].sum()))


def _falls(cycles: list[int], groups: list[Floats]) -> tuple[Fall, ...]:
    steps = [_welch(a, b) for a, b in pairwise(groups)]
    corrected = _holm([p for _, p in steps])
    return tuple(
        Fall(cycle, -change, p)
        for cycle, (change, _), p in zip(cycles[1:], steps, corrected, strict=True)
        if change < 0
    )


def _welch(before: Floats, after: Floats) -> tuple[float, float | None]:
    """The change of the mean, and the one-sided p value of a fall."""
    change = float(after.mean() - before.mean())
    if min(len(before), len(after)) < 2:
        return change, None
    a, b = (float(v.var(ddof=1)) / len(v) for v in (before, after))
    if a + b == 0:
        return change, None
    df = (a + b) ** 2 / (a * a / (len(before) - 1) + b * b / (len(after) - 1))
    return change, float(special.stdtr(df, change / sqrt(a + b)))


def _holm(values: list[float | None]) -> list[float | None]:
    tested = sorted((p, place) for place, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        corrected[place] = largest
    return corrected


def _verdict(trend: Trend) -> str:
    if trend.p >= 0.05:
        return f"No trend is shown (p = {trend.p:.2g})."
    way = "rises" if trend.tau > 0 else "falls"
    sure = (
        "" if trend.p_means is None or trend.p_means < 0.05 else "; over the means of the cycles alone it is not shown"
    )
    return f"Quality {way} over the cycles (p = {trend.p:.2g}){sure}."
