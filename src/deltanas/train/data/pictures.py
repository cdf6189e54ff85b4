"""Image files to arrays: all files of a set by one rule."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.picture import DEEP, Span, UnreadableError, pillow, read_picture, span_in, taken_out, white_of

COPIES = 4
"""Most copies of the images at a time: as read, as split, and as laid down for the sandbox, twice with finals."""
_SHOWN = 3
T = TypeVar("T")
R = TypeVar("R")
_Done = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Images of one kind and size.

    Attributes:
        x: uint8 [n, c, h, w]; c is 1 if they are grey, 3 if they are RGB.
        notes: what was done to them, each a clause with the number of images.
        span: values of more than 8 bits that became 0 and 255; None where no file has more than 8 bits.
    """

    x: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    span: Span | None = None


def read_images(paths: Sequence[Path], *, resize: int | None, colour: bool | None = None) -> Pictures:
    """Image files, each as `read_picture` says.

    Args:
        resize: height and width that each image is squeezed to; None for images of one size.
        colour: True: all as RGB; False: all as grey; None: as RGB if any of them has colours.

    Raises:
        DataError: broken images, two sizes, or more than memory can hold.
    """
    with warnings.catch_warnings():
        # What Pillow says of a file's metadata changes no pixel.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        return _read(paths, None if resize is None else (resize, resize), colour, None)


class _DeepError(Exception):
    """A file has more than 8 bits: the scale of all such files is to be found first."""


class _ColourError(Exception):
    """A file has colours among grey ones: all are to be RGB."""


def _read(paths: Sequence[Path], size: tuple[int, int] | None, colour: bool | None, span: Span | None) -> Pictures:
    read = partial(read_picture, size=size, colour=colour, span=span)
    try:
        first = read(paths[0])
    except UnreadableError:
        _each(lambda path: read(path).kind, paths)  # the others that can't be read are told with it
        raise
    need = len(paths) * first.pixels.nbytes
    if need > memory() / COPIES:
        height, width = first.pixels.shape[1:]
        raise DataError(
            f"{len(paths):,} images of {width} x {height} pixels take {need / 1e9:.1f} GB, "
            f"and the splits and their copies for the sandbox up to {COPIES} times that",
            "make them smaller with --resize N (`resize` in [train])",
        )
    x = np.empty((len(paths), *first.pixels.shape), np.uint8)

    def fill(place: int) -> _Done:
        picture = read(paths[place])
        pixels = picture.pixels
        if picture.deep and span is None:
            raise _DeepError
        if len(pixels) > len(x[place]):
            raise _ColourError
        if pixels.shape[1:] != x.shape[2:]:
            raise _unequal(paths[0], x.shape[2:], paths[place], pixels.shape[1:])
        x[place] = pixels
        return picture.kind, picture.done

    try:
        done = _each(fill, range(len(paths)))
    except _DeepError:
        return _read(paths, size, colour, _span_of(paths))
    except _ColourError:
        return _read(paths, size, True, span)
    return Pictures(x, tuple(_notes(done, x.shape[1], span)), span)


def _each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What becomes of each item. Raises DataError, once for all files that can't be read."""

    def tried(item: T) -> R | UnreadableError:
        try:
            return work(item)
        except UnreadableError as error:
            return error

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = list(pool.map(tried, items))
    broken = [one for one in found if isinstance(one, UnreadableError)]
    if len(broken) > 1:
        others = ", ".join(str(error.path) for error in broken[1:_SHOWN])
        more = f"; nor can {len(broken) - 1:,} more: {others}" + ", ..." * (len(broken) > _SHOWN)
        raise DataError(broken[0].message + more, taken_out(*(error.path for error in broken)))
    if broken:
        raise broken[0]
    return [one for one in found if not isinstance(one, UnreadableError)]


def _span_of(paths: Sequence[Path]) -> Span:
    """The one scale of all files of more than 8 bits.

    Integers: 0 to the white of the largest value of the set (`white_of`). Floats: 0 to 1, -1 to 1, or 0 to 255 where
    they come near these ends. All else: from the least to the largest.
    """
    found = {path: span for path, span in zip(paths, _each(span_in, paths), strict=True) if span}
    floats = {path for path, span in found.items() if span.floats}
    whole = found.keys() - floats
    if floats and whole:
        fewer = floats if len(floats) <= len(whole) else whole
        raise DataError(
            f"{min(floats)} holds floats, {min(whole)} integers of more than 8 bits", taken_out(*sorted(fewer))
        )
    low, high = min(span.low for span in found.values()), max(span.high for span in found.values())
    if floats:
        usual = ((0, 1, 1 / 16), (-1, 1, 0.9), (0, 255, 64))
        fits = ((least, most) for least, most, near in usual if least <= low and near < high <= most)
        low, high = next(fits, (min(0, low), high or 1))
    elif low >= 0:
        low, high = 0, white_of(high)
    return Span(low, high, bool(floats))


def _notes(done: Sequence[_Done], channels: int, span: Span | None) -> Iterable[str]:
    read_as = "RGB" if channels == 3 else "grey"
    kinds = Counter(kind for kind, _ in done if kind != read_as)
    if kinds:
        told = " and ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
        yield f"{told} image{'s' * (kinds.total() != 1)} read as {read_as}"
    for what, number in sorted(Counter(what for _, each in done for what in each).items()):
        scale = f", scaled from {span[0]:,g} to {span[1]:,g} to 0 to 255" if span and what == DEEP else ""
        yield f"{number:,} image{'s' * (number != 1)} {what}{scale}"


def _unequal(path: Path, size: tuple[int, ...], other: Path, different: tuple[int, ...]) -> DataError:
    sizes = [f"{width} x {height} pixels" for height, width in (size, different)]
    return DataError(
        f"the images differ in size: {path} has {sizes[0]}, {other} has {sizes[1]}",
        "bring them to one size with --resize N (`resize` in [train])",
    )


def resized(x: NDArray[np.uint8], size: int | None) -> NDArray[np.uint8]:
    """Images [n, c, h, w] squeezed to `size` x `size`, with the same filter as image files."""
    if size is None or x.shape[2:] == (size, size):
        return x
    image = pillow()
    n, channels = x.shape[:2]
    planes = np.empty((n * channels, size, size), np.uint8)
    for place, plane in enumerate(x.reshape(n * channels, *x.shape[2:])):
        planes[place] = image.fromarray(plane).resize((size, size), image.Resampling.BILINEAR)
    return planes.reshape(n, channels, size, size)


def coloured(x: NDArray[np.uint8], colour: bool | None) -> NDArray[np.uint8]:
    """Images [n, c, h, w] as RGB (True), as grey (False) or as they are (None); grey as Pillow makes it.

    Raises:
        DataError: they are neither grey nor RGB.
    """
    channels = x.shape[1]
    if colour is None or channels == (3 if colour else 1):
        return x
    if channels not in (1, 3):
        raise DataError(
            f"train.colour: images of {channels} channels are neither grey nor RGB", "leave train.colour out"
        )
    if colour:
        return x.repeat(3, axis=1)
    grey = np.empty((len(x), 1, *x.shape[2:]), np.uint8)
    weights = np.array([19595, 38470, 7471], np.uint32)
    for place, image in enumerate(x):
        grey[place, 0] = (np.tensordot(weights, image.astype(np.uint32), 1) + 0x8000) >> 16
    return grey


def memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
