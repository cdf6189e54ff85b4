"""How much of the scatter of a training's score is the block, how much each factor, their interaction, the seed?"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from deltanas.errors import DataError
from deltanas.intervals import Estimate
from deltanas.study.estimate import Floats, LackingError
from deltanas.wording import counted

_NONE = 1e-24
"""A variance that is no more than what the order of sums makes."""


EFFECTS = (
    "network", "loss", "optimizer",
    "loss x optimizer", "network x loss", "network x optimizer", "network x loss x optimizer",
    "seed",
)  # fmt: skip
"""Names of the sources of scatter in a grid whose blocks are networks and whose factors are losses and optimizers."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the variance, in the order of `EFFECTS`; they sum to 1. blocks: how many were complete."""

    blocks: int
    shares: tuple[Estimate, ...]


def variance_shares(cells: ArrayLike, noise: ArrayLike, seeds: float) -> Shares:
    """Shares of the variance of one training's score in a grid of blocks x two factors.

    The levels of the factors are those of the grid, blocks are a sample of blocks: method of moments of that mixed
    model, parts below 0 counted as 0. S. R. Searle, G. Casella and C. E. McCulloch (1992), Variance Components.
    Intervals by a jackknife over blocks on the arcsine scale with Student's quantile.

    Args:
        cells: [blocks, first, second] mean score of each cell, NaN where there is none; blocks that lack one are left
            out. noise: [blocks] variance of one training about its cell's mean. seeds: number of trainings of a cell,
            the harmonic mean.

    Raises:
        LackingError: fewer than four complete blocks, no scatter, or none but that of one block.
    """
    array = np.asarray(cells, float)
    if array.ndim != 3:
        raise DataError(f"cells of {array.ndim} dimensions", "give [blocks, first factor, second factor]")
    used = ~np.isnan(array).any(axis=(1, 2)) & ~np.isnan(np.asarray(noise, float))
    full, scatter = array[used], np.asarray(noise, float)[used]
    n = len(full)
    if n < 4:
        hold = counted(n, "network holds", "networks hold")
        raise LackingError(f"{hold} all combinations: shares of the variance need four or more")
    parts = _parts(full, scatter, seeds)
    if parts.sum() <= _NONE:
        raise LackingError("all scores are equal: there is no scatter to share")
    value = parts / parts.sum()
    others = [_parts(np.delete(full, one, axis=0), np.delete(scatter, one), seeds) for one in range(n)]
    if min(one.sum() for one in others) <= _NONE:
        raise LackingError("but for one network all scores are equal: the scatter is that of one network alone")
    angles = np.arcsin(np.sqrt([one / one.sum() for one in others]))
    centre = np.arcsin(np.sqrt(value))
    error = np.sqrt((n - 1) / n * ((angles - angles.mean(axis=0)) ** 2).sum(axis=0))
    half = float(special.stdtrit(n - 1, 0.975)) * error
    low, high = (np.sin(np.clip(end, 0, pi / 2)) ** 2 for end in (centre - half, centre + half))
    return Shares(
        n,
        tuple(
            Estimate(float(v), min(float(v), float(a)), max(float(v), float(b)))
            for v, a, b in zip(value, low, high, strict=True)
        ),
    )


def _parts(full: Floats, scatters: Floats, seeds: float) -> Floats:
    n, first, second = full.shape
    noise = float(scatters.mean())
    grand = full.mean(axis=(1, 2), keepdims=True)
    one = full.mean(axis=2, keepdims=True) - grand
    two = full.mean(axis=1, keepdims=True) - grand
    both = full - grand - one - two
    error = noise / seeds / (first * second)  # of a cell's mean, for each degree of freedom of an effect
    degrees = (first - 1, second - 1, (first - 1) * (second - 1))
    main, crossed = [], []
    for effect, freedom in zip((one, two, both), degrees, strict=True):
        centre = effect.mean(axis=0)
        scatter = float(((effect - centre) ** 2).mean(axis=(1, 2)).sum()) / (n - 1)
        main.append(float((centre**2).mean()) - scatter / n)
        crossed.append(scatter - freedom * error)
    block = float(grand.var(ddof=1)) - error
    return np.maximum(0.0, [block, *main, *crossed, noise])
