"""A file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


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
