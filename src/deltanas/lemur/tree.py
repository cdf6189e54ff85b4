"""The files of a layout in a wheel or a folder, as bytes. Nothing is unpacked, imported or executed."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Protocol

from deltanas.errors import DataError, UsageError
from deltanas.lemur.layout import PROGRAMS, Layout
from deltanas.lemur.transforms import TRANSFORMS

MAX_BYTES = 16_000_000
"""Longest file that is read. The longest of nn-dataset 2.1.2 has under 200,000 bytes."""


class UnreadableError(Exception):
    """One file can't be read; the message says why."""


class Tree(Protocol):
    """Files by their path below the layout's folder, with `/` between its parts."""

    @property
    def names(self) -> list[str]: ...
    def read(self, name: str) -> bytes:
        """Raises UnreadableError."""


@contextmanager
def open_tree(path: Path, layout: Layout = PROGRAMS) -> Iterator[Tree]:
    """A wheel; or a folder that holds the layout's folder (an unpacked wheel, a checkout), or is it.

    Raises:
        UsageError: there is nothing at `path`.
        DataError: it is neither, the wheel is cut short, or there is no program in it.
    """
    if path.is_dir():
        yield _with_programs(partial(Folder, path), path, layout)
    elif path.is_file():
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DataError(
                f"{path} is no wheel that can be read: {error}", f"fetch it again: {layout.fetch}"
            ) from None
        with archive:
            yield _with_programs(partial(Wheel, archive), path, layout)
    else:
        raise UsageError(f"no wheel or folder {path}", f"get one: {layout.fetch}")


def _with_programs(read: Callable[[Layout], Tree], path: Path, layout: Layout) -> Tree:
    def holds(one: Layout) -> bool:
        return any(map(one.program_name, read(one).names))

    if not holds(layout):
        others = [one for one in (PROGRAMS, TRANSFORMS) if one is not layout and holds(one)]
        hint = f"`deltanas {others[0].command} import {quote(str(path))}` imports what it holds; " if others else ""
        raise DataError(f"{path} holds no {layout.lacks}", f"{hint}{layout.where}")
    return read(layout)


class Wheel:
    """A zip file, read member by member."""

    def __init__(self, archive: zipfile.ZipFile, layout: Layout) -> None:
        self._archive = archive
        self._members = {
            info.filename.removeprefix(layout.inside): info
            for info in archive.infolist()
            if info.filename.startswith(tuple(f"{layout.inside}{part}/" for part in layout.folders))
            and not info.is_dir()
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

    def __init__(self, path: Path, layout: Layout) -> None:
        self._root = path / layout.inside if (path / layout.inside).is_dir() else path
        self._folders = layout.folders

    @property
    def names(self) -> list[str]:
        found: list[str] = []
        for part in self._folders:
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
