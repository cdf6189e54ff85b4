"""Image files to arrays, by Pillow, in this process."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError

VISION_HINT = "pip install 'deltanas[vision]'"
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Pillow guesses the format from the content. Its other readers stay shut: that of EPS, for one, starts Ghostscript.
_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = ("L", "RGB")
COPIES = 4
"""Most copies of the images at a time: as read, as split, and as laid down for the sandbox, twice with finals."""


def read_images(paths: Sequence[Path], *, resize: int | None, colour: bool = False) -> NDArray[np.uint8]:
    """Image files as uint8 [n, c, h, w]; c is 1 if all are grey, 3 if all are RGB.

    Args:
        resize: height and width that each image is squeezed to; None for images of one size.
        colour: turn every image into RGB, as the makers of some sets do; else the files must be of one kind.

    Raises:
        DataError: a broken image, another kind of pixels, two sizes or two kinds, or more than memory can hold.
    """
    first = _decoded(paths[0], resize, colour)
    need = len(paths) * first.nbytes
    if need > _memory() / COPIES:
        raise DataError(
            f"{len(paths):,} images of {first.shape[2]} x {first.shape[1]} pixels take {need / 1e9:.1f} GB, "
            f"and the splits and their copies for the sandbox up to {COPIES} times that",
            "make them smaller with --resize N (`resize` in [train])",
        )
    x = np.empty((len(paths), *first.shape), np.uint8)

    def fill(place: int) -> None:
        image = _decoded(paths[place], resize, colour)
        if image.shape != first.shape:
            raise _unequal(paths[0], first, paths[place], image)
        x[place] = image

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.map(fill, range(len(paths))):
            pass
    return x


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


def pillow() -> ModuleType:
    """The module PIL.Image. Raises DataError where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"image files and --resize need Pillow, which can't be imported: {error}", VISION_HINT
        ) from None
    return Image


def _decoded(path: Path, resize: int | None, colour: bool) -> NDArray[np.uint8]:
    """One image as [c, h, w]."""
    image = pillow()
    try:
        with image.open(path, formats=_FORMATS) as file:
            file.load()
            picture = file.convert("RGB") if colour else file
            if picture.mode not in _MODES:
                raise DataError(
                    f"{path}: pixels of mode {picture.mode}, which is neither grey (L) nor RGB",
                    "save it as RGB, e.g. with Pillow: Image.open(path).convert('RGB').save(path)",
                )
            if resize is not None:
                picture = picture.resize((resize, resize), image.Resampling.BILINEAR)
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, image.DecompressionBombError) as error:
        raise DataError(f"{path} can't be read as an image: {error}", "replace the file, or take it out") from None
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _unequal(path: Path, image: NDArray[np.uint8], other: Path, different: NDArray[np.uint8]) -> DataError:
    if len(image) != len(different):
        kinds = ["grey" if len(pixels) == 1 else "RGB" for pixels in (image, different)]
        return DataError(
            f"grey and RGB images are mixed: {path} is {kinds[0]}, {other} is {kinds[1]}",
            "save them all as RGB or all as grey, e.g. with Pillow: Image.open(path).convert('RGB').save(path)",
        )
    sizes = ["{2} x {1} pixels".format(*pixels.shape) for pixels in (image, different)]
    return DataError(
        f"the images differ in size: {path} has {sizes[0]}, {other} has {sizes[1]}",
        "bring them to one size with --resize N (`resize` in [train])",
    )


def _memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
