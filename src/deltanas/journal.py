"""The records of a run, and the one index over them: the journal.

A search holds one `Journal`; the archive only persists it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import inf
from statistics import fmean, variance
from typing import Literal, overload

from deltanas.program import Failed, Outcome, Part, Probe, Program, Refused, Trained, standard_error
from deltanas.program.adapter import Adapter
from deltanas.task import CLASSIFY, Metric


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a language model.

    Attributes:
        prompt, reply: the texts; "" in a row of a `Journal`, which does without them.
        prompt_tokens, reply_tokens: number of tokens; `estimated`: these numbers are estimates.
        seconds: wall clock.
    """

    model: str
    prompt: str
    reply: str
    prompt_tokens: int
    reply_tokens: int
    seconds: float
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One proposal for a slot, and the gate that refused it (`refusal` None: it passed all of them).

    Attributes:
        edit: the edit as text: SEARCH/REPLACE blocks or a unified diff; what the model said if it holds no edit.
        rung: the rung of the ladder on which the edit applied ("exact", ...), None if it did not apply.
        goal: what the model was asked to do, in words; "" if no model was asked.
        round: 0 for the first proposals of the slot; the later ones had the refusals of the rounds before.
        program: identity of the edited program; equal to the parent's if only comments or layout changed.
        trace, effective: as in `Draft`; None if it did not build.
        kind: kind of the edit in the space of edits ("width", "activation", ...), "" if it is not known.
        note: what the strategy keeps for its own later use, "" for nothing; no other room reads it.
        part: the part of the program that the edit is of.
    """

    edit: str
    rung: str | None
    goal: str
    refusal: Refused | None
    calls: tuple[Call, ...] = ()
    round: int = 0
    program: str | None = None
    trace: str | None = None
    effective: bool | None = None
    kind: str = ""
    note: str = ""
    part: Part = "net"

    @property
    def passed(self) -> bool:
        """Whether it passed all gates; another of the slot's proposals may have been chosen."""
        return self.refusal is None or self.refusal.stage == "ranked"

    @property
    def aim(self) -> str:
        """The goal in words, or the kind of the edit if no goal was set."""
        return self.goal or self.kind


@dataclass(frozen=True, slots=True)
class Draft:
    """A program on its way through the gates, with what is known of it so far.

    Attributes:
        params: number of trainable parameters. flops: multiply-adds x 2 of one image's forward pass.
        trace: hash of the traced operations with their shapes and of the optimizer; equal for programs that
            compute alike.
        probe: what the network computes, in a few figures (`train/build.py` says how they are made).
        effective: the traced operations differ from the parent's, and so does the probe. None if the parent's
            probe is not known, or for a baseline.
    """

    program: Program
    params: int | None = None
    flops: int | None = None
    trace: str | None = None
    probe: Probe | None = None
    effective: bool | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """A figure of a trained network that no training gives.

    Attributes:
        name: what was measured, as "latency_ms". value: the median of `n` repetitions; None if `detail` says why
            there is none. low, high: the quartiles of the repetitions.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the journal. Cycle 0 holds the baselines.

    Attributes:
        attempts: all proposals for the slot. `draft` is of the one that is trained, or of the last one refused.
        outcome: None: opened, not settled. Several trainings are combined into one (`program.outcome.combined`).
        trainings: every training, in the order of the seeds.
        name: a baseline's name; "" for a candidate of the search.
        parent: identity of the program that the slot was to edit, the first of `parents`.
        measurements: what else was measured of it, after its last training, one of each name.
    """

    cycle: int
    index: int
    strategy: str
    parent: str | None
    draft: Draft | None
    attempts: tuple[Attempt, ...] = ()
    outcome: Outcome | None = None
    trainings: tuple[Trained | Failed, ...] = ()
    name: str = ""
    measurements: tuple[Measurement, ...] = ()

    @property
    def program(self) -> Program | None:
        return self.draft.program if self.draft else None

    @property
    def parents(self) -> tuple[str, ...]:
        """Identities of all programs that it was made from; none for a baseline."""
        first = () if self.parent is None else (self.parent,)
        made = self.program.parents if self.program else ()
        return made if made[:1] == first else first

    @property
    def score(self) -> float | None:
        """In the unit of the task's first metric; None if it was not trained: no candidate scores unmeasured."""
        return self.outcome.score if isinstance(self.outcome, Trained) else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of the score over the seeds; None for fewer than two trainings, or without a score."""
        scores = self.scores
        return standard_error(scores) if isinstance(self.outcome, Trained) else None

    @property
    def scores(self) -> list[float]:
        """The score of each training that ended well."""
        return [each.score for each in self.trainings if isinstance(each, Trained)]

    def measured(self, name: str) -> Measurement | None:
        """The measurement of this name; None if it was not made."""
        return next((each for each in self.measurements if each.name == name), None)

    @property
    def kept(self) -> Attempt | None:
        """The attempt whose program is trained."""
        return next((attempt for attempt in self.attempts if attempt.refusal is None), None)

    @property
    def label(self) -> str:
        """A short name: a baseline's own, or the place in the run, as "2.5" for slot 5 of cycle 2."""
        return self.name if self.cycle == 0 and self.name else f"{self.cycle}.{self.index}"

    def tried(self, attempt: Attempt, draft: Draft | None) -> Candidate:
        """The row with one more attempt: refused for now, or open with the first that passed."""
        attempts = (*self.attempts, attempt)
        if self.kept:
            return replace(self, attempts=attempts)
        return replace(self, attempts=attempts, draft=draft, outcome=attempt.refusal)

    def slim(self, parent: Program | None) -> Candidate:
        """The row in less memory: its program packed, and without texts of calls, probe and scores an image.

        The loop reads none of these again. parent: the program that this one was edited from, if it is held.
        """
        attempts = tuple(
            replace(attempt, calls=tuple(replace(call, prompt="", reply="") for call in attempt.calls))
            for attempt in self.attempts
        )
        draft = self.draft and replace(self.draft, program=self.draft.program.packed(parent), probe=None)
        trainings = tuple(_slim(each) for each in self.trainings)
        outcome = trainings[0] if len(trainings) == 1 and self.outcome else self.outcome
        outcome = _slim(outcome) if isinstance(outcome, Trained | Failed) else outcome
        return replace(self, attempts=attempts, draft=draft, trainings=trainings, outcome=outcome)


