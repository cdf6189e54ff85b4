"""Whether a call's numbers of tokens are estimates; until now the model's name said so."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SAID = " (tokens estimated)"


def upgrade() -> None:
    op.add_column("calls", sa.Column("estimated", sa.Boolean, nullable=False, server_default=sa.false()))
    calls = sa.table("calls", sa.column("model", sa.Text), sa.column("estimated", sa.Boolean))
    name = sa.func.substr(calls.c.model, 1, sa.func.length(calls.c.model) - len(SAID))
    op.execute(calls.update().where(calls.c.model.endswith(SAID, autoescape=True)).values(model=name, estimated=True))
