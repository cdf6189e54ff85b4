"""Names of the classes of published sets, as their makers give them."""

from __future__ import annotations

from dataclasses import replace

from deltanas.train.data.records import Splits

DIGITS = tuple("0123456789")
_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_NUMBERED = {"digits": DIGITS, "mnist": DIGITS, "svhn": DIGITS, "fashion-mnist": _FASHION}
_FOLDERS = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
"""Imagenette's."""


def named(name: str, splits: Splits) -> Splits:
    """With the names of the classes, where the files hold none or only ids of them."""
    names = splits.source.names or _NUMBERED.get(name, ())
    return replace(splits, source=replace(splits.source, names=tuple(_FOLDERS.get(one, one) for one in names)))
