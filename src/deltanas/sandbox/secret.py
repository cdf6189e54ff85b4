"""The machine's secret, from which the order of the evaluation images comes: fixed here, unknown to a candidate."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.sandbox.state import state_folder

_SIZE = 32


def shuffled(n: int, purpose: str) -> NDArray[np.int64]:
    """A secret order of n images: the same on this machine at every call with the same purpose."""
    seed = hashlib.sha256(machine_secret() + f"{purpose}:{n}".encode()).digest()
    words = np.frombuffer(seed, np.uint32)
    order: NDArray[np.int64] = np.random.RandomState(words).permutation(n)
    return order


@cache
def machine_secret() -> bytes:
    """32 random bytes from the state folder, made at the first call.

    Where that folder can't be written or holds something else, the secret lasts for this process only.
    """
    path = state_folder() / "secret"
    fresh = secrets.token_bytes(_SIZE)
    try:
        if not path.exists():
            _write_once(path, fresh)
        kept = path.read_bytes()
    except OSError:
        return fresh
    return kept if len(kept) == _SIZE else fresh


def _write_once(path: Path, content: bytes) -> None:
    """Whole or not at all; of two processes the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"secret.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
