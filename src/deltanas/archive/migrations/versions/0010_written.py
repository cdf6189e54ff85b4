"""A column for the token of a run's last transaction: by it a writer that lost its connection knows what was kept."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("written", sa.Text))
