"""Photographs to patches of one size, and to splits that share no photograph."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.picture import taken_out
from deltanas.train.data.tree import content

LEAST = 8
"""Height and width of the smallest patches."""
TRAINED, EVALUATED = 2048, 12
"""Most patches to train on, of all photographs together; and most patches of each photograph to evaluate."""
TOO_DEEP = "has more than 8 bits a value, and denoisers are trained and scored on 8"
T = TypeVar("T")


def cut(image: NDArray[np.uint8], size: int, most: int, name: str, files: Sequence[Path] = ()) -> NDArray[np.uint8]:
    """Patches [n, c, size, size] of an image [c, h, w] that don't overlap, at places that are drawn once for all.

    name: what an error calls it. files: what to take out where it is too small; none where that can't be done.

    Raises DataError where the image is smaller than a patch.
    """
    _, height, width = image.shape
    rows, columns, least = height // size, width // size, min(height, width)
    if not rows * columns:
        cures = [f"cut smaller ones: --patch {least}"] * (least >= LEAST) + [taken_out(*files)] * bool(files)
        raise DataError(f"{name} has {width} x {height} pixels, and patches have {size} x {size}", "; or ".join(cures))
    order = np.random.RandomState(0).permutation(rows * columns)[:most]
    top, left = (height - rows * size) // 2, (width - columns * size) // 2
    places = [(top + size * (place // columns), left + size * (place % columns)) for place in sorted(order)]
    return np.stack([image[:, row : row + size, column : column + size] for row, column in places])


def originals(paths: Iterable[Path], read: Callable[[Path], NDArray[np.uint8]]) -> Iterator[tuple[Path, Path]]:
    """Each path beside the first one of the same pixels, whatever the format; beside itself where there is no other.

    A grey image and one whose three channels are equal are the same. Of files of equal bytes one is read.

    read: the pixels of a file, [1 or 3, h, w]; what it raises goes through.
    """
    files: dict[bytes, Path] = {}
    images: dict[bytes, Path] = {}
    for path in paths:
        key = content(path)
        if key not in files:
            files[key] = images.setdefault(_digest(read(path)), path)
        yield path, files[key]


def _digest(image: NDArray[np.uint8]) -> bytes:
    grey = image[:1]
    image = np.ascontiguousarray(grey if (image == grey).all() else image)
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()


def together(channels: int, patches: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Patches of all photographs, each [n, 1 or channels, h, w], as one array [n, channels, h, w].

    Grey ones are repeated where others have colours.
    """
    return np.concatenate([some.repeat(channels // some.shape[1], axis=1) for some in patches])


def split_three(items: Sequence[T]) -> tuple[list[T], list[T], list[T]]:
    """60 % to train on, 20 % to validate, 20 % to test, one of each at least, in an order that never changes.

    items: three or more.
    """
    order = [items[place] for place in np.random.RandomState(0).permutation(len(items))]
    tested = validated = max(1, round(0.2 * len(items)))
    return order[tested + validated :], order[tested : tested + validated], order[:tested]


def each_of(photographs: int) -> int:
    """Most patches of each of so many photographs that are trained on."""
    return max(1, TRAINED // photographs)
