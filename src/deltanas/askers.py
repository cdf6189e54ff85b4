"""A run that is filled from outside: who is champion, who proposed what, and what each one's edits were worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from deltanas.intervals import Estimate, mean
from deltanas.journal import Journal
from deltanas.program import Failed, Refused, Trained
from deltanas.records import Candidate, Duel, Lease, RunView

CONTROL = ""
"""Name of the asker of the control: no other has it."""


@dataclass(frozen=True, slots=True)
class Asker:
    """An asker in figures.

    Attributes:
        name: "" is the uniform control, on the same parents. told: number of candidates; refused, same, failed,
            trained: what became of them. better: number that a test called better. mean_gain: of the trained ones over
            their parents, None without one; gain: the same with the 95 % interval of the mean, None for fewer than two.
        trainings: in all, those of tests too.
    """

    name: str
    told: int
    refused: int
    same: int
    failed: int
    trained: int
    better: int
    mean_gain: float | None
    gain: Estimate | None
    trainings: int


def open_slots(view: RunView) -> int:
    """Number of slots of a run that are yet to be told; 0 of one that is not filled from outside, or is finished."""
    match view.manifest.get("config"):
        case {"strategy": "outside", "cycles": int(cycles), "candidates": int(each)} if not view.finished:
            return cycles * each - sum(row.cycle > 0 and row.index < each for row in view.candidates)
        case _:
            return 0


def champion_of(journal: Journal, duels: Iterable[Duel]) -> Candidate:
    """The best baseline, until a test said of a candidate that it is better than it; and so on.

    Raises StopIteration where no baseline is trained.
    """
    champion = next(row for row in journal.parents if row.cycle == 0)
    for duel in sorted((each for each in duels if each.closed is not None), key=lambda each: each.closed or 0):
        if duel.verdict == "better" and champion.program and duel.rival == champion.program.id:
            champion = journal[journal.place(duel.cycle, duel.index)]
    return champion


def askers(journal: Journal, leases: Iterable[Lease], duels: Sequence[Duel]) -> list[Asker]:
    """In the order of their names: the control is the first."""
    rows = {(row.cycle, row.index): row for row in journal}
    told: dict[str, list[Candidate]] = {}
    for lease in leases:
        if row := rows.get((lease.cycle, lease.index)):
            told.setdefault(lease.asker, []).append(row)
    return [_figures(journal, duels, name, found) for name, found in sorted(told.items())]


def _figures(journal: Journal, duels: Sequence[Duel], name: str, rows: Sequence[Candidate]) -> Asker:
    refusals = [row.outcome for row in rows if isinstance(row.outcome, Refused)]
    gains = [gain for row in rows if (gain := journal.gain(row)) is not None]
    same = sum(each.stage == "novelty" for each in refusals)
    places = {(row.cycle, row.index) for row in rows}
    held = [duel for duel in duels if (duel.cycle, duel.index) in places]
    return Asker(
        name,
        len(rows),
        len(refusals) - same,
        same,
        sum(isinstance(row.outcome, Failed) for row in rows),
        sum(isinstance(row.outcome, Trained) for row in rows),
        sum(duel.verdict == "better" for duel in held),
        fmean(gains) if gains else None,
        mean(gains),
        sum(len(row.trainings) for row in rows) + sum(duel.trainings for duel in held),
    )
