"""A user's own pictures: a folder with a folder of images for each class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.pictures import SUFFIXES, read_images
from deltanas.train.data.records import Images, Splits
from deltanas.train.data.splits import as_given, in_three

_LAYOUT = "make a folder for each class in it, with the images of the class inside, or train/ and test/ of such folders"
_SPLITS = ("train", "val", "test")


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
    return as_given(images["train"], images.get("val"), images["test"], len(classes))


def read_classes(folder: Path, classes: list[str], *, resize: int | None, colour: bool = False) -> Images:
    """The images of class folders, at any depth. Raises DataError where a class has none."""
    files, y = _files(folder, classes)
    return Images(read_images(files, resize=resize, colour=colour), y)


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
