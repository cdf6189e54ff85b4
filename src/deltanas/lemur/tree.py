"""The files under `ab/nn` of a wheel or a folder, as bytes. Nothing is unpacked, imported or executed."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from deltanas.errors import DataError, UsageError
from deltanas.lemur.layout import program_name

MAX_BYTES = 16_000_000
"""Longest file that is read. The longest of nn-dataset 2.1.2 has under 200,000 bytes."""

_INSIDE = "ab/nn/"
_PARTS = ("nn", "stat")


class UnreadableError(Exception):
    """One file can't be read; the message says why."""


class Tree(Protocol):
    """Files by their path below `ab/nn`, with `/` between its parts."""

    @property
    def names(self) -> list[str]: ...
    def read(self, name: str) -> bytes:
        """Raises UnreadableError."""


@contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """A wheel of nn-dataset; or a folder that holds `ab/nn` (an unpacked wheel, a checkout), or is it.

    Raises:
        UsageError: there is nothing at `path`.
        DataError: it is neither, the wheel is cut short, or there is no program in it.
    """
    if path.is_dir():
        yield _with_programs(Folder(path), path)
    elif path.is_file():
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DataError(
                f"{path} is no wheel that can be read: {error}",
                "fetch it again: pip download --no-deps nn-dataset==1.2.6",
            ) from None
        with archive:
            yield _with_programs(Wheel(archive), path)
    else:
        raise UsageError(f"no wheel or folder {path}", "get one: pip download --no-deps nn-dataset==1.2.6")


def _with_programs(tree: Wheel | Folder, path: Path) -> Tree:
    if not any(map(program_name, tree.names)):
        raise DataError(
            f"{path} holds no programs (ab/nn/nn/*.py)",
            "nn-dataset 1.2.6 and 2.1.2 hold programs and trials, 2.2.11 holds none: "
            "pip download --no-deps nn-dataset==2.1.2",
        )
    return tree


class Wheel:
    """A zip file, read member by member."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {
            info.filename.removeprefix(_INSIDE): info
            for info in archive.infolist()
            if info.filename.startswith(tuple(f"{_INSIDE}{part}/" for part in _PARTS)) and not info.is_dir()
        }

    @property
    def names(self) -> list[str]:
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        try:
            with self._archive.open(self._members[name]) as file:  # what the header says of the size may be wrong
                return _whole(file.read(MAX_BYTES + 1))
        except RuntimeError as error:  # an encrypted member
            raise UnreadableError(str(error)) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise UnreadableError(f"can't be unpacked: {error}") from None


class Folder:
    """A folder on the disk."""

    def __init__(self, path: Path) -> None:
        self._root = path / _INSIDE if (path / _INSIDE).is_dir() else path

    @property
    def names(self) -> list[str]:
        found: list[str] = []
        for part in _PARTS:
            for folder, _, files in os.walk(self._root / part):
                inside = Path(folder).relative_to(self._root).as_posix()
                found += [f"{inside}/{file}" for file in files if Path(folder, file).is_file()]
        return sorted(found)

    def read(self, name: str) -> bytes:
        try:
            with (self._root / name).open("rb") as file:
                return _whole(file.read(MAX_BYTES + 1))
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from None


def _whole(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise UnreadableError(f"has more than {MAX_BYTES:,} bytes")
    return data
