"""Treatments compared over blocks: Friedman's test and what follows it, over plain arrays.

A block is a place where each treatment was tried, here a network. Scores are [blocks, treatments], higher
is better, NaN where a treatment was not tried. Tests over all treatments use the blocks that hold all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations
from math import factorial, inf, nan, prod, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from deltanas.errors import DataError
from deltanas.study.estimate import Floats, LackingError, differences_of
from deltanas.wording import counted

ALPHA = 0.05
LEAST = 3
"""Blocks that a comparison needs at least."""
_EXACT = 50
_DIGITS = 12
"""Digits in which two scores differ, or are tied: what the order of a sum moves is no difference."""


@dataclass(frozen=True, slots=True)
class Friedman:
    """M. Friedman (1937), JASA 32:675-701, corrected for ties; R. L. Iman and J. M. Davenport (1980), Communications in
    Statistics A 9:571-595.

    Attributes:
        blocks, treatments: how many were compared. mean_ranks: of each treatment, 1 the best, ties share theirs.
        chi2, chi2_p: Friedman's statistic and its p value. f, p: Iman and Davenport's, less conservative. Where all
            blocks rank alike f is infinite, and p exact: the chance that the others rank as the first does.
        critical_difference: Nemenyi's, of two mean ranks at 5 %; the largest difference there can be is treatments - 1.
        cliques: places of treatments, best first, that are not told apart by it.
    """

    blocks: int
    treatments: int
    mean_ranks: Floats
    chi2: float
    chi2_p: float
    f: float
    p: float
    critical_difference: float
    cliques: tuple[tuple[int, ...], ...]


def table(scores: ArrayLike) -> Floats:
    """Scores as [blocks, treatments]. Raises DataError on another form, or an infinite score."""
    array = np.asarray(scores, float)
    if array.ndim != 2:
        raise DataError(f"scores of {array.ndim} dimensions", "give [blocks, treatments]")
    if np.isinf(array).any():
        block, treatment = np.argwhere(np.isinf(array))[0]
        raise DataError(f"an infinite score of treatment {treatment} in block {block}", "give NaN where there is none")
    return array.round(_DIGITS)


def complete(scores: ArrayLike) -> Floats:
    """The blocks that hold all treatments."""
    array = table(scores)
    return array[~np.isnan(array).any(axis=1)]


def mean_ranks(scores: ArrayLike) -> Floats:
    """Mean rank of each treatment over the complete blocks: 1 is the best, ties share theirs."""
    return np.asarray(stats.rankdata(-complete(scores), axis=1).mean(axis=0), float)


def friedman(scores: ArrayLike) -> Friedman:
    """Are three or more treatments alike? With Nemenyi's critical difference of their mean ranks.

    Raises:
        LackingError: fewer than three treatments, fewer than three complete blocks, or all scores of each block equal.
    """
    full = complete(scores)
    n, k = full.shape
    if k < 3:
        raise LackingError(f"{k} treatments: Friedman's test compares three or more")
    if n < LEAST:
        hold = counted(n, "network holds", "networks hold")
        raise LackingError(f"{hold} all {k} treatments: a comparison needs {LEAST} or more")
    ranks = stats.rankdata(-full, axis=1)
    centre = (k + 1) / 2
    spread = float(((ranks - centre) ** 2).sum())
    if spread == 0:
        raise LackingError("all treatments have the same score in each block: there is nothing to rank")
    means = ranks.mean(axis=0)
    chi2 = (k - 1) * n * n * float(((means - centre) ** 2).sum()) / spread
    rest = n * (k - 1) - chi2
    chi2_p = float(special.chdtrc(k - 1, chi2))
    f = (n - 1) * chi2 / rest if rest > 1e-9 * chi2 else inf
    p = float(special.fdtrc(k - 1, (k - 1) * (n - 1), f)) if f < inf else _orders(ranks[0]) ** float(1 - n)
    difference = critical_difference(k, n)
    return Friedman(n, k, means, chi2, chi2_p, f, p, difference, cliques(means, difference))


def _orders(ranks: Floats) -> int:
    """Number of ways in which these ranks can be given to the treatments."""
    return factorial(len(ranks)) // prod(factorial(count) for count in np.unique(ranks, return_counts=True)[1].tolist())


@cache
def critical_difference(treatments: int, blocks: int) -> float:
    """Nemenyi's, of two mean ranks at 5 %.

    P. B. Nemenyi (1963), Distribution-free multiple comparisons, thesis, Princeton; J. Demsar (2006), JMLR 7:1-30.
    """
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, treatments, inf))
    return quantile * _error(treatments, blocks)


def nemenyi(test: Friedman, one: int, other: int) -> float:
    """p value of two treatments of a test, by their places."""
    apart = abs(float(test.mean_ranks[one] - test.mean_ranks[other])) / _error(test.treatments, test.blocks)
    return float(stats.studentized_range.sf(apart, test.treatments, inf))


def _error(treatments: int, blocks: int) -> float:
    return sqrt(treatments * (treatments + 1) / (12 * blocks))


def cliques(ranks: ArrayLike, difference: float) -> tuple[tuple[int, ...], ...]:
    """Largest groups of two or more whose mean ranks lie within a critical difference, each and all best first."""
    means = np.asarray(ranks, float)
    order = np.argsort(means, kind="stable")
    found: list[tuple[int, ...]] = []
    reached = 0
    for first in range(len(order)):
        last = int(np.searchsorted(means[order], means[order[first]] + difference, "left"))
        if last - first > 1 and last > reached:
            found.append(tuple(int(place) for place in order[first:last]))
        reached = max(reached, last)
    return tuple(found)


def wilcoxon(differences: ArrayLike) -> float:
    """Two-sided p value of the signed-rank test, 1 where all differences are 0. Up to 50 of them exact, ties too.

    F. Wilcoxon (1945), Biometrics Bulletin 1:80-83. Differences of 0 are left out, as he did.
    """
    values = differences_of(differences).round(_DIGITS)
    values = values[values != 0]
    if len(values) == 0:
        return 1.0
    if len(values) > _EXACT:
        return float(stats.wilcoxon(values, method="asymptotic").pvalue)
    ranks = np.rint(2 * stats.rankdata(np.abs(values))).astype(int)  # twice, so that ties have whole ones
    chances = _chances(tuple(sorted(ranks.tolist())))
    above = int(ranks[values > 0].sum())
    return min(1.0, 2 * float(min(chances[: above + 1].sum(), chances[above:].sum())))


def wilcoxon_rows(differences: Floats) -> Floats:
    """The p value of each row; quick where rows have neither ties nor zeros."""
    found = np.array([nan if _plain(row) else wilcoxon(row) for row in differences], float)
    plain = np.isnan(found)
    if plain.any():
        rows = differences[plain]
        n = rows.shape[1]
        chances = _chances(tuple(range(2, 2 * n + 1, 2)))
        sides = np.minimum(np.cumsum(chances), np.cumsum(chances[::-1])[::-1])
        above = ((rows > 0) * (np.argsort(np.argsort(np.abs(rows), axis=1), axis=1) + 1)).sum(axis=1)
        found[plain] = np.minimum(1.0, 2 * sides[2 * above])
    return found


def _plain(row: Floats) -> bool:
    sizes = np.sort(np.abs(row.round(_DIGITS)))
    return len(row) <= _EXACT and bool(sizes[0] > 0) and bool((np.diff(sizes) > 0).all())


@lru_cache(maxsize=256)
def _chances(ranks: tuple[int, ...]) -> Floats:
    """Of each sum of the ranks above 0, where each is there or not with even chance."""
    chances = np.zeros(sum(ranks) + 1)
    chances[0] = 1.0
    for rank in ranks:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    return chances


def holm(values: ArrayLike) -> Floats:
    """p values corrected for their number. S. Holm (1979), Scandinavian Journal of Statistics 6:65-70."""
    raw = np.asarray(values, float)
    order = np.argsort(raw, kind="stable")
    steps = np.maximum.accumulate(raw[order] * (len(raw) - np.arange(len(raw))))
    corrected = np.empty(len(raw))
    corrected[order] = np.minimum(1.0, steps)
    return corrected


def pairs(treatments: int) -> tuple[tuple[int, int], ...]:
    """All pairs, in the order of the table."""
    return tuple(combinations(range(treatments), 2))


def blocks_needed(number: int) -> int:
    """Blocks from which on Wilcoxon's test with Holm's correction can reject one of so many pairs."""
    blocks = 1
    while number * 2.0 ** (1 - blocks) >= ALPHA:
        blocks += 1
    return blocks
