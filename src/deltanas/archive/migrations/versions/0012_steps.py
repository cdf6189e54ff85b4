"""A column for the number of steps that an attempt's edit is made of."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("steps", sa.Integer, nullable=False, server_default="1"))
