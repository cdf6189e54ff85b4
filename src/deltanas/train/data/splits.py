"""Splits that depend on the data alone, on no seed of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.imagery import psnr
from deltanas.nets import DEFAULT_PRM
from deltanas.train.data.records import Dataset, Images, Splits
from deltanas.wording import counted

BATCH = int(DEFAULT_PRM["batch"])
UNEVEN = 1.5
"""A class with more than this many times its even share is told."""
HALVED = 16
"""What divides the sides of images that every built-in denoiser takes."""


def stratified_order(y: NDArray[Any]) -> NDArray[np.int64]:
    """A fixed order of the images, in which the classes of every slice have their shares to within one image or two.

    It depends on the labels alone: `RandomState` keeps its stream over versions of numpy. Images without labels are
    shuffled; noisy images of one clean image stay side by side.
    """
    shuffled = np.random.RandomState(0).permutation(len(y))
    if y.ndim == 4:
        first: dict[bytes, int] = {}
        rank = [first.setdefault(_digest(y[place]), len(first)) for place in shuffled]
        return shuffled[np.argsort(rank, kind="stable")]
    if y.ndim > 1 or not np.issubdtype(y.dtype, np.integer):
        return shuffled
    place = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order: NDArray[np.int64] = shuffled[np.argsort(place[shuffled], kind="stable")]
    return order


def in_three(images: Images, classes: int) -> Splits:
    """60 % to train on, 20 % to validate, 20 % to test, with an image of each class in every split.

    Of equal images only the first is kept, so none is in two splits. None of them is kept where they have several
    labels: no label of such an image can be trusted, neither to learn from nor to be scored by.
    """
    first: dict[bytes, int] = {}
    torn: set[bytes] = set()
    digests = _digests(images)
    for place, digest in enumerate(digests):
        if classes and images.y[place] != images.y[first.setdefault(digest, place)]:
            torn.add(digest)
        first.setdefault(digest, place)
    kept = images.take(np.array([place for digest, place in first.items() if digest not in torn], np.int64))
    conflicts, dropped = sum(digest in torn for digest in digests), len(images) - len(kept)
    bounds = [round(0.6 * len(kept)), round(0.8 * len(kept))]
    parts = _in_every(np.split(stratified_order(kept.y), bounds), kept.y, classes)
    train, validation, test = (kept.take(part) for part in parts)
    return Splits(train, validation, test, classes, dropped, conflicts)


def with_test(both: Images, test: Images, classes: int) -> Splits:
    """A sixth of the training images becomes the validation split; the test split stays as its makers made it."""
    order = stratified_order(both.y)
    parts = _in_every(np.split(order, [len(order) - len(order) // 6]), both.y, classes)
    train, validation = (both.take(part) for part in parts)
    return Splits(train, validation, test, classes)


def as_given(train: Images, validation: Images | None, test: Images, classes: int) -> Splits:
    """The splits that a user made; without a validation split it is taken from the training images."""
    if validation is None:
        return with_test(train, test, classes)
    return Splits(train.take(stratified_order(train.y)), validation, test, classes)


def subset(train: Images, size: int, classes: int) -> Images:
    """`size` training images with one of each class among them. A smaller subset lies within a larger one."""
    first = np.unique(train.y, return_index=True)[1] if classes else np.empty(0, np.int64)
    others = np.setdiff1d(np.arange(len(train)), first)
    return train.take(np.sort(np.concatenate([first, others[: size - len(first)]])))


def fewer(images: Images, size: int, classes: int) -> Images:
    """`size` of the images, with the classes in their shares and one of each at least; all where there are no more."""
    size = max(size, classes)
    return images if len(images) <= size else subset(images.take(stratified_order(images.y)), size, classes)


def require_sound(name: str, splits: Splits | Dataset) -> None:
    """Raises DataError where a data set that was made by hand is not what its fields say."""
    faults = [_unsound(part, splits) for part in (splits.train, splits.validation, splits.test)]
    if any(faults):
        hint = "`deltanas.train.data.dataset_of(name, x=images, y=labels)` makes one of arrays"
        raise DataError(f"{name}: {next(filter(None, faults))}", hint)


def _unsound(part: Images, splits: Splits | Dataset) -> str:
    """What is wrong with a split, "" if nothing is."""
    if part.x.dtype != np.uint8 or part.x.ndim != 4:
        return f"images are {part.x.dtype} {list(part.x.shape)}, not uint8 [n, c, h, w]"
    if len(part.x) != len(part.y):
        return f"{len(part.x)} images have {len(part.y)} labels"
    if part.y.ndim == 4 and (part.y.dtype != np.uint8 or part.y.shape != part.x.shape):
        return f"clean images are {part.y.dtype} {list(part.y.shape)}, the noisy ones uint8 {list(part.x.shape)}"
    if splits.classes and (part.y.ndim != 1 or part.y.dtype.kind not in "iu"):
        return f"labels are {part.y.dtype} {list(part.y.shape)}, not integers [n]"
    if splits.classes and len(part) and not 0 <= part.y.min() <= part.y.max() < splits.classes:
        return f"labels go from {part.y.min()} to {part.y.max()}, and there are {splits.classes} classes"
    if splits.source.names and len(splits.source.names) != splits.classes:
        return f"{splits.classes} classes have {len(splits.source.names)} names"
    return ""


def settled(name: str, splits: Splits) -> Dataset:
    """The data set: splits that share no image and can be trained on.

    An image of the test split is dropped from the other two, one of the validation split from the training images. Of
    pairs it is the clean image that counts: under another noise it is known all the same.

    Raises:
        DataError: a split is empty, a class has no training image or fewer than three images in all, or there is less
            to train on than one batch.
    """
    digests = [_clean(part) for part in (splits.train, splits.validation, splits.test)]
    held = dict(zip(digests[2], _labels(splits.test), strict=True))
    validation, torn = _without(splits.validation, digests[1], held)
    held |= zip(digests[1], _labels(splits.validation), strict=True)
    train, torn_too = _without(splits.train, digests[0], held)
    dropped = splits.dropped + len(splits.train) - len(train) + len(splits.validation) - len(validation)
    data = Dataset(name, train, validation, splits.test, splits.classes, dropped, splits.conflicts + torn + torn_too)
    fault = _fault(data, splits.source.names)
    if fault:
        remedy = "add images, or take the class out" if fault.startswith("class") else "add images"
        least = f"five different ones a class, and {BATCH} or more to train on (53 in all without given splits)"
        if data.paired:
            smaller = "" if name.startswith("npz:") else ", or cut photographs into smaller patches (--patch)"
            remedy, least = f"add pairs{smaller}", f"{BATCH} or more to train on"
        torn_word = f", {data.conflicts} of them under another label" if data.conflicts else ""
        repeats = f"; {dropped} were left out as repeats of others{torn_word}" if dropped else ""
        raise DataError(f"{name}: {fault}", f"{remedy}: {least}{repeats}")
    before = None
    if data.paired:
        before = (
            float(psnr(data.validation.x, data.validation.y).mean()),
            float(psnr(data.test.x, data.test.y).mean()),
        )
    notes = [*_notes(data, splits.source.names, before), *_torn(splits, digests)]
    new = [note for note in notes if note not in splits.source.notes]
    return replace(data, source=replace(splits.source, notes=(*splits.source.notes, *new), before=before))


def _in_every(parts: list[NDArray[np.int64]], y: NDArray[Any], classes: int) -> list[NDArray[np.int64]]:
    """Each class in every part, as far as it has the images: one that lacks it trades with the one that has most."""
    tally = np.array([np.bincount(y[part], minlength=classes) if classes else [] for part in parts])
    for lacking, label in zip(*np.nonzero(tally == 0), strict=True):
        giver = tally[:, label].argmax()
        if tally[giver, label] < 2:
            continue
        given = parts[giver][y[parts[giver]] == label][-1:]
        common = tally[lacking].argmax()
        back = parts[lacking][y[parts[lacking]] == common][-1:] if tally[lacking, common] > 1 else given[:0]
        for part, out, new in ((giver, given, back), (lacking, back, given)):
            parts[part] = np.concatenate([parts[part][~np.isin(parts[part], out)], new])
            tally[part] = np.bincount(y[parts[part]], minlength=classes)
    return parts


def _fault(data: Dataset, names: Sequence[str]) -> str:
    for split, images in (("validation", data.validation), ("test", data.test)):
        if not len(images):
            return f"the {split} split has no image"
    lacking = _lacking(data.train, data.classes)
    if lacking:
        return f"class {_named(lacking[0], names)} has no image to train on"
    rare = [label for label, number in enumerate(_tally(data)) if number < 3]
    if rare:
        more = f", as have {len(rare) - 1} others" if len(rare) > 1 else ""
        return (
            f"class {_named(rare[0], names)} has fewer than three images (to train, to validate and to test on){more}"
        )
    if len(data.train) < BATCH:
        return f"{len(data.train)} images to train on are fewer than one batch of {BATCH}"
    return ""


def _notes(data: Dataset, names: Sequence[str], before: tuple[float, float] | None) -> Iterator[str]:
    """What a score on this data can't tell."""
    if before:
        yield f"PSNR before denoising: {before[0]:.2f} dB to validate, {before[1]:.2f} dB to test"
        if any(side % HALVED for side in data.in_shape[2:]):
            yield f"sides that {HALVED} does not divide, which networks that halve images may refuse"
    if not data.classes:
        return
    for split, part in (("validate", data.validation), ("test", data.test)):
        lacking = _lacking(part, data.classes)
        if lacking:
            more = f" and {len(lacking) - 3} more" * (len(lacking) > 3)
            yield f"no image of class {', '.join(_named(label, names) for label in lacking[:3])}{more} to {split} on"
    largest = int(np.bincount(data.train.y).argmax())
    share = float((data.validation.y == largest).mean())
    if share > UNEVEN / data.classes:
        yield f"uneven classes: {share:.1%} of the validation images are of class {_named(largest, names)}"


