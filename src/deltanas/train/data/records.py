"""What a data set is once it is in memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.train.data.picture import Span


@dataclass(frozen=True)
class Images:
    """One split.

    Attributes:
        x: uint8 [n, c, h, w]. y: [n, ...], what is known of each image: to classify int64 [n], labels from 0; to
            restore images, the clean ones, of the type and shape of x.
    """

    x: NDArray[np.uint8]
    y: NDArray[Any]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: NDArray[np.int64]) -> Images:
        return Images(np.ascontiguousarray(self.x[indices]), np.ascontiguousarray(self.y[indices]))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files or images that a loader did not take: why, how many, and one of them ("" where they have no name)."""

    reason: str
    number: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How the images came to be what they are: what an image of a user's own must go through, and what it means.

    Attributes:
        names: of the classes, by label; () where the data has none.
        resize: height and width that every image was squeezed to, in pixels; None for images as they are.
        notes: what was done to the whole set, each a short clause ("3 palette images read as RGB").
        left_out: what was not taken. Repeats are counted in `dropped` and `conflicts` of the data set.
        span: values of more than 8 bits that became 0 and 255; None where no image has more than 8 bits.
        before: of pairs the PSNR of the noisy images to validate and to test, in dB; None of others.
    """

    names: tuple[str, ...] = ()
    resize: int | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    span: Span | None = None
    before: tuple[float, float] | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set in three splits that share no image; selection sees `validation`, the final report `test`.

    Attributes:
        classes: number of classes, 0 where images have none.
        dropped: number of images left out as repeats of others, pixel by pixel.
        conflicts: number of those that had another label than an equal image.
    """

    name: str
    train: Images
    validation: Images
    test: Images
    classes: int
    dropped: int = 0
    conflicts: int = 0
    source: Provenance = Provenance()

    @property
    def in_shape(self) -> tuple[int, int, int, int]:
        """(1, channels, height, width), as the LEMUR contract has it."""
        _, channels, height, width = self.train.x.shape
        return (1, channels, height, width)

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.in_shape[1:] if self.paired else (self.classes,)

    @property
    def paired(self) -> bool:
        """Each image has another image beside it, as a noisy one has the clean one."""
        return self.train.y.ndim == 4

    @cached_property
    def scale(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel of the training images, on the scale 0 to 255.

        Every image is normalised by them before it reaches a network. Pairs of images are brought from 0 to 1 instead,
        the scale of what a network makes of them.
        """
        if self.paired:
            channels = self.in_shape[1]
            return (0.0,) * channels, (255.0,) * channels
        return _statistics(self.train.x)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over pixels, labels and order of all splits: equal for equal data only."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            digest.update(repr(split.x.shape).encode())
            digest.update(np.ascontiguousarray(split.x).data)
            digest.update(_known(split.y))
        return digest.hexdigest()

    @property
    def record(self) -> dict[str, object]:
        """What a run keeps of its data, to know it again."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "shape": list(self.in_shape[1:]),
            "classes": self.classes,
            "dropped": self.dropped,
            "sha256": self.fingerprint,
            "conflicts": self.conflicts,
            "mean": list(self.scale[0]),
            "std": list(self.scale[1]),
            **json.loads(json.dumps(asdict(self.source))),
        }


def _known(y: NDArray[Any]) -> bytes:
    """Labels as 64-bit integers, of whatever type they are; of anything else its type and shape too."""
    if y.ndim == 1 and np.issubdtype(y.dtype, np.integer):
        return np.ascontiguousarray(y, dtype="<i8").tobytes()
    return repr((y.dtype.str, y.shape)).encode() + np.ascontiguousarray(y).tobytes()


def _statistics(x: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, on the scale 0 to 255; x: [n, c, h, w]."""
    levels = np.arange(256)
    means, deviations = [], []
    for channel in range(x.shape[1]):
        shares = sum(np.bincount(part[:, channel].ravel(), minlength=256) for part in np.array_split(x, 64)) / (
            x[:, channel].size
        )
        mean = float(np.sum(levels * shares))
        means.append(mean)
        deviations.append(float(np.sqrt(np.sum((levels - mean) ** 2 * shares))) or 1.0)
    return tuple(means), tuple(deviations)


@dataclass(frozen=True)
class Splits:
    """What a loader returns: three splits that may still share images. dropped, conflicts: repeats left out already."""

    train: Images
    validation: Images
    test: Images
    classes: int
    dropped: int = 0
    conflicts: int = 0
    source: Provenance = Provenance()


@dataclass(frozen=True)
class DatasetInfo:
    """What `deltanas datasets list` shows.

    shape: (channels, height, width), None where the images differ in size. hint: how to get it, "" where found.
    """

    name: str
    found: bool
    where: str
    images: int
    shape: tuple[int, int, int] | None
    hint: str
