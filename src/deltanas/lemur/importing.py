"""From a wheel or a folder to the archive: programs first, then their trials, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from deltanas.lemur.layout import PROGRAMS, FaultError, Layout
from deltanas.lemur.tree import Tree, UnreadableError
from deltanas.program.trial import Trial

BATCH = 5_000
"""Trials that are stored at a time, with the rest of their experiment; a kill loses them, the next import adds them."""

_PROGRAMS = 200
_LONGEST = 255
"""Bytes of a file's name, on every file system that an export may meet."""

Standing = Literal["new", "held", "other"]


class Shelf(Protocol):
    """Where what is imported is kept. Each call is one transaction."""

    def add_programs(self, sources: Mapping[str, str]) -> dict[str, Standing]:
        """By name: new, held already, or held with another text, which stays."""

    def add_trials(self, trials: Sequence[Trial]) -> int:
        """Keep those that are not held yet; how many they were."""


@dataclass(slots=True)
class Memory:
    """A shelf that is gone with the process."""

    sources: dict[str, str] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)

    def add_programs(self, sources: Mapping[str, str]) -> dict[str, Standing]:
        found: dict[str, Standing] = {}
        for name, source in sources.items():
            new = name not in self.sources
            held = self.sources.setdefault(name, source)
            found[name] = "new" if new else "held" if held == source else "other"
        return found

    def add_trials(self, trials: Sequence[Trial]) -> int:
        self.trials += trials
        return len(trials)


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that gave nothing. `path` is below the layout's folder."""

    path: str
    reason: str


@dataclass(slots=True)
class Imported:
    """What an import added, and the files it could not use."""

    programs: int = 0
    trials: int = 0
    broken: list[Broken] = field(default_factory=list)


Told = Callable[[str, int, int], None]
"""Called with what is read ("programs", "trials"), how many files of it are done, and how many there are."""


def import_tree(tree: Tree, shelf: Shelf, told: Told, layout: Layout = PROGRAMS) -> Imported:
    """Store all that `tree` holds and `shelf` does not. A broken file is noted and passed over."""
    return _Import(tree, shelf, told, layout).whole()


class _Import:
    def __init__(self, tree: Tree, shelf: Shelf, told: Told, layout: Layout) -> None:
        self._tree, self._shelf, self._told, self._layout = tree, shelf, told, layout
        self._done = Imported()

    def whole(self) -> Imported:
        names = self._tree.names
        usable = self._programs([name for name in names if self._layout.program_name(name)])
        self._trials([name for name in names if self._layout.is_trials(name)], usable)
        return self._done

    def _programs(self, paths: Sequence[str]) -> set[str]:
        """Store the programs; the names of those whose trials may be stored: not of two texts under one name."""
        usable: set[str] = set()
        clashing: set[str] = set()
        for start in range(0, len(paths), _PROGRAMS):
            sources: dict[str, str] = {}
            places: dict[str, str] = {}
            for path in paths[start : start + _PROGRAMS]:
                try:
                    name, source = self._named(path), self._layout.source(self._tree.read(path))
                except (FaultError, UnreadableError) as error:
                    self._done.broken.append(_broken(path, error))
                    continue
                if sources.get(name, source) != source:
                    self._done.broken.append(Broken(path, f"{places[name]} is another text of this name"))
                    clashing.add(name)
                    continue
                sources[name], places[name] = source, path
            for name, standing in self._shelf.add_programs(sources).items():
                if standing == "other":
                    self._done.broken.append(Broken(places[name], "the run holds this program with another text"))
                    clashing.add(name)
                else:
                    usable.add(name)
                    self._done.programs += standing == "new"
            self._told("programs", min(start + _PROGRAMS, len(paths)), len(paths))
        return usable - clashing

    def _named(self, path: str) -> str:
        _require_plain(path)
        name = self._layout.program_name(path)
        assert name is not None
        return name

    def _trials(self, paths: Sequence[str], usable: set[str]) -> None:
        # A batch ends where a folder ends, if it can: the shelf looks up what it holds of each experiment in a batch.
        batch: list[Trial] = []
        for count, (path, following) in enumerate(zip(paths, [*paths, ""][1:], strict=True), 1):
            try:
                batch += self._trials_of(path, usable)
            except (FaultError, UnreadableError) as error:
                self._done.broken.append(_broken(path, error))
            ends = path.rpartition("/")[0] != following.rpartition("/")[0]
            if len(batch) >= (BATCH if ends else 10 * BATCH) or not following:
                self._done.trials += self._shelf.add_trials(batch)
                batch = []
                self._told("trials", count, len(paths))

    def _trials_of(self, path: str, usable: set[str]) -> list[Trial]:
        _require_plain(path)
        program = self._layout.program_of(path)
        if program not in usable:
            raise FaultError(f"no program {program}.py that could be used")
        return self._layout.trials(path, self._tree.read(path))


def _require_plain(path: str) -> None:
    if not path.isprintable() or any(len(part.encode()) > _LONGEST for part in path.split("/")):
        raise FaultError("its path is too long or not plain text")


def _broken(path: str, error: Exception) -> Broken:
    return Broken(path.encode("utf-8", "backslashreplace").decode(), str(error))
