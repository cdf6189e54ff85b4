"""Do groups of things hold all of them, and all pairs, equally often? Chi-square, exact in its first two moments.

Things of one group are different, so their counts are not independent as those of throws are: the deviations of pairs
split into those of their things and what is left (the eigenspaces of the Johnson scheme), each with a variance of its
own. Divided by these, the squares add up to chi-square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from deltanas.study.estimate import LackingError


@dataclass(frozen=True, slots=True)
class Evenness:
    """Counts of what was drawn against draws by chance alone.

    Attributes:
        least, most, expected: number of groups that hold one of them. missing: how many are in none.
        chi2, degrees, p: p is the probability of at least so much unevenness, if all groups are equally likely.
    """

    least: int
    most: int
    expected: float
    missing: int
    chi2: float
    degrees: int
    p: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """groups: how many. repeats: how many of them were there before."""

    groups: int
    repeats: int
    families: Evenness
    pairs: Evenness


def coverage(groups: Sequence[Sequence[int]], pool: int) -> Coverage:
    """Of groups of one size among things 0 to `pool` - 1. Raises LackingError where there is nothing to compare."""
    sizes = {len(set(group)) for group in groups}
    if not groups or len(sizes) != 1:
        raise LackingError(
            "groups of one size are compared, and there are none" if not groups else "groups differ in size"
        )
    (size,) = sizes
    if size < 2 or size >= pool:
        raise LackingError(f"{size} of {pool} are in each group, so there is nothing to draw")
    n = len(groups)
    singles = Counter(one for group in groups for one in group)
    pairs = Counter(pair for group in groups for pair in combinations(sorted(group), 2))
    counts = np.array([singles[one] for one in range(pool)], float)
    together = np.array([pairs[pair] for pair in combinations(range(pool), 2)], float)
    of_families = _squares(counts) / (n * size * (pool - size) / (pool * (pool - 1)))
    left, variance = _beyond(together, counts, size, pool)
    of_pairs = of_families + (left / (n * variance) if variance > 1e-12 else 0.0)
    degrees = pool - 1 + (pool * (pool - 3) // 2 if variance > 1e-12 else 0)
    repeats = n - len({frozenset(group) for group in groups})
    return Coverage(n, repeats, _evenness(counts, of_families, pool - 1), _evenness(together, of_pairs, degrees))


def _squares(counts: np.ndarray) -> float:
    return float(((counts - counts.mean()) ** 2).sum())


def _beyond(pairs: np.ndarray, singles: np.ndarray, size: int, pool: int) -> tuple[float, float]:
    """Squared deviations of the pairs that those of their things do not explain, and their variance in one group."""
    explained = (size - 1) ** 2 * _squares(singles) / (pool - 2) if pool > 2 else 0.0
    two = size * (size - 1) / (pool * (pool - 1))
    three = two * (size - 2) / (pool - 2) if pool > 2 else 0.0
    four = three * (size - 3) / (pool - 3) if pool > 3 else 0.0
    return max(0.0, _squares(pairs) - explained), two - 2 * three + four


def _evenness(counts: np.ndarray, chi2: float, degrees: int) -> Evenness:
    return Evenness(
        int(counts.min()),
        int(counts.max()),
        float(counts.mean()),
        int((counts == 0).sum()),
        chi2,
        degrees,
        float(stats.chi2.sf(chi2, degrees)),
    )
