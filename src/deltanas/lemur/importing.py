"""From a wheel or a folder to the archive: programs first, then their trials, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from deltanas.lemur.layout import FaultError, is_trials, program_name, source_from, trials_from, trials_place
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


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that gave nothing. `path` is below `ab/nn`."""

    path: str
    reason: str


@dataclass(slots=True)
class Imported:
    """What an import added, and the files it could not use."""

    programs: int = 0
    trials: int = 0
    broken: list[Broken] = field(default_factory=list)


def import_tree(tree: Tree, shelf: Shelf, told: Callable[[str, int, int], None]) -> Imported:
    """Store all that `tree` holds and `shelf` does not. A broken file is noted and passed over.

    Args:
        told: called with what is read ("programs", "trials"), how many files of it are done, and how many there are.
    """
    names, done = tree.names, Imported()
    usable = _programs(tree, [name for name in names if program_name(name)], shelf, done, told)
    _trials(tree, [name for name in names if is_trials(name)], usable, shelf, done, told)
    return done


def _programs(
    tree: Tree, paths: Sequence[str], shelf: Shelf, done: Imported, told: Callable[[str, int, int], None]
) -> set[str]:
    """Store the programs; the names of those whose trials may be stored."""
    usable: set[str] = set()
    for start in range(0, len(paths), _PROGRAMS):
        sources: dict[str, str] = {}
        for path in paths[start : start + _PROGRAMS]:
            try:
                sources[_named(path)] = source_from(tree.read(path))
            except (FaultError, UnreadableError) as error:
                done.broken.append(_broken(path, error))
        for name, standing in shelf.add_programs(sources).items():
            if standing == "other":
                done.broken.append(Broken(f"nn/{name}.py", "the run holds this program with another text"))
            else:
                usable.add(name)
                done.programs += standing == "new"
        told("programs", min(start + _PROGRAMS, len(paths)), len(paths))
    return usable


def _named(path: str) -> str:
    _require_plain(path)
    name = program_name(path)
    assert name is not None
    return name


def _trials(
    tree: Tree,
    paths: Sequence[str],
    usable: set[str],
    shelf: Shelf,
    done: Imported,
    told: Callable[[str, int, int], None],
) -> None:
    # A batch ends where an experiment ends, if it can: the shelf looks up what it holds of each experiment in a batch.
    batch: list[Trial] = []
    for count, (path, following) in enumerate(zip(paths, [*paths, ""][1:], strict=True), 1):
        try:
            batch += _trials_of(tree, path, usable)
        except (FaultError, UnreadableError) as error:
            done.broken.append(_broken(path, error))
        ends = path.rpartition("/")[0] != following.rpartition("/")[0]
        if len(batch) >= (BATCH if ends else 10 * BATCH) or not following:
            done.trials += shelf.add_trials(batch)
            batch = []
            told("trials", count, len(paths))


def _trials_of(tree: Tree, path: str, usable: set[str]) -> list[Trial]:
    _require_plain(path)
    experiment, epoch = trials_place(path)
    if experiment.program not in usable:
        raise FaultError(f"no program {experiment.program}.py that could be used")
    return trials_from(experiment, epoch, tree.read(path))


def _require_plain(path: str) -> None:
    if not path.isprintable() or any(len(part.encode()) > _LONGEST for part in path.split("/")):
        raise FaultError("its path is too long or not plain text")


def _broken(path: str, error: Exception) -> Broken:
    return Broken(path.encode("utf-8", "backslashreplace").decode(), str(error))
