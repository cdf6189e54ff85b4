"""The classes of published sets have the names that their makers give them."""

from __future__ import annotations

import numpy as np
import pytest
from torchvision import datasets

from deltanas.train.data import Images, Provenance, load
from deltanas.train.data.class_names import named
from deltanas.train.data.records import Splits
from own_data import pixels

NO_IMAGES = Images(pixels(1, 1, 2, 2), np.zeros(1, np.int64))
FIRST = {wnid: words[0] for wnid, words in datasets.Imagenette._WNID_TO_CLASS.items()}


@pytest.mark.parametrize(
    ("name", "read", "names"),
    [
        ("fashion-mnist", (), datasets.FashionMNIST.classes),
        ("mnist", (), [name[0] for name in datasets.MNIST.classes]),
        ("svhn", (), list("0123456789")),
        ("cifar10", ("airplane", "automobile"), ["airplane", "automobile"]),
        ("imagenette", tuple(FIRST), list(FIRST.values())),
    ],
)
def test_names_are_those_of_torchvision(name: str, read: tuple[str, ...], names: list[str]) -> None:
    splits = Splits(NO_IMAGES, NO_IMAGES, NO_IMAGES, len(names), source=Provenance(read))
    assert named(name, splits).source.names == tuple(names)


def test_digits_are_named() -> None:
    assert load("digits").source.names == tuple("0123456789")
    assert load("digits", train_size=20).record["names"] == list("0123456789")
