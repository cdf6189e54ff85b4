"""What a search tells its listener, as series of numbers for a tracker."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Literal, Protocol

from deltanas.errors import DeltanasError
from deltanas.journal import Journal
from deltanas.prices import ratios
from deltanas.program import Failed, Refused, Trained
from deltanas.records import Candidate
from deltanas.seams import Began, Event, Listener, Measured, Planned, Proposed, Scored, Settled
from deltanas.task import Metric
from deltanas.trackers.mlflow import MlFlow
from deltanas.trackers.tensorboard import TensorBoard

Tracker = Literal["tensorboard", "mlflow"]


class Sink(Protocol):
    """A tracker that is open for one run. What it raises is the tracker's own trouble, never the search's."""

    def held(self) -> set[tuple[str, int]]:
        """The (series, step) that it has from before."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


TRACKERS: dict[Tracker, Callable[[Path, str, Mapping[str, object]], Sink]] = {
    "tensorboard": TensorBoard,
    "mlflow": MlFlow,
}


@dataclass(slots=True)
class _Cycle:
    """What a cycle came to. best: the best score of the run up to its end."""

    metric: Metric
    counts: Counter[type] = field(default_factory=Counter)
    improvements: int = 0
    scores: list[float] = field(default_factory=list)
    best: float | None = None

    def add(self, candidate: Candidate, gain: float | None, *, longest: bool) -> None:
        """longest: it was trained as long as any; scores after other numbers of epochs are not taken in."""
        self.counts[type(candidate.outcome)] += 1
        if candidate.score is not None and longest:
            self.scores.append(candidate.score)
            self.best = self.metric.best(_known(self.best, candidate.score))
            self.improvements += gain is not None and gain > 0

    def values(self) -> dict[str, float]:
        values = {f"cycle/{kind.__name__.lower()}": float(self.counts[kind]) for kind in (Trained, Failed, Refused)}
        values["cycle/elites"] = float(self.improvements)
        if self.scores:
            values[f"cycle/mean_{self.metric.name}"] = fmean(self.scores)
        if self.best is not None:
            values[f"cycle/best_{self.metric.name}"] = self.best
        return values


def _known(*scores: float | None) -> list[float]:
    return [score for score in scores if score is not None]


class Mirror:
    """A `Listener` that passes everything on to another, and writes it to a tracker.

    Series `candidate/...` have a step for each candidate in the order of the proposals, baselines first; `cycle/...`
    have one for each cycle. A tracker that fails is left alone from then on, with one warning.
    """

    def __init__(self, listener: Listener, name: str, opened: Callable[[], Sink]) -> None:
        self._listener = listener
        self._name = name
        self._sink: Sink | None = None
        self._held: set[tuple[str, int]] = set()
        self._journal = Journal()
        self._cycles: dict[int, _Cycle] = {}
        self._told = 0
        self._best: float | None = None
        self._try(lambda: self._open(opened))

    def __call__(self, event: Event) -> None:
        self._listener(event)
        match event:
            case Planned(journal=journal):
                self._journal = journal
                for candidate in journal:
                    self._note(candidate)
            case Began(cycle, phase):
                if phase in ("propose", "test"):
                    self._tell_cycles(cycle if phase == "propose" else cycle + 1)
            case Proposed(candidate) | Settled(candidate):
                self._note(candidate)
            case Measured(candidate):
                row = self._journal.of(candidate.program.id) if candidate.program else None
                if row is not None:
                    self._write(self._step(row), _prices(row, self._journal))
            case Scored(final):
                row = self._journal.of(final.program)
                if row is not None and isinstance(final.outcome, Trained):
                    self._write(self._step(row), {f"candidate/test_{self._journal.metric.name}": final.outcome.score})

    def close(self) -> None:
        if self._sink is not None:
            self._try(self._sink.close)

    def _step(self, candidate: Candidate) -> int:
        return 1 + self._journal.place(candidate.cycle, candidate.index)

    def _note(self, candidate: Candidate) -> None:
        step = self._step(candidate)
        if candidate.outcome:
            gain = self._journal.gain(candidate)
            self._cycle(candidate.cycle).add(candidate, gain, longest=candidate.rung == self._journal.top)
            self._write(step, _candidate(candidate, gain, self._journal.metric) | _prices(candidate, self._journal))

    def _cycle(self, cycle: int) -> _Cycle:
        return self._cycles.setdefault(cycle, _Cycle(self._journal.metric))

    def _tell_cycles(self, end: int) -> None:
        """Write what the cycles before `end` came to, each once."""
        for cycle in range(self._told, end):
            ended = self._cycle(cycle)
            del self._cycles[cycle]
            self._best = ended.best = self._journal.metric.best(_known(self._best, ended.best))
            if cycle:
                self._write(cycle, ended.values())
        self._told = max(self._told, end)

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        new = {key: value for key, value in values.items() if (key, step) not in self._held}
        if new and (sink := self._sink) is not None:
            self._held |= {(key, step) for key in new}
            self._try(lambda: sink.write(step, new))

    def _open(self, opened: Callable[[], Sink]) -> None:
        sink = opened()
        self._held = set(sink.held())
        self._sink = sink

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001  a tracker may raise anything, and the search goes on without it
            self._sink = None
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            logging.getLogger("deltanas").warning("%s is not told of this search any more: %s", self._name, reason)


def _candidate(candidate: Candidate, gain: float | None, metric: Metric) -> dict[str, float]:
    values: dict[str, float] = {}
    if candidate.score is not None:
        values[f"candidate/{metric.name}"] = candidate.score
        if candidate.rung:
            values["candidate/epochs"] = candidate.rung
        if gain is not None:
            values["candidate/gain"] = gain
    if candidate.standard_error is not None:
        values["candidate/standard_error"] = candidate.standard_error
    if isinstance(candidate.outcome, Trained | Failed):
        values["candidate/seconds"] = candidate.outcome.seconds
        values["candidate/trainings"] = max(1, len(candidate.trainings))
        draft = candidate.draft
        sizes = {"params": draft.params, "flops": draft.flops} if draft else {}
        values |= {f"candidate/{name}": size for name, size in sizes.items() if size is not None}
    return values


def _prices(candidate: Candidate, journal: Journal) -> dict[str, float]:
    """What it costs, in times of the baseline at the root of its line, as far as that is known."""
    if not isinstance(candidate.outcome, Trained | Failed):
        return {}
    known = ratios(candidate, journal).items()
    return {f"candidate/{name}_ratio": ratio for name, ratio in known if ratio is not None}


def require_trackers(names: Sequence[Tracker]) -> None:
    """Raises DeltanasError where the package of one is missing."""
    for name in names:
        if find_spec(name) is None:
            raise DeltanasError(f"{name} is not installed", f"pip install 'deltanas[{name}]', or leave out --track")


@contextmanager
def mirrored(
    listener: Listener, names: Sequence[Tracker], folder: Path, run: str, manifest: Mapping[str, object]
) -> Iterator[Listener]:
    """The listener, with the trackers of these names told too. folder: the run's."""
    mirrors = []
    for name in dict.fromkeys(names):
        mirrors.append(Mirror(listener, name, partial(TRACKERS[name], folder, run, manifest)))
        listener = mirrors[-1]
    try:
        yield listener
    finally:
        for mirror in mirrors:
            mirror.close()
