"""What a list of runs says of one: its state, its counts and its best network, without a text of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select

from deltanas.archive.records import moment_of
from deltanas.archive.tables import candidates, trainings
from deltanas.records import Candidate
from deltanas.task import Better

State = Literal["running", "finished", "stopped"]


@dataclass(frozen=True, slots=True)
class Overview:
    """A run at one moment.

    Attributes:
        state: "running" if a process writes it; "stopped" if none does and the search has not ended.
        created, ended: in UTC; `ended` None if it has not.
        counts: number of the search's candidates by status ("open", "refused", "failed", "trained").
        seconds: of all its trainings, those of the baselines too, one after another.
        best: the search's best candidate, None while none is trained.
    """

    state: State
    created: datetime
    ended: datetime | None
    counts: dict[str, int]
    seconds: float
    best: Candidate | None


def overview(connection: Connection, row: Row[Any], best: Candidate | None, *, is_written: bool) -> Overview:
    """row: the run's, of the table `runs`."""
    seconds = connection.execute(select(func.sum(trainings.c.seconds)).where(trainings.c.run == row.id)).scalar_one()
    return Overview(
        state="finished" if row.finished else "running" if is_written else "stopped",
        created=moment_of(row.id, row.created, "began"),
        ended=moment_of(row.id, row.finished, "ended") if row.finished else None,
        counts=tally(connection, row.id),
        seconds=float(seconds or 0.0),
        best=best,
    )


def tally(connection: Connection, run: int) -> dict[str, int]:
    """Number of the search's candidates by status."""
    mine = (candidates.c.run == run) & (candidates.c.cycle > 0)
    counted = select(candidates.c.status, func.count()).where(mine).group_by(candidates.c.status)
    found = {row.status: row[1] for row in connection.execute(counted)}
    return {status: found.get(status, 0) for status in ("open", "refused", "failed", "trained")}


def best_slot(connection: Connection, run: int, better: Better) -> tuple[int, int] | None:
    """(cycle, index) of the search's best candidate of those with the longest training, the first of equal ones."""
    table = candidates.c
    score = table.score.desc() if better == "higher" else table.score.asc()
    mine = (table.run == run, table.cycle > 0, table.score.is_not(None))
    row = connection.execute(
        select(table.cycle, table.index)
        .where(*mine)
        .order_by(table.epochs.desc(), score, table.cycle, table.index)
        .limit(1)
    ).one_or_none()
    return None if row is None else (row[0], row[1])
