"""A bandit over the kinds of edits, without a model: the control that learns which kind of edit pays.

Thompson sampling with normal rewards: S. Agrawal, N. Goyal (2013), "Further optimal regret bounds for Thompson
sampling", AISTATS, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from statistics import fmean

from deltanas.journal import Journal
from deltanas.propose.prior import RecipePrior
from deltanas.propose.random import RandomProposer
from deltanas.propose.space import Space
from deltanas.propose.strategy import Strategy
from deltanas.seams import Ask, Builds

SPREAD = 0.05
"""Standard deviation of the gain in accuracy among edits of one kind, before two of a kind were measured."""


class BanditProposer(RandomProposer):
    """An edit as the control draws it, of the kind whose gain, drawn from what the run knows of it, is the highest."""

    strategy = "bandit"

    def __init__(self, builds: Builds | None, prior: RecipePrior | None = None) -> None:
        super().__init__(Space(builds, ThompsonKinds(), prior))


@dataclass(frozen=True, slots=True)
class Known:
    """What a run knows of the kinds: number and sum of the gains of each, the mean of all, the scatter within kinds."""

    counts: Mapping[str, int]
    sums: Mapping[str, float]
    prior: float
    spread: float

    @classmethod
    def of(cls, gains: Mapping[str, Sequence[float]]) -> Known:
        everything = [gain for values in gains.values() for gain in values]
        return cls(
            {kind: len(values) for kind, values in gains.items()},
            {kind: sum(values) for kind, values in gains.items()},
            fmean(everything) if everything else 0.0,
            pooled(gains),
        )


class ThompsonKinds:
    """Chooses a slot's kind by what the earlier cycles know, which is read once a cycle, not once a slot."""

    def __init__(self) -> None:
        self._read: tuple[Journal, int] | None = None
        self._known = Known.of({})

    def __call__(self, ask: Ask) -> Callable[[Sequence[str]], str]:
        earlier = ask.journal.before(ask.cycle)
        if self._read is None or self._read[0] is not earlier or self._read[1] != len(earlier):
            self._read, self._known = (earlier, len(earlier)), Known.of(earlier.gains("kind"))
        return thompson(self._known, ask.rng("kind"))


def thompson(known: Known, rng: Random) -> Callable[[Sequence[str]], str]:
    """Draws a mean gain for each kind from its posterior, and takes the kinds in the order of the draws.

    A kind's posterior after n gains is normal, around (their sum + m) / (n + 1) with standard deviation
    s / sqrt(n + 1). m: the mean of all gains. s: the standard deviation of gains within a kind, pooled.
    """
    drawn: dict[str, float] = {}

    def chosen(kinds: Sequence[str]) -> str:
        for kind in sorted(set(kinds) - set(drawn)):
            count = known.counts.get(kind, 0) + 1
            drawn[kind] = rng.gauss((known.sums.get(kind, 0) + known.prior) / count, known.spread / sqrt(count))
        return max(kinds, key=lambda kind: drawn[kind])

    return chosen


def pooled(gains: Mapping[str, Sequence[float]]) -> float:
    """Standard deviation within kinds, over those with two gains or more; `SPREAD` where there is none."""
    several = [(fmean(values), values) for values in gains.values() if len(values) > 1]
    if not several:
        return SPREAD
    squares = sum((gain - mean) ** 2 for mean, values in several for gain in values)
    return sqrt(squares / sum(len(values) - 1 for _, values in several))


BANDIT = Strategy(
    name="bandit",
    about="the same draws; the kind of edit by Thompson sampling over the kinds' gains",
    build=lambda context: BanditProposer(context.builds, context.prior),
    weighs=True,
)
