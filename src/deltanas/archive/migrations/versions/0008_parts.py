"""Columns for a program's further parts and further parents, and for the part that an attempt edits."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("programs", sa.Column("more_parts", sa.Text, nullable=False, server_default="{}"))
    op.add_column("programs", sa.Column("more_parents", sa.Text, nullable=False, server_default="[]"))
    op.add_column("attempts", sa.Column("part", sa.Text, nullable=False, server_default="net"))
