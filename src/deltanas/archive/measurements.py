"""What was measured of trained candidates beside their scores, in a table beside the run's journal."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Column, Connection, Double, ForeignKeyConstraint, Integer, Table, Text, insert, select

from deltanas.archive.tables import CleanText, metadata
from deltanas.errors import ArchiveError
from deltanas.records import Measurement

measurements = Table(
    "measurements",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Double),
    Column("low", Double),
    Column("high", Double),
    Column("n", Integer, nullable=False),
    Column("detail", CleanText, nullable=False),
    ForeignKeyConstraint(["run", "cycle", "index"], ["candidates.run", "candidates.cycle", "candidates.index"]),
)


def add_measurement(connection: Connection, run: int, cycle: int, index: int, measurement: Measurement) -> None:
    """Raises ArchiveError if the candidate has one of this name already."""
    slot = {"run": run, "cycle": cycle, "index": index}
    held = select(measurements.c.name).filter_by(**slot, name=measurement.name)
    if connection.execute(held).first() is not None:
        raise ArchiveError(
            f"cycle {cycle}, index {index} has its {measurement.name} already", "What is recorded stays as it was."
        )
    connection.execute(insert(measurements), [{**slot, **asdict(measurement)}])
