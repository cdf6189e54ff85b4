"""One writer a run. The lock belongs to the process: the system takes it back when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sqlalchemy import Connection, text

from deltanas.errors import ArchiveError

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
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(self._file)
            raise

    def release(self) -> None:
        os.close(self._file)


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
    if connection.execute(text("SELECT pg_try_advisory_lock(:class, :run)"), key).scalar_one():
        return
    owner = connection.execute(
        text(
            "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND classid = :class AND objid = :run AND granted "
            "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        key,
    ).scalar_one_or_none()
    raise TakenError(name, owner)
