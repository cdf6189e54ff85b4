"""Labels as users keep them, to integers from 0 with the names of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.mending import Mender
from deltanas.train.data.names import same
from deltanas.wording import counted

_UNKNOWN = ("", "nan", "none", "null", "<na>", "unlabeled", "unlabelled")
_LOWER = "numpy.char.lower(numpy.char.strip({}))"
_COMPOSED = "numpy.array([__import__('unicodedata').normalize('NFC', name) for name in {}.ravel()])"
"""Code that gives one spelling to names that differ in case or in spaces around them, or in how accents are written."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Labels by split: int64 [n], from 0. names: of the classes, () where they are plain numbers from 0."""

    y: dict[str, NDArray[np.int64]]
    names: tuple[str, ...]
    notes: tuple[str, ...]


def coded(
    mender: Mender, labels: Mapping[str, NDArray[Any]], sizes: Mapping[str, int], names: NDArray[Any] | None
) -> Coded:
    """Labels by split ("", "_train", ...): integers, names, or one-hot rows. The first split has all the classes.

    sizes: number of images of each split. names: of the classes, if there is an array of them.

    Raises:
        DataError: unlabelled images, several labels an image, one class, or a class that the first split lacks.
    """
    notes: list[str] = []
    flat = {suffix: _flat(mender, suffix, y, sizes[suffix], notes) for suffix, y in labels.items()}
    kinds = {suffix: y.dtype.kind for suffix, y in flat.items()}
    (first, whole), *others = flat.items()
    if len(set(kinds.values())) > 1:
        changes = {f"y{suffix}": f"{mender[f'y{suffix}']}.astype(str)" for suffix in flat}
        said = f"{mender.where}: labels are names in one split and numbers in another"
        raise DataError(said, f"if the numbers are written as in the names: {mender.hint(changes)}")
    _labelled(mender, flat)
    _spelled(mender, flat)
    present = _sorted(whole)
    if len(present) == 1:
        raise DataError(
            f"{mender.where}: every label is {present[0]}; there is nothing to tell apart", "add another class"
        )
    for suffix, y in others:
        strange = np.flatnonzero(~np.isin(y, present))
        if len(strange):
            known = f"{mender[f'y{suffix}']}, {mender[f'y{first}']}"
            raise DataError(
                f"{mender.where}: label {y[strange[0]]} of {len(strange)} images in {mender.names[f'y{suffix}']}"
                f" is no class of {mender.names[f'y{first}']}",
                f"give it training images, or take these out: {mender.keeping({suffix: f'numpy.isin({known})'})}",
            )
    given = _given_names(mender, present, names, notes)
    plain = whole.dtype.kind == "i" and (present == np.arange(len(present))).all()
    if not plain and whole.dtype.kind == "i":
        notes.append(f"labels {present[0]} to {present[-1]} renumbered from 0")
    named = given or (() if plain else tuple(str(label) for label in present))
    places = {label: place for place, label in enumerate(present.tolist())}
    numbers = {suffix: np.array([places[label] for label in y.tolist()], np.int64) for suffix, y in flat.items()}
    return Coded(numbers, named, tuple(dict.fromkeys(notes)))


def _sorted(y: NDArray[Any]) -> NDArray[Any]:
    """The classes in their order; names that are all whole numbers are ordered as numbers."""
    present = np.unique(y)
    if present.dtype.kind == "U" and all(name.isdecimal() for name in present.tolist()):
        return np.array(sorted(present.tolist(), key=lambda name: (int(name), name)))
    return present


def _flat(mender: Mender, suffix: str, y: NDArray[Any], size: int, notes: list[str]) -> NDArray[Any]:
    """[n] integers or strings."""
    role = f"y{suffix}"
    y = _plain(mender, role, y)
    if y.ndim == 2 and len(y) == size and y.shape[1] > 1 and y.dtype.kind in "buif":
        y = _of_one_hot(mender, suffix, y)
        notes.append("labels read from one-hot rows")
    if y.size != size or y.squeeze().ndim > 1:
        raise _unequal(mender, suffix, y.shape, size)
    return _whole(mender, role, y.reshape(size))


def _plain(mender: Mender, role: str, y: NDArray[Any]) -> NDArray[Any]:
    """Objects and bytes as strings or numbers."""
    if y.dtype == object:
        kinds = {isinstance(label, str) for label in y.ravel().tolist()}
        y = np.array(y.tolist()) if kinds in ({True}, {False}) else y
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            changes = {role: f"numpy.char.decode({mender[role]}, 'latin-1')"}
            said = f"{mender.where}: {mender.names[role]} holds names that are not UTF-8: {error}"
            raise DataError(said, f"if they are Latin-1: {mender.hint(changes)}") from None
    if y.dtype.kind not in "buifU":
        raise DataError(
            f"{mender.where}: {mender.names[role]} is of type {y.dtype}; labels are whole numbers or names",
            f"write them as names: {mender.hint({role: f'{mender[role]}.astype(str)'})}",
        )
    return y


def _whole(mender: Mender, role: str, y: NDArray[Any]) -> NDArray[Any]:
    if y.dtype.kind == "U":
        return y
    if y.dtype.kind == "f":
        missing = ~np.isfinite(y)
        if missing.any():
            known = f"numpy.isfinite({mender[role]}).reshape(-1)"
            raise _unlabelled(mender, role[1:], int(missing.sum()), str(y[missing][0]), known)
        parts = np.flatnonzero(y != np.rint(y))
        if len(parts):
            raise DataError(
                f"{mender.where}: {mender.names[role]} holds {y[parts[0]]}; labels are whole numbers or names",
                f"if each value is the name of a class: {mender.hint({role: f'{mender[role]}.astype(str)'})}",
            )
    return y.astype(np.int64)


