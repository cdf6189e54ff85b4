"""The connection to one run. A writer's outlasts a restart of PostgreSQL: it comes back, and no step is done twice."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from sqlalchemy import Connection, Row, select, update

from deltanas.archive.faults import UnreachableError, explained
from deltanas.archive.lock import FileLock, TakenError, lock_run
from deltanas.archive.place import Place, client_name
from deltanas.archive.tables import runs
from deltanas.errors import ArchiveError

_LOG = logging.getLogger("deltanas")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0


class Session:
    """Transactions on one run, for one thread.

    A writer on PostgreSQL marks the run's row with a new token in every transaction. After a lost connection the token
    tells whether the last transaction was committed, and whether another process wrote the run meanwhile.
    """

    def __init__(
        self, place: Place, connection: Connection, row: Row[Any], *, writer: bool, lock: FileLock | None
    ) -> None:
        self.place = place
        self.run: int = row.id
        self.name: str = row.name
        self._connection = connection
        self._writer = writer
        self._lock = lock
        self._token: str | None = row.written
        self._next: str | None = None
        """The token of a transaction of which it is not known whether it was committed."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self._connection.closed or (self._writer and self._connection.invalidated):
            # A new connection would come without the lock that PostgreSQL gave to the old one.
            raise ArchiveError(
                f"{self.place.name}: the connection to run '{self.name}' is closed",
                "Run the command again: it goes on.",
            )
        with explained(self.place.name), self._connection.begin():
            yield self._connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if not self._writer:
            raise ArchiveError(f"run '{self.name}' is open for reading", "Open it with open_run(..., writer=True).")
        with self.read() as connection:
            if self.place.path is None:
                self._next = secrets.token_hex(8)
                connection.execute(update(runs).where(runs.c.id == self.run).values(written=self._next))
            yield connection
        self._token, self._next = self._next, None

    def restored(self, error: ArchiveError) -> bool:
        """Connect again after `error`: was the transaction that it came from committed?

        Raises `error` where the connection of a writer to PostgreSQL was not lost, or can't be had again in time, and
        ArchiveError where another process has the run now, or wrote it meanwhile.
        """
        if self.place.path is not None or not self._writer or not self._connection.invalidated:
            raise error
        _LOG.warning("%s; waiting up to %g s for it", error.message, self.place.timeout)
        held = self._connect_again(error)
        _LOG.warning("%s: connected again, nothing is lost", self.place.name)
        if self._next is not None and held == self._next:
            self._token, self._next = self._next, None
            return True
        if held != self._token:
            raise ArchiveError(
                f"run '{self.name}' is not as this process left it when it lost the connection: another process wrote "
                f"it, or {self.place.name} lost its last rows",
                "Run the command again: it goes on from what is stored.",
            )
        return False

    def close(self) -> None:
        """Give back the connection and the lock. More than once does no harm."""
        with explained(self.place.name):
            self._connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _connect_again(self, error: ArchiveError) -> str | None:
        """The run's token, once there is a connection that holds the run's lock."""
        end, pause = time.monotonic() + self.place.timeout, _FIRST_PAUSE
        self._connection.close()
        while True:
            try:
                with explained(self.place.name):
                    self._connection = self.place.engine(write=True).connect()
                    with self._connection.begin():
                        lock_run(self._connection, None, self.run, self.name)
                        token: str | None = self._connection.execute(
                            select(runs.c.written).where(runs.c.id == self.run)
                        ).scalar_one()
                    return token
            except (UnreachableError, TakenError) as fault:
                self._connection.close()
                # The server may not know yet that the old connection is dead: then the lock is still this process's,
                # and for a moment nobody's as it ends.
                if isinstance(fault, TakenError) and fault.owner not in (client_name(), None):
                    raise
                if time.monotonic() + pause > end:
                    raise error from fault
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


class _OfRun(Protocol):
    session: Session


P = ParamSpec("P")
R = TypeVar("R")
Owner = TypeVar("Owner", bound=_OfRun)


def lasting(method: Callable[Concatenate[Owner, P], R]) -> Callable[Concatenate[Owner, P], R]:
    """A method of one transaction, done again where a writer lost its connection under it, unless it was committed.

    A method that writes returns nothing.
    """

    @wraps(method)
    def done(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        while True:
            try:
                return method(self, *args, **kwargs)
            except ArchiveError as error:
                if self.session.restored(error):
                    return cast("R", None)

    return done
