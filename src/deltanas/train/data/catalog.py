"""The data sets by name."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np

from deltanas.errors import DataError, UsageError
from deltanas.train.data.official import OFFICIAL, data_folder, read_official
from deltanas.train.data.own import read_folder, read_npz
from deltanas.train.data.pictures import resized
from deltanas.train.data.records import Dataset, DatasetInfo, Images, Splits
from deltanas.train.data.splits import in_three, settled

NAMES = ("digits", *OFFICIAL)
_SKLEARN_HINT = "pip install scikit-learn"


def load(name: str, *, train_size: int | None = None, resize: int | None = None) -> Dataset:
    """Load a data set: one of `NAMES`, `folder:PATH` (class folders of images) or `npz:PATH` (arrays x and y).

    Args:
        train_size: keep that many training images; a smaller subset lies within a larger one.
        resize: height and width that every image is squeezed to; None for the images as they are.

    Raises:
        UsageError: an unknown name, or a `train_size` that the data set can't give.
        DataError: the data set is missing, cut short, malformed or too small to be trained on.
    """
    splits = _read(name, resize)
    train, validation, test = (
        Images(resized(part.x, resize), part.y) for part in (splits.train, splits.validation, splits.test)
    )
    data = settled(name, replace(splits, train=train, validation=validation, test=test))
    if train_size is None:
        return data
    if not data.classes <= train_size <= len(data.train):
        raise UsageError(
            f"a training size of {train_size} is not possible on {name}",
            f"give {data.classes} (one image a class) to {len(data.train)} (all of them)",
        )
    # The training images lie in an order of which every prefix is stratified.
    return replace(data, train=Images(data.train.x[:train_size], data.train.y[:train_size]))


def available() -> list[DatasetInfo]:
    """Every data set that `load` knows by name, found or not. Looks for the files only, reads none."""
    sklearn = importlib.util.find_spec("sklearn")
    where = str(Path(sklearn.origin).parent) if sklearn and sklearn.origin else ""
    infos = [DatasetInfo("digits", bool(where), where, 1797, (1, 8, 8), "" if where else _SKLEARN_HINT)]
    for entry in OFFICIAL.values():
        folder = entry.located()
        where = str(folder or data_folder() / entry.name)
        hint = "" if folder else entry.advice()
        infos.append(DatasetInfo(entry.name, folder is not None, where, entry.images, entry.shape, hint))
    return infos


def _read(name: str, resize: int | None) -> Splits:
    kind, _, path = name.partition(":")
    if name == "digits":
        return _digits()
    if name in OFFICIAL:
        return read_official(name, resize)
    if kind == "folder" and path:
        return read_folder(Path(path).expanduser(), resize=resize)
    if kind == "npz" and path:
        return read_npz(Path(path).expanduser())
    raise UsageError(f"unknown data set {name!r}", f"known are: {', '.join(NAMES)}, folder:PATH, npz:PATH")


def _digits() -> Splits:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(f"digits comes with scikit-learn, which can't be imported: {error}", _SKLEARN_HINT) from error
    x, y = load_digits(return_X_y=True)
    x = np.rint(x.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return in_three(Images(x, y.astype(np.int64)), 10)
