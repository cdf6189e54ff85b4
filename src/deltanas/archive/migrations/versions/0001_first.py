"""The first tables: runs, programs, candidates with their attempts and calls, finals."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def outcome(table):
    return [
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
        sa.CheckConstraint("status IN ('open', 'refused', 'failed', 'trained')", name=f"ck_{table}_status_known"),
        sa.CheckConstraint("(status = 'trained') = (accuracy IS NOT NULL)", name=f"ck_{table}_only_trained_scores"),
        sa.CheckConstraint("(status = 'open') = (settled IS NULL)", name=f"ck_{table}_open_until_settled"),
    ]


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("name", name="uq_runs_name"),
    )
    op.create_table(
        "programs",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("net", sa.Text, nullable=False),
        sa.Column("transform", sa.Text, nullable=False),
        sa.Column("prm", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "id", name="pk_programs"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_programs_run"),
    )
    op.create_table(
        "candidates",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("program", sa.Text),
        sa.Column("parent", sa.Text),
        sa.Column("params", sa.BigInteger),
        sa.Column("flops", sa.BigInteger),
        sa.Column("trace", sa.Text),
        sa.Column("opened", sa.Text, nullable=False),
        *outcome("candidates"),
        sa.PrimaryKeyConstraint("run", "cycle", "index", name="pk_candidates"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_candidates_run"),
        sa.ForeignKeyConstraint(["run", "program"], ["programs.run", "programs.id"], name="fk_candidates_run_program"),
        sa.ForeignKeyConstraint(["run", "parent"], ["programs.run", "programs.id"], name="fk_candidates_run_parent"),
    )
    op.create_table(
        "attempts",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("edit", sa.Text, nullable=False),
        sa.Column("rung", sa.Text),
        sa.Column("goal", sa.Text, nullable=False),
        sa.Column("stage", sa.Text),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("run", "cycle", "index", "attempt", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["run", "cycle", "index"],
            ["candidates.run", "candidates.cycle", "candidates.index"],
            name="fk_attempts_run_cycle_index",
        ),
    )
    op.create_table(
        "calls",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("reply", sa.Text, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("reply_tokens", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("run", "cycle", "index", "attempt", "number", name="pk_calls"),
        sa.ForeignKeyConstraint(
            ["run", "cycle", "index", "attempt"],
            ["attempts.run", "attempts.cycle", "attempts.index", "attempts.attempt"],
            name="fk_calls_run_cycle_index_attempt",
        ),
    )
    op.create_table(
        "finals",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("program", sa.Text, nullable=False),
        *outcome("finals"),
        sa.PrimaryKeyConstraint("id", name="pk_finals"),
        sa.UniqueConstraint("run", "program", name="uq_finals_run_program"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_finals_run"),
        sa.ForeignKeyConstraint(["run", "program"], ["programs.run", "programs.id"], name="fk_finals_run_program"),
    )
