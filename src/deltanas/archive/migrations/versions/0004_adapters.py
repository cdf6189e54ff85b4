"""The adapters that a run's model was tuned to, and how likely it found elites before and after."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "adapters",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("lessons", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("dropped", sa.Text, nullable=False),
        sa.Column("losses", sa.Text, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "cycle", name="pk_adapters"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_adapters_run"),
    )
    op.create_table(
        "likelihoods",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("held_out", sa.Boolean, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("before", sa.Double, nullable=False),
        sa.Column("after", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("run", "cycle", "number", name="pk_likelihoods"),
        sa.ForeignKeyConstraint(["run", "cycle"], ["adapters.run", "adapters.cycle"], name="fk_likelihoods_run_cycle"),
    )
