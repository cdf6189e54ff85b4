"""A user's own data: an npz file of arrays, or arrays in memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.records import Images, Splits
from deltanas.train.data.splits import as_given, in_three

_ARRAYS = (
    "save it with numpy.savez(path, x=images, y=labels); x: uint8 [n, h, w] or [n, c, h, w], y: integers from 0 [n]"
)


def read_npz(path: Path) -> Splits:
    """Arrays `x` and `y`; or `x_train`, `y_train`, `x_test`, `y_test` and perhaps `x_val`, `y_val`.

    Nothing in the file is unpickled.

    Raises:
        DataError: not an npz file, an array that is missing or of the wrong type or shape, labels with gaps.
    """
    return splits_of(path, _arrays(path))


def splits_of(path: Path | str, arrays: Mapping[str, NDArray[np.generic]]) -> Splits:
    """The splits that arrays make, which are named as `read_npz` says. path: where they are from, for messages."""
    if "x" in arrays or "x_train" not in arrays:
        images = _images(path, arrays, "")
        return in_three(images, _classes(path, images.y))
    train, test = _images(path, arrays, "_train"), _images(path, arrays, "_test")
    validation = _images(path, arrays, "_val") if "x_val" in arrays else None
    classes = _classes(path, train.y)
    for suffix, images in (("_test", test), ("_val", validation or test)):
        if images.x.shape[1:] != train.x.shape[1:]:
            raise DataError(
                f"{path}: images of x{suffix} are {images.x.shape[1:]}, of x_train {train.x.shape[1:]}", _ARRAYS
            )
        if images.y.max() >= classes:
            fault = f"label {images.y.max()} in y{suffix} is out of range: y_train has the classes 0 to {classes - 1}"
            raise DataError(f"{path}: {fault}", "give each class training images, or take the others out")
    return as_given(train, validation, test, classes)


def _arrays(path: Path) -> Mapping[str, NDArray[np.generic]]:
    known = [f"{kind}{suffix}" for kind in "xy" for suffix in ("", "_train", "_val", "_test")]
    try:
        # Opened here: numpy leaves the file open where it is cut short.
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("it holds one array without a name")
            return {name: file[name] for name in known if name in file}
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} can't be read as an npz file of plain arrays: {error}", _ARRAYS) from None


def _images(path: Path | str, arrays: Mapping[str, NDArray[np.generic]], suffix: str) -> Images:
    names = f"x{suffix}", f"y{suffix}"
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{path}: no array {' and no array '.join(missing)}", _ARRAYS)
    x, y = (arrays[name] for name in names)
    if x.dtype != np.uint8:
        raise DataError(
            f"{path}: {names[0]} is {x.dtype}, not uint8", "values from 0 to 1: (x * 255).round().astype('uint8')"
        )
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3):
        raise DataError(f"{path}: {names[0]} has its channels last, {x.shape}", "x.transpose(0, 3, 1, 2)")
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise DataError(f"{path}: {names[0]} has the shape {x.shape}, not [n, h, w] or [n, c, h, w]", _ARRAYS)
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{path}: {names[1]} is {y.dtype}; labels are integers", "y.astype('int64'), classes from 0")
    if y.shape != x.shape[:1]:
        raise DataError(
            f"{path}: {names[1]} has the shape {y.shape} for {len(x)} images", "one label an image: y.ravel()"
        )
    if y.min() < 0:
        raise DataError(f"{path}: label {y.min()} in {names[1]} is out of range", "number the classes from 0")
    return Images(x.astype(np.uint8).reshape(len(x), -1, *x.shape[-2:]), y.astype(np.int64))


def _classes(path: Path | str, y: NDArray[np.int64]) -> int:
    present = np.unique(y)
    if len(present) == 1:
        raise DataError(f"{path}: every label is {present[0]}; there is nothing to tell apart", "add another class")
    if present[-1] != len(present) - 1:
        gap = int(np.flatnonzero(present != np.arange(len(present)))[0])
        raise DataError(
            f"{path}: labels go up to {present[-1]}, but no image has the label {gap}",
            "number the classes without gaps: numpy.unique(y, return_inverse=True)[1]",
        )
    return len(present)
