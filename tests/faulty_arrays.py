"""Arrays that are refused, with what their hints must do for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hinted import Hinted
from own_data import pixels

Array = NDArray[Any]
Arrays = dict[str, Array]
GREY, RGB, Y = pixels(90, 8, 6), pixels(90, 3, 8, 6), np.arange(90) % 3
PETS = np.array(["cat", "dog", "yak"])[Y]
ACCENTED = np.array(["e\u0301", "dog", "yak"])[Y]
NORMAL = (GREY / 255 - 0.4) / 0.3
HOLED = GREY / 255
HOLED[5, 1, 2], HOLED[7, 0, 0] = np.nan, np.inf
FRAMED = GREY / 255
FRAMED[:, 0, 0] = np.nan
SHARES = np.eye(3)[Y] * 0.8 + 0.2 / 3
SEVERAL = np.eye(3, dtype=int)[Y]
SEVERAL[:4] = 1
SPLIT = {
    f"{kind}_{s}": a[p]
    for kind, a in (("x", GREY), ("y", Y))
    for s, p in (("train", slice(60)), ("test", slice(60, 90)))
}


def split(**changed: Array) -> Arrays:
    return {**SPLIT, **changed}


def at(y: Array, value: Any, number: int = 6) -> Array:
    return np.concatenate([np.full(number, value, y.dtype), y[number:]])


FAULTS: dict[str, tuple[Arrays, str, int, Array | None]] = {
    # name: (arrays, what the message says, number of images that the hint's first way takes out, images meant)
    "normalised": ({"x": NORMAL, "y": Y}, "values from -1.33333 to 2, which may mean several scales", 0, GREY),
    "overshoot": ({"x": GREY / 255 * 1.06 - 0.03, "y": Y}, "from -0.03 to 1.03", 0, GREY),
    "centred": ({"x": GREY / 255 - 0.5, "y": Y}, "from -0.5 to 0.5", 0, GREY),
    "percent": ({"x": GREY / 255 * 40, "y": Y}, "from 0 to 40", 0, GREY),
    "twice divided": ({"x": GREY / 255 / 255, "y": Y}, "from 0 to 0.0039", 0, GREY),
    "int8": ({"x": (GREY.astype(int) - 128).astype(np.int8), "y": Y}, r"from -128 to 127 \(whole", 0, GREY),
    "32 bits": ({"x": GREY.astype(np.uint32) * 2**24, "y": Y}, "from 0 to 4.278", 0, GREY),
    "two scales": (
        split(x_test=GREY[60:] / 255),
        "splits are on several scales: x_train from 0 to 255, x_test",
        0,
        GREY,
    ),
    "three scales": (
        split(x_train=GREY[:60] / 255, x_val=GREY[80:] / 127.5 - 1, y_val=Y[80:], x_test=GREY[60:80], y_test=Y[60:80]),
        "several scales",
        0,
        GREY,
    ),
    "nan": ({"x": HOLED, "y": Y}, r"x\[5, 1, 2\] is nan; 2 of 90 images", 2, None),
    "nan in a split": (
        split(x_test=GREY[60:] + np.where(Y[60:, None, None] == 1, np.nan, 0)),
        r"x_test\[1, 0, 0\]",
        10,
        None,
    ),
    "nan everywhere": ({"x": FRAMED, "y": Y}, "90 of 90 images", 0, None),
    "rows": ({"x": pixels(90, 64), "y": Y}, r"\(90, 64\): rows of numbers", 0, None),
    "rows of colours": ({"x": pixels(90, 192), "y": Y}, r"\(90, 192\): rows of numbers", 0, None),
    "rows in splits": (split(x_train=pixels(60, 1, 64), x_test=pixels(30, 1, 64)), "rows of numbers", 0, None),
    "axes": ({"x": pixels(90, 3, 32, 3), "y": Y}, "the channels may come first or last", 0, None),
    "cubes": ({"x": pixels(90, 8, 8, 8), "y": Y}, "the channels may come first or last", 0, None),
    "layout": ({"x": RGB, "y": Y, "layout": np.array("hwc")}, "layout is 'hwc'", 0, RGB),
    "images last": ({"x": GREY.transpose(1, 2, 0), "y": Y}, r"\(8, 6, 90\) for 90 labels: images come last", 0, GREY),
    "colours last": ({"X": RGB.transpose(2, 3, 1, 0), "y": Y[:, None]}, "images come last", 0, RGB),
    "labels of halves": ({"x": GREY, "y": Y / 2}, "y holds 0.5", 0, GREY),
    "dates": ({"x": GREY, "y": Y.astype("datetime64[D]")}, r"y is of type datetime64\[D\]", 0, GREY),
    "latin-1": ({"x": GREY, "y": np.array([b"\xe9", b"\xfc", b"o"])[Y]}, "names that are not UTF-8", 0, GREY),
    "unlabelled": ({"x": GREY, "y": at(Y, -1)}, "6 labels in y are -1", 6, None),
    "unlabelled rows": ({"x": GREY, "y": at(Y, -1)[:, None]}, "6 labels in y are -1", 6, None),
    "no number": ({"x": GREY, "y": at(Y.astype(float), np.nan)}, "6 labels in y are nan", 6, None),
    "no name": ({"x": GREY, "y": at(PETS, "")}, "6 labels in y are ''", 6, None),
    "None": ({"x": GREY, "y": at(PETS.astype("U4"), "None")}, "6 labels in y are 'None'", 6, None),
    "no name in a split": (split(y_train=at(PETS[:60], ""), y_test=PETS[60:]), "6 labels in y_train are ''", 6, None),
    "unlabelled test": (split(y_test=at(Y[60:], -1)), "6 labels in y_test are -1", 6, None),
    "several classes": ({"x": GREY, "y": SEVERAL}, "4 rows of y name several classes or none", 4, None),
    "no class": ({"x": GREY, "y": SEVERAL * (SEVERAL.sum(1) == 1)[:, None]}, "4 rows of y name several", 4, None),
    "shares": ({"x": GREY, "y": SHARES}, "rows of y are shares of 3 classes", 0, GREY),
    "spellings": ({"x": GREY, "y": at(PETS, "Cat")}, "labels 'Cat' and 'cat' may mean one class", 0, GREY),
    "spaces": ({"x": GREY, "y": at(PETS.astype("U4"), "cat ")}, "labels 'cat' and 'cat ' may mean one class", 0, GREY),
    "accents": ({"x": GREY, "y": at(ACCENTED, "\u00e9")}, "may mean one class", 0, GREY),
    "new class": (split(y_test=at(Y[60:], 7)), "label 7 of 6 images in y_test is no class of y_train", 6, None),
    "new name": (split(y_train=PETS[:60], y_test=at(PETS[60:], "ox")), "label ox of 6 images", 6, None),
    "names and numbers": (split(y_train=Y[:60].astype(str)), "names in one split and numbers in another", 0, GREY),
    "few names": ({"x": GREY, "y": Y, "names": np.array(["a", "b"])}, "names names 2 classes", 0, GREY),
    "one name twice": (
        {"x": GREY, "y": Y, "names": np.array(["a", "a", "b"])},
        "gives the name 'a' to several",
        0,
        GREY,
    ),
    "whole and split": (split(x=GREY, y=Y), "images with and without a split", 0, GREY),
    "two of a kind": (
        {"x": GREY, "images": GREY[::-1].copy(), "y": Y},
        "x and images could each be the array x",
        0,
        None,
    ),
    "two labels": ({"x": GREY, "labels": Y, "target": Y}, "labels and target could each be the array y", 0, GREY),
}
ONLY_IN_FILES: dict[str, tuple[Arrays, str, int, Array | None]] = {
    "unnamed splits": (
        dict(zip(("arr_0", "arr_1", "arr_2", "arr_3"), SPLIT.values(), strict=True)),
        "don't say",
        0,
        None,
    ),
    "unnamed pair": ({"arr_0": GREY, "arr_1": GREY}, "don't say what they are", 0, None),
    "objects": ({"x": GREY, "y": PETS.astype(object)}, "y is an array of objects", 0, GREY),
    "objects of numbers": (
        {"x": GREY.astype(object), "y": Y, "more": Y.astype(object)},
        "x is an array of obj",
        0,
        GREY,
    ),
}
UNNAMED = {"unnamed splits", "unnamed pair"}


def saved(arrays: Arrays, says: str) -> Hinted:
    def lay(folder: Path) -> str:
        np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
        return "npz:data.npz"

    return Hinted("", lay, says)
