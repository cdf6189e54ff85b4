"""The files of a new folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from deltanas.errors import DeltanasError, UsageError

SKELETON = {"net.py": "net.txt", "search.toml": "search.toml"}
"""File in the new folder, by the file of this room that it is a copy of."""
CLASSES = ("images/first-class", "images/second-class")


def write_skeleton(folder: Path) -> list[Path]:
    """Write the files into a new folder, or an empty one; what was written.

    Raises:
        UsageError: there is something already. DeltanasError: it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already, and nothing in it is overwritten", "name a new folder")
    room = files("deltanas.starting")
    written = []
    try:
        for each in CLASSES:
            (folder / each).mkdir(parents=True)
        for name, template in SKELETON.items():
            path = folder / name
            with path.open("x", encoding="utf-8") as file:
                file.write(room.joinpath(template).read_text("utf-8"))
            written.append(path)
    except OSError as error:
        raise DeltanasError(f"{folder} can't be written: {error.strerror}", "name another folder") from None
    return [*written, *(folder / each for each in CLASSES)]
