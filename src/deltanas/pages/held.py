"""The archive of a run's folder, held open to be read again and again, while others may put another run there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from deltanas.archive import POINTER, RunArchive, RunFolder, read_folder
from deltanas.errors import DeltanasError


class Held:
    """For one thread.

    Attributes:
        folder, archive: the run that is open, None while none is.
        mark: what `open` tells two runs of one folder apart by. SQLite would read a file that was removed for good.
    """

    def __init__(self, path: Path) -> None:
        """path: the run's folder."""
        self._path = path
        self.folder: RunFolder | None = None
        self.archive: RunArchive | None = None
        self.mark: object = None

    def open(self) -> RunArchive:
        """The archive of the run that is there now. Raises UsageError: there is none; ArchiveError: it is damaged."""
        if self.archive is None or self.mark != (self._written(), self._file()):
            self.close()
            written = self._written()  # before they are read: what changes meanwhile is another one next time
            self.folder = read_folder(self._path)
            self.mark = written, self._file()
            self.archive = self.folder.open()
        return self.archive

    def close(self) -> None:
        if self.archive is not None:
            with suppress(DeltanasError):
                self.archive.close()
        self.archive = self.folder = None

    def _written(self) -> tuple[int, ...]:
        """Of the file `run.json`; a number of a file that was removed may be given again, the time of a change not."""
        try:
            found = (self._path / POINTER).stat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_ctime_ns

    def _file(self) -> tuple[int, ...]:
        """Of the archive's file, none for a server; while it is open no other file gets its number."""
        file = self.folder.file if self.folder else None
        try:
            found = file.stat() if file else None
        except OSError:
            found = None
        return (found.st_dev, found.st_ino) if found else ()
