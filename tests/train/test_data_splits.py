"""Uneven classes, rare ones, subsets, repeats and conflicting labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deltanas.errors import DataError, UsageError
from deltanas.train.data import Dataset, Images, Provenance, dataset_of, load, prepared
from own_data import images_of, pixels

UNEVEN = [(400, 12), (400, 5, 5), (3, 300), (90, 30, 10, 5), (40, 7, 7, 7, 3, 3), (64, 4)]


def of_sizes(*sizes: int) -> Dataset:
    y = np.repeat(np.arange(len(sizes)), sizes)
    return dataset_of("uneven", x=pixels(len(y), 4, 4), y=y)


def counts(images: Images, classes: int) -> list[int]:
    return [int(number) for number in np.bincount(images.y, minlength=classes)]


@pytest.mark.parametrize("sizes", UNEVEN)
def test_every_subset_has_every_class_and_lies_within_the_larger_ones(sizes: tuple[int, ...]) -> None:
    data = of_sizes(*sizes)
    larger: set[bytes] = images_of(data)[0]
    for size in range(len(data.train), data.classes - 1, -1):
        part = prepared("uneven", data, train_size=size)
        assert len(part.train) == size
        assert min(counts(part.train, data.classes)) >= 1
        within = images_of(part)[0]
        assert within <= larger
        larger = within
    with pytest.raises(UsageError, match=rf"give {data.classes} \(one image a class\) to {len(data.train)} \(all"):
        prepared("uneven", data, train_size=data.classes - 1)


def test_fewer_validation_images_keep_the_shares_of_the_classes() -> None:
    data = of_sizes(4_000, 1_000, 6)
    part = prepared("uneven", data, validation_size=100)
    assert (len(part.train), len(part.validation), len(part.test)) == (len(data.train), 100, len(data.test))
    assert counts(part.validation, 3) in ([79, 20, 1], [80, 19, 1])
    assert images_of(part)[1] <= images_of(data)[1]
    assert prepared("uneven", data, validation_size=5_000).validation.y.tolist() == data.validation.y.tolist()
    many = of_sizes(*[10] * 40)
    assert counts(prepared("uneven", many, validation_size=10).validation, 40) == [1] * 40


@pytest.mark.parametrize("sizes", [*UNEVEN, (3,) * 40, (4,) * 30, (6,) * 20, (7, 5, 3) * 9])
def test_every_class_is_in_every_split(sizes: tuple[int, ...]) -> None:
    data = of_sizes(*sizes)
    for part in (data.train, data.validation, data.test):
        assert min(counts(part, data.classes)) >= 1
    train, validation, test = images_of(data)
    assert len(train | validation | test) == sum(sizes) == sum(map(len, (train, validation, test)))


def test_shares_of_the_splits_hold_where_a_class_is_rare() -> None:
    data = of_sizes(400, 3, 3)
    assert (len(data.train), len(data.validation), len(data.test)) == (244, 81, 81)
    assert [counts(part, 3)[1:] for part in (data.train, data.validation, data.test)] == [[1, 1]] * 3


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ((100, 2), r"class 1 \(counted from 0\) has fewer than three images"),
        ((100, 1), "fewer than three images|has no image to train on"),
        ((2, 100, 100), r"class 0 \(counted from 0\) has fewer than three images"),
        ((100, 2, 50, 1, 2), "fewer than three images.*, as have 2 others"),
        ((1,) * 80, "has no image to train on"),
    ],
)
def test_a_class_that_can_not_be_validated_and_tested_is_refused(sizes: tuple[int, ...], fault: str) -> None:
    with pytest.raises(DataError, match=fault) as caught:
        of_sizes(*sizes)
    assert "take the class out: five different ones a class" in caught.value.hint


def test_the_order_of_even_data_has_not_changed() -> None:
    """Runs of earlier versions go on: their data is known by this hash."""
    for size, digest in ((None, "f4e1f72b01ea47d0"), (10, "9b966dfc58b053ea"), (500, "1cdcfe289eae8350")):
        assert load("digits", train_size=size).fingerprint.startswith(digest)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((400, 12), "uneven classes: 96.4% of the validation images are of class 0 (counted from 0)"),
        ((30, 200), "uneven classes: 87.0%"),
        ((100, 20, 20, 20), "uneven classes: 62.5%"),
        ((100, 100), ""),
        ((130, 70), ""),
        ((100, 90, 80), ""),
    ],
)
def test_what_the_largest_class_alone_would_score_is_told(sizes: tuple[int, ...], told: str) -> None:
    notes = [note for note in of_sizes(*sizes).source.notes if "uneven" in note]
    assert bool(told) == bool(notes)
    assert not told or told in notes[0]


def test_what_is_told_is_told_once() -> None:
    data = of_sizes(400, 12)
    assert prepared("uneven", data, train_size=20).source == data.source


def test_an_image_under_two_labels_is_left_out() -> None:
    x, y = pixels(100, 4, 4), np.arange(100) % 2
    again = np.concatenate([x, x[:10], x[20:25]]), np.concatenate([y, 1 - y[:10], y[20:25]])
    data = dataset_of("torn", x=again[0], y=again[1])
    assert (data.dropped, data.conflicts) == (25, 20)
    assert not set.union(*images_of(data)) & {image.tobytes() for image in x[:10]}
    with pytest.raises(DataError, match="has no image") as caught:
        dataset_of("copied", x=np.concatenate([x, x]), y=np.repeat([0, 1], 100))
    assert "200 were left out as repeats of others, 200 of them under another label" in caught.value.hint


def test_repeats_across_given_splits_are_counted_with_their_labels() -> None:
    x, y = pixels(200, 4, 4), np.arange(200) % 2
    wrong = y.copy()
    wrong[90:95] ^= 1
    data = dataset_of(
        "given", x_train=x[:100], y_train=wrong[:100], x_val=x[90:140], y_val=y[90:140], x_test=x[130:], y_test=y[130:]
    )
    assert (len(data.train), len(data.validation), len(data.test)) == (90, 40, 70)
    assert (data.dropped, data.conflicts) == (20, 5)


@pytest.mark.parametrize(("split", "said"), [("train", "training"), ("val", "validation"), ("test", "test")])
def test_conflicts_within_a_given_split_are_told(split: str, said: str) -> None:
    parts = {name: (pixels(60, 4, 4), np.arange(60) % 2) for name in ("train", "val", "test")}
    x, y = parts[split]
    parts[split] = np.concatenate([x, x[:3]]), np.concatenate([y, 1 - y[:3]])
    data = dataset_of(
        "given", **{f"{kind}_{name}": part[i] for name, part in parts.items() for i, kind in enumerate("xy")}
    )
    assert data.source.notes == (f"3 {said} images repeat another under another label",)


def test_many_repeats_within_a_given_test_split_are_told() -> None:
    x, y = pixels(300, 4, 4), np.arange(300) % 2
    for repeats, told in ((1, ()), (2, ("2 test images repeat another, so intervals on them are too narrow",))):
        part = [*range(200, 300), *[200] * repeats]
        data = dataset_of("given", x_train=x[:200], y_train=y[:200], x_test=x[part], y_test=y[part])
        assert (data.source.notes, len(data.test)) == (told, 100 + repeats)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_a_given_split_lacks_is_told(split: str) -> None:
    y = {name: np.arange(90) % 3 for name in ("train", "val", "test")}
    y[split] = y[split] % 2
    data = dataset_of("given", **{f"x_{s}": pixels(90, 4, 4) for s in y}, **{f"y_{s}": part for s, part in y.items()})
    word = {"val": "validate", "test": "test"}[split]
    assert f"no image of class 2 (counted from 0) to {word} on" in data.source.notes


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"x": pixels(60, 1, 8, 6) / 255}, r"images are float64 \[60, 1, 8, 6\], not uint8"),
        ({"x": pixels(60, 8, 6)}, r"images are uint8 \[60, 8, 6\], not uint8 \[n, c, h, w\]"),
        ({"x": pixels(50, 1, 8, 6)}, "50 images have 60 labels"),
        ({"y": np.arange(60) % 2 + 1}, "labels go from 1 to 2, and there are 2 classes"),
        ({"y": np.arange(60) % 2 - 1}, "labels go from -1 to 0"),
        ({"y": np.arange(60) % 2 * 1.0}, r"labels are float64 \[60\], not integers"),
        ({"y": np.eye(2, dtype=int)[np.arange(60) % 2]}, r"labels are int64 \[60, 2\]"),
        ({"names": ("cat",)}, "2 classes have 1 names"),
    ],
)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_data_set_made_by_hand_is_what_it_says(changed: dict[str, Any], fault: str, split: str) -> None:
    """Its arrays are read by `dataset_of`, as the hint says."""
    parts = {name: Images(pixels(60, 1, 8, 6), np.arange(60) % 2) for name in ("train", "validation", "test")}
    parts[split] = Images(changed.get("x", parts[split].x), changed.get("y", parts[split].y))
    data = Dataset(
        "own", parts["train"], parts["validation"], parts["test"], 2, source=Provenance(changed.get("names", ()))
    )
    with pytest.raises(DataError, match=fault) as caught:
        prepared("own", data, resize=8)
    assert "`deltanas.train.data.dataset_of(name, x=images, y=labels)`" in caught.value.hint
    if len(parts[split].x) == len(parts[split].y) and parts[split].y.min() >= 0:
        assert dataset_of("own", x=parts[split].x, y=parts[split].y).classes == 2
