"""One writer a run. The lock belongs to the process: the system takes it back when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from time import sleep

from sqlalchemy import Connection, text

from deltanas.errors import ArchiveError

_GLANCES, _GLANCE = 5, 0.01
"""Number of tries for a lock, and seconds between them: `is_locked` may look, or its owner may be about to end."""
_POSTGRES_CLASS = 0x64656C74  # first half of the advisory lock's key; the run's number is the second


class TakenError(ArchiveError):
    """Another process writes the run. owner: what it is called, if that is known."""

    def __init__(self, run: str, owner: str | None) -> None:
        by = f"process {owner.removeprefix('deltanas ')}" if owner else "another process"
        hint = "Wait for it or stop it, then run the command again. A lock never outlives its process."
        super().__init__(f"run '{run}' is being written by {by}", hint)
        self.owner = owner


class FileLock:
    """An exclusive lock on a small file that holds its owner's pid. The file stays: to remove it would be a race."""

    def __init__(self, path: Path) -> None:
        """Raises BlockingIOError if another holds it, another OSError where the file can't be made."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(self._file)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(self._file)
            raise

    def release(self) -> None:
        os.close(self._file)


def _lock(file: int) -> None:
    for _ in range(_GLANCES):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(_GLANCE)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(connection: Connection, path: Path | None, run: int) -> bool:
    """Does a process write the run now? Nothing is changed, and no writer is kept out."""
    if path is None:
        return _owner_in_postgres(connection, run) is not None
    try:
        file = os.open(f"{path}.run{run}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def lock_run(connection: Connection, path: Path | None, run: int, name: str) -> FileLock | None:
    """Takes the run for writing until it is released or, on PostgreSQL (None), `connection` ends.

    Raises TakenError if another has it.
    """
    if path is None:
        _lock_in_postgres(connection, run, name)
        return None
    file = Path(f"{path}.run{run}.lock")
    try:
        return FileLock(file)
    except BlockingIOError as error:
        owner = file.read_text(encoding="ascii").strip()
        raise TakenError(name, owner) from error


def _lock_in_postgres(connection: Connection, run: int, name: str) -> None:
    key = {"class": _POSTGRES_CLASS, "run": run}
    owner = None
    for _ in range(_GLANCES):
        if connection.execute(text("SELECT pg_try_advisory_lock(:class, :run)"), key).scalar_one():
            return
        if owner := _owner_in_postgres(connection, run):
            break
        sleep(_GLANCE)  # it has just been given back
    raise TakenError(name, owner)


def _owner_in_postgres(connection: Connection, run: int) -> str | None:
    """The name that the lock's owner gave itself, None if there is no owner."""
    found: str | None = connection.execute(
        text(
            "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND classid = :class AND objid = :run AND granted "
            "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        {"class": _POSTGRES_CLASS, "run": run},
    ).scalar_one_or_none()
    return found
