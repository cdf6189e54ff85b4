"""The archive: every run's journal, in a SQLite file or in PostgreSQL by URL.

SQLite: one file in WAL mode, on a local disk (WAL needs shared memory, which network file systems lack).
"""

from deltanas.archive.folder import DATABASE, POINTER, RunFolder, begin_run, list_folders, moved_run, read_folder
from deltanas.archive.lock import TakenError
from deltanas.archive.opening import create_run, list_runs, open_run, sqlite_url
from deltanas.archive.overview import Overview
from deltanas.archive.store import RunArchive
from deltanas.archive.trials import IMPORTED

__all__ = [
    "DATABASE",
    "IMPORTED",
    "POINTER",
    "Overview",
    "RunArchive",
    "RunFolder",
    "TakenError",
    "begin_run",
    "create_run",
    "list_folders",
    "list_runs",
    "moved_run",
    "open_run",
    "read_folder",
    "sqlite_url",
]