def _of_one_hot(mender: Mender, suffix: str, y: NDArray[Any]) -> NDArray[np.int64]:
    role = f"y{suffix}"
    name, array = mender.names[role], mender[role]
    binary = ((y == 0) | (y == 1)).all()
    if binary and (y.sum(1) == 1).all():
        return np.asarray(y.argmax(1), np.int64)
    if binary:
        number = int((y.sum(1) != 1).sum())
        raise DataError(
            f"{mender.where}: {number} rows of {name} name several classes or none; an image has one class",
            f"keep the images that have one: {mender.keeping({suffix: f'{array}.sum(1) == 1'})}",
        )
    if y.dtype.kind == "f" and (y >= 0).all() and np.allclose(y.sum(1), 1, atol=1e-3):
        raise DataError(
            f"{mender.where}: rows of {name} are shares of {y.shape[1]} classes; an image has one class",
            f"if the largest share counts: {mender.hint({role: f'{array}.argmax(1)'})}",
        )
    raise DataError(
        f"{mender.where}: {name} has the shape {y.shape}, and its rows are not one-hot",
        "give one label an image: a whole number or a name, or a row with a single 1",
    )


def _unequal(mender: Mender, suffix: str, shape: tuple[int, ...], size: int) -> DataError:
    said = f"{mender.where}: {mender.names[f'y{suffix}']} has the shape {shape} for {size} images"
    return DataError(said, "give one label an image, in the order of the images")


def _labelled(mender: Mender, labels: Mapping[str, NDArray[Any]]) -> None:
    """Raises DataError where labels say that nobody gave one: below 0, or an empty name. -1 and 1 are two classes."""
    if np.unique(np.concatenate(list(labels.values()))).tolist() == [-1, 1]:
        return
    for suffix, y in labels.items():
        array = mender[f"y{suffix}"]
        if y.dtype.kind == "U":
            lost = np.isin(np.char.lower(np.char.strip(y)), _UNKNOWN)
            known = f"~numpy.isin(numpy.char.lower({array}.astype(str)).reshape(-1), {_UNKNOWN})"
            classed = f"numpy.where({{y}}.astype(str) == {str(y[lost.argmax()])!r}, 'another name', {{y}})"
        else:
            lost, known, classed = y < 0, f"{array}.reshape(-1) >= 0", "{y}.astype(str)"
        if lost.any():
            trained = np.isin(y[lost][0], next(iter(labels.values())))
            raise _unlabelled(
                mender, suffix, int(lost.sum()), repr(y[lost][0].item()), known, classed if trained else ""
            )


def _spelled(mender: Mender, labels: Mapping[str, NDArray[Any]]) -> None:
    """Raises DataError where two names differ in case, in spaces around them or in how accents are written alone."""
    spellings: dict[str, str] = {}
    for name in {str(label) for y in labels.values() if y.dtype.kind == "U" for label in np.unique(y)}:
        other = spellings.setdefault(same(name), name)
        if other != name:
            accents = name.strip().casefold() != other.strip().casefold()
            changes = {
                f"y{suffix}": (_COMPOSED if accents else _LOWER).format(mender[f"y{suffix}"]) for suffix in labels
            }
            raise DataError(
                f"{mender.where}: labels {min(name, other)!r} and {max(name, other)!r} may mean one class",
                f"if they do: {mender.hint(changes)}; if not, give them names that differ in more",
            )


def _unlabelled(mender: Mender, suffix: str, number: int, label: str, known: str, classed: str = "") -> DataError:
    """known: code that finds the labelled images. classed: code that makes the label in {y} a class, "" if none can."""
    name = mender.names[f"y{suffix}"]
    said = f"{mender.where}: {number} labels in {name} are {label}, which is no class: unlabelled images?"
    roles = [role for role in mender.names if role[0] == "y"]
    other = f"; if it is a class: {mender.hint({role: classed.format(y=mender[role]) for role in roles})}"
    return DataError(said, f"take them out: {mender.keeping({suffix: known})}{other if classed else ''}")


def _given_names(
    mender: Mender, present: NDArray[Any], names: NDArray[Any] | None, notes: list[str]
) -> tuple[str, ...]:
    """The names that an array gives to the classes. It begins with class 0, or with 1 where that is the first."""
    if names is None or present.dtype.kind == "U":
        return ()
    given = [str(name) for name in _plain(mender, "names", names).ravel().tolist()]
    if twice := next((name for name in given if given.count(name) > 1), None):
        raise DataError(
            f"{mender.where}: {mender.names['names']} gives the name {twice!r} to several classes",
            f"give each a name of its own, or leave the names out: {_without_names(mender)}",
        )
    start = 1 if present[0] == 1 and len(given) == present[-1] else 0
    if present[0] < 0 or present[-1] - start >= len(given):
        array, largest = mender.names["names"], present[-1]
        raise DataError(
            f"{mender.where}: {array} names {len(given)} classes, and labels go from {present[0]} to {largest}",
            f"give a name to each, in their order, or leave {array} out: {_without_names(mender)}",
        )
    unused = len(given) - len(present)
    if unused:
        told = counted(unused, "named class has", "named classes have")
        notes.append(f"{told} no image; label {present[0]} is named {given[present[0] - start]}")
    return tuple(given[label - start] for label in present.tolist())


def _without_names(mender: Mender) -> str:
    return Mender(mender.where, {role: name for role, name in mender.names.items() if role != "names"}).hint({})
