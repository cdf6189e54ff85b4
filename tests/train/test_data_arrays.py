"""Arrays as users keep them: names, scales, axes and labels that are read as they are meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data import Dataset, dataset_of, load
from own_data import meaning, pixels

Array = NDArray[Any]
RGB, GREY, Y = pixels(90, 3, 6, 5), pixels(90, 6, 5), np.arange(90) % 3
RGB[0, 0, 0, :2] = GREY[0, 0, :2] = 0, 255
PETS = np.array(["cat", "dog", "yak"])


def truth(x: Array, names: Any = "012") -> dict[bytes, str]:
    return {image.tobytes(): str(names[label]) for image, label in zip(x, Y, strict=True)}


def read(tmp_path: Path, **arrays: Any) -> Dataset:
    """The same from a file and from memory."""
    np.savez_compressed(tmp_path / "data.npz", **arrays)
    data = load(f"npz:{tmp_path / 'data.npz'}")
    given = dataset_of("given", **{name: np.asarray(array) for name, array in arrays.items()})
    assert (given.fingerprint, given.source) == (data.fingerprint, data.source)
    return data


DEEP = RGB.astype(np.uint16)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (RGB, None),
        (RGB / 255, "float64 images: 0 to 1 read as 0 to 255"),
        ((RGB / 255).astype(np.float32), "float32 images: 0 to 1"),
        ((RGB / 255).astype(np.float16), "float16 images: 0 to 1"),
        (RGB / 127.5 - 1, "float64 images: -1 to 1"),
        ((RGB / 127.5 - 1).astype(np.float32), "float32 images: -1 to 1"),
        (RGB.astype(np.float32), "float32 images: values are read as levels from 0 to 255"),
        (RGB + 0.25, "float64 images: values are read as levels"),
        (RGB.astype(np.float16), "float16 images: values are read as levels"),
        (RGB.astype(np.int64), "int64 images: values are read as levels"),
        (RGB.astype(">i4"), ">i4 images: values are read as levels"),
        (RGB.astype(np.uint16), "uint16 images: values are read as levels"),
        (DEEP * 257, "uint16 images of 16 bits: 0 to 65535 read as 0 to 255"),
        (DEEP.astype(np.float32) * 257, "float32 images of 16 bits"),
        (np.rint(RGB / 255 * 4095).astype(np.int16), "int16 images of 12 bits: 0 to 4095"),
        (np.rint(RGB / 255 * 1023).astype(np.int32), "int32 images of 10 bits: 0 to 1023"),
        (np.rint(RGB / 255 * 16383).astype(np.uint16), "uint16 images of 14 bits: 0 to 16383"),
    ],
    ids=lambda value: value.dtype.str if isinstance(value, np.ndarray) else None,
)
def test_every_usual_scale_is_read_without_loss(x: Array, told: str | None, tmp_path: Path) -> None:
    data = read(tmp_path, x=x, y=Y)
    assert meaning(data) == truth(RGB)
    assert data.source.notes[:1] == () if told is None else data.source.notes[0].startswith(told)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_images_of_two_values_are_black_and_white(kind: Any, tmp_path: Path) -> None:
    data = read(tmp_path, x=(RGB > 127).astype(kind), y=Y)
    assert meaning(data) == truth(np.where(RGB > 127, 255, 0).astype(np.uint8))
    assert "0 to 1 read as 0 to 255" in data.source.notes[0]


def test_levels_of_scikit_learns_digits_are_told_to_be_dark(tmp_path: Path) -> None:
    data = read(tmp_path, images=GREY // 16.0, data=GREY.reshape(90, -1) // 16.0, target=Y, DESCR="digits")
    assert meaning(data) == truth(GREY // 16)
    assert "no pixel is brighter than 15 of 255" in data.source.notes
    assert data.source.left_out[0].number == 2


def test_one_scale_is_taken_for_all_splits(tmp_path: Path) -> None:
    x = RGB.astype(np.uint16) * 16
    x[60:] = x[60:] // 8
    parts = {"train": x[:60], "val": x[60:75], "test": x[75:]}
    data = read(tmp_path, **{f"x_{s}": p for s, p in parts.items()}, y_train=Y[:60], y_val=Y[60:75], y_test=Y[75:])
    assert data.train.x.max() > 240
    assert data.test.x.max() < 40


@pytest.mark.parametrize(
    ("x", "meant"),
    [
        (GREY, GREY),
        (GREY[:, None], GREY),
        (GREY[..., None], GREY),
        (RGB, RGB),
        (RGB.transpose(0, 2, 3, 1), RGB),
        (np.asfortranarray(RGB.transpose(0, 2, 3, 1)), RGB),
        (RGB[:, :2], RGB[:, :2]),
        (RGB[:, :2].transpose(0, 2, 3, 1), RGB[:, :2]),
        (np.concatenate([RGB, RGB[:, :1]], 1), np.concatenate([RGB, RGB[:, :1]], 1)),
        (np.concatenate([RGB, np.full_like(RGB[:, :1], 255)], 1).transpose(0, 2, 3, 1), RGB),
        (np.concatenate([RGB / 255, np.ones_like(RGB[:, :1])], 1), RGB),
    ],
)
def test_every_order_of_axes_that_is_sure_is_read(x: Array, meant: Array, tmp_path: Path) -> None:
    data = read(tmp_path, x=x, y=Y)
    assert meaning(data) == truth(meant)
    assert len(data.train.x[0]) == (1 if meant.ndim == 3 else meant.shape[1])
    assert ("channels moved from the last axis to the first" in data.source.notes) == (x.shape[-1] < 5)


@pytest.mark.parametrize(
    "shape", [(90, 3, 32, 3), (90, 1, 28, 1), (90, 28, 28, 28), (90, 4, 4, 4), (90, 3, 3, 3), (90, 8, 3, 8)]
)
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_axes_that_may_be_two_things_are_refused_until_they_are_said(
    shape: tuple[int, ...], layout: str, tmp_path: Path
) -> None:
    x = pixels(*shape)
    with pytest.raises(DataError, match="the channels may come first or last"):
        read(tmp_path, x=x, y=Y)
    data = read(tmp_path, x=x, y=Y, layout=layout)
    assert meaning(data) == truth(x if layout == "nchw" else x.transpose(0, 3, 1, 2))


ONE_HOT = np.eye(3)[Y]


@pytest.mark.parametrize(
    ("y", "names", "told"),
    [
        (Y, "012", ""),
        (Y.astype(np.uint8), "012", ""),
        (Y[:, None], "012", ""),
        (Y[None], "012", ""),
        (Y.astype(np.float32), "012", ""),
        (ONE_HOT, "012", "labels read from one-hot rows"),
        (ONE_HOT.astype(bool), "012", "labels read from one-hot rows"),
        (ONE_HOT[..., None].transpose(0, 2, 1)[:, 0].astype(np.uint8), "012", "labels read from one-hot rows"),
        (np.eye(5)[Y * 2], "024", "labels 0 to 4 renumbered from 0"),
        (Y + 1, "123", "labels 1 to 3 renumbered from 0"),
        (Y * 7 + 3, ("3", "10", "17"), "labels 3 to 17 renumbered from 0"),
        (PETS[Y], PETS, ""),
        (PETS[Y].astype("S"), PETS, ""),
        (np.array(["é", "ß", "ü"])[Y], ("é", "ß", "ü"), ""),
        (np.array(["10", "9", "2"])[Y], ("10", "9", "2"), ""),
        (np.where(Y == 1, 1, -1), ("-1", "1", "-1"), "labels -1 to 1 renumbered from 0"),
        (Y == 1, ("0", "1", "0"), ""),
    ],
)
def test_labels_keep_their_meaning(y: Array, names: Any, told: str, tmp_path: Path) -> None:
    data = read(tmp_path, x=RGB, y=y)
    assert meaning(data) == truth(RGB, names)
    assert not told or told in data.source.notes


def test_names_that_are_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, x=RGB, y=np.array(["10", "9", "2"])[Y]).source.names == ("2", "9", "10")


def test_objects_in_memory_are_read_where_they_are_names_or_numbers() -> None:
    for y, names in ((PETS[Y].astype(object), PETS), (Y.astype(object), "012")):
        assert meaning(dataset_of("given", x=RGB, y=y)) == truth(RGB, names)
    with pytest.raises(DataError, match="labels are whole numbers or names"):
        dataset_of("given", x=RGB, y=np.array([0, "cat", None] * 30, object))


@pytest.mark.parametrize(
    ("y", "given", "names"),
    [
        (Y, PETS, PETS),
        (Y + 1, PETS, PETS),
        (Y + 1, ["none", *PETS], PETS),
        (Y, [*PETS, "zebra"], PETS),
        (Y * 2, ["cat", "", "dog", "", "yak"], PETS),
        (ONE_HOT, PETS.astype("S"), PETS),
    ],
)
@pytest.mark.parametrize("called", ["class_names", "classes", "target_names"])
def test_an_array_of_names_names_the_classes(y: Array, given: Any, names: Any, called: str, tmp_path: Path) -> None:
    assert meaning(read(tmp_path, x=RGB, y=y, **{called: given})) == truth(RGB, names)


WHOLE = [("x", "y"), ("X", "y"), ("images", "labels"), ("data", "target"), ("arr_0", "arr_1"), ("arr_1", "arr_0")]
SPLIT = [
    "{}_train {}_val {}_test",
    "train_{} valid_{} test_{}",
    "{}-training {}-dev {}-testing",
    "{}Train {}Val {}Test",
]


@pytest.mark.parametrize(("images", "labels"), WHOLE)
def test_usual_names_of_two_arrays(images: str, labels: str, tmp_path: Path) -> None:
    assert meaning(read(tmp_path, **{images: RGB, labels: Y})) == truth(RGB)


@pytest.mark.parametrize("spelled", SPLIT)
@pytest.mark.parametrize(("images", "labels"), [("x", "y"), ("X", "Y"), ("images", "labels"), ("data", "targets")])
def test_usual_names_of_splits(images: str, labels: str, spelled: str, tmp_path: Path) -> None:
    places = np.split(np.arange(90), [60, 75])
    arrays = {
        name.format(kind): array[place]
        for name, place in zip(spelled.split(), places, strict=True)
        for kind, array in ((images, RGB), (labels, Y))
    }
    data = read(tmp_path, **arrays)
    assert meaning(data) == truth(RGB)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [60, 15, 15]


def test_arrays_as_medmnist_has_them(tmp_path: Path) -> None:
    arrays = {}
    for split, start, stop in (("train", 0, 60), ("val", 60, 75), ("test", 75, 90)):
        arrays[f"{split}_images"] = RGB[start:stop].transpose(0, 2, 3, 1)
        arrays[f"{split}_labels"] = Y[start:stop, None].astype(np.uint8)
    assert meaning(read(tmp_path, **arrays)) == truth(RGB)


def test_without_a_test_split_the_validation_split_is_it(tmp_path: Path) -> None:
    data = read(tmp_path, x_train=RGB[:60], y_train=Y[:60], x_val=RGB[60:], y_val=Y[60:])
    assert [len(part) for part in (data.train, data.validation, data.test)] == [50, 10, 30]
    assert "no test split: x_val is it, and a sixth of x_train validates" in data.source.notes
    data = read(tmp_path, x_train=RGB, y_train=Y)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [54, 18, 18]


def test_other_arrays_are_counted_as_left_out(tmp_path: Path) -> None:
    data = read(tmp_path, x=RGB, y=Y, ids=np.arange(90), masks=GREY)
    assert (data.source.left_out[0].number, data.source.left_out[0].example) == (2, "ids")
