"""A user's own data: a folder with a folder of images for each class, or an npz file of arrays."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.pictures import SUFFIXES, read_images
from deltanas.train.data.records import Images, Splits
from deltanas.train.data.splits import in_three, stratified_order, with_test

_LAYOUT = "make a folder for each class in it, with the images of the class inside, or train/ and test/ of such folders"
_SPLITS = ("train", "val", "test")
_ARRAYS = (
    "save it with numpy.savez(path, x=images, y=labels); x: uint8 [n, h, w] or [n, c, h, w], y: integers from 0 [n]"
)


def read_folder(folder: Path, *, resize: int | None) -> Splits:
    """Class folders of images, or `train`, `test` and perhaps `val` with class folders in each.

    Classes are numbered in the order of their names. Without given splits 60 % train, 20 % validate, 20 % test.

    Raises:
        DataError: no such folder, no image, one class, or what `read_images` refuses.
    """
    names = [path.name for path in _folders(folder)]
    if not set(names) & set(_SPLITS):
        return in_three(read_classes(folder, names, resize=resize), len(names))
    if not {"train", "test"} <= set(names) <= set(_SPLITS):
        raise DataError(
            f"{folder}: holds {', '.join(names)}, which are neither classes nor splits",
            "splits are train and test, and val if you like; rename the others, or the class of such a name",
        )
    classes = [path.name for path in _folders(folder / "train")]
    for split in names:
        strange = {path.name for path in _folders(folder / split)} - set(classes)
        if strange:
            raise DataError(f"{folder / split / min(strange)}: a class that {folder / 'train'} does not have", _LAYOUT)
    # Read as one, so that sizes and kinds are compared across the splits too.
    parts = {split: _files(folder / split, classes) for split in names}
    x = read_images([path for files, _ in parts.values() for path in files], resize=resize)
    bounds = np.cumsum([len(files) for files, _ in parts.values()])[:-1]
    images = {s: Images(part, parts[s][1]) for s, part in zip(parts, np.split(x, bounds), strict=True)}
    return _given(images["train"], images.get("val"), images["test"], len(classes))


def read_classes(folder: Path, classes: list[str], *, resize: int | None, colour: bool = False) -> Images:
    """The images of class folders, at any depth. Raises DataError where a class has none."""
    files, y = _files(folder, classes)
    return Images(read_images(files, resize=resize, colour=colour), y)


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
    return _given(train, validation, test, classes)


def _given(train: Images, validation: Images | None, test: Images, classes: int) -> Splits:
    if validation is None:
        return with_test(train, test, classes)
    return Splits(train.take(stratified_order(train.y)), validation, test, classes)


def _folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} can't be read as a folder of images: {error.strerror}", _LAYOUT) from None
    if not inside:
        raise DataError(f"{folder}: no class folder with images in it", _LAYOUT)
    if len(inside) == 1:
        raise DataError(f"{folder}: {inside[0].name} is the only class; there is nothing to tell apart", _LAYOUT)
    return inside


def _files(folder: Path, classes: list[str]) -> tuple[list[Path], NDArray[np.int64]]:
    """The image files of each class in the order of their names, and the labels."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            Path(place, file)
            for place, _, inside in os.walk(folder / name)
            for file in inside
            if file.lower().endswith(SUFFIXES) and not file.startswith(".")
        )
        if not found:
            raise DataError(f"{folder / name}: no image ({', '.join(SUFFIXES)})", _LAYOUT)
        files += found
        labels += [label] * len(found)
    return files, np.array(labels, np.int64)


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
