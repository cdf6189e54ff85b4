"""Images that say themselves which class they are of, upright or not: 4 x 4 cells, dark or bright, are read as bits."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from deltanas.train.data import Dataset

SIDE = 16
_MARK = {(0, 0): 1, (0, 1): 1, (1, 0): 0, (0, 3): 0, (3, 0): 0, (3, 3): 0}
"""Cells that are alike in no other orientation."""
_BITS = [(row, column) for row in range(4) for column in range(4) if (row, column) not in _MARK]


def encoded(label: int, number: int, rng: Random) -> NDArray[np.uint8]:
    """Image `number` (below 128) of class `label` (below 8), grey, [16, 16]."""
    value = label << 7 | number
    cells = np.zeros((4, 4))
    for place, bit in [*_MARK.items(), *((place, value >> at & 1) for at, place in enumerate(_BITS))]:
        cells[place] = bit
    noise = np.random.RandomState(rng.randrange(2**31)).randint(0, 40, (SIDE, SIDE))
    noise[0, 0] = noise[15, 15] = 0
    bright = cells.repeat(4, 0).repeat(4, 1)
    return np.where(bright, 255 - noise, noise).astype(np.uint8)


def decoded(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Class and number of an image [c, 16, 16]."""
    cells = image[:3].mean(0).reshape(4, 4, 4, 4).mean((1, 3)) > 127
    assert {place: int(cells[place]) for place in _MARK} == _MARK, (
        "the image is not upright, or no image that was meant"
    )
    value = sum(int(cells[place]) << at for at, place in enumerate(_BITS))
    return value >> 7, value & 127


@dataclass
class Meant:
    """What a generated data set means.

    Attributes:
        names: of the classes. images: (class, number) by split: "" where none is given, else train, val, test.
        lost: images that may be left out, as another one has the same pixels and another label.
        reasons: patterns of what it must be refused for. perhaps: of what it may be refused for.
        what: the choices that were made, for messages.
    """

    names: list[str] = field(default_factory=list)
    images: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    lost: set[tuple[int, int]] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)
    perhaps: list[str] = field(default_factory=list)
    what: list[str] = field(default_factory=list)

    def check(self, data: Dataset) -> None:
        """Raises AssertionError where other images, classes or splits were read than were meant."""
        names = list(data.source.names or map(str, range(data.classes)))
        assert sorted(names) == sorted(self.names), (names, self.names)
        read: dict[str, list[tuple[int, int]]] = {"train": [], "val": [], "test": []}
        for split, part in zip(read, (data.train, data.validation, data.test), strict=True):
            for image, label in zip(part.x, part.y, strict=True):
                meant, number = decoded(image)
                assert meant < len(self.names), "an image was read that is of no class"
                assert self.names[meant] == names[label], (
                    f"image {number} of {self.names[meant]} is read as {names[label]}"
                )
                read[split].append((meant, number))
        every = [one for part in read.values() for one in part]
        assert sum(len(set(part)) for part in read.values()) == len(set(every)), "an image is in two splits"
        whole = set.union(*self.images.values())
        assert set(every) | self.lost == whole | self.lost, whole ^ set(every)
        if "" not in self.images:
            self._check_splits({split: set(part) for split, part in read.items()})

    def _check_splits(self, read: dict[str, set[tuple[int, int]]]) -> None:
        if "test" not in self.images:
            assert read["test"] <= self.images["val"]
            assert read["train"] | read["val"] <= self.images["train"]
            return
        assert read["test"] <= self.images["test"]
        assert read["train"] <= self.images["train"]
        assert read["val"] <= self.images.get("val", self.images["train"])
