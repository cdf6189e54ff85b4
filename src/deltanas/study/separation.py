"""Does the ranking so far tell the best programs from the rest, and what does a wrong choice cost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from deltanas.intervals import Estimate
from deltanas.study.components import components_of, grouped
from deltanas.study.estimate import LackingError
from deltanas.wording import counted

CLEAR, PARTLY = 0.8, 0.5
"""Share of the picked that are truly among the best from which on a ranking separates them, and in part."""
_DRAWS, _LEVELS = 2000, 4_000_000
"""Draws, and the most levels that are drawn in all, but for a tenth of the draws at least."""


@dataclass(frozen=True, slots=True)
class Separation:
    """What picking the `top` programs by their mean score is expected to come to, in units of the score.

    Attributes:
        snr: of one training. hits: how many of the picked are expected to be among the truly best `top`.
        regret: expected mean level of the truly best `top`, less that of the picked. by_chance: the same regret of a
            pick by chance.
    """

    programs: int
    top: int
    snr: Estimate
    hits: float
    regret: float
    by_chance: float
    verdict: str


def separation(program: Sequence[str], score: ArrayLike, top: int) -> Separation:
    """Expected regret of picking the best `top` programs by their mean score.

    Under the one-way random-effects model with its estimated variances, a program's level given its n scores is normal
    with mean mu + w (mean - mu) and variance w var_noise / n, w = n var_arch / (n var_arch + var_noise)
    (C. R. Henderson (1975), Biometrics 31:423-447); the expectations are means over seeded draws from it. The
    variances are taken as known: with few programs and a low SNR the regret comes out too small.

    Args:
        program: name of the program of each training. score: its score; NaN is left out.

    Raises:
        LackingError: no repeats, or not more than `top` programs.
    """
    groups = grouped(program, score, "score")
    k = len(groups.names)
    if not 0 < top < k:
        raise LackingError(f"{counted(k, 'program')} with a score: there is no choice of {top} to make")
    found = components_of(groups)
    arch, noise = found.var_arch.value, found.var_noise.value
    n = groups.sizes
    weight = n * arch / (n * arch + noise)
    centre = float((weight * groups.means).sum() / weight.sum()) if arch > 0 else float(groups.means.mean())
    expected = centre + weight * (groups.means - centre)
    # Where the scores tell nothing, all are expected to be alike, and the pick goes by the means.
    picked = np.lexsort((-groups.means, -expected))[:top]
    rng = np.random.default_rng(0)
    draws = max(_DRAWS // 10, min(_DRAWS, _LEVELS // k))
    levels = expected + rng.normal(size=(draws, k)) * np.sqrt(weight * noise / n)
    best = np.argpartition(-levels, top - 1, axis=1)[:, :top]
    reached = float(np.take_along_axis(levels, best, 1).mean())
    regret = reached - float(levels[:, picked].mean())
    hits = float(np.isin(best, picked).sum(1).mean())
    by_chance = reached - float(levels.mean())
    return Separation(k, top, found.snr, hits, regret, by_chance, _verdict(top, hits, regret, by_chance, found.snr))


def ranking_so_far(trainings: Sequence[tuple[str, float]], top: int) -> str:
    """One line on what picking the best `top` by these (program, score) pairs is worth."""
    try:
        return separation([name for name, _ in trainings], [score for _, score in trainings], top).verdict
    except LackingError as lacking:
        return f"it is not known how well the ranking separates the best from the rest: {lacking.message}"


def _verdict(top: int, hits: float, regret: float, by_chance: float, snr: Estimate) -> str:
    if snr.low == 0:
        return f"the repeats do not tell the programs apart (SNR {snr.value:.2g}, at most {snr.high:.2g})"
    share = hits / top
    words = "separates" if share >= CLEAR else "partly separates" if share >= PARTLY else "hardly separates"
    return (
        f"the ranking {words} the best {top} from the rest: about {hits:.1f} of them are truly among the best; "
        f"expected regret {regret:.2g}, by chance {by_chance:.2g} (SNR {snr:.2g})"
    )
