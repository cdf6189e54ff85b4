"""A column for the picture of a final, before and after."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("finals", sa.Column("picture", sa.LargeBinary))
