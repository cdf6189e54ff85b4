"""Programs and trials that others measured: names, experiments, settings, trials."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "names",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_names"),
        sa.UniqueConstraint("run", "name", name="uq_names_run_name"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_names_run"),
        sa.ForeignKeyConstraint(["run", "program"], ["programs.run", "programs.id"], name="fk_names_run_program"),
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Integer, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_experiments"),
        sa.UniqueConstraint("name", "task", "dataset", "metric", name="uq_experiments_name_task_dataset_metric"),
        sa.ForeignKeyConstraint(["name"], ["names.id"], name="fk_experiments_name"),
    )
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settings"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_settings_run"),
    )
    op.create_index("ix_settings_run", "settings", ["run"])
    op.create_table(
        "trials",
        sa.Column("experiment", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("setting", sa.Integer, nullable=False),
        sa.Column("accuracy", sa.Double, nullable=False),
        sa.Column("duration", sa.BigInteger),
        sa.PrimaryKeyConstraint("experiment", "epoch", "position", name="pk_trials"),
        sa.ForeignKeyConstraint(["experiment"], ["experiments.id"], name="fk_trials_experiment"),
        sa.ForeignKeyConstraint(["setting"], ["settings.id"], name="fk_trials_setting"),
        sqlite_with_rowid=False,
    )