def _tally(data: Dataset) -> list[int]:
    """Number of images of each class."""
    if not data.classes:
        return []
    every = np.concatenate([part.y for part in (data.train, data.validation, data.test)])
    return [int(number) for number in np.bincount(every, minlength=data.classes)]


def _lacking(images: Images, classes: int) -> list[int]:
    return sorted(set(range(classes)) - set(images.y.tolist())) if classes else []


def _named(label: int, names: Sequence[str]) -> str:
    return repr(names[label]) if names else f"{label} (counted from 0)"


def _labels(images: Images) -> list[object]:
    """None for each image where what is known of it is no label."""
    return images.y.tolist() if images.y.ndim == 1 else [None] * len(images)


def _digests(images: Images) -> list[bytes]:
    """A 128-bit hash of each image. 70,000 images of 28 x 28 take 0.1 s."""
    return [_digest(image) for image in np.ascontiguousarray(images.x)]


def _clean(images: Images) -> list[bytes]:
    """As `_digests`; of pairs the clean images', but of flat ones, which any two photographs may have."""
    if images.y.ndim != 4:
        return _digests(images)
    return [_digest(y if np.ptp(y) else x) for x, y in zip(images.x, images.y, strict=True)]


def _digest(image: NDArray[Any]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _torn(splits: Splits, digests: Sequence[list[bytes]]) -> Iterator[str]:
    """Which splits hold an image under two labels, and whether the test split holds many twice."""
    if not splits.classes:
        return
    repeats = len(digests[2]) - len({*zip(digests[2], splits.test.y.tolist(), strict=True)})
    if repeats > len(digests[2]) / 100:
        told = counted(repeats, "test image repeats", "test images repeat")
        yield f"{told} another, so intervals on them are too narrow"
    parts = ("training", splits.train), ("validation", splits.validation), ("test", splits.test)
    for (split, part), hashed in zip(parts, digests, strict=True):
        first = dict(zip(reversed(hashed), reversed(part.y.tolist()), strict=True))
        number = sum(first[digest] != label for digest, label in zip(hashed, part.y.tolist(), strict=True))
        if number:
            said = f"{split} image repeats", f"{split} images repeat"
            yield f"{counted(number, *said)} another under another label"


def _without(images: Images, digests: list[bytes], others: Mapping[bytes, object]) -> tuple[Images, int]:
    """The images whose hash is not among `others`, and how many of the rest have another label there."""
    keep = np.array([digest not in others for digest in digests], bool)
    if keep.all():
        return images, 0
    torn = sum(d in others and others[d] != y for d, y in zip(digests, _labels(images), strict=True))
    return images.take(np.flatnonzero(keep)), torn
