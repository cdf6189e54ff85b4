"""The IDX files of MNIST and Fashion-MNIST; http://yann.lecun.com/exdb/mnist describes the format."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.records import Images, Splits
from deltanas.train.data.splits import with_test

IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_IMAGES, _LABELS = 2051, 2049
"""Magic numbers of the format: unsigned bytes in three dimensions, and in one."""
_HINT = "remove the file and fetch it again (`deltanas datasets prepare`, or Debian's package)"


def read_idx(folder: Path) -> Splits:
    """The four gzipped files in a folder. Raises DataError, which names the file, where one is malformed."""
    train_x, train_y, test_x, test_y = (folder / file for file in IDX_FILES)
    both = _split(train_x, train_y)
    test = _split(test_x, test_y)
    if test.x.shape[1:] != both.x.shape[1:]:
        raise DataError(f"{test_x}: images of {test.x.shape[2:]} pixels, {train_x.name} has {both.x.shape[2:]}", _HINT)
    return with_test(both, test, 10)


def _split(images: Path, labels: Path) -> Images:
    x = _idx(images, _IMAGES)[:, None]
    y = _idx(labels, _LABELS).astype(np.int64)
    if len(x) != len(y):
        raise DataError(f"{labels}: {len(y)} labels for the {len(x)} images of {images.name}", _HINT)
    if len(np.unique(y)) != 10 or y.max() != 9:
        raise DataError(f"{labels}: labels are not the ten classes 0 to 9", _HINT)
    return Images(x, y)


def _idx(path: Path, magic: int) -> NDArray[np.uint8]:
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cut short or not gzip ({error})", _HINT) from error
    dimensions = magic % 256
    head = 4 + 4 * dimensions
    if len(raw) < head or struct.unpack(">I", raw[:4])[0] != magic:
        raise DataError(f"{path}: not an IDX file of the expected kind (magic number {magic})", _HINT)
    shape = struct.unpack(f">{dimensions}I", raw[4:head])
    if len(raw) - head != math.prod(shape):
        raise DataError(f"{path}: holds {len(raw) - head:,} values where its header says {shape}", _HINT)
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)
