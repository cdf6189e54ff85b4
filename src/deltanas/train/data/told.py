"""A data set in one line: what was read, what was done to it, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deltanas.train.data.meaning import order_told
from deltanas.train.data.records import Dataset, Images

_FEW = 6
"""Number of classes up to which each is told."""


def told(data: Dataset) -> str:
    """Images by split and class, what was done to them, what was left out and why, repeats and conflicting labels."""
    _, channels, height, width = data.in_shape
    splits = (("to train", data.train), ("to validate", data.validation), ("to test", data.test))
    shape = f"{len(data.train) + len(data.validation) + len(data.test):,} images of {channels} x {height} x {width}"
    numbers = ", ".join(f"{len(part):,} {split}{_by_class(part, data)}" for split, part in splits)
    return "; ".join(
        [f"{data.name}: {shape}: {numbers}", *_classes(data), *_order(data), *data.source.notes, *_left_out(data)]
    )


def _classes(data: Dataset) -> Iterator[str]:
    if data.classes > _FEW:
        counts = sum(_counts(part, data.classes) for part in (data.train, data.validation, data.test))
        least, most = np.min(counts), np.max(counts)
        yield f"{data.classes} classes of {least:,}{f' to {most:,}' if most > least else ''} images"


def _order(data: Dataset) -> Iterator[str]:
    if order := order_told(data.source.names):
        yield order


def _by_class(part: Images, data: Dataset) -> str:
    if not 0 < data.classes <= _FEW:
        return ""
    names: Sequence[object] = data.source.names or range(data.classes)
    each = zip(names, _counts(part, data.classes), strict=True)
    return f" ({', '.join(f'{name} {number:,}' for name, number in each)})"


def _counts(part: Images, classes: int) -> NDArray[np.int64]:
    return np.bincount(part.y, minlength=classes)


def _left_out(data: Dataset) -> Iterator[str]:
    if data.dropped:
        other = f", {data.conflicts:,} of them under another label" if data.conflicts else ""
        yield f"{data.dropped:,} left out as repeats of other images{other}"
    for each in data.source.left_out:
        yield f"{each.number:,} left out: {each.reason}" + (f" ({each.example})" if each.example else "")
