"""What a run keeps of proposals from outside: who has which slot, the tests against the champion, and their pairs."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Row,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from deltanas.archive.session import Session, lasting
from deltanas.archive.tables import CleanText, metadata
from deltanas.records import Duel, Lease, Pair

leases = Table(
    "leases",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("asker", CleanText, nullable=False),
    Column("token", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("owner", Text),
)

duels = Table(
    "duels",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("cycle", Integer, nullable=False),
    Column("index", Integer, nullable=False),
    Column("rival", Text, nullable=False),
    Column("error", Double, nullable=False),
    Column("noise", Double, nullable=False),
    Column("seed", BigInteger, nullable=False, server_default="0"),
    Column("lost", Double, nullable=False, server_default="0"),
    Column("verdict", Text),
    Column("closed", Integer),
    ForeignKeyConstraint(["run", "cycle", "index"], ["candidates.run", "candidates.cycle", "candidates.index"]),
)

pairs = Table(
    "pairs",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("duel", Integer, primary_key=True),
    Column("pair", Integer, primary_key=True),
    Column("seed", BigInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("rival_score", Double, nullable=False),
    Column("seconds", Double, nullable=False),
    ForeignKeyConstraint(["run", "duel"], ["duels.run", "duels.number"]),
)


class Ledger:
    """The part of a run's archive that a referee writes. Every method is one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @lasting
    def leases(self) -> list[Lease]:
        with self.session.read() as connection:
            return leases_of(connection, self.session.run)

    @lasting
    def lease(self, lease: Lease) -> None:
        """Give a slot out, or change who has it."""
        here = (leases.c.run == self.session.run, leases.c.cycle == lease.cycle, leases.c.index == lease.index)
        with self.session.write() as connection:
            connection.execute(delete(leases).where(*here))
            connection.execute(insert(leases), [{"run": self.session.run, **asdict(lease)}])

    @lasting
    def duels(self) -> list[Duel]:
        """All tests in the order in which they began, with their pairs."""
        with self.session.read() as connection:
            return duels_of(connection, self.session.run)

    @lasting
    def begin(self, duel: Duel) -> None:
        values = {key: value for key, value in asdict(duel).items() if key != "pairs"}
        with self.session.write() as connection:
            connection.execute(insert(duels), [{"run": self.session.run, **values}])

    @lasting
    def add(self, number: int, pair: Pair) -> None:
        here = (pairs.c.run == self.session.run, pairs.c.duel == number)
        with self.session.write() as connection:
            held = connection.execute(select(func.count()).select_from(pairs).where(*here)).scalar_one()
            values = {"run": self.session.run, "duel": number, "pair": held, **asdict(pair)}
            connection.execute(insert(pairs), [values])

    @lasting
    def close(self, number: int, verdict: str, lost: float = 0.0) -> None:
        """End a test that goes on; one that has ended keeps its verdict. lost: as in `Duel`."""
        mine = duels.c.run == self.session.run
        with self.session.write() as connection:
            ended = select(func.count(duels.c.closed)).where(mine)
            place = connection.execute(ended).scalar_one()
            here = (mine, duels.c.number == number, duels.c.verdict.is_(None))
            connection.execute(update(duels).where(*here).values(verdict=verdict, closed=place, lost=lost))


def leases_of(connection: Connection, run: int) -> list[Lease]:
    query = select(leases).where(leases.c.run == run).order_by(leases.c.cycle, leases.c.index)
    return [Lease(**_without_run(row)) for row in connection.execute(query)]


def duels_of(connection: Connection, run: int) -> list[Duel]:
    made: dict[int, list[Pair]] = {}
    query = select(pairs).where(pairs.c.run == run).order_by(pairs.c.duel, pairs.c.pair)
    for row in connection.execute(query):
        made.setdefault(row.duel, []).append(Pair(row.seed, row.score, row.rival_score, row.seconds))
    query = select(duels).where(duels.c.run == run).order_by(duels.c.number)
    found = [Duel(**_without_run(row)) for row in connection.execute(query)]
    return [replace(each, pairs=tuple(made.get(each.number, ()))) for each in found]


def _without_run(row: Row[Any]) -> dict[str, Any]:
    return {key: value for key, value in row._mapping.items() if key != "run"}
