"""How a run stands at one moment: who has which slot, who is champion, what each asker has spent."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltanas.archive import RunArchive
from deltanas.askers import champion_of
from deltanas.journal import Journal
from deltanas.plan import Plan
from deltanas.records import Candidate, Duel, Lease
from deltanas.referee.evidence import ERROR

Place = tuple[int, int]
"""(cycle, index) of a slot."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What an asker has used up, with the trainings that are due for what it told.

    held: the slots that it has and has not answered.
    """

    candidates: int
    trainings: int
    seconds: float
    held: tuple[Lease, ...]


class Standing:
    """What the archive holds of a run, read once."""

    def __init__(self, run: RunArchive, plan: Plan) -> None:
        self.plan = plan
        self.journal = Journal(run.rows(), metric=plan.metric)
        self.rows = {(row.cycle, row.index): row for row in self.journal}
        self.leases = {(lease.cycle, lease.index): lease for lease in run.ledger.leases()}
        self.duels = run.ledger.duels()

    @property
    def champion(self) -> Candidate:
        return champion_of(self.journal, self.duels)

    def free(self, now: str) -> Place | None:
        """The first slot that nobody has or has answered; None: there is none."""
        for place in self._places():
            lease = self.leases.get(place)
            if place not in self.rows and (lease is None or lease.until <= now):
                return place
        return None

    def unsettled(self) -> int:
        """Number of slots that have no outcome yet."""
        return sum(place not in self.rows or self.rows[place].outcome is None for place in self._places())

    def orphans(self, now: str) -> list[Place]:
        """Candidates that were told and whose training nobody makes any more."""
        return [
            place
            for place, row in self.rows.items()
            if place[0] and row.outcome is None and not is_alive(self.leases.get(place), now)
        ]

    def error_left(self) -> float:
        """What the tests so far left of the probability of erring."""
        return max(0.0, ERROR - sum(duel.error for duel in self.duels))

    def duels_of(self, place: Place) -> list[Duel]:
        """In the order in which they began."""
        return [duel for duel in self.duels if (duel.cycle, duel.index) == place]

    def spent(self, asker: str, now: str) -> Spent:
        mine = [place for place, lease in self.leases.items() if lease.asker == asker]
        told = [self.rows[place] for place in mine if place in self.rows]
        made = [training for row in told for training in row.trainings]
        due = sum(self.plan.allocation.each - len(row.trainings) for row in told if row.program and not row.outcome)
        duels = [duel for place in mine for duel in self.duels_of(place)]
        pairs = [pair.seconds for duel in duels for pair in duel.pairs]
        held = [self.leases[place] for place in mine if place not in self.rows and self.leases[place].until > now]
        return Spent(
            len(told),
            len(made) + due + sum(duel.trainings for duel in duels),
            sum(training.seconds for training in made) + sum(pairs) + sum(duel.lost for duel in duels),
            tuple(sorted(held, key=lambda lease: lease.until)),
        )

    def _places(self) -> Iterator[Place]:
        for cycle in range(1, self.plan.cycles + 1):
            for index in range(self.plan.candidates):
                yield cycle, index


def moment_after(seconds: float) -> str:
    """A moment from now, in UTC, ISO 8601; such texts sort as the moments do."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def this_process() -> str:
    """Name of this process, which no other ever has: host, number, and the tick at which it began."""
    return f"{socket.gethostname()}:{os.getpid()}:{_began(os.getpid())}"


def is_alive(lease: Lease | None, now: str) -> bool:
    """Does the process live that trains what was told? Of one on another machine until the lease ends."""
    if lease is None or lease.owner is None:
        return False
    host, pid, began = lease.owner.rsplit(":", 2)
    if host != socket.gethostname():
        return lease.until > now
    return began != "" and _began(int(pid)) == began


def _began(pid: int) -> str:
    """The tick at which a process began; empty where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
