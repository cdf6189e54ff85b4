"""The data sets by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError, UsageError
from deltanas.train.data.class_names import named
from deltanas.train.data.folders import read_folder
from deltanas.train.data.official import OFFICIAL, data_folder, read_official
from deltanas.train.data.own import read_npz, splits_of
from deltanas.train.data.pairs import read_pairs
from deltanas.train.data.photos import Making, photos_info, read_photos
from deltanas.train.data.pictures import coloured, resized
from deltanas.train.data.records import Dataset, DatasetInfo, Images, Splits
from deltanas.train.data.splits import fewer, in_three, require_sound, settled, subset

_OWN = "a run on a data set passed from Python goes on where that is passed again"
_SKLEARN_HINT = "pip install scikit-learn"


def load(
    name: str,
    *,
    train_size: int | None = None,
    validation_size: int | None = None,
    resize: int | None = None,
    colour: bool | None = None,
    making: Making | None = None,
) -> Dataset:
    """Load a data set: one of `LOADERS`, `folder:PATH` (class folders of images) or `npz:PATH` (arrays x and y).

    Pairs of noisy and clean images are `photos`, `photos:PATH` (clean photographs; noise is made), `pairs:PATH`, or
    arrays of images as x and y.

    Args:
        train_size: keep that many training images; a smaller subset lies within a larger one.
        validation_size: keep that many validation images, where there are more.
        resize: height and width that every image is squeezed to; None for the images as they are.
        colour: True: all images as RGB; False: all as grey; None: as they are, files as RGB if any of them has colours.
        making: how photographs become pairs.

    Raises:
        UsageError: an unknown name, a `train_size` that the data set can't give, or pairs that are to be resized.
        DataError: the data set is missing, cut short, malformed or too small to be trained on.
    """
    splits = _read(name, resize, colour, making or Making())
    return prepared(name, splits, train_size=train_size, validation_size=validation_size, resize=resize, colour=colour)


def prepared(
    name: str,
    splits: Splits | Dataset,
    *,
    train_size: int | None = None,
    validation_size: int | None = None,
    resize: int | None = None,
    colour: bool | None = None,
) -> Dataset:
    """The data set that splits make. Args and Raises: as of `load`."""
    require_sound(name, splits)
    if splits.train.y.ndim == 4 and (resize or colour is not None):
        raise UsageError(
            f"{name} holds pairs of images, whose noise would be another one in another size or colour",
            "leave --resize and --colour or --grey out; --patch is the size of the patches of photographs",
        )
    train, validation, test = (
        Images(resized(coloured(part.x, colour), resize), part.y)
        for part in (splits.train, splits.validation, splits.test)
    )
    source = replace(splits.source, resize=resize or splits.source.resize)
    data = settled(name, Splits(train, validation, test, splits.classes, splits.dropped, splits.conflicts, source))
    if validation_size is not None:
        data = replace(data, validation=fewer(data.validation, validation_size, data.classes))
    if train_size is None:
        return data
    if not max(1, data.classes) <= train_size <= len(data.train):
        least = f"{data.classes} (one image a class)" if data.classes else "1"
        raise UsageError(
            f"a training size of {train_size} is not possible on {name}",
            f"give {least} to {len(data.train)} (all of them)",
        )
    return replace(data, train=subset(data.train, train_size, data.classes))


def dataset_of(name: str, **arrays: NDArray[Any]) -> Dataset:
    """A data set of arrays in memory: `x` and `y`, or `x_train`, ... as in a file of `npz:PATH` (`own.read_npz`).

    Raises:
        DataError: an array that is missing or of the wrong type or shape, labels with gaps, or too few images.
    """
    return prepared(name, splits_of(name, arrays))


def available() -> list[DatasetInfo]:
    """Every data set that `load` knows by name, found or not. Looks for the files only, reads none."""
    return [*(loader.info() for loader in LOADERS.values()), photos_info()]


def _read(name: str, resize: int | None, colour: bool | None, making: Making) -> Splits:
    kind, _, path = name.partition(":")
    if name in LOADERS:
        return LOADERS[name].read(resize)
    if kind == "folder" and path:
        return read_folder(Path(path).expanduser(), resize=resize, colour=colour)
    if kind == "npz" and path:
        return read_npz(Path(path).expanduser())
    if kind == "photos":
        return read_photos(Path(path).expanduser() if path else None, making)
    if kind == "pairs" and path:
        return read_pairs(Path(path).expanduser(), making.patch)
    known = ", ".join((*LOADERS, "photos", "folder:PATH", "npz:PATH", "photos:PATH", "pairs:PATH"))
    raise UsageError(f"unknown data set {name!r}", f"known are: {known}; {_OWN}")


def _digits(_: int | None) -> Splits:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(f"digits comes with scikit-learn, which can't be imported: {error}", _SKLEARN_HINT) from error
    x, y = load_digits(return_X_y=True)
    x = np.rint(x.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return named("digits", in_three(Images(x, y.astype(np.int64)), 10))


def _digits_info() -> DatasetInfo:
    sklearn = importlib.util.find_spec("sklearn")
    where = str(Path(sklearn.origin).parent) if sklearn and sklearn.origin else ""
    return DatasetInfo("digits", bool(where), where, 1797, (1, 8, 8), "" if where else _SKLEARN_HINT)


def _official_info(name: str) -> DatasetInfo:
    entry = OFFICIAL[name]
    folder = entry.located()
    where = str(folder or data_folder() / name)
    return DatasetInfo(name, folder is not None, where, entry.images, entry.shape, "" if folder else entry.advice())


@dataclass(frozen=True, slots=True)
class Loader:
    """A data set that is known by name.

    Attributes:
        read: reads it; given the height and width that large images may be squeezed to while they are read, or None.
        info: what the list of data sets says of it; looks for the files only.
    """

    read: Callable[[int | None], Splits]
    info: Callable[[], DatasetInfo]


LOADERS = {
    "digits": Loader(_digits, _digits_info),
    **{name: Loader(partial(read_official, name), partial(_official_info, name)) for name in OFFICIAL},
}
