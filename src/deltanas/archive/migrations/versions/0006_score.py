"""Columns for scores an image, a baseline's name, an edit's kind and a strategy's note; accuracy becomes score.

Until now the goal of an attempt held the name, the kind and the note.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KINDS = ("random", "evolution", "bandit")


def upgrade() -> None:
    for table in ("candidates", "trainings", "finals"):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN accuracy TO score")
    for table in ("trainings", "finals"):
        op.add_column(table, sa.Column("per_image", sa.LargeBinary))
    for table, column in (("candidates", "name"), ("attempts", "kind"), ("attempts", "note")):
        op.add_column(table, sa.Column(column, sa.Text, nullable=False, server_default=""))
    slot = [sa.column(name) for name in ("run", "cycle", "index")]
    candidates = sa.table("candidates", *slot, sa.column("name"), sa.column("strategy"))
    attempts = sa.table(
        "attempts", *(sa.column(c.name) for c in slot), *map(sa.column, ("attempt", "goal", "kind", "note"))
    )
    calls = sa.table("calls", *(sa.column(c.name) for c in slot), *map(sa.column, ("attempt", "number", "reply")))

    def same_slot(one: sa.TableClause, other: sa.TableClause) -> sa.ColumnElement[bool]:
        return sa.and_(*(one.c[name] == other.c[name] for name in ("run", "cycle", "index")))

    def of(*strategies: str) -> sa.ColumnElement[bool]:
        chosen = sa.select(sa.literal(1)).where(same_slot(candidates, attempts), candidates.c.strategy.in_(strategies))
        return sa.and_(attempts.c.cycle > 0, chosen.exists())

    last = sa.select(attempts.c.goal).where(same_slot(attempts, candidates)).order_by(attempts.c.attempt.desc())
    named = sa.func.coalesce(last.limit(1).scalar_subquery(), "")
    op.execute(candidates.update().where(candidates.c.cycle == 0).values(name=named))
    op.execute(attempts.update().where(attempts.c.cycle == 0).values(goal=""))
    op.execute(attempts.update().where(of(*KINDS)).values(kind=attempts.c.goal, goal=""))
    op.execute(attempts.update().where(of("channels")).values(note=attempts.c.goal))
    first = sa.select(calls.c.reply).where(
        same_slot(calls, attempts), calls.c.attempt == attempts.c.attempt, calls.c.number == 0
    )
    advice = sa.func.coalesce(first.scalar_subquery(), "")
    op.execute(attempts.update().where(of("feedback")).values(note=advice))
