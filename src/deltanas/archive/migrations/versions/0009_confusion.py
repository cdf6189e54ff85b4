"""A column for what a final network takes for what on the test images: JSON of (class, named class, number)."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("finals", sa.Column("confusion", sa.Text))
