"""The line of adapters that a run's model was tuned to, in two tables beside the run's journal."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Table,
    Text,
    insert,
    select,
)

from deltanas.archive import records
from deltanas.archive.tables import CleanText, metadata
from deltanas.errors import ArchiveError
from deltanas.program.adapter import Adapter, Likelihood

adapters = Table(
    "adapters",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("folder", CleanText, nullable=False),
    Column("parent", CleanText),
    Column("model", CleanText, nullable=False),
    Column("settings", Text, nullable=False),
    Column("lessons", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("dropped", Text, nullable=False),
    Column("losses", Text, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("made", Text, nullable=False),
)

likelihoods = Table(
    "likelihoods",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("held_out", Boolean, nullable=False),
    Column("family", CleanText, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("before", Double, nullable=False),
    Column("after", Double, nullable=False),
    ForeignKeyConstraint(["run", "cycle"], ["adapters.run", "adapters.cycle"]),
)

_IN_JSON = ("settings", "dropped", "losses")


def adapters_of(connection: Connection, run: int) -> list[Adapter]:
    """A run's adapters, by cycle."""
    rows = connection.execute(select(likelihoods).where(likelihoods.c.run == run).order_by(*likelihoods.primary_key))
    found: dict[int, list[Likelihood]] = {}
    for row in rows:
        likelihood = Likelihood(row.held_out, row.family, row.tokens, row.before, row.after)
        found.setdefault(row.cycle, []).append(likelihood)
    made = []
    for row in connection.execute(select(adapters).where(adapters.c.run == run).order_by(adapters.c.cycle)):
        made.append(
            Adapter(
                cycle=row.cycle,
                folder=row.folder,
                parent=row.parent,
                model=row.model,
                settings=json.loads(row.settings),
                lessons=row.lessons,
                digest=row.digest,
                dropped=json.loads(row.dropped),
                losses=tuple(json.loads(row.losses)),
                steps=row.steps,
                tokens=row.tokens,
                seconds=row.seconds,
                likelihoods=tuple(found.get(row.cycle, ())),
            )
        )
    return made


class AdapterStore:
    """The adapters of one run; `read` and `write` begin its transactions."""

    def __init__(
        self,
        run: int,
        read: Callable[[], AbstractContextManager[Connection]],
        write: Callable[[], AbstractContextManager[Connection]],
    ) -> None:
        self._run = run
        self._read = read
        self._write = write

    def all(self) -> list[Adapter]:
        with self._read() as connection:
            return adapters_of(connection, self._run)

    def add(self, adapter: Adapter) -> None:
        """Raises ArchiveError if there is one of this cycle or a later one: the line only grows."""
        values = {name: value for name, value in asdict(adapter).items() if name != "likelihoods"}
        texts = {name: json.dumps(values[name]) for name in _IN_JSON}
        slot = {"run": self._run, "cycle": adapter.cycle}
        rows = [{**slot, "number": place, **asdict(one)} for place, one in enumerate(adapter.likelihoods)]
        with self._write() as connection:
            here = (adapters.c.run == self._run, adapters.c.cycle >= adapter.cycle)
            if connection.execute(select(adapters.c.cycle).where(*here)).first() is not None:
                raise ArchiveError(
                    f"the run has an adapter of cycle {adapter.cycle} or a later one already",
                    "What is recorded stays as it was.",
                )
            connection.execute(insert(adapters), [{**values, **texts, **slot, "made": records.now()}])
            if rows:
                connection.execute(insert(likelihoods), rows)
