"""A column for the gain that a forecast expected of a proposal, before it was trained."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("predicted", sa.Double))
