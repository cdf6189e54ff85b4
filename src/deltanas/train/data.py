"""Data sets as uint8 arrays in memory, with splits that never change. Numpy only: the tool's own process loads them."""

from __future__ import annotations

import gzip
import importlib.util
import math
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError, UsageError

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_IMAGES, _LABELS = 2051, 2049
"""Magic numbers of the IDX format: unsigned bytes in three dimensions, and in one."""


@dataclass(frozen=True)
class Images:
    """One split. x: uint8 [n, c, h, w]. y: int64 [n], labels from 0."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: NDArray[np.int64]) -> Images:
        return Images(np.ascontiguousarray(self.x[indices]), np.ascontiguousarray(self.y[indices]))


@dataclass(frozen=True)
class Dataset:
    """A data set in three splits that share no image; selection sees `validation`, the final report `test`."""

    name: str
    train: Images
    validation: Images
    test: Images
    classes: int

    @property
    def in_shape(self) -> tuple[int, int, int, int]:
        """(1, channels, height, width), as the LEMUR contract has it."""
        _, channels, height, width = self.train.x.shape
        return (1, channels, height, width)

    @property
    def out_shape(self) -> tuple[int]:
        return (self.classes,)


@dataclass(frozen=True)
class DatasetInfo:
    """What `deltanas datasets list` shows. shape: (channels, height, width). hint: how to get it, "" where found."""

    name: str
    found: bool
    where: str
    images: int
    shape: tuple[int, int, int]
    hint: str


def load(name: str, *, train_size: int | None = None) -> Dataset:
    """Load a data set. `train_size` keeps that many training images; a smaller subset lies within a larger one.

    Raises:
        UsageError: an unknown name, or a `train_size` that the data set can't give.
        DataError: the data set is missing, cut short or malformed.
    """
    if name not in _LOADERS:
        raise UsageError(f"unknown data set {name!r}", f"known are: {', '.join(_LOADERS)}")
    data = _LOADERS[name]()
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
    """Every data set that `load` knows, found or not. Looks for the files only, reads none."""
    sklearn = importlib.util.find_spec("sklearn")
    where = str(Path(sklearn.origin).parent) if sklearn and sklearn.origin else ""
    digits = DatasetInfo("digits", bool(where), where, 1797, (1, 8, 8), "" if where else _SKLEARN_HINT)
    folder = _fashion_folder()
    found = all((folder / file).is_file() for file in FASHION_FILES)
    hint = "" if found else _FASHION_HINT
    return [digits, DatasetInfo("fashion-mnist", found, str(folder), 70_000, (1, 28, 28), hint)]


def stratified_order(y: NDArray[np.int64]) -> NDArray[np.int64]:
    """A fixed order of the images, in which the classes of every slice have their shares to within one image or two.

    It depends on the labels alone, on no seed of a run: `RandomState` keeps its stream over versions of numpy.
    """
    shuffled = np.random.RandomState(0).permutation(len(y))
    place = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order: NDArray[np.int64] = shuffled[np.argsort(place[shuffled], kind="stable")]
    return order


_SKLEARN_HINT = "pip install scikit-learn"


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(f"digits comes with scikit-learn, which can't be imported: {error}", _SKLEARN_HINT) from error
    x, y = load_digits(return_X_y=True)
    x = np.rint(x.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    images = Images(x, y.astype(np.int64))
    order = stratified_order(images.y)
    first, second = round(0.6 * len(y)), round(0.8 * len(y))
    train, validation, test = np.split(order, [first, second])
    return Dataset("digits", images.take(train), images.take(validation), images.take(test), 10)


_FASHION_HINT = "apt-get install dataset-fashion-mnist, or set DELTANAS_DATA to a folder with the four official files"


def _fashion_folder() -> Path:
    return Path(os.environ.get("DELTANAS_DATA") or FASHION_FOLDER)


def _fashion() -> Dataset:
    folder = _fashion_folder()
    missing = [file for file in FASHION_FILES if not (folder / file).is_file()]
    if missing:
        raise DataError(f"fashion-mnist: {', '.join(missing)} not found in {folder}", _FASHION_HINT)
    train_x, train_y, test_x, test_y = (folder / file for file in FASHION_FILES)
    both = _idx_images(train_x, train_y)
    test = _idx_images(test_x, test_y)
    if test.x.shape[1:] != both.x.shape[1:]:
        raise DataError(f"{test_x}: images of {test.x.shape[2:]} pixels, {train_x.name} has {both.x.shape[2:]}")
    order = stratified_order(both.y)
    train, validation = np.split(order, [len(order) - len(order) // 6])
    return Dataset("fashion-mnist", both.take(train), both.take(validation), test, 10)


_LOADERS: dict[str, Callable[[], Dataset]] = {"digits": _digits, "fashion-mnist": _fashion}


def _idx_images(images: Path, labels: Path) -> Images:
    """Two gzipped IDX files as one split; http://yann.lecun.com/exdb/mnist describes the format."""
    x = _idx(images, _IMAGES)[:, None]
    y = _idx(labels, _LABELS).astype(np.int64)
    if len(x) != len(y):
        raise DataError(f"{labels}: {len(y)} labels for the {len(x)} images of {images.name}", _FASHION_HINT)
    if len(np.unique(y)) != 10 or y.max() != 9:
        raise DataError(f"{labels}: labels are not the ten classes 0 to 9", _FASHION_HINT)
    return Images(x, y)


def _idx(path: Path, magic: int) -> NDArray[np.uint8]:
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cut short or not gzip ({error})", _FASHION_HINT) from error
    dimensions = magic % 256
    head = 4 + 4 * dimensions
    if len(raw) < head or struct.unpack(">I", raw[:4])[0] != magic:
        raise DataError(f"{path}: not an IDX file of the expected kind (magic number {magic})", _FASHION_HINT)
    shape = struct.unpack(f">{dimensions}I", raw[4:head])
    if len(raw) - head != math.prod(shape):
        raise DataError(f"{path}: holds {len(raw) - head:,} values where its header says {shape}", _FASHION_HINT)
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)
