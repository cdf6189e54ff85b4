"""A run, indexed for the questions that the report asks of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from deltanas.intervals import Estimate, wilson
from deltanas.journal import Candidate, Journal, RunView, rank_key
from deltanas.program import Trained


class AbsentError(Exception):
    """A section that can't be computed; the message is the sentence that stands in its place."""


@dataclass(frozen=True)
class Lineage:
    """The way to a candidate, oldest step first; `missing` names the ancestor that the run does not hold, if any."""

    steps: tuple[Candidate, ...]
    missing: str | None

    @property
    def baseline(self) -> Candidate | None:
        """The ancestor in cycle 0 from which the candidate was edited."""
        return self.steps[0] if self.steps[0].cycle == 0 else None

    @property
    def parent(self) -> Candidate | None:
        return self.steps[-2] if len(self.steps) > 1 else None


class Reading:
    """`baselines` are the candidates of cycle 0, `search` those of the cycles from 1 on, both in the run's order.

    `slots`: all of them by "cycle.index". `others`: runs to compare it with.
    """

    def __init__(self, view: RunView, others: Sequence[RunView] = ()) -> None:
        self.view = view
        self.others = tuple(Reading(other) for other in others)
        self.baselines = tuple(c for c in view.candidates if c.cycle == 0)
        self.search = tuple(c for c in view.candidates if c.cycle > 0)
        self.slots = {f"{c.cycle}.{c.index}": c for c in view.candidates}
        self._born: dict[str, Candidate] = {}
        for candidate in view.candidates:
            if candidate.program is None:
                continue
            first = self._born.setdefault(candidate.program.id, candidate)
            if score(first) is None and score(candidate) is not None:
                self._born[candidate.program.id] = candidate

    def holder(self, identity: str) -> Candidate | None:
        """The first candidate with this program, preferring one that was trained."""
        return self._born.get(identity)

    def lineage(self, candidate: Candidate) -> Lineage:
        steps, seen = [candidate], {candidate.program.id if candidate.program else None}
        parent = candidate.parent
        while parent is not None and parent not in seen:
            seen.add(parent)
            holder = self.holder(parent)
            if holder is None:
                return Lineage(tuple(reversed(steps)), parent)
            steps.append(holder)
            parent = holder.parent
        return Lineage(tuple(reversed(steps)), None)

    def ranked(self) -> list[Candidate]:
        """The trained candidates of the search, one a program, best first."""
        return _distinct(sorted(self.search, key=rank_key))

    def elites(self) -> list[Candidate]:
        """Those of them that beat their parent."""
        return _distinct(Journal(self.view.candidates).improvements)


def _distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.program is not None and score(candidate) is not None:
            first.setdefault(candidate.program.id, candidate)
    return list(first.values())


def label(candidate: Candidate) -> str:
    """A short name: a baseline's own, or the place in the run, as "2.5" for slot 5 of cycle 2."""
    return candidate.label if candidate.cycle or candidate.name else f"baseline {candidate.index}"


def score(candidate: Candidate | None) -> Estimate | None:
    """The accuracy with its Wilson interval; None where there is no candidate or it has no score."""
    return None if candidate is None else accuracy(candidate.outcome)


def accuracy(outcome: object) -> Estimate | None:
    """The accuracy of an outcome with its Wilson interval; None where it has none, or one that is no share."""
    match outcome:
        case Trained(score=share, n=n) if n > 0 and isfinite(share) and 0 <= share <= 1:
            return replace(wilson(share * n, n), value=share)
        case _:
            return None
