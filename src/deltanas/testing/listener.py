"""What every `Listener` holds."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace

from deltanas.journal import Journal
from deltanas.program import Refused
from deltanas.program.adapter import Adapter
from deltanas.records import Candidate, Final
from deltanas.seams import (
    Began,
    Event,
    Listener,
    Planned,
    Proposed,
    Scored,
    Settled,
    Stepped,
    TrainingEnded,
    Tuned,
)
from deltanas.testing.examples import BASE, BETTER, FAILED, TRAINED, rows

ADAPTER = Adapter(1, "adapters/1", None, "a model", {}, 3, "0" * 16, {"too long": 1}, (2.0, 1.5), 2, 100, 1.0)


class ListenerContract:
    """Told of everything that a search does, from its first event on or from where a run is taken up."""

    def listener(self) -> Listener:
        """A new one."""
        raise NotImplementedError("say how the listener is made")

    def test_it_hears_a_whole_search(self) -> None:
        listener = self.listener()
        for event in story(Journal()):
            assert _told(listener, event) is None, f"a listener gives nothing back: {type(event).__name__}"

    def test_it_hears_a_search_that_is_taken_up(self) -> None:
        whole = list(story(Journal()))
        for start in range(1, len(rows()) + 1):
            listener = self.listener()
            for event in story(Journal(_settled(rows()[:start])), start):
                listener(event)
        assert len(whole) > len(list(story(Journal(_settled(rows())), len(rows())))), (
            "a resumed search has less to tell"
        )

    def test_it_changes_no_journal(self) -> None:
        silent, heard = Journal(), Journal()
        for _ in story(silent):
            pass
        listener = self.listener()
        for event in story(heard):
            listener(event)
        assert list(heard) == list(silent), "a listener only listens"

    def test_it_leaves_stdout_alone(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            listener = self.listener()
            for event in story(Journal()):
                listener(event)
        assert out.getvalue() == "", "stdout is for data; narration goes to stderr"


def story(journal: Journal, start: int = 0) -> Iterator[Event]:
    """The events of a small search; `journal` is its own and grows with it. start: number of rows that it holds."""
    yield Planned(1, len(rows()), 1, 3, journal)
    for cycle, phase in ((0, "check"), (1, "propose")):
        fresh = [row for place, row in enumerate(rows()) if row.cycle == cycle and place >= start]
        yield Began(cycle, phase, len(fresh))  # type: ignore[arg-type]  # two of the phases
        opened = [
            row if isinstance(row.outcome, Refused) else replace(row, outcome=None, trainings=()) for row in fresh
        ]
        journal.open(opened)
        for row in opened:
            yield Proposed(row)
        yield Began(cycle, "train", len(fresh))
        for row in reversed(fresh):
            if isinstance(row.outcome, Refused):
                continue
            ended = row.trainings[0] if row.trainings else BETTER
            yield TrainingEnded(replace(row, outcome=None, trainings=(ended,)))
            journal.record(row.cycle, row.index, ended, ended)
            yield Settled(journal[journal.place(row.cycle, row.index)])
        yield Began(cycle, "repeat", 0)
    yield Began(1, "learn", 1)
    yield Stepped(1, 2, 2.0)
    yield Stepped(2, 2, 1.5)
    yield Tuned(ADAPTER)
    yield Began(1, "test", 2)
    yield Scored(Final(BASE.id, TRAINED))
    yield Scored(Final(rows()[1].program.id, FAILED))  # type: ignore[union-attr]  # a baseline has one


def _settled(held: list[Candidate]) -> list[Candidate]:
    return [row if row.outcome else replace(row, outcome=BETTER, trainings=(BETTER,)) for row in held]


def _told(listener: Listener, event: Event) -> object:
    return listener(event)  # type: ignore[func-returns-value]  # what it gives back is what is asked
