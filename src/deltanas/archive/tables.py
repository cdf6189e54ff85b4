"""The tables as this version reads them; `migrations/versions` holds how they came to be."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """The text as the archive keeps it: NUL and lone surrogates, which PostgreSQL can't hold, become U+FFFD.

    SQLite could hold a NUL; it is replaced there too, so that a run reads the same from either database.
    """
    return _UNSTORABLE.sub("\ufffd", text)


class CleanText(TypeDecorator[str]):
    """Text of any origin (a model's reply, a traceback); `clean` is applied here and nowhere else on the way in."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else clean(value)


def _outcome() -> list[Column[Any] | CheckConstraint]:
    return [
        Column("status", Text, nullable=False),
        Column("kind", Text),
        Column("reason", CleanText),
        Column("score", Double),
        Column("n", BigInteger),
        Column("seed", BigInteger),
        Column("seconds", Double),
        Column("cpu_seconds", Double),
        Column("tier", Text),
        Column("settled", Text),
        Column("epochs", Integer, nullable=False, server_default="0"),
        Column("cached", Boolean, nullable=False, server_default=false()),
        CheckConstraint("status IN ('open', 'refused', 'failed', 'trained')", name="status_known"),
        CheckConstraint("(status = 'trained') = (score IS NOT NULL)", name="only_trained_scores"),
        CheckConstraint("(status = 'open') = (settled IS NULL)", name="open_until_settled"),
    ]


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created", Text, nullable=False),
    Column("finished", Text),
    Column("manifest", Text, nullable=False),
    Column("written", Text),
    Column("pictures", LargeBinary),
)

# A run keeps its own copy of each program: texts that share an identity may differ in comments and layout, and a
# resumed run must edit the very text it edited before, whatever other runs put into the same database. `more_parts` and
# `more_parents`: JSON of the parts that have no column, and of the parents after the first.
programs = Table(
    "programs",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("net", CleanText, nullable=False),
    Column("transform", CleanText, nullable=False),
    Column("prm", CleanText, nullable=False),
    Column("more_parts", CleanText, nullable=False, server_default="{}"),
    Column("parent", Text),
    Column("more_parents", Text, nullable=False, server_default="[]"),
    Column("digest", Text, nullable=False),
)

candidates = Table(
    "candidates",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("strategy", CleanText, nullable=False),
    Column("name", CleanText, nullable=False, server_default=""),
    Column("program", Text),
    Column("parent", Text),
    Column("params", BigInteger),
    Column("flops", BigInteger),
    Column("trace", Text),
    Column("probe", Text),
    Column("opened", Text, nullable=False),
    *_outcome(),
    ForeignKeyConstraint(["run", "program"], ["programs.run", "programs.id"]),
    ForeignKeyConstraint(["run", "parent"], ["programs.run", "programs.id"]),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("edit", CleanText, nullable=False),
    Column("rung", Text),
    Column("goal", CleanText, nullable=False),
    Column("stage", Text),
    Column("reason", CleanText),
    Column("round", Integer, nullable=False, server_default="0"),
    Column("program", Text),
    Column("trace", Text),
    Column("effective", Boolean),
    Column("kind", CleanText, nullable=False, server_default=""),
    Column("note", CleanText, nullable=False, server_default=""),
    Column("part", Text, nullable=False, server_default="net"),
    Column("steps", Integer, nullable=False, server_default="1"),
    Column("predicted", Double),
    ForeignKeyConstraint(["run", "cycle", "index"], ["candidates.run", "candidates.cycle", "candidates.index"]),
)

trainings = Table(
    "trainings",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    *_outcome(),
    Column("per_image", LargeBinary),
    ForeignKeyConstraint(["run", "cycle", "index"], ["candidates.run", "candidates.cycle", "candidates.index"]),
)

calls = Table(
    "calls",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("model", CleanText, nullable=False),
    Column("prompt", CleanText, nullable=False),
    Column("reply", CleanText, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("reply_tokens", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("estimated", Boolean, nullable=False, server_default=false()),
    ForeignKeyConstraint(
        ["run", "cycle", "index", "attempt"],
        ["attempts.run", "attempts.cycle", "attempts.index", "attempts.attempt"],
    ),
)

finals = Table(
    "finals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("program", Text, nullable=False),
    *_outcome(),
    Column("per_image", LargeBinary),
    Column("confusion", Text),
    Column("picture", LargeBinary),
    UniqueConstraint("run", "program"),
    ForeignKeyConstraint(["run", "program"], ["programs.run", "programs.id"]),
)
