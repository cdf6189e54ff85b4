"""Where an archive lives: a SQLite file or a PostgreSQL database, and how to connect to it."""

from __future__ import annotations

import errno
import os
import re
import socket
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from deltanas.archive.faults import damaged, explained
from deltanas.errors import ArchiveError, aside

BUSY_SECONDS = 30.0
"""How long a writer waits for another writer of the same SQLite file; `?timeout=SECONDS` in the URL changes it."""

SERVER_SECONDS = 300.0
"""How long a writer waits for a PostgreSQL server that went away; `?timeout=SECONDS` in the URL changes it."""

_CONNECT_SECONDS = 10
_SILENCE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
"""After a minute of it a peer is taken for gone. Else both would wait for hours, and the server keep a run's lock."""


@dataclass(frozen=True)
class Place:
    """A parsed URL. `name` is what messages call it (no password); `path` is None for PostgreSQL.

    timeout: seconds for which a writer waits for another writer (SQLite) or for the server (PostgreSQL).
    """

    url: URL
    name: str
    path: Path | None
    timeout: float = BUSY_SECONDS

    def engine(self, *, write: bool) -> Engine:
        """Connections to it; a reader's can't change anything. Every transaction sees one moment of the database."""
        return self._postgres() if self.path is None else self._sqlite(self.path, write)

    def _postgres(self) -> Engine:
        ours = {
            "connect_timeout": str(_CONNECT_SECONDS),
            "application_name": client_name(),
            **{key: str(value) for key, value in _SILENCE.items()},
        }
        try:
            engine = create_engine(
                self.url,
                poolclass=NullPool,
                isolation_level="REPEATABLE READ",
                connect_args={key: value for key, value in ours.items() if key not in self.url.query},
            )
        except ImportError as error:
            raise ArchiveError(
                f"{self.name} needs the PostgreSQL driver: {error}", "Run: pip install 'deltanas[postgres]'"
            ) from error

        @event.listens_for(engine, "connect")
        def settings(connection: Any, _record: object) -> None:
            for key, value in _SILENCE.items():
                connection.execute(f"SET {key.replace('keepalives', 'tcp_keepalives')} = {value}")
            connection.commit()

        return engine

    def _sqlite(self, path: Path, write: bool) -> Engine:
        def connect() -> sqlite3.Connection:
            if write and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
                raise PermissionError(errno.EACCES, "no right to write", str(path))  # SQLite would say less
            # isolation_level None: the module starts no transaction of its own, the "begin" event below does.
            return sqlite3.connect(_file_uri(path, write), uri=True, timeout=self.timeout, isolation_level=None)

        engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

        @event.listens_for(engine, "connect")
        def settings(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA foreign_keys = ON")
            if write:
                # One sync per commit, some milliseconds against a training of seconds, and a settled score
                # outlives a power cut too; NORMAL would only outlive the death of the process.
                connection.execute("PRAGMA synchronous = FULL")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # A writer takes its lock at once: one that reads first and writes later can't wait for another
            # writer, SQLite would refuse it on the spot.
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

        return engine


def place_of(url: str) -> Place:
    """Parses a URL: `sqlite:///PATH` or `postgresql://...`. Raises ArchiveError for any other."""
    ways = "Use sqlite:///PATH/TO/FILE or postgresql://USER:PASSWORD@HOST/DATABASE."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ArchiveError(f"not the URL of an archive: {_masked(url)}", ways) from error
    name = parsed.set(query={}).render_as_string(hide_password=True)
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and not parsed.database.startswith((":memory:", "file:")):
            if unknown := set(parsed.query) - {"timeout"}:
                raise _unusable(name, unknown)
            return Place(parsed, parsed.database, Path(parsed.database), _seconds(parsed, name, BUSY_SECONDS))
        case "postgresql" | "postgres":
            driven = parsed.set(drivername="postgresql+psycopg").difference_update_query(["timeout"])
            return Place(driven, name, None, _seconds(parsed, name, SERVER_SECONDS))
        case _:
            raise ArchiveError(f"no archive can live at {name}", ways)


def client_name() -> str:
    """What this process is called on a server."""
    return f"deltanas {os.getpid()} on {socket.gethostname()}"[:63]


def _seconds(url: URL, name: str, default: float) -> float:
    try:
        return float(str(url.query.get("timeout", default)))
    except ValueError:
        raise _unusable(name, {"timeout"}) from None


def _unusable(name: str, keys: set[str]) -> ArchiveError:
    return ArchiveError(f"{name}: can't use {', '.join(sorted(keys))} in the URL", "Known: timeout=SECONDS.")


def _masked(url: str) -> str:
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)


def _file_uri(path: Path, write: bool) -> str:
    file = f"file:{quote(str(path.absolute()))}"
    if write:
        return f"{file}?mode=rw"
    # A reader of a WAL database needs a shared-memory file beside it. In a folder where none can be made nobody
    # writes either, so SQLite may be told that the file won't change.
    log = Path(f"{path}-wal")
    frozen = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    return f"{file}?mode=ro{'&immutable=1' if frozen else ''}"


def require_sound_file(place: Place) -> None:
    """Raises ArchiveError where the SQLite file is missing, empty, no database or damaged. Changes no byte of it.

    Only SQLite reads the file: to open and close it by hand would drop the locks that this process holds on it.
    """
    if place.path is None:
        return
    with explained(place.name):
        if not place.path.is_file():
            what = "a folder" if place.path.is_dir() else "missing"
            raise ArchiveError(
                f"no archive at {place.name}: it is {what}", "Give the archive of a run that was started."
            )
        if place.path.stat().st_size == 0:
            raise ArchiveError(
                f"{place.name} is empty, it was cut short or never written",
                f"Restore it from a copy, or put it aside to start anew: {aside(place.path)}",
            )
        with place.engine(write=False).connect() as connection:
            faults = list(connection.exec_driver_sql("PRAGMA quick_check(3)").scalars())
            page = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
            if place.path.stat().st_size % page:  # SQLite would read zeros for what is missing
                faults.append("its last page is cut short")
    if faults != ["ok"]:
        raise damaged(place.name, "; ".join(fault for fault in faults if fault != "ok"))
