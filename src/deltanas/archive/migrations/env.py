"""Alembic's entry: runs the migrations on the connection that `schema.py` opened, inside its transaction."""

from __future__ import annotations

from alembic import context

from deltanas.archive.schema import VERSION_TABLE
from deltanas.archive.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
