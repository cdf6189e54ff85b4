"""A column for the few training pictures that a run keeps, to show what its transforms do."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("pictures", sa.LargeBinary))
