"""What a search does next, by its journal alone: which parent a slot gets, and how many proposals it draws."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import groupby
from math import ceil, log
from random import Random

from deltanas.errors import DeltanasError
from deltanas.journal import Journal
from deltanas.objective import Objective, along, figures, ranked
from deltanas.program import Failed, Part, Program, Refused
from deltanas.records import Candidate
from deltanas.seams import Slot
from deltanas.thompson import Known, thompson

MOST_PROPOSALS = 8
FILLED = 0.95
"""A slot should be filled in one round with this probability."""
POPULATION = 32
"""Number of candidates among which parents are chosen where there are several objectives."""
LEAST_SHARE = 0.1
"""Share of the slots that each part gets whatever it gained, where there are several."""
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


class PartsByGain:
    """Which of several parts a slot edits: by Thompson sampling over what the edits of each brought so far.

    What an edit brought is its gain over its parent after the longest training, and nothing where it lost or was not
    trained so long: who loses is no parent, and who is not promoted neither. The parts are equals before anything is
    measured, and each keeps `LEAST_SHARE`. Slots of a cycle go by the cycles before it, so a resumed run chooses alike.
    A part of which the parent has no edit left is not chosen, as long as there is another.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)
        self._read: tuple[Journal, int] | None = None
        self._known = Known.of({})

    def __call__(self, journal: Journal, rng: Random, parent: str = "") -> Part:
        """journal: of a run's earlier cycles, all settled. parent: identity of the program that is edited."""
        parts = [part for part in self._parts if part not in journal.used_up(parent)] or self._parts
        if len(parts) == 1:
            return parts[0]
        if rng.random() < LEAST_SHARE * len(parts):
            return rng.choice(parts)
        if self._read is None or self._read[0] is not journal or self._read[1] != len(journal):
            self._read, self._known = (journal, len(journal)), Known.of(journal.brought)
        return thompson(self._known, rng)(parts)


class AlongFront:
    """The parents of a run with several objectives, by NSGA-II (Deb et al., 2002): the better of two, drawn uniformly.

    They are drawn from a population that each cycle renews: of those that were in it and of all that the cycle trained,
    the `POPULATION` best stay (`objective.ranked`). Its cost is that of one cycle, however long the run. What is kept
    between two calls only saves time: the choice is a function of the journal and of `rng`.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = tuple(objectives)
        self._journal: Journal | None = None
        self._seen = 0
        self._population: list[Candidate] = []

    def __call__(self, slot: Slot, journal: Journal, rng: Random) -> Program:  # noqa: ARG002
        living = self.population(journal)
        if not living:
            names = ", ".join(one.name for one in self._objectives)
            raise DeltanasError(
                f"no network has a figure for all of {names}, so there is no parent",
                _lacking(journal, self._objectives),
            )
        size = len(living)
        chosen = living[min(rng.randrange(size), rng.randrange(size))].program
        assert chosen is not None
        return chosen

    def population(self, journal: Journal) -> list[Candidate]:
        """Of a journal whose cycles are all settled; the best first."""
        if journal is not self._journal or len(journal) < self._seen:
            self._journal, self._seen, self._population = journal, 0, []
        for _, cycle in groupby(journal[self._seen :], key=lambda row: row.cycle):
            self._population = ranked([*self._population, *cycle], self._objectives)[:POPULATION]
        self._seen = len(journal)
        return self._population


def _lacking(journal: Journal, objectives: Sequence[Objective]) -> str:
    """What the trained candidates lack, and why."""
    for row in journal:
        if row.score is not None and figures(row, objectives) is None:
            missing = next(one.name for one in objectives if one.of(row) is None)
            found = row.measured(missing)
            return f"{row.label} has no {missing}: {found.detail if found else 'it was not measured'}"
    return "no network was trained"


def finalists(journal: Journal, objectives: Sequence[Objective], count: int) -> list[Candidate]:
    """Who is scored on the test split: the best that beat their parent; with several objectives, along the front."""
    return along(journal, objectives, count) if len(objectives) > 1 else journal.improvements[:count]


def tested(journal: Journal, objectives: Sequence[Objective], count: int) -> list[Candidate]:
    """The finalists and the baseline of each; with one objective the best baseline too, which is to be surpassed."""
    best = finalists(journal, objectives, count)
    pairs = [each for elite in best for each in (elite, journal.lineage(elite)[0])]
    rival = journal.best_baseline if best and len(objectives) < 2 else None
    return [*pairs, rival] if rival else pairs


class NoBaselineError(DeltanasError):
    """No baseline was trained, so there is nothing to edit."""


def require_baseline(baselines: Sequence[Candidate]) -> None:
    """Raises NoBaselineError, with what became of each baseline, where none was trained."""
    if all(c.score is None for c in baselines):
        reasons = [f"{c.label}: {c.outcome.reason}" for c in baselines if isinstance(c.outcome, Refused | Failed)]
        raise NoBaselineError("no baseline could be trained, so there is nothing to edit", "\n  ".join(reasons))


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
