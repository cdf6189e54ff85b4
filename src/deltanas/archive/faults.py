"""Errors of databases and files, turned into what happened, where, and what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from deltanas.errors import ArchiveError

_FULL = (
    "there is no room left to write",
    "Free some space (or raise the quota) and run the command again: it goes on.",
)
_READ_ONLY = (
    "it can't be written",
    "Give yourself the right to write the file and its folder, or copy them elsewhere.",
)
_DAMAGED = (
    "the file is damaged",
    "It is left as it was. Restore a copy, or save what can be read: sqlite3 FILE .recover | sqlite3 NEW_FILE",
)
_SQLITE = {
    sqlite3.SQLITE_NOTADB: ("it is not an archive (not a SQLite database)", "It is left as it was. Check the path."),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: (
        "the file can't be opened",
        "Check that it is there and that you may read it and write its folder.",
    ),
    sqlite3.SQLITE_BUSY: (
        "another process is writing it and did not finish in time",
        "Try again; if it goes on, look for a process that holds the file open (fuser FILE).",
    ),
    sqlite3.SQLITE_IOERR: (
        "the file can't be read or written",
        "Look for a full disk, a quota or a file size limit (df, ulimit -f), then run the command again: it goes on.",
    ),
}
_UNREACHABLE = (
    "PostgreSQL can't be reached",
    "Check that the server runs, and the host, port, user, password and database in the URL; then run it again.",
)
_POSTGRES = {
    "53100": _FULL,
    "53300": _UNREACHABLE,  # too many connections
    "25006": ("the database is read-only", "Give the address of the primary server."),
    "42501": ("the user may not do this", "GRANT the user the right to create and write tables in this database."),
}
_OS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _READ_ONLY),
}
_OTHER = ("the database refused", "Check the archive's place; nothing of the refused step was written.")


class UnreachableError(ArchiveError):
    """The server of the database is away, or does not let anybody in. It may come back."""


def damaged(name: str, detail: str) -> ArchiveError:
    return ArchiveError(f"{name}: {_DAMAGED[0]} ({detail})", _DAMAGED[1])


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Lets no error of the database or the file system out but ArchiveError, which names the place `name`."""
    try:
        yield
    except DBAPIError as error:
        what, hint = _cause(error)
        kind = UnreachableError if (what, hint) == _UNREACHABLE else ArchiveError
        raise kind(f"{name}: {what} ({_one_line(error.orig)})", hint) from error
    except OSError as error:
        what, hint = _OS.get(error.errno or 0, _OTHER)
        raise ArchiveError(f"{name}: {what} ({_one_line(error)})", hint) from error
    except (SQLAlchemyError, OverflowError) as error:
        raise ArchiveError(f"{name}: {_OTHER[0]} ({_one_line(error)})", _OTHER[1]) from error


def _cause(error: DBAPIError) -> tuple[str, str]:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        # Faults that the sqlite3 module finds by itself carry no code.
        code: int | None = getattr(original, "sqlite_errorcode", None)
        return _OTHER if code is None else _SQLITE.get(code & 0xFF, _OTHER)
    import psycopg  # here only where it raised the error

    if isinstance(original, psycopg.Error):
        state = original.sqlstate
        unreachable = isinstance(original, psycopg.OperationalError) and (state is None or state[:2] in {"08", "57"})
        return _UNREACHABLE if unreachable else _POSTGRES.get(state or "", _OTHER)
    return _OTHER


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())
