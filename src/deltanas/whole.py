"""Files that a kill leaves whole: one that appears whole or not at all, and a table that grows by whole rows."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: str | bytes, *, lasting: bool = False) -> None:
    """Put the content in place of the file: who reads it meanwhile, or after a kill, finds the old one or the new one.

    Args:
        content: text is written as UTF-8, a lone surrogate in it (of a file name that is no UTF-8) as its escape, which
            is what JSON has for it too. lasting: not even a crash of the machine may leave an empty file.

    Raises OSError, and leaves what was there, if it can't be written; the folder must be there.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.filename is not None:
            error.filename, error.filename2 = str(path), None  # not the file beside it, of which nobody knows
        raise


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a file of JSON lines, none where there is no file; one that a kill cut short is left out."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def append_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows are written in one piece, by one writer at a time; a line that a kill cut short is dropped by the next."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
        file.flush()
        os.fsync(file.fileno())
