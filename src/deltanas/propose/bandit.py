"""A bandit over the kinds of edits, without a model: the control that learns which kind of edit pays.

Thompson sampling with normal rewards: S. Agrawal, N. Goyal (2013), "Further optimal regret bounds for Thompson
sampling", AISTATS, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from random import Random
from statistics import fmean

from deltanas.propose.random import RandomProposer
from deltanas.propose.space import Space
from deltanas.propose.strategy import Strategy
from deltanas.seams import Ask, Builds

SPREAD = 0.05
"""Standard deviation of the gain in accuracy among edits of one kind, before two of a kind were measured."""


class BanditProposer(RandomProposer):
    """An edit as the control draws it, of the kind whose gain, drawn from what the run knows of it, is the highest."""

    strategy = "bandit"

    def __init__(self, builds: Builds | None) -> None:
        super().__init__(Space(builds, thompson_kinds))


def thompson_kinds(ask: Ask) -> Callable[[Sequence[str]], str]:
    """Chooses by what the run knows so far."""
    return thompson(ask.journal.before(ask.cycle).gains("kind"), ask.rng("kind"))


def thompson(known: Mapping[str, Sequence[float]], rng: Random) -> Callable[[Sequence[str]], str]:
    """Draws a mean gain for each kind from its posterior, and takes the kinds in the order of the draws.

    A kind's posterior after n gains is normal, around (their sum + m) / (n + 1) with standard deviation
    s / sqrt(n + 1). m: the mean of all gains. s: the standard deviation of gains within a kind, pooled.

    Args:
        known: gains in accuracy, by kind.
    """
    everything = [gain for values in known.values() for gain in values]
    prior, spread = fmean(everything) if everything else 0.0, pooled(known)
    drawn: dict[str, float] = {}

    def chosen(kinds: Sequence[str]) -> str:
        for kind in sorted(set(kinds) - set(drawn)):
            drawn[kind] = _posterior(known.get(kind, []), prior, spread, rng)
        return max(kinds, key=lambda kind: drawn[kind])

    return chosen


def _posterior(values: Sequence[float], prior: float, spread: float, rng: Random) -> float:
    count = len(values) + 1
    return rng.gauss((sum(values) + prior) / count, spread / sqrt(count))


def pooled(known: Mapping[str, Sequence[float]]) -> float:
    """Standard deviation within kinds, over those with two gains or more; `SPREAD` where there is none."""
    several = [values for values in known.values() if len(values) > 1]
    if not several:
        return SPREAD
    squares = sum((gain - fmean(values)) ** 2 for values in several for gain in values)
    return sqrt(squares / sum(len(values) - 1 for values in several))


BANDIT = Strategy(
    name="bandit",
    about="the same draws; the kind of edit by Thompson sampling over the kinds' gains",
    build=lambda context: BanditProposer(context.builds),
)
