"""Every training of a candidate; what is known of each attempt; the probe of each candidate."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COPY = """
INSERT INTO trainings (run, cycle, "index", repeat, status, kind, reason, accuracy, n, seed, seconds, cpu_seconds, tier,
                       settled)
SELECT run, cycle, "index", 0, status, kind, reason, accuracy, n, seed, seconds, cpu_seconds, tier, settled
FROM candidates WHERE status IN ('failed', 'trained')
"""


def upgrade() -> None:
    op.create_table(
        "trainings",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("repeat", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("accuracy", sa.Double),
        sa.Column("n", sa.BigInteger),
        sa.Column("seed", sa.BigInteger),
        sa.Column("seconds", sa.Double),
        sa.Column("cpu_seconds", sa.Double),
        sa.Column("tier", sa.Text),
        sa.Column("settled", sa.Text),
        sa.CheckConstraint("status IN ('open', 'refused', 'failed', 'trained')", name="ck_trainings_status_known"),
        sa.CheckConstraint("(status = 'trained') = (accuracy IS NOT NULL)", name="ck_trainings_only_trained_scores"),
        sa.CheckConstraint("(status = 'open') = (settled IS NULL)", name="ck_trainings_open_until_settled"),
        sa.PrimaryKeyConstraint("run", "cycle", "index", "repeat", name="pk_trainings"),
        sa.ForeignKeyConstraint(
            ["run", "cycle", "index"],
            ["candidates.run", "candidates.cycle", "candidates.index"],
            name="fk_trainings_run_cycle_index",
        ),
    )
    # Until now a candidate was trained once, and each further attempt was a round of its own.
    op.execute(COPY)
    op.add_column("attempts", sa.Column("round", sa.Integer, nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("program", sa.Text))
    op.add_column("attempts", sa.Column("trace", sa.Text))
    op.add_column("attempts", sa.Column("effective", sa.Boolean))
    op.execute("UPDATE attempts SET round = attempt")
    op.add_column("candidates", sa.Column("probe", sa.Text))
