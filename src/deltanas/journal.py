"""The one index over the candidates of a run: a search holds it, and the archive only persists it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from math import inf
from statistics import fmean, variance
from typing import Literal, overload

from deltanas.program import Failed, Outcome, Part, Program, Refused, Trained, text_of
from deltanas.records import NONE_LEFT, Candidate, Measurement, Telemetry
from deltanas.task import CLASSIFY, Metric

By = Literal["goal", "kind"]


@dataclass(slots=True)
class Tally:
    """Counts over a journal, of the search alone but for the trainings. Seconds are kept in whole nanoseconds, so that
    their sums do not depend on the order of the rows."""

    attempts: int = 0
    passed: int = 0
    asking: int = 0
    settled: int = 0
    training: int = 0

    def add_attempts(self, candidate: Candidate) -> None:
        for attempt in candidate.attempts if candidate.cycle else ():
            self.attempts += 1
            self.passed += attempt.passed
            self.asking += sum(round(1e9 * call.seconds) for call in attempt.calls)

    def add_trainings(self, candidate: Candidate) -> None:
        """Of a baseline the shortest ones alone: all baselines are trained for longer, and few candidates."""
        if isinstance(candidate.outcome, Trained | Failed):
            made = candidate.trainings or (candidate.outcome,)
            self.settled += 1
            self.training += sum(
                round(1e9 * each.seconds) for each in made if candidate.cycle or each.epochs == candidate.shortest
            )


@dataclass(slots=True)
class Noise:
    """Scatter of single trainings around their program's mean, pooled over programs that were trained repeatedly.

    squares, degrees: sum of squared deviations, and degrees of freedom. images: least number of evaluation images.
    """

    squares: float = 0.0
    degrees: int = 0
    images: float = inf

    def add(self, trainings: Sequence[Trained]) -> None:
        """Trainings of one program, of one length."""
        scores = [each.score for each in trainings]
        if len(scores) > 1:
            self.squares += variance(scores) * (len(scores) - 1)
            self.degrees += len(scores) - 1
        self.images = min([self.images, *(each.n for each in trainings)])


def families(candidates: Iterable[Candidate]) -> dict[str, tuple[Candidate, ...]]:
    """By program, the candidates at the root of its line, several for a mixture; parents come before their children."""
    roots: dict[str, tuple[Candidate, ...]] = {}
    for candidate in candidates:
        if candidate.program is not None:
            above = {root.label: root for parent in candidate.parents for root in roots.get(parent, ())}
            roots.setdefault(candidate.program.id, tuple(above[name] for name in sorted(above)) or (candidate,))
    return roots


class Journal(Sequence[Candidate]):
    """The candidates of a run in the order of (cycle, index), with an index that grows as they do.

    Whatever a search asks of it costs the same at a hundred rows and at a hundred thousand.

    Attributes:
        metric: what the scores are, and which of two is better.
        parents: the trained baselines, and the candidates that beat their parent; the best first.
        improvements: the latter alone.
        brought: by part of the edit, the gain of each trained candidate that is among them, and 0 of the others and of
            those whose training failed.
        top: length of the longest trainings, number of epochs. Only candidates that were trained as long are among
            `parents` and `improvements`: scores after other lengths are never ranked with theirs.
    """

    def __init__(self, rows: Iterable[Candidate] = (), *, slim: bool = False, metric: Metric = CLASSIFY.metric) -> None:
        """slim: keep the rows without what the loop never reads again (`Candidate.slim`)."""
        self.metric = metric
        self._slim = slim
        self._rows: list[Candidate] = []
        self._places: dict[str, int] = {}
        self._tried: dict[tuple[str, Part], set[str]] = {}
        self._used_up: dict[str, set[Part]] = {}
        self._children: dict[str, list[int]] = {}
        self._gains: dict[By, dict[str, list[float]]] = {"goal": {}, "kind": {}}
        self._means: tuple[int, dict[str, float]] = (0, {})
        self._earlier: tuple[int, Journal] | None = None
        self.parents: list[Candidate] = []
        self.improvements: list[Candidate] = []
        self.brought: dict[str, list[float]] = {}
        self.tally = Tally()
        self.top = 0
        self._noise: dict[int, Noise] = {}
        self.open(rows)

    @overload
    def __getitem__(self, place: int) -> Candidate: ...
    @overload
    def __getitem__(self, place: slice) -> list[Candidate]: ...
    def __getitem__(self, place: int | slice) -> Candidate | list[Candidate]:
        return self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._rows)

    def __reversed__(self) -> Iterator[Candidate]:
        return reversed(self._rows)

    @property
    def best_baseline(self) -> Candidate | None:
        """The baseline that ranks first; None where none was trained."""
        return min((row for row in self.of_cycle(0) if row.score is not None), key=self.rank, default=None)

    def open(self, rows: Iterable[Candidate]) -> None:
        """Append candidates, settled ones or open ones; they come in the order of (cycle, index)."""
        for full in rows:
            row = self._slimmed(full)
            self._rows.append(row)
            place = len(self._rows) - 1
            for parent in row.parents:
                self._children.setdefault(parent, []).append(place)
            if row.parent is not None:
                kept = row.kept
                for attempt in row.attempts:
                    if attempt.refusal and attempt.refusal.reason == NONE_LEFT:
                        self._used_up.setdefault(row.parent, set()).add(attempt.part)
                    if not attempt.passed or attempt is kept:
                        self._tried.setdefault((row.parent, text_of(attempt.part)), set()).add(attempt.edit)
            if row.program and not isinstance(row.outcome, Refused):
                self._places[row.program.id] = place
            self.tally.add_attempts(row)
            if row.outcome:
                self._settle(row)

    def _slimmed(self, row: Candidate) -> Candidate:
        if not self._slim:
            return row
        parent = self.of(row.parent) if row.parent else None
        return row.slim(parent.program if parent else None)

    def record(self, cycle: int, index: int, training: Trained | Failed | None, outcome: Outcome | None) -> None:
        """Add the next training of an open candidate and, if there will be no more, what they come to."""
        place = self.place(cycle, index)
        row = self._rows[place]
        row = replace(row, trainings=row.trainings if training is None else (*row.trainings, training), outcome=outcome)
        self._rows[place] = row = self._slimmed(row)
        if outcome:
            self._settle(row)

    def measure(self, cycle: int, index: int, measurement: Measurement) -> None:
        """Add a measurement of a trained candidate."""
        place = self.place(cycle, index)
        row = self._rows[place]
        self._rows[place] = replace(row, measurements=(*row.measurements, measurement))

    def _settle(self, row: Candidate) -> None:
        assert row.outcome is not None
        self.tally.add_trainings(row)
        made = sorted((each for each in row.trainings if isinstance(each, Trained)), key=lambda each: each.epochs)
        for epochs, trainings in groupby(made, key=lambda each: each.epochs):
            self._noise.setdefault(epochs, Noise()).add(list(trainings))
        self.top = max(self.top, row.rung)
        if row.score is None:
            if row.cycle and row.kept:
                self.brought.setdefault(row.kept.part, []).append(0.0)
            return
        kept, early = row.kept, row.at(row.shortest)
        if early and (gain := self.gain(early)) is not None:
            self._gains["goal"].setdefault(kept.goal if kept else "", []).append(gain)
            self._gains["kind"].setdefault(kept.kind if kept else "", []).append(gain)
        gain = self.gain(row)
        if gain is not None:
            better = gain > 0 and row.rung == self.top
            self.brought.setdefault(kept.part if kept else "", []).append(gain if better else 0.0)
            if better:
                insort(self.improvements, row, key=self.rank)
                insort(self.parents, row, key=self.rank)
        if row.cycle == 0:
            insort(self.parents, row, key=self.rank)

    @property
    def noise(self) -> Noise:
        """Of trainings of the length `top`."""
        return self.noise_at(self.top)

    def noise_at(self, rung: int) -> Noise:
        """Of trainings of this number of epochs."""
        return self._noise.get(rung, Noise())

    def gain(self, row: Candidate) -> float | None:
        """Over its parent, both after as many epochs as the candidate's score; None where one has no such score."""
        parent = self.of(row.parent) if row.parent else None
        before = parent.at(row.rung) if parent else None
        if row.score is None or before is None or before.score is None:
            return None
        return self.metric.over(row.score, before.score)

    def of_cycle(self, cycle: int) -> list[Candidate]:
        return self._rows[self.place(cycle, 0) : self.place(cycle + 1, 0)]

    def place(self, cycle: int, index: int) -> int:
        """Place of the first row at (cycle, index) or after it."""
        return bisect_left(self._rows, (cycle, index), key=lambda row: (row.cycle, row.index))

    def of(self, program: str) -> Candidate | None:
        """The candidate with this program that no gate refused."""
        place = self._places.get(program)
        return None if place is None else self._rows[place]

    def children(self, program: str) -> list[Candidate]:
        """Every candidate that was proposed to be made from it, refused ones too, in the order of the journal."""
        return [self._rows[place] for place in self._children.get(program, ())]

    def tried(self, program: str, part: Part = "net") -> frozenset[str] | set[str]:
        """The edits of the text of this part that were refused or kept on this parent."""
        return self._tried.get((program, text_of(part)), frozenset())

    def used_up(self, program: str) -> set[Part]:
        """The parts of it of which a slot found no edit left."""
        return self._used_up.get(program, set())

    def gains(self, by: By = "goal") -> Mapping[str, Sequence[float]]:
        """By goal or kind of the edit, the gain of each trained candidate over its parent (`Metric.over`).

        After the shortest training, which all have: a gain of a longer one is no sample of the same kind.
        """
        return self._gains[by]

    def telemetry(self, parent: Program) -> Telemetry:
        """What the journal knows of `parent` and of the goals that its candidates were asked for."""
        if self._means[0] != len(self._rows):
            self._means = (len(self._rows), {goal: fmean(values) for goal, values in self._gains["goal"].items()})
        row = self.of(parent.id)
        if row is None or row.score is None:
            return Telemetry(gains=self._means[1], metric=self.metric)
        return Telemetry(row.score, row.draft.params if row.draft else None, self._means[1], self.metric)

    def lineage(self, candidate: Candidate) -> list[Candidate]:
        """The candidate's ancestors and itself, its baseline first; of several parents the first."""
        line = [candidate]
        while line[-1].parent and (parent := self.of(line[-1].parent)):
            line.append(parent)
        return line[::-1]

    def root(self, candidate: Candidate) -> Candidate | None:
        """The baseline that it descends from, by the first parent of each; None where the run does not hold it."""
        while candidate.parent:
            parent = self.of(candidate.parent)
            if parent is None or (parent.cycle, parent.index) >= (candidate.cycle, candidate.index):
                return None
            candidate = parent
        return candidate if candidate.cycle == 0 else None

    def rank(self, candidate: Candidate) -> tuple[int, float, int, int]:
        """Sort key: by the length of the training, the longest first; of one length the best score first.

        The untrained come last. Ties are in the order of the journal.
        """
        score = candidate.score
        height = inf if score is None else self.metric.key(score)
        return (-candidate.rung, height, candidate.cycle, candidate.index)

    def family(self, candidate: Candidate) -> str:
        """Name of the baseline that it descends from, by the first parent of each."""
        return self.lineage(candidate)[0].label

    def before(self, cycle: int) -> Journal:
        """The journal of the cycles before this one, which are all settled: it grows with the cycles asked for."""
        if self._earlier is None or self._earlier[0] > cycle:
            self._earlier = (0, Journal(metric=self.metric))
        _, earlier = self._earlier
        earlier.open(takewhile(lambda row: row.cycle < cycle, self._rows[len(earlier) :]))
        self._earlier = (cycle, earlier)
        return earlier
