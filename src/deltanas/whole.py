"""A file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str | bytes, *, lasting: bool = False) -> None:
    """Put the content in place of the file: who reads it meanwhile, or after a kill, finds the old one or the new one.

    Args:
        content: text is written as UTF-8. lasting: a crash of the machine must not leave an empty file.

    Raises OSError, and leaves what was there, if it can't be written; the folder must be there.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, 0o666 & ~_umask())
            if lasting:
                os.fsync(descriptor)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
