"""What a search does next, by its journal alone: which parent a slot gets, and how many proposals it draws."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log
from random import Random
from statistics import fmean

from deltanas.errors import DeltanasError
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.seams import Candidate, elites, standing

MOST_PROPOSALS = 8
FILLED = 0.95
"""A slot should be filled in one round with this probability."""


def by_rank(journal: Sequence[Candidate], rng: Random) -> Program:
    """A baseline or an elite, with probability proportional to 1 / rank: gains add up, the others stay in play."""
    parents = ranked_parents(journal)
    return rng.choices(parents, [1 / rank for rank in range(1, len(parents) + 1)])[0]


def ranked_parents(journal: Sequence[Candidate]) -> list[Program]:
    """The baselines and the elites, the most accurate first."""
    baselines = [c for c in journal if c.cycle == 0 and c.accuracy is not None]
    return [c.program for c in sorted(baselines + elites(journal), key=standing) if c.program]


def require_baseline(journal: Sequence[Candidate]) -> None:
    """Raises DeltanasError, with what became of each baseline, where none was trained."""
    rows = [c for c in journal if c.cycle == 0]
    if all(c.accuracy is None for c in rows):
        reasons = [
            f"{c.attempts[-1].goal}: {c.outcome.reason}" for c in rows if isinstance(c.outcome, Refused | Failed)
        ]
        raise DeltanasError("no baseline could be trained, so there is nothing to edit", "\n  ".join(reasons))


def proposals_due(journal: Sequence[Candidate]) -> int:
    """How many proposals a slot draws in a round: from 1 up to `MOST_PROPOSALS`.

    So many that one passes all gates with probability `FILLED`, going by the share that passed so far; but no more than
    the model writes in the time that a candidate trains. 1 before anything is known. A resumed run has the same
    journal, so it draws as many.
    """
    attempts = [attempt for c in journal if c.cycle for attempt in c.attempts]
    trainings = [c.outcome.seconds for c in journal if isinstance(c.outcome, Trained | Failed)]
    if not attempts or not trainings:
        return 1
    passing = (1 + sum(attempt.refusal is None for attempt in attempts)) / (2 + len(attempts))
    wanted = ceil(log(1 - FILLED) / log(1 - passing))
    cost = fmean(sum(call.seconds for call in attempt.calls) for attempt in attempts)
    return max(1, min(wanted, MOST_PROPOSALS, int(fmean(trainings) / cost) if cost else MOST_PROPOSALS))
