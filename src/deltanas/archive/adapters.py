"""The line of adapters that a run's model was tuned to, in two tables beside the run's journal."""

from __future__ import annotations

import json
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
        held = {name: value for name, value in row._asdict().items() if name not in ("run", "made")}
        held |= {name: json.loads(held[name]) for name in _IN_JSON}
        losses, known = tuple(held.pop("losses")), tuple(found.get(row.cycle, ()))
        made.append(Adapter(**held, losses=losses, likelihoods=known))
    return made


def add_adapter(connection: Connection, run: int, adapter: Adapter) -> None:
    """Raises ArchiveError if there is one of this cycle or a later one: the line only grows."""
    values = {name: value for name, value in asdict(adapter).items() if name != "likelihoods"}
    texts = {name: json.dumps(values[name]) for name in _IN_JSON}
    slot = {"run": run, "cycle": adapter.cycle}
    rows = [{**slot, "number": place, **asdict(one)} for place, one in enumerate(adapter.likelihoods)]
    here = (adapters.c.run == run, adapters.c.cycle >= adapter.cycle)
    if connection.execute(select(adapters.c.cycle).where(*here)).first() is not None:
        raise ArchiveError(
            f"the run has an adapter of cycle {adapter.cycle} or a later one already",
            "What is recorded stays as it was.",
        )
    connection.execute(insert(adapters), [{**values, **texts, **slot, "made": records.now()}])
    if rows:
        connection.execute(insert(likelihoods), rows)
