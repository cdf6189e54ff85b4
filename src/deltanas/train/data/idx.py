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


def _fault(path: Path, what: str) -> DataError:
    """Whoever knows where the file came from gives the hint."""
    return DataError(f"{path}: {what}")


def read_idx(folder: Path) -> Splits:
    """The four gzipped files in a folder. Raises DataError, which names the file, where one is malformed."""
    train_x, train_y, test_x, test_y = (folder / file for file in IDX_FILES)
    both = _split(train_x, train_y)
    test = _split(test_x, test_y)
    if test.x.shape[1:] != both.x.shape[1:]:
        raise _fault(test_x, f"images of {test.x.shape[2:]} pixels, {train_x.name} has {both.x.shape[2:]}")
    return with_test(both, test, 10)


def _split(images: Path, labels: Path) -> Images:
    x = _idx(images, _IMAGES)[:, None]
    y = _idx(labels, _LABELS).astype(np.int64)
    if len(x) != len(y):
        raise _fault(labels, f"{len(y)} labels for the {len(x)} images of {images.name}")
    if len(np.unique(y)) != 10 or y.max() != 9:
        raise _fault(labels, "labels are not the ten classes 0 to 9")
    return Images(x, y)


def _idx(path: Path, magic: int) -> NDArray[np.uint8]:
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _fault(path, f"cut short or not gzip ({error})") from error
    dimensions = magic % 256
    head = 4 + 4 * dimensions
    if len(raw) < head or struct.unpack(">I", raw[:4])[0] != magic:
        raise _fault(path, f"not an IDX file of the expected kind (magic number {magic})")
    shape = struct.unpack(f">{dimensions}I", raw[4:head])
    if len(raw) - head != math.prod(shape):
        raise _fault(path, f"holds {len(raw) - head:,} values where its header says {shape}")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)
