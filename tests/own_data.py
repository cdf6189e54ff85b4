"""Makes a user's own data, and looks at what becomes of it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deltanas.errors import DataError
from deltanas.train.data import Dataset, load

CHANCE = np.random.RandomState(7)


def pixels(n: int, *shape: int) -> NDArray[np.uint8]:
    """Images that all differ."""
    return CHANCE.randint(0, 256, (n, *shape)).astype(np.uint8)


def classes_in(folder: Path, n: int = 40, *shape: int, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """A folder for each class with n images, RGB of 6 x 5 pixels unless a shape is given."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(pixels(n, *(shape or (5, 6, 3)))):
            Image.fromarray(image).save(folder / name / f"{number:03}.png")
    return folder


def refused(name: object, *words: str, kind: str = "folder", resize: int | None = None) -> None:
    with pytest.raises(DataError) as caught:
        load(f"{kind}:{name}", resize=resize)
    for word in words:
        assert word in str(caught.value), caught.value
    assert caught.value.hint


def images_of(data: Dataset) -> list[set[bytes]]:
    return [{image.tobytes() for image in part.x} for part in (data.train, data.validation, data.test)]


def disjoint(data: Dataset) -> bool:
    train, validation, test = images_of(data)
    return not (train & validation or train & test or validation & test)


def meaning(data: Dataset) -> dict[bytes, str]:
    """The name of the class of each image, by its pixels."""
    names = data.source.names or [str(label) for label in range(data.classes)]
    assert len(names) == data.classes
    every: dict[bytes, str] = {}
    for part in (data.train, data.validation, data.test):
        every |= {x.tobytes(): names[label] for x, label in zip(part.x, part.y, strict=True)}
    return every


def tree(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def laid_out(folder: Path, **images: int) -> Path:
    """Images in folders that are named by their paths: `laid_out(folder, **{"train/cat": 30})`."""
    for place, n in images.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(pixels(n, 4, 4)):
            Image.fromarray(image).save(folder / place / f"{number:03}.png")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """All files at any depth, by what is in them: where they lie may change."""
    return {path.name + str(hash(path.read_bytes())): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def follow(hint: str, number: int = 0) -> None:
    """Run one of the commands in a hint, as a user would. None of them may lose a file."""
    command = re.findall(r"`([^`]+)`", hint)[number]
    subprocess.run(["bash", "-c", command], check=True)


def left_out(data: Dataset) -> dict[str, int]:
    return {one.reason: one.number for one in data.source.left_out}


def number_of(data: Dataset) -> int:
    return len(data.train) + len(data.validation) + len(data.test)
