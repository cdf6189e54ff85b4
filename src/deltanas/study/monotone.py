"""Does quality rise from cycle to cycle? Means, a trend test, and each falling step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from deltanas.intervals import Estimate, mean, welch
from deltanas.study.blocks import holm
from deltanas.study.estimate import Absent, Floats, LackingError, column, same_length
from deltanas.wording import counted


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
        held = f"{counted(len(groups), 'cycle')} and {counted(n, 'candidate')}"
        raise LackingError(f"{held} with a score: a trend needs two and three or more")
    if len(np.unique(np.concatenate(groups))) == 1:
        raise LackingError("all candidates have the same score: there is no trend to test")
    trend = _trend(cycles, groups)
    single = Absent("1 value: an interval needs two or more")
    rows = tuple(CycleMean(c, len(g), mean(g) or single) for c, g in zip(cycles, groups, strict=True))
    return Monotone(rows, trend, _falls(cycles, groups), _verdict(trend))


def _by_cycle(cycle: ArrayLike, quality: ArrayLike) -> tuple[list[int], list[Floats]]:
    when, score = column(cycle, "cycle"), column(quality, "quality")
    same_length(cycle=when, quality=score)
    used = ~(np.isnan(when) | np.isnan(score))
    cycles = np.unique(when[used])
    return [int(c) for c in cycles], [np.sort(score[used & (when == c)]) for c in cycles]


def _trend(cycles: list[int], groups: list[Floats]) -> Trend:
    when = np.repeat(cycles, [len(g) for g in groups])
    found = stats.kendalltau(when, np.concatenate(groups), method="asymptotic")
    means = [float(g.mean()) for g in groups]
    over_means = None
    if len(means) >= 4:
        over_means = float(stats.kendalltau(cycles, means).pvalue) if len(set(means)) > 1 else 1.0
    return Trend(float(found.statistic), float(found.pvalue), over_means)


def _falls(cycles: list[int], groups: list[Floats]) -> tuple[Fall, ...]:
    steps = [_step(a, b) for a, b in pairwise(groups)]
    corrected = iter(holm([p for _, p in steps if p is not None]).tolist())
    tested = [(change, None if p is None else next(corrected)) for change, p in steps]
    return tuple(Fall(cycle, -change, p) for cycle, (change, p) in zip(cycles[1:], tested, strict=True) if change < 0)


def _step(before: Floats, after: Floats) -> tuple[float, float | None]:
    """The change of the mean, and the one-sided p value of a fall."""
    found = welch(after, before)
    if found is None or found[1] == 0:
        return float(after.mean() - before.mean()), None
    change, error, degrees = found
    return change, float(special.stdtr(degrees, change / error))


def _verdict(trend: Trend) -> str:
    if trend.p >= 0.05:
        return f"No trend is shown (p = {trend.p:.2g})."
    way = "rises" if trend.tau > 0 else "falls"
    sure = (
        "" if trend.p_means is None or trend.p_means < 0.05 else "; over the means of the cycles alone it is not shown"
    )
    return f"Quality {way} over the cycles (p = {trend.p:.2g}){sure}."
