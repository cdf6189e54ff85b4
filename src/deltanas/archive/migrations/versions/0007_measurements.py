"""A table for what else is measured of trained networks: the median of repetitions, with its quartiles."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    slot = ["run", "cycle", "index"]
    op.create_table(
        "measurements",
        *(sa.Column(name, sa.Integer, nullable=False) for name in slot),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(*slot, "name", name="pk_measurements"),
        sa.ForeignKeyConstraint(slot, [f"candidates.{name}" for name in slot], name="fk_measurements_run_cycle_index"),
    )
