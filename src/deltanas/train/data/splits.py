"""Splits that depend on the data alone, on no seed of a run."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.nets import DEFAULT_PRM
from deltanas.train.data.records import Dataset, Images, Splits

BATCH = int(DEFAULT_PRM["batch"])


def stratified_order(y: NDArray[Any]) -> NDArray[np.int64]:
    """A fixed order of the images, in which the classes of every slice have their shares to within one image or two.

    It depends on the labels alone: `RandomState` keeps its stream over versions of numpy. Images without labels are
    shuffled.
    """
    shuffled = np.random.RandomState(0).permutation(len(y))
    if y.ndim > 1 or not np.issubdtype(y.dtype, np.integer):
        return shuffled
    place = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order: NDArray[np.int64] = shuffled[np.argsort(place[shuffled], kind="stable")]
    return order


def in_three(images: Images, classes: int) -> Splits:
    """60 % to train on, 20 % to validate, 20 % to test. Of equal images only the first is kept, so none is in two."""
    first: dict[bytes, int] = {}
    for place, digest in enumerate(_digests(images)):
        first.setdefault(digest, place)
    kept = images.take(np.array(list(first.values()), np.int64))
    bounds = [round(0.6 * len(kept)), round(0.8 * len(kept))]
    train, validation, test = np.split(stratified_order(kept.y), bounds)
    dropped = len(images) - len(kept)
    return Splits(kept.take(train), kept.take(validation), kept.take(test), classes, dropped)


def with_test(both: Images, test: Images, classes: int) -> Splits:
    """A sixth of the training images becomes the validation split; the test split stays as its makers made it."""
    order = stratified_order(both.y)
    train, validation = np.split(order, [len(order) - len(order) // 6])
    return Splits(both.take(train), both.take(validation), test, classes)


def as_given(train: Images, validation: Images | None, test: Images, classes: int) -> Splits:
    """The splits that a user made; without a validation split it is taken from the training images."""
    if validation is None:
        return with_test(train, test, classes)
    return Splits(train.take(stratified_order(train.y)), validation, test, classes)


def settled(name: str, splits: Splits) -> Dataset:
    """The data set: splits that share no image and can be trained on.

    An image of the test split is dropped from the other two, one of the validation split from the training images.

    Raises:
        DataError: a split is empty, a class has no training image, or there is less to train on than one batch.
    """
    test = _digests(splits.test)
    validation = _without(splits.validation, test)
    train = _without(splits.train, [*test, *_digests(validation)])
    dropped = splits.dropped + len(splits.train) - len(train) + len(splits.validation) - len(validation)
    fault = _fault(train, validation, splits.test, splits.classes)
    if fault:
        repeats = f"; {dropped} were left out as repeats of others" if dropped else ""
        least = f"five different ones a class, and {BATCH} or more to train on (53 in all without given splits)"
        raise DataError(f"{name}: {fault}", f"add images: {least}{repeats}")
    return replace(
        Dataset(name, train, validation, splits.test, splits.classes, dropped),
        conflicts=splits.conflicts,
        source=splits.source,
    )


def _fault(train: Images, validation: Images, test: Images, classes: int) -> str:
    for split, images in (("validation", validation), ("test", test)):
        if not len(images):
            return f"the {split} split has no image"
    lacking = sorted(set(range(classes)) - set(train.y.tolist())) if classes else ()
    if lacking:
        return f"class {lacking[0]} (counted from 0) has no image to train on"
    if len(train) < BATCH:
        return f"{len(train)} images to train on are fewer than one batch of {BATCH}"
    return ""


def _digests(images: Images) -> list[bytes]:
    """A 128-bit hash of each image. 70,000 images of 28 x 28 take 0.1 s."""
    return [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(images.x)]


def _without(images: Images, others: list[bytes]) -> Images:
    """The images whose hash is not among `others`."""
    known = set(others)
    keep = np.array([digest not in known for digest in _digests(images)], bool)
    return images if keep.all() else images.take(np.flatnonzero(keep))
