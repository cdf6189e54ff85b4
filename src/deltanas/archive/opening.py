"""The ways to a run of an archive: `create_run`, `open_run`, `list_runs`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, func, insert, select
from sqlalchemy.exc import IntegrityError

from deltanas.archive import records
from deltanas.archive.faults import explained
from deltanas.archive.lock import FileLock, lock_run
from deltanas.archive.place import place_of
from deltanas.archive.schema import prepare
from deltanas.archive.store import RunArchive, manifest_text
from deltanas.archive.tables import candidates, clean, runs
from deltanas.errors import ArchiveError


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list.

    Attributes:
        created, finished: in UTC; `finished` None while the run goes on or was cut off.
        counts: candidates (baselines too) by status: "open", "refused", "failed", "trained".
    """

    name: str
    created: datetime
    finished: datetime | None
    counts: dict[str, int]


def sqlite_url(path: Path) -> str:
    """The URL of an archive in a file of its own. Raises ArchiveError for a path that is not UTF-8."""
    try:
        return URL.create("sqlite", database=str(path)).render_as_string()
    except UnicodeEncodeError as error:
        raise ArchiveError(f"{str(path)!r} can't hold an archive: it is not UTF-8", "Name another folder.") from error


def create_run(url: str, name: str, manifest: dict[str, object], pictures: bytes | None = None) -> RunArchive:
    """Begin a run, and the archive with it if there is none, and open it for writing.

    Args:
        url: `sqlite:///PATH` (see `sqlite_url`) or `postgresql://...`.
        name: 1 to 200 characters, new in this archive.
        manifest: the origin of the run's figures (version, commit, torch, device, tier, seed, config), plain JSON.
        pictures: what the run keeps of its training images (`RunView.pictures`).

    Raises ArchiveError if the name is taken or the archive can't be made or written.
    """
    if not 0 < len(name) <= 200 or clean(name) != name:
        raise ArchiveError(f"{name[:200]!r} can't name a run", "Give 1 to 200 characters of plain text.")
    text = manifest_text(manifest)
    place = place_of(url)
    prepare(place, create=True)
    with explained(place.name):
        connection = place.engine(write=True).connect()
        try:
            with connection.begin():
                held = f"{place.name} holds a run '{name}' already", "Give another name, or resume that run."
                if connection.execute(select(runs.c.id).where(runs.c.name == name)).first() is not None:
                    raise ArchiveError(*held)
                values = {"name": name, "created": records.now(), "manifest": text, "pictures": pictures}
                try:
                    row = connection.execute(insert(runs).values(values).returning(runs)).one()
                except IntegrityError:  # it was begun between the two by another process
                    raise ArchiveError(*held) from None
                lock = lock_run(connection, place.path, row.id, name)
        except BaseException:
            connection.close()
            raise
    return RunArchive(place, connection, row, writer=True, lock=lock)


def open_run(url: str, name: str, *, writer: bool = False) -> RunArchive:
    """Open a run of an archive, to read it or, as its only writer, to go on with it.

    Raises ArchiveError if there is no such run (the known ones are named), if another process writes it, or if the
    archive can't be used. A writer needs every program intact too: with one lost, the run would go another way.
    """
    place = place_of(url)
    prepare(place, create=False)
    with explained(place.name):
        connection = place.engine(write=writer).connect()
        lock: FileLock | None = None
        try:
            with connection.begin():
                row = connection.execute(select(runs).where(runs.c.name == name)).one_or_none()
                if row is None:
                    known = connection.execute(select(runs.c.name).order_by(runs.c.id)).scalars().all()
                    raise ArchiveError(f"{place.name} holds no run '{name}'", f"Known: {', '.join(known) or 'none'}.")
                if writer:
                    lock = lock_run(connection, place.path, row.id, name)
            archive = RunArchive(place, connection, row, writer=writer, lock=lock)
            if writer and (damage := archive.damage()):
                raise damage[0]
        except BaseException:
            connection.close()
            if lock is not None:
                lock.release()
            raise
    return archive


def list_runs(url: str) -> list[RunSummary]:
    """The archive's runs, oldest first. Raises ArchiveError if there is no archive or it can't be read."""
    place = place_of(url)
    prepare(place, create=False)
    table = candidates.c
    none = dict.fromkeys(("open", "refused", "failed", "trained"), 0)
    with explained(place.name), place.engine(write=False).begin() as connection:
        tally = select(table.run, table.status, func.count()).group_by(table.run, table.status)
        counts: dict[int, dict[str, int]] = {}
        for run, status, count in connection.execute(tally):
            counts.setdefault(run, dict(none))[status] = count
        rows = connection.execute(select(runs).order_by(runs.c.id)).all()
    return [
        RunSummary(
            name=row.name,
            created=records.moment_of(row.id, row.created, "began"),
            finished=None if row.finished is None else records.moment_of(row.id, row.finished, "ended"),
            counts=counts.get(row.id, dict(none)),
        )
        for row in rows
    ]
