"""Sealed memory files: what a child process gets to read, it can't change."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable

from deltanas.errors import SandboxError

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed(parts: Iterable[bytes | memoryview]) -> int:
    """A descriptor of a memory file that holds `parts` back to back. The caller closes it."""
    try:
        fd = os.memfd_create("deltanas", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (OSError, AttributeError) as error:
        raise SandboxError(
            f"no sealed memory file can be made: {error}", "the sandbox needs Linux 3.17 or newer"
        ) from error
    try:
        for part in parts:
            rest = memoryview(part).cast("B")
            while rest:
                rest = rest[os.write(fd, rest) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        os.close(fd)
        raise SandboxError(f"the data does not fit into memory: {error}", "use a smaller training size") from error
    return fd
