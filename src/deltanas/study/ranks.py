"""Spearman's correlation between one training of each program and its target, from programs with several trainings."""

from __future__ import annotations

from itertools import combinations
from math import comb, sqrt
from random import Random

import numpy as np
from scipy import special

from deltanas.intervals import Estimate, Z
from deltanas.study.components import Groups
from deltanas.study.estimate import Floats, Integers, LackingError
from deltanas.wording import counted

SUBSETS = 60
"""Largest number of ways to choose R trainings of a program that are averaged."""
_BLOCK = 256
"""Programs compared at a time, to bound the memory."""


def spearman(proxy: Groups, target: Groups) -> Estimate:
    """Spearman's rho between the score of one training of each program and its target, averaged over the choices.

    For one score a program this is the ordinary coefficient with midranks. With several, each program's rank is its
    mean rank over all ways to choose one score of every program; so all trainings are used, and the coefficient is
    still that of one. Where the target has several values too, they are chosen independently of the proxy's.

    The interval is a jackknife over programs on Fisher's scale with Student's quantile at k - 1, its centre moved by
    half the jackknife's correction of the bias and its variance times k / (k - 2): both chosen by simulation
    (`python -m benchmarks study_calibration`). At a perfect agreement, where a jackknife sees no variance, that of
    D. G. Bonett and T. A. Wright (2000), Psychometrika 65:23-28, is used.

    Args:
        proxy, target: the same programs in the same order.

    Raises:
        LackingError: fewer than four programs, or all proxies or all targets equal.
    """
    k = len(proxy.names)
    if k < 4:
        raise LackingError(
            f"{counted(k, 'program has', 'programs have')} both scores: a rank correlation needs four or more"
        )
    x, y = _mean_ranks(proxy), _mean_ranks(target)
    spread = _scale(proxy, target)
    value = min(1.0, max(-1.0, float(x @ y) / spread))
    # What k - 1 programs without ties would give, with the ties' share taken from all k.
    left_out = _left_out(proxy, target, x, y) / spread * (k + 1) / (k - 2)
    limit = _limit(k)
    z, others = np.arctanh(np.clip(value, -limit, limit)), np.arctanh(np.clip(left_out, -limit, limit))
    variance = (k - 1) / k * float(((others - others.mean()) ** 2).sum())
    if variance < 1e-18:
        variance = (1 + value * value / 2) / (k - 3)
    centre = z + (k - 1) * (z - others.mean()) / 2
    half = float(special.stdtrit(k - 1, 0.975)) * sqrt(variance * k / (k - 2))
    low = -1.0 if value <= -limit else min(value, float(np.tanh(centre - half)))
    high = 1.0 if value >= limit else max(value, float(np.tanh(centre + half)))
    return Estimate(value, low, high)


def fisher(rho: float, k: int) -> Estimate:
    """A rank correlation of `k` >= 4 pairs with the interval of Bonett and Wright (2000)."""
    z, half = np.arctanh(np.clip(rho, -_limit(k), _limit(k))), Z * sqrt((1 + rho * rho / 2) / (k - 3))
    return Estimate(rho, min(rho, float(np.tanh(z - half))), max(rho, float(np.tanh(z + half))))


def _limit(k: int) -> float:
    """Half the step from perfect agreement to one swap: Fisher's scale has no place for 1."""
    return 1 - 6 / (k**3 - k)


def coefficient(proxy: Groups, target: Groups) -> float:
    """The value of `spearman` alone. Raises LackingError where all proxies or all targets are equal."""
    return float(_mean_ranks(proxy) @ _mean_ranks(target)) / _scale(proxy, target)


def _scale(proxy: Groups, target: Groups) -> float:
    scale = sqrt(_spread(proxy) * _spread(target))
    if scale == 0:
        raise LackingError("all programs have the same score or the same target: there is nothing to rank")
    return scale


def averaged(groups: Groups, repeats: int) -> Groups:
    """The means of every choice of `repeats` scores of each program; programs with fewer are left out.

    If a program has more than `SUBSETS` choices, `SUBSETS` are drawn, by a seed of their own.
    """
    if repeats == 1:
        return groups
    names: list[str] = []
    place: list[int] = []
    score: list[float] = []
    for index, name in enumerate(groups.names):
        values = groups.score[groups.place == index]
        if len(values) < repeats:
            continue
        place += [len(names)] * min(SUBSETS, comb(len(values), repeats))
        score += [float(values[list(chosen)].mean()) for chosen in _choices(len(values), repeats)]
        names.append(name)
    return Groups(tuple(names), np.array(place, np.int64), np.array(score, float))


def _choices(n: int, size: int) -> list[tuple[int, ...]]:
    if comb(n, size) <= SUBSETS:
        return list(combinations(range(n), size))
    rng = Random(0)
    return [tuple(rng.sample(range(n), size)) for _ in range(SUBSETS)]


def _mean_ranks(groups: Groups) -> Floats:
    """Each program's mean midrank, less (k + 1) / 2, over all ways to choose one score of every program."""
    weight = 1 / groups.sizes[groups.place]
    order = np.argsort(groups.score, kind="stable")
    score = groups.score[order]
    cumulated = np.concatenate([[0.0], np.cumsum(weight[order])])
    below = cumulated[np.searchsorted(score, groups.score, "left")]
    upto = cumulated[np.searchsorted(score, groups.score, "right")]
    k = len(groups.names)
    # A program's own scores count as half below one another; the mean rank is (k + 1) / 2.
    return np.asarray(np.bincount(groups.place, weight * (below + upto) / 2, k) - k / 2, float)


def _spread(groups: Groups) -> float:
    """Expected sum of squares of the midranks: (k^3 - k) / 12, less what ties take."""
    k = len(groups.names)
    distinct, value = np.unique(groups.score, return_inverse=True)
    if len(distinct) == len(value):
        return (k**3 - k) / 12
    share = 1 / groups.sizes[groups.place]
    keys, at = np.unique(np.stack([value, groups.place]), axis=1, return_inverse=True)
    p = np.bincount(at.ravel(), share)
    s1, s2, s3 = (np.bincount(keys[0], p**power) for power in (1, 2, 3))
    pairs, triples = s1**2 - s2, s1**3 - 3 * s1 * s2 + 2 * s3
    return max(0.0, (k**3 - k) / 12 - float((3 * pairs + triples).sum()) / 12)


def _left_out(proxy: Groups, target: Groups, x: Floats, y: Floats) -> Floats:
    """The sum of products of mean ranks with each program left out in turn."""
    k = len(x)
    sums = np.empty(k)
    for start in range(0, k, _BLOCK):
        block = np.arange(start, min(k, start + _BLOCK))
        rest = (x - (_below(proxy, block) - 0.5)) * (y - (_below(target, block) - 0.5))
        rest[np.arange(len(block)), block] = 0.0
        sums[block] = rest.sum(1)
    return sums


def _below(groups: Groups, block: Integers) -> Floats:
    """P(score of program i < that of program j), ties half, for i in the block and every j: [len(block), k]."""
    k, sizes = len(groups.names), groups.sizes
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    result = np.empty((len(block), k))
    for row, program in enumerate(block):
        own = np.sort(groups.score[starts[program] : starts[program] + sizes[program]])
        rank = np.searchsorted(own, groups.score, "left") + np.searchsorted(own, groups.score, "right")
        result[row] = np.add.reduceat(rank / (2 * len(own)), starts) / sizes
    return result
