"""The runs of a folder, compared in a list that follows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from deltanas.archive import DATABASE, POINTER, Overview, list_folders
from deltanas.errors import MALFORMED, DeltanasError
from deltanas.gains import interval, measured_candidate
from deltanas.pages.held import Held
from deltanas.pages.run import Followed
from deltanas.propose import STRATEGIES
from deltanas.records import RunView
from deltanas.report import Entry, Listed, Score, draw_list
from deltanas.task import Task, task_of

REMOTE = 5.0
"""Seconds between two looks at a run in a database of its own, that has not ended."""
LATER = 60.0
"""The same of a run that has ended or can't be read; one in a file is looked at when the file has changed."""


def holds_runs(path: Path) -> bool:
    """Is it a folder of runs, and no run itself?"""
    return path.is_dir() and not (path / POINTER).exists() and bool(list_folders(path))


class FollowedFolder:
    """A folder whose runs other processes may be writing, beginning or removing (`serve.Run`). For one thread.

    A run that has ended is read once: what a look costs does not grow with what such runs hold.
    """

    def __init__(self, root: Path, against: Sequence[RunView] = ()) -> None:
        self._root, self._against = root, against
        self._runs: dict[str, _Watched] = {}

    def stamp(self) -> object:
        paths = {path.name: path for path in self._paths()}
        for name in self._runs.keys() - paths.keys():
            self._runs.pop(name).close()
        self._runs |= {name: _Watched(path) for name, path in paths.items() if name not in self._runs}
        for run in self._runs.values():
            run.look()
        return tuple((name, self._runs[name].reads) for name in paths)

    def draw(self) -> Listed:
        entries = [self._runs[path.name].entry for path in self._paths() if path.name in self._runs]
        return draw_list(self._root.resolve().name or str(self._root), list(reversed(entries)))

    def run(self, name: str) -> Followed | None:
        """The run that the list calls so. From any thread."""
        if name not in {path.name for path in self._paths()}:
            return None
        return Followed(self._root / name, self._against, home="../../")

    def _paths(self) -> list[Path]:
        """None while there is no such folder."""
        return list_folders(self._root) if self._root.is_dir() else []

    def close(self) -> None:
        for run in self._runs.values():
            run.close()


class _Watched:
    """A run of the list. reads: how often it was read so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = Held(path)
        self._seen: object = None
        self._state = ""
        self._is_remote = False
        self.reads = 0
        self.entry = Entry(path.name, quote(path.name.encode("utf-8", "surrogateescape"), safe=""), "broken")

    def look(self) -> None:
        """Read it if it may have changed since. What is written while it is read is read at the next look."""
        written = self._written()
        if (written, self._moment()) == self._seen:
            return
        try:
            manifest, found = self._read()
            self._show(manifest, found)
            self._state = found.state
        except DeltanasError as error:
            self._break(str(error))
        except MALFORMED as error:
            self._break(f"{type(error).__name__}: {error}")
        self.reads += 1
        self._seen = written, self._moment()

    def _break(self, reason: str) -> None:
        self.close()
        self._state = "broken"
        self.entry = Entry(self.entry.name, self.entry.address, "broken", reason=reason)

    def _written(self) -> object:
        """What is another one when the run was written; no row is read for it."""
        known: object = None
        if self._held.archive is not None and not self._is_remote:
            with suppress(DeltanasError):
                known = self._held.archive.is_written, self._held.archive.revision
        return (*(_changed(self._path / name) for name in (POINTER, DATABASE, f"{DATABASE}-wal")), known)

    def _moment(self) -> int:
        """What is another one when it is time to look again at what tells nothing of itself."""
        if not self._is_remote and self._state != "broken":
            return 0
        return int(monotonic() // (LATER if self._held.archive is None else REMOTE))

    def _read(self) -> tuple[Mapping[str, object], Overview]:
        archive = self._held.open()
        self._is_remote = self._held.folder is not None and self._held.folder.archive is not None
        found = archive.overview()
        manifest = archive.manifest
        if found.ended:
            self._held.close()  # when it goes on, it may be to other ends
        return manifest, found

    def _show(self, manifest: Mapping[str, object], found: Overview) -> None:
        task = task_of(manifest)
        config = _mapping(manifest.get("config"))
        strategy = str(config.get("strategy", ""))
        known = STRATEGIES.get(strategy)
        model = _mapping(config.get("model")).get("spec", "") if known is None or known.calls else ""
        cycles, slots = config.get("cycles"), config.get("candidates")
        source = manifest.get("imported from")
        self.entry = Entry(
            name=self.entry.name,
            address=self.entry.address,
            state=found.state,
            metric=task.metric,
            best=_score(task, found),
            data=str(config.get("dataset", "") if source is None else source),
            content=str(_mapping(manifest.get("data")).get("sha256", "")),
            strategy="imported" if source is not None else strategy,
            model=str(model),
            counts=found.counts,
            slots=cycles * slots if isinstance(cycles, int) and isinstance(slots, int) else None,
            seconds=found.seconds,
            begun=found.created,
        )

    def close(self) -> None:
        self._held.close()


def _score(task: Task, found: Overview) -> Score | None:
    best = found.best
    if best is None or best.score is None:
        return None
    measured = measured_candidate(task, best)
    bounds = interval(task.metric, measured) if measured else None
    low, high = (bounds.low, bounds.high) if bounds else (None, None)
    return Score(best.score, low, high, best.label)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _changed(path: Path) -> tuple[int, int]:
    """When a file was last written, and its size; an empty one counts as none, as readers make such."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size) if found.st_size else (0, 0)