def _slim(training: Trained | Failed) -> Trained | Failed:
    return replace(training, per_image=None) if isinstance(training, Trained) and training.per_image else training


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the earlier cycles know of a parent, and of the goals that were asked for.

    Attributes:
        score: the parent's. params: number of its trainable parameters. None if it was not trained.
        gains: by goal, the mean gain in score over their parents of the candidates that were trained for it.
        metric: what the score is.
    """

    score: float | None = None
    params: int | None = None
    gains: Mapping[str, float] = field(default_factory=dict)
    metric: Metric = CLASSIFY.metric


@dataclass(frozen=True, slots=True)
class Final:
    """A program trained again with a fresh seed and scored once on the test split, after the search."""

    program: str
    outcome: Trained | Failed


@dataclass(frozen=True, slots=True)
class RunView:
    """All that a report needs of a run, read at one moment.

    Attributes:
        manifest: version, commit, torch, device, tier, seed, config: the origin of every figure.
        candidates: ordered by (cycle, index). programs: by identity, each program named by a candidate or a parent.
        adapters: by cycle.
    """

    name: str
    finished: bool
    manifest: dict[str, object]
    candidates: tuple[Candidate, ...]
    programs: dict[str, Program]
    finals: tuple[Final, ...] = field(default=())
    adapters: tuple[Adapter, ...] = ()


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

    def add_outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, Trained | Failed):
            self.settled += 1
            self.training += round(1e9 * outcome.seconds)


@dataclass(slots=True)
class Noise:
    """Scatter of single trainings around their program's mean, pooled over programs that were trained repeatedly.

    squares, degrees: sum of squared deviations, and degrees of freedom. images: least number of evaluation images.
    """

    squares: float = 0.0
    degrees: int = 0
    images: float = inf

    def add(self, candidate: Candidate) -> None:
        scores = candidate.scores
        if len(scores) > 1:
            self.squares += variance(scores) * (len(scores) - 1)
            self.degrees += len(scores) - 1
        self.images = min([self.images, *(each.n for each in candidate.trainings if isinstance(each, Trained))])


class Journal(Sequence[Candidate]):
    """The candidates of a run in the order of (cycle, index), with an index that grows as they do.

    Whatever a search asks of it costs the same at a hundred rows and at a hundred thousand.

    Attributes:
        metric: what the scores are, and which of two is better.
        parents: the trained baselines, and the candidates that beat their parent; the best first.
        improvements: the latter alone.
    """

    def __init__(self, rows: Iterable[Candidate] = (), *, slim: bool = False, metric: Metric = CLASSIFY.metric) -> None:
        """slim: keep the rows without what the loop never reads again (`Candidate.slim`)."""
        self.metric = metric
        self._slim = slim
        self._rows: list[Candidate] = []
        self._places: dict[str, int] = {}
        self._tried: dict[tuple[str, Part], set[str]] = {}
        self._children: dict[str, list[int]] = {}
        self._gains: dict[Literal["goal", "kind"], dict[str, list[float]]] = {"goal": {}, "kind": {}}
        self._means: tuple[int, dict[str, float]] = (0, {})
        self._earlier: tuple[int, Journal] | None = None
        self.parents: list[Candidate] = []
        self.improvements: list[Candidate] = []
        self.tally = Tally()
        self.noise = Noise()
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
                    if not attempt.passed or attempt is kept:
                        self._tried.setdefault((row.parent, attempt.part), set()).add(attempt.edit)
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
        self.tally.add_outcome(row.outcome)
        self.noise.add(row)
        if row.score is None:
            return
        parent = self.of(row.parent) if row.parent else None
        if parent is not None and parent.score is not None:
            gain = self.metric.over(row.score, parent.score)
            kept = row.kept
            self._gains["goal"].setdefault(kept.goal if kept else "", []).append(gain)
            self._gains["kind"].setdefault(kept.kind if kept else "", []).append(gain)
            if gain > 0:
                insort(self.improvements, row, key=self.rank)
                insort(self.parents, row, key=self.rank)
        if row.cycle == 0:
            insort(self.parents, row, key=self.rank)

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
        """Texts of the edits of a part that were refused or kept on this parent."""
        return self._tried.get((program, part), frozenset())

    def gains(self, by: Literal["goal", "kind"] = "goal") -> Mapping[str, Sequence[float]]:
        """By the goal or the kind of the edit, the gain over its parent of each trained candidate (`Metric.over`)."""
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

    def rank(self, candidate: Candidate) -> tuple[float, int, int]:
        """Sort key: the best score first, the untrained last, ties in the order of the journal."""
        score = candidate.score
        return (inf if score is None else self.metric.key(score), candidate.cycle, candidate.index)

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
