"""Tables of a run whose candidates are proposed from outside: who has which slot, the tests, and their pairs."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.id", name="fk_leases_run_runs"), nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("asker", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("until", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.PrimaryKeyConstraint("run", "cycle", "index", name="pk_leases"),
    )
    op.create_table(
        "duels",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("rival", sa.Text, nullable=False),
        sa.Column("error", sa.Double, nullable=False),
        sa.Column("noise", sa.Double, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("closed", sa.Integer),
        sa.PrimaryKeyConstraint("run", "number", name="pk_duels"),
        sa.ForeignKeyConstraint(
            ["run", "cycle", "index"],
            ["candidates.run", "candidates.cycle", "candidates.index"],
            name="fk_duels_run_cycle_index_candidates",
        ),
    )
    op.create_table(
        "pairs",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("duel", sa.Integer, nullable=False),
        sa.Column("pair", sa.Integer, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("rival_score", sa.Double, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("run", "duel", "pair", name="pk_pairs"),
        sa.ForeignKeyConstraint(["run", "duel"], ["duels.run", "duels.number"], name="fk_pairs_run_duel_duels"),
    )
