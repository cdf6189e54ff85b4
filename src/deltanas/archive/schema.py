"""The schema's version: making the tables, bringing older ones up to date, refusing newer ones.

A change of the tables is a new file in `migrations/versions`, never an edit of an old one. To begin one:

    python -c "from alembic import command; from deltanas.archive.schema import scripts; command.revision(
               scripts(), 'what changes', rev_id='0002')"

then fill in `upgrade` by hand and change `tables.py` alike; a test compares the two on both databases.

Most archives are of this version's schema. To see that takes no Alembic, which takes longer to load than a read takes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from deltanas.archive.faults import explained
from deltanas.archive.place import Place, require_sound_file
from deltanas.errors import ArchiveError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")
VERSION_TABLE = "deltanas_schema"

_POSTGRES_MIGRATION_LOCK = 0x64656C74616E6173  # "deltanas": one migration at a time in a database


def scripts() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def version(connection: Connection) -> str | None:
    """The schema's version in the database, None where it holds no archive."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return found


def known() -> list[str]:
    """The versions that this package can read, oldest first: each file of the migrations begins with its own."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def prepare(place: Place, *, create: bool) -> None:
    """Sees to it that the place holds an archive of this version's schema.

    An older schema is brought up to date in one transaction. Raises ArchiveError for a newer one, for a damaged file,
    for a database that is no archive, and (unless `create`) for one that is not there.
    """
    if create and place.path is not None and not place.path.exists():
        _create_file(place, place.path)
    require_sound_file(place)
    with explained(place.name):
        with place.engine(write=False).begin() as connection:
            found = version(connection)
        if found is None and not (create and place.path is None):
            raise ArchiveError(f"{place.name} is no archive of deltanas: it lacks its tables", "Check the path or URL.")
        versions = known()
        if found == versions[-1]:
            return
        if found is not None and found not in versions:
            raise ArchiveError(
                f"{place.name} was written by a newer deltanas (schema {found}, this version knows {versions[-1]})",
                "Upgrade: pip install --upgrade deltanas",
            )
        _upgrade(place)


def _upgrade(place: Place) -> None:
    from alembic import command

    engine = place.engine(write=True)
    if place.path is None:
        # A snapshot from before the wait for the lock would not show what the lock's owner made.
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with engine.begin() as connection:
        if place.path is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_MIGRATION_LOCK})
        config = scripts()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _create_file(place: Place, path: Path) -> None:
    """Makes the tables in a file beside `path` and renames it: an archive appears whole or not at all."""
    new = Path(f"{path}.new")
    with explained(place.name):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if path.exists():  # another process was first
                return
            _discard(new)  # what a killed process left
            new.touch()
            _upgrade(Place(place.url, place.name, new))
            with Place(place.url, place.name, new).engine(write=True).connect() as connection:
                connection.exec_driver_sql("COMMIT")  # the journal's mode can't change inside a transaction
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            os.rename(new, path)
            os.fsync(folder)
        finally:
            _discard(new)
            os.close(folder)


def _discard(unfinished: Path) -> None:
    for file in (unfinished, Path(f"{unfinished}-journal"), Path(f"{unfinished}-wal"), Path(f"{unfinished}-shm")):
        file.unlink(missing_ok=True)
