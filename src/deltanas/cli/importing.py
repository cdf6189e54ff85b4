"""What commands that import data of others do alike: a run of its own, a progress bar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Literal

from rich.console import Console

from deltanas.archive import IMPORTED, POINTER, RunArchive, begin_run, read_folder
from deltanas.errors import UsageError
from deltanas.narrate import progress_bar

SOURCE = "imported from"
"""What marks a run of imported programs in its manifest."""


def version_of(source: Path) -> str:
    """A wheel's version; the name of a folder, whose digits behind a point belong to it."""
    wheel = re.fullmatch(r"[^-]+-([^-]+)-.*\.whl", source.name)
    whole = source.resolve()
    return wheel[1] if wheel else whole.name if whole.is_dir() else whole.stem


@contextmanager
def imported_run(
    path: Path, archive: str | None, source: Path, part: Literal["net", "transform"] = "net"
) -> Iterator[RunArchive]:
    """The run in a folder, which is made if it is not there.

    Args:
        part: of a program, of which the imported texts are.

    Raises:
        UsageError: it is a search, or holds another part.
    """
    if (path / POINTER).exists():
        opened = read_folder(path).open(writer=True)
    else:
        manifest: dict[str, object] = {"version": metadata.version("deltanas"), SOURCE: source.name}
        _, opened = begin_run(path, archive, manifest | ({} if part == "net" else {IMPORTED: part}))
    with opened:
        if SOURCE not in opened.manifest:
            raise UsageError(f"{path} is a search", "import into a run of its own: name another --run")
        if opened.trials.part != part:
            held = {"net": "networks", "transform": "transforms"}
            raise UsageError(
                f"{path} holds {held[opened.trials.part]}, no {held[part]}",
                "import into a run of its own: name another --run",
            )
        yield opened


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each of what is read; it is told the name, how many files are done, and how many there are."""
    bar = progress_bar(Console(stderr=True), "files")
    with bar:
        tasks = {what: bar.add_task(what, total=None) for what in ("programs", "trials")}
        yield lambda what, count, total: bar.update(tasks[what], completed=count, total=total)
