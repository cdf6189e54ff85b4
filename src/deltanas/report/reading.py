"""A run, indexed for the questions that the report asks of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from deltanas.gains import Compared, Measured, compared, interval, measured_candidate, score_of
from deltanas.intervals import Estimate
from deltanas.journal import Journal
from deltanas.program import Trained
from deltanas.records import Candidate, RunView
from deltanas.report.parts import Brought, brought
from deltanas.task import task_of
from deltanas.wording import counted


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

    `slots`: all of them by "cycle.index". `others`: runs to compare it with. The scores of the images are unpacked for
    those candidates alone whose interval is asked for.
    """

    def __init__(self, view: RunView, others: Sequence[RunView] = ()) -> None:
        self.view = view
        self.task = task_of(view.manifest)
        self.metric = self.task.metric
        self._measured: dict[tuple[int, int, int], Measured | None] = {}
        self.others = tuple(Reading(other) for other in others)
        self.baselines = tuple(c for c in view.candidates if c.cycle == 0)
        self.search = tuple(c for c in view.candidates if c.cycle > 0)
        self.slots = {f"{c.cycle}.{c.index}": c for c in view.candidates}
        self._born: dict[str, Candidate] = {}
        for candidate in view.candidates:
            if candidate.program is None:
                continue
            first = self._born.setdefault(candidate.program.id, candidate)
            if self.value(first) is None and self.value(candidate) is not None:
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

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.view.candidates, metric=self.metric)

    @cached_property
    def brought(self) -> tuple[Brought, ...]:
        """What each part brought; empty where all edits are of one."""

        def score(parent: str, rung: int) -> float | None:
            held = self.holder(parent)
            return self.value(held.at(rung) if held else None)

        return brought(self.search, self.metric, score)

    def ranked(self) -> list[Candidate]:
        """The candidates of the search that were trained longest, one a program, best first."""
        longest = [c for c in self.search if c.rung == self.journal.top]
        return self._distinct(sorted(longest, key=self.journal.rank))

    def elites(self) -> list[Candidate]:
        """Those of them that beat their parent."""
        return self._distinct(self.journal.improvements)

    def _distinct(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        first: dict[str, Candidate] = {}
        for candidate in candidates:
            if candidate.program is not None and self.value(candidate) is not None:
                first.setdefault(candidate.program.id, candidate)
        return list(first.values())

    def value(self, candidate: Candidate | None) -> float | None:
        """The score; None where there is no candidate or it has no score that can be one."""
        return None if candidate is None else score_of(self.metric, candidate.outcome)

    def measured(self, candidate: Candidate, rung: int | None = None) -> Measured | None:
        """The score with those of the images; kept, as one candidate is compared with several.

        rung: number of epochs of the trainings that count, its longest ones if not given.
        """
        slot = (candidate.cycle, candidate.index, candidate.rung if rung is None else rung)
        if slot not in self._measured:
            self._measured[slot] = measured_candidate(self.task, candidate.at(slot[2]))
        return self._measured[slot]

    def longest(self, candidate: Candidate) -> float | None:
        """The score of a candidate that was trained longest; None of the others: theirs are not comparable."""
        return self.value(candidate) if candidate.rung == self.journal.top else None

    def shorter(self) -> int:
        """Number of the search's candidates whose score is of fewer epochs than that of others."""
        return sum(c.rung < self.journal.top and c.score is not None for c in self.search)

    def none_trained(self) -> str:
        """Why there is no network to show, in words."""
        if fewer := self.shorter():
            return f"No edited program has a score after {self.journal.top} epochs yet ({fewer} after fewer)"
        return "No edited program has been trained yet"

    def told(self, candidate: Candidate) -> str:
        """The score in words; with its number of epochs where it is not the largest of the run."""
        value = self.value(candidate)
        if value is None:
            return "no score"
        after = (
            ""
            if candidate.rung == self.journal.top
            else f" after {candidate.rung} of {counted(self.journal.top, 'epoch')}"
        )
        return f"{self.metric.shown(value)}{after}"

    def interval(self, candidate: Candidate) -> Estimate | None:
        """The score with its interval. Scores of images are unpacked where the metric needs them, and are not kept."""
        match candidate.outcome:
            case Trained(score=score, n=n) if self.value(candidate) is not None:
                known = self.metric.interval(score, n, None)
                found = None if known else measured_candidate(self.task, candidate.at(candidate.rung))
                return interval(self.metric, found) if found else known
            case _:
                return None

    def compared(self, child: Measured | None, parent: Measured | None) -> Compared | None:
        """What one gains over the other, by the scatter of this run's repeats; None where one has no score."""
        if child is None or parent is None:
            return None
        return compared(self.metric, child, parent, self.journal.noise_at(child.rung))


def label(candidate: Candidate) -> str:
    """A short name: a baseline's own, or the place in the run, as "2.5" for slot 5 of cycle 2."""
    return candidate.label if candidate.cycle or candidate.name else f"baseline {candidate.index}"
