"""A run's folder: `run.json` says which archive holds the run, and by what name."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltanas.archive.opening import create_run, list_runs, open_run, sqlite_url
from deltanas.archive.place import place_of
from deltanas.archive.store import RunArchive
from deltanas.errors import ArchiveError, UsageError
from deltanas.whole import write_whole

POINTER = "run.json"
DATABASE = "archive.db"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`archive`: the archive's URL, None for the SQLite file in the folder itself (so that the folder can be moved)."""

    path: Path
    name: str
    archive: str | None = None

    @property
    def url(self) -> str:
        return self.archive or sqlite_url(self.path / DATABASE)

    @property
    def file(self) -> Path | None:
        """The SQLite file of the archive, None for a server. Raises ArchiveError: the URL is none of an archive."""
        return place_of(self.url).path

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def remove_empty(self, run: RunArchive) -> None:
        """Leave a folder and an archive that a run can begin in, if nothing was journalled in this one."""
        if run.remove_empty():
            (self.path / POINTER).unlink()
            run.close()

    def open(self, *, writer: bool = False) -> RunArchive:
        return open_run(self.url, self.name, writer=writer)


def read_folder(path: Path) -> RunFolder:
    """The run in a folder.

    Raises:
        UsageError: there is no such folder, or it holds no run.
        ArchiveError: its `run.json` is damaged, or was written by a newer version.
    """
    values = _pointer(path)
    if values["format"] != FORMAT:
        raise ArchiveError(
            f"{path} was written in run format {values['format']}; this deltanas reads format {FORMAT}",
            "use the version of deltanas that wrote it; the folder is left as it is",
        )
    return RunFolder(path, values["name"], values["archive"])


def _write_pointer(folder: RunFolder, run: RunArchive) -> None:
    pointer = {"format": FORMAT, "name": folder.name, "archive": folder.archive, "created": run.created}
    write_whole(folder.path / POINTER, json.dumps(pointer), lasting=True)


def _pointer(path: Path) -> dict[str, Any]:
    """What is written in a run's `run.json`: at least its format, name and archive."""
    pointer = path / POINTER
    try:
        text = pointer.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} is not a run: it has no {POINTER}", "`deltanas runs list` shows the runs") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{pointer} can't be read: {error}") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not (isinstance(values, dict) and values.keys() >= {"format", "name", "archive"} and _is_sound(values)):
        raise ArchiveError(
            f"{pointer} is damaged", f"the run itself is in the archive ({DATABASE}); put the file back from a backup"
        )
    return values


def _is_sound(values: dict[str, Any]) -> bool:
    """Is the name of the run a text, and its archive a URL or none? Another format may have other ones."""
    return values["format"] != FORMAT or (isinstance(values["name"], str) and isinstance(values["archive"], str | None))


def list_folders(root: Path) -> list[Path]:
    """The folders in a folder that hold a run, by the time their `run.json` was written. None of them is read.

    Raises:
        UsageError: there is no such folder.
    """
    if not root.is_dir():
        raise UsageError(f"no folder {root}", "a search makes `runs/` in the folder that it is started in")
    written: dict[Path, float] = {}
    for pointer in root.glob(f"*/{POINTER}"):
        with suppress(OSError):  # it was removed meanwhile
            written[pointer.parent] = pointer.stat().st_mtime
    return sorted(written, key=written.__getitem__)


def moved_run(folder: RunFolder, archive: str) -> tuple[RunFolder, RunArchive]:
    """The run of a folder, opened to be written in another archive than the folder names, which names it from now on.

    Raises ArchiveError: there is no such run there, or it is another one of that name.
    """
    run = open_run(archive, folder.name, writer=True)
    began = _pointer(folder.path).get("created") or _created(folder)
    if began not in (None, run.created):
        run.close()
        raise ArchiveError(
            f"the run '{folder.name}' of that archive was begun at {run.created}, the one of {folder.path} at {began}",
            "give the archive that the run was moved to, or name another --run",
        )
    moved = RunFolder(folder.path, folder.name, archive)
    _write_pointer(moved, run)
    return moved, run


def _created(folder: RunFolder) -> str | None:
    """When a run of 0.2.0 or before was begun, as the archive has it that the folder names; None if that is gone."""
    try:
        with folder.open() as run:
            return run.created
    except ArchiveError:
        return None


def begin_run(
    path: Path, archive: str | None, manifest: dict[str, object], pictures: bytes | None = None
) -> tuple[RunFolder, RunArchive]:
    """Make the folder and the run in it; the archive comes first, so a folder that has a `run.json` has its run.

    A run that was killed before its `run.json` was written is taken up: its manifest is the one it was begun with.

    Raises:
        UsageError: the folder holds something else, or another process began a run in it meanwhile.
        ArchiveError: the archive can't be made, or holds a run of this name already, or another process writes it.
    """
    folder = RunFolder(path, path.resolve().name, archive)
    foreign = path.exists() and not (
        path.is_dir() and all(entry.name.startswith((DATABASE, f".{POINTER}.")) for entry in path.iterdir())
    )
    if (path / POINTER).exists():  # looked for after the listing: another command may write it any moment
        raise _begun_elsewhere(path)
    if foreign:
        raise UsageError(f"{path} exists and is not a run", "name an empty or a new folder with --run")
    try:
        path.mkdir(parents=True, exist_ok=True)
        run = _begun(folder, manifest, pictures)
        _write_pointer(folder, run)
    except OSError as error:
        raise ArchiveError(f"the run folder {path} can't be written: {error.strerror}", "name another --run") from None
    return folder, run


def _begun_elsewhere(path: Path) -> UsageError:
    """Another command began the run of this folder since this one looked. Raises ArchiveError if it still writes it."""
    read_folder(path).open(writer=True).close()
    return UsageError(f"another command has just begun and ended a run in {path}", "run this one again: it resumes it")


def _begun(folder: RunFolder, manifest: dict[str, object], pictures: bytes | None) -> RunArchive:
    """A new run; or the one of this name that is there already, if nothing was journalled in it yet."""
    try:
        return create_run(folder.url, folder.name, manifest, pictures)
    except ArchiveError:
        if (folder.path / POINTER).exists():
            raise _begun_elsewhere(folder.path) from None
        if any(run.name == folder.name and not any(run.counts.values()) for run in list_runs(folder.url)):
            return folder.open(writer=True)
        raise
