"""How large is a difference of two treatments? Mean, ranks, and the chance that it is of practical size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from deltanas.intervals import Estimate, student, wilson
from deltanas.study.estimate import Floats, LackingError, differences_of
from deltanas.wording import counted

ROPE = 0.01
"""Half the width of the region of practical equivalence: one point of accuracy."""
PRIOR = 0.5
"""Weight of the pseudo-observation at no difference."""
_DRAWS = 10_000
_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Posterior:
    """Probabilities that the first is better than the second by more than the region, that they are equivalent, that it
    is worse; they sum to 1."""

    better: float
    equivalent: float
    worse: float


def mean_difference(values: Floats, alpha: float = 0.05) -> Estimate:
    """Mean of two differences or more with Student's interval. alpha: 1 less the level of the interval."""
    n = len(values)
    return student(float(values.mean()), float(values.std(ddof=1)) / sqrt(n), n - 1, alpha)


def clustered(counts: ArrayLike, trials: ArrayLike) -> Estimate:
    """A share of trials that come in clusters, as the trainings of a network do, whose outcomes go together.

    Wilson's interval with the number of independent trials that would scatter as the clusters do, by the variance of a
    ratio estimate; with that of clusters where all trials end alike. J. N. K. Rao and A. J. Scott (1992), Biometrics
    48:577-585.

    Args:
        counts, trials: of each cluster; one trial or more in all.
    """
    found, tried = np.asarray(counts, float), np.asarray(trials, float)
    total, share = float(tried.sum()), float(found.sum() / tried.sum())
    clusters = int((tried > 0).sum())
    scatter = float(((found - share * tried) ** 2).sum())
    known = scatter > 1e-12 and clusters > 1
    size = share * (1 - share) * total**2 / scatter if known else total if 0 < share < 1 and clusters > 1 else clusters
    size = min(total, max(1.0, size))
    return wilson(share * size, size)


def detectable(differences: ArrayLike) -> float:
    """The mean difference that a paired t test at 5 % would find in 80 of 100 such sets of blocks."""
    values = differences_of(differences)
    n = len(values)
    reach = float(special.stdtrit(n - 1, 0.975) + special.stdtrit(n - 1, _POWER))
    return reach * float(values.std(ddof=1)) / sqrt(n)


def rank_biserial(differences: ArrayLike) -> Estimate:
    """Sum of the signed ranks as a share of all ranks: 1 if the first is better in each block, -1 if it is worse.

    D. S. Kerby (2014), Comprehensive Psychology 3:11.IT.3.1; as a mean over all pairs of blocks, J. W. Tukey's form of
    Wilcoxon's statistic. The interval is Wilson's of the share of pairs above 0, with Student's quantile and the number
    of blocks that would give the variance of a jackknife over blocks: chosen by simulation
    (`python -m benchmarks study_calibration`).

    Raises:
        LackingError: fewer than four blocks.
    """
    values = differences_of(differences)
    n = len(values)
    if n < 4:
        raise LackingError(f"{counted(n, 'network holds', 'networks hold')} both: this interval needs four or more")
    signs = np.sign((values[:, None] + values[None, :]).round(12))
    total = float(np.triu(signs).sum())
    share = (total / (n * (n + 1) / 2) + 1) / 2
    others = ((total - signs.sum(axis=1)) / (n * (n - 1) / 2) + 1) / 2
    variance = (n - 1) / n * float(((others - others.mean()) ** 2).sum())
    size = min(n, share * (1 - share) / variance) if 0 < share < 1 and variance > 1e-12 else 0.75 * n
    found = wilson(share * size, size, float(special.stdtrit(n - 1, 0.975)))
    return Estimate(2 * share - 1, 2 * found.low - 1, 2 * found.high - 1)


def signed_rank(differences: ArrayLike) -> Posterior:
    """The Bayesian signed-rank test, by seeded draws.

    A. Benavoli, G. Corani, F. Mangili, M. Zaffalon and F. Ruggeri (2014), ICML, PMLR 32:1026-1034; A. Benavoli,
    G. Corani, J. Demsar and M. Zaffalon (2017), JMLR 18(77):1-36. A posterior draw belongs to the region that holds the
    largest part of it.
    """
    values = differences_of(differences)
    draws = areas(values, _weights(len(values)))
    better, equivalent, worse = (np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)).tolist()
    return Posterior(better, equivalent, worse)


def areas(differences: ArrayLike, weights: Floats, rope: float = ROPE) -> Floats:
    """[draws, 3]: the part of each draw in which the mean of two differences is above, in, and below the region.

    weights: [draws, 1 + blocks] of the pseudo-observation at 0 and of the blocks; each row sums to 1.
    """
    values = np.concatenate([[0.0], np.asarray(differences, float)])
    sums = values[:, None] + values[None, :]
    above = np.heaviside(sums - 2 * rope, 0.5)
    below = np.heaviside(-sums - 2 * rope, 0.5)
    sides = [((weights @ side) * weights).sum(axis=1) for side in (above, below)]
    return np.stack([sides[0], 1 - sides[0] - sides[1], sides[1]], axis=1)


@cache
def _weights(blocks: int) -> Floats:
    return np.asarray(np.random.default_rng(0).dirichlet([PRIOR, *[1.0] * blocks], _DRAWS), float)
