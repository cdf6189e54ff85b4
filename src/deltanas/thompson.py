"""Thompson sampling with normal rewards: which of several arms to try next, by what each of them gained so far.

S. Agrawal, N. Goyal (2013), "Further optimal regret bounds for Thompson sampling", AISTATS, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from statistics import fmean

SPREAD = 0.05
"""Standard deviation of the gain in accuracy within an arm, before two of one were measured."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the arms: number and sum of the gains of each, the mean of all, the scatter within arms."""

    counts: Mapping[str, int]
    sums: Mapping[str, float]
    prior: float
    spread: float

    @classmethod
    def of(cls, gains: Mapping[str, Sequence[float]]) -> Known:
        everything = [gain for values in gains.values() for gain in values]
        return cls(
            {arm: len(values) for arm, values in gains.items()},
            {arm: sum(values) for arm, values in gains.items()},
            fmean(everything) if everything else 0.0,
            pooled(gains),
        )


def thompson(known: Known, rng: Random) -> Callable[[Sequence[str]], str]:
    """Draws a mean gain for each arm from its posterior, and takes the arms in the order of the draws.

    An arm's posterior after n gains is normal, around (their sum + m) / (n + 1), with standard deviation
    s / sqrt(n + 1). m: the mean of all gains. s: the standard deviation of gains within an arm, pooled.
    """
    drawn: dict[str, float] = {}

    def chosen(arms: Sequence[str]) -> str:
        for arm in sorted(set(arms) - set(drawn)):
            count = known.counts.get(arm, 0) + 1
            drawn[arm] = rng.gauss((known.sums.get(arm, 0) + known.prior) / count, known.spread / sqrt(count))
        return max(arms, key=lambda arm: drawn[arm])

    return chosen


def pooled(gains: Mapping[str, Sequence[float]]) -> float:
    """Standard deviation within arms, over those with two gains or more; `SPREAD` where there is none.

    So it is where all gains are alike, as where nothing gained yet: by draws without spread the first arm would win.
    """
    several = [(fmean(values), values) for values in gains.values() if len(values) > 1]
    if not several:
        return SPREAD
    squares = sum((gain - mean) ** 2 for mean, values in several for gain in values)
    return sqrt(squares / sum(len(values) - 1 for _, values in several)) or SPREAD
