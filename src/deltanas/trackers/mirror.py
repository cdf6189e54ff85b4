"""What a search tells its listener, as series of numbers for a tracker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Literal, Protocol

from deltanas.errors import DeltanasError
from deltanas.program import Failed, Refused, Trained
from deltanas.program.adapter import Adapter
from deltanas.seams import Candidate, Final, Listener, Phase, elites
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
        self._places: dict[tuple[int, int], int] = {}
        self._rows: dict[tuple[int, int], Candidate] = {}
        self._try(lambda: self._open(opened))

    def plan(self, cycles: int, total: int, seeds: int, top: int, journal: Sequence[Candidate]) -> None:
        self._listener.plan(cycles, total, seeds, top, journal)
        for candidate in journal:
            self._place(candidate)
            if candidate.outcome:
                self._note(candidate)

    def begin(self, cycle: int, phase: Phase, total: int) -> None:
        self._listener.begin(cycle, phase, total)
        if phase in ("propose", "test"):
            for ended in range(1, cycle + (phase == "test")):
                self._write(ended, _cycle(ended, list(self._rows.values())))

    def proposed(self, candidate: Candidate) -> None:
        self._listener.proposed(candidate)
        self._place(candidate)
        if candidate.outcome:
            self._note(candidate)

    def trained(self, candidate: Candidate) -> None:
        self._listener.trained(candidate)

    def settled(self, candidate: Candidate) -> None:
        self._listener.settled(candidate)
        self._note(candidate)

    def stepped(self, step: int, steps: int, loss: float) -> None:
        self._listener.stepped(step, steps, loss)

    def tuned(self, adapter: Adapter) -> None:
        self._listener.tuned(adapter)

    def scored(self, final: Final) -> None:
        self._listener.scored(final)
        place = next(
            (slot for slot, row in self._rows.items() if row.program and row.program.id == final.program), None
        )
        if place is not None and isinstance(final.outcome, Trained):
            self._write(self._places[place], {"candidate/test_accuracy": final.outcome.accuracy})

    def close(self) -> None:
        if self._sink is not None:
            self._try(self._sink.close)

    def _place(self, candidate: Candidate) -> None:
        self._places.setdefault((candidate.cycle, candidate.index), len(self._places) + 1)

    def _note(self, candidate: Candidate) -> None:
        slot = candidate.cycle, candidate.index
        self._rows[slot] = candidate
        parents = (c.accuracy for c in self._rows.values() if c.program and c.program.id == candidate.parent)
        self._write(self._places[slot], _candidate(candidate, next(parents, None)))

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


def _candidate(candidate: Candidate, parent: float | None) -> dict[str, float]:
    values: dict[str, float] = {}
    if candidate.accuracy is not None:
        values["candidate/accuracy"] = candidate.accuracy
        if parent is not None:
            values["candidate/gain"] = candidate.accuracy - parent
    if candidate.standard_error is not None:
        values["candidate/standard_error"] = candidate.standard_error
    if isinstance(candidate.outcome, Trained | Failed):
        values["candidate/seconds"] = candidate.outcome.seconds
        values["candidate/trainings"] = max(1, len(candidate.trainings))
        if candidate.draft and candidate.draft.params is not None:
            values["candidate/params"] = candidate.draft.params
    return values


def _cycle(cycle: int, rows: Sequence[Candidate]) -> dict[str, float]:
    """What a cycle came to; `best` is that of the run up to its end."""
    so_far = [c for c in rows if c.cycle <= cycle]
    own = [c for c in so_far if c.cycle == cycle]
    values = {
        f"cycle/{kind.__name__.lower()}": float(sum(isinstance(c.outcome, kind) for c in own))
        for kind in (Trained, Failed, Refused)
    }
    values["cycle/elites"] = float(sum(c.cycle == cycle for c in elites(so_far)))
    scores = [c.accuracy for c in own if c.accuracy is not None]
    if scores:
        values["cycle/mean_accuracy"] = fmean(scores)
    if best := [c.accuracy for c in so_far if c.accuracy is not None]:
        values["cycle/best_accuracy"] = max(best)
    return values


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
        listener = Mirror(listener, name, partial(TRACKERS[name], folder, run, manifest))
        mirrors.append(listener)
    try:
        yield listener
    finally:
        for mirror in mirrors:
            mirror.close()
