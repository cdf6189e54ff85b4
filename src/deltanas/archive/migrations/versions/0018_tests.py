"""Columns of a test: the seed that its pairs' seeds follow from, and what a pair cost that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("duels", sa.Column("seed", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("duels", sa.Column("lost", sa.Double, nullable=False, server_default="0"))
