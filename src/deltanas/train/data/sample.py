"""A few small training pictures, which a run keeps to show what its transforms do."""

from __future__ import annotations

from io import BytesIO
from itertools import islice
from math import ceil

import numpy as np
from numpy.typing import NDArray

from deltanas.train.data.records import Images

LONGEST = 64
"""Pixels of a kept picture's longer side, at most."""


def kept_pictures(images: Images, number: int) -> bytes:
    """One picture of each class as far as they reach, then the first ones; uint8 [n, channels, height, width].

    Large pictures are shrunk by a whole factor. The result is an array file, compressed.
    """
    firsts = np.unique(images.y, return_index=True)[1].tolist() if images.y.ndim == 1 else []
    others = (place for place in range(len(images)) if place not in set(firsts))
    buffer = BytesIO()
    np.savez_compressed(buffer, _shrunk(images.x[list(islice([*firsts, *islice(others, number)], number))]))
    return buffer.getvalue()


def read_pictures(kept: bytes) -> NDArray[np.uint8]:
    """What `kept_pictures` made."""
    with np.load(BytesIO(kept), allow_pickle=False) as file:
        pictures: NDArray[np.uint8] = file["arr_0"]
    return pictures


def _shrunk(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n, channels, height, width = x.shape
    factor = ceil(max(height, width) / LONGEST)
    rows, columns = height // factor, width // factor
    if factor == 1 or not rows * columns:
        return x
    blocks = x[:, :, : rows * factor, : columns * factor].reshape(n, channels, rows, factor, columns, factor)
    shrunk: NDArray[np.uint8] = np.rint(blocks.mean((3, 5))).astype(np.uint8)
    return shrunk
