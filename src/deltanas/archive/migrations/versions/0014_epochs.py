"""Columns for the length of a training, and for whether it was read from an earlier run.

The trainings of older runs had the length that the run's settings say.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    tables = ("candidates", "trainings", "finals")
    for table in tables:
        op.add_column(table, sa.Column("epochs", sa.Integer, nullable=False, server_default="0"))
        op.add_column(table, sa.Column("cached", sa.Boolean, nullable=False, server_default=sa.false()))
    runs = sa.table("runs", sa.column("id"), sa.column("manifest"))
    for run, manifest in op.get_bind().execute(sa.select(runs.c.id, runs.c.manifest)).all():
        epochs = _epochs(manifest)
        for name in tables if epochs else ():
            table = sa.table(name, *map(sa.column, ("run", "status", "epochs")))
            made = (table.c.run == run, table.c.status.in_(("trained", "failed")))
            op.execute(table.update().where(*made).values(epochs=epochs))


def _epochs(manifest: str) -> int | None:
    try:
        match json.loads(manifest):
            case {"config": {"train": {"epochs": int(epochs)}}}:
                return epochs
    except ValueError:
        pass
    return None
