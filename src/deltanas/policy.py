"""What a search does next, by its journal alone: which parent a slot gets, and how many proposals it draws."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from math import ceil, log
from random import Random

from deltanas.errors import DeltanasError
from deltanas.journal import Candidate, Journal
from deltanas.program import Failed, Program, Refused
from deltanas.seams import Slot

MOST_PROPOSALS = 8
FILLED = 0.95
"""A slot should be filled in one round with this probability."""
_HARMONIC = [1.0]
"""Sums of 1 / rank, as far as a search needed them."""


def by_rank(slot: Slot, journal: Journal, rng: Random) -> Program:  # noqa: ARG001
    """A baseline or an elite, with probability proportional to 1 / rank: gains add up, the others stay in play."""
    parents = journal.parents
    for rank in range(len(_HARMONIC) + 1, len(parents) + 1):
        _HARMONIC.append(_HARMONIC[-1] + 1 / rank)
    last = len(parents) - 1
    chosen = parents[bisect(_HARMONIC, rng.random() * _HARMONIC[last], 0, last)].program
    assert chosen is not None
    return chosen


def require_baseline(baselines: Sequence[Candidate]) -> None:
    """Raises DeltanasError, with what became of each baseline, where none was trained."""
    if all(c.score is None for c in baselines):
        reasons = [f"{c.label}: {c.outcome.reason}" for c in baselines if isinstance(c.outcome, Refused | Failed)]
        raise DeltanasError("no baseline could be trained, so there is nothing to edit", "\n  ".join(reasons))


def proposals_due(journal: Journal) -> int:
    """Number of proposals that a slot draws in a round, from 1 up to `MOST_PROPOSALS`.

    One of them passes all gates with probability `FILLED`, going by the share that passed before; but the model is
    given no more time than a candidate trains. 1 before anything is known. A resumed run has the same journal, so it
    draws as many.
    """
    known = journal.tally
    if not known.attempts or not known.settled:
        return 1
    passing = (1 + known.passed) / (2 + known.attempts)
    wanted = ceil(log(1 - FILLED) / log(1 - passing))
    cost = known.asking / known.attempts
    return max(1, min(wanted, MOST_PROPOSALS, int(known.training / known.settled / cost) if cost else MOST_PROPOSALS))
