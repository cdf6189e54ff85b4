"""Getting a published set: download it, compare its sums, unpack it; it appears in its folder whole or not at all."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from http.client import HTTPException
from pathlib import Path

from deltanas.errors import DataError, UsageError, aside
from deltanas.train.data.official import DEBIAN, OFFICIAL, Official, compare, data_folder, intact

PATIENCE = 30.0
"""Seconds without an answer from a server."""
_DISK = (errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS)


def prepare(name: str, root: Path | None = None) -> Path:
    """Download a published set into its folder in `root` (`data_folder()` if None), and say which folder that is.

    A set that is there is compared with its published sums. Official files that lie in the folder are used.

    Raises:
        UsageError: no published set has this name.
        DataError: no network, a wrong sum, torchvision missing, or a folder that can't be written.
    """
    if name not in OFFICIAL:
        raise UsageError(f"{name!r} is not a data set to download", f"to download are: {', '.join(OFFICIAL)}")
    entry = OFFICIAL[name]
    if root is None and entry.located() == DEBIAN.get(name, Path()):
        return DEBIAN[name]
    folder = (root or data_folder()) / name
    if entry.found(folder):
        entry.verify(folder)
    else:
        with _disk_faults(folder):
            _fill(entry, folder, entry.advice(root))
    return folder


def _fill(entry: Official, folder: Path, hint: str) -> None:
    tops = sorted({Path(part).parts[0] for part in entry.parts})
    for top in tops:
        if (folder / top).is_dir():
            raise DataError(f"{folder / top} is not complete", f"put it aside: {aside(folder / top)}; then {hint}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as new:
        place = Path(new) / entry.inner
        place.mkdir(parents=True, exist_ok=True)
        sums = entry.archive_sums(entry.torchvision)
        for file, md5 in sums.items():
            given = folder / file
            if given.is_file():
                compare(given, md5, hint)
                os.link(given.resolve(), place / file)
        with _network_faults(entry.name, {place / file: md5 for file, md5 in sums.items()}, hint):
            entry.download(Path(new))
        for top in tops:
            (Path(new) / top).replace(folder / top)


@contextmanager
def _network_faults(name: str, sums: Mapping[Path, str], hint: str) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        with redirect_stdout(sys.stderr):
            yield
    except _faults() as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        wrong = [file.name for file, md5 in sums.items() if file.is_file() and not intact(file, md5)]
        cause = f"{wrong[0]} arrived cut short or changed (its MD5 sum is not the published one)" if wrong else error
        raise DataError(f"{name} can't be downloaded: {str(cause).strip()}", hint) from None
    finally:
        socket.setdefaulttimeout(before)


def _faults() -> tuple[type[Exception], ...]:
    """What torchvision lets through: no network, a wrong sum (RuntimeError), a refusal by Google Drive (gdown)."""
    faults: tuple[type[Exception], ...] = (OSError, RuntimeError, HTTPException)
    if importlib.util.find_spec("gdown"):
        faults += (importlib.import_module("gdown.exceptions").FileURLRetrievalError,)
    return faults


@contextmanager
def _disk_faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"the data folder {folder} can't be written: {error.strerror or error}",
            "make room or name another, with --dir or the environment's DELTANAS_DATA",
        ) from None
