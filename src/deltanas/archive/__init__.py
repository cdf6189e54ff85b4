"""The archive: every run's journal, in a SQLite file or in PostgreSQL by URL.

SQLite: one file in WAL mode, on a local disk (WAL needs shared memory, which network file systems lack).
"""

from deltanas.archive.store import RunArchive, RunSummary, create_run, list_runs, open_run, sqlite_url

__all__ = ["RunArchive", "RunSummary", "create_run", "list_runs", "open_run", "sqlite_url"]
