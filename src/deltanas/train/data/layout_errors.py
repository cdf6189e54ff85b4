"""Why a folder is not read as classes of images, and the commands that mend it: nothing is lost by them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from shlex import quote

from deltanas.errors import DataError, unused
from deltanas.train.data.names import images_alone, part_of
from deltanas.train.data.picture import hidden
from deltanas.train.data.tree import LAYOUT, Folder, LeftOuts

_SHOWN = 4


def unsure_splits(top: Folder, splits: Sequence[str], others: Sequence[str]) -> DataError:
    """Some folders have the names of splits, others have not."""
    both = [
        f"classes have other names ({_renamed(top, splits)})",
        f"what is neither a class nor a split is taken out ({_moved(top, others)})",
    ]
    # Without classes in it no folder is a split.
    both = both[::-1] if any(top.folders[name].filled for name in splits) else both[:1]
    return DataError(
        f"{top.path}: {_listed(splits)} spelt as a split is, {_listed(others)} not, so it is not sure what is a class",
        "; ".join(both),
    )


def flat_splits(top: Folder, flat: Sequence[str], splits: Sequence[str]) -> DataError:
    """Splits without class folders."""
    first = top.folders[flat[0]]
    what = f"{first.number:,} images and no class folders" if first.number else "no image"
    kept = [name for name in splits if name not in flat]
    if not kept and first.images and len(flat) > 1:
        hint = f"{LAYOUT}; if {_listed(flat)} the classes, give them other names: {_renamed(top, flat)}"
    elif any(part_of(name) == "train" for name in kept):
        hint = f"sort its images into class folders, or take out what has none: {_moved(top, flat)}"
    else:
        hint = LAYOUT
    return DataError(f"{first.path}, a split by its name, holds {what}", hint)


def two_of_a_split(top: Folder, names: Sequence[str]) -> DataError:
    return DataError(
        f"{top.path}: {_listed(names)} named as one and the same split",
        f"bring them together in one, or take the others out: {_moved(top, names[1:])}",
    )


def no_training(top: Folder, names: Sequence[str]) -> DataError:
    largest = max((top.folders[name] for name in names), key=lambda one: one.number)
    return DataError(
        f"{top.path}: {_listed(names)} there, and no split to train on",
        f"name it train, as with `mv -n {_shell(largest.path)} {_shell(top.path / 'train')}`",
    )


def no_classes(folder: Folder, names: Sequence[str]) -> DataError:
    """Images beside labels, masks or copies of them."""
    within = next((folder.folders[name] for name in names if images_alone(name)), None)
    rest = [name for name in folder.filled if name not in names]
    if within and len(within.filled) > 1:
        hint = f"if the folders in {within.path} are the classes, name it itself: folder:{within.path}"
    elif len(rest) > 1:
        rename = _renamed(folder, names)
        hint = f"take out what is no class: {_moved(folder, names)}; or give a class another name: {rename}"
    else:
        hint = LAYOUT
    return DataError(
        f"{folder.path}: {_listed(names)} no class by name, but images beside what is known of them, or copies of them;"
        " networks here tell classes apart, they detect and segment nothing",
        hint,
    )


def copies_inside(inner: Folder) -> DataError:
    return DataError(
        f"{inner.path}: by its name it holds no images of the class, but copies of them, or what is known of them",
        f"take it out: `{hidden(inner.path)}`; or give it another name",
    )


def too_few_classes(folder: Folder, found: Sequence[Folder], left: LeftOuts) -> DataError:
    if found:
        inner = found[0].filled
        hint = f"if its folders are the classes, name it itself: folder:{found[0].path}" if len(inner) > 1 else LAYOUT
        return DataError(f"{folder.path}: {found[0].name} is the only class; there is nothing to tell apart", hint)
    loose = f"; {len(folder.images):,} images lie right in it" if folder.images else _told(left)
    return DataError(f"{folder.path}: no class folder with images in it{loose}", LAYOUT)


def empty_class(one: Folder, folder: Folder, left: LeftOuts) -> DataError:
    return DataError(
        f"{one.path}: no image{_told(left)}", f"put images into it, or take it out: {_moved(folder, [one.name])}"
    )


def two_spellings(one: Folder, other: Folder) -> DataError:
    move = f"mv -n {_shell(other.path)} {_shell(one.path)}/"
    rename = f"mv -n {_shell(other.path)} {_shell(other.path.with_name(other.name.strip() + '-2'))}"
    return DataError(
        f"{one.path} and {other.path} differ in capitals, accents or spaces alone",
        f"if they are one class, put one into the other: `{move}`; if they are two, give one another name: `{rename}`",
    )


def strange_class(one: Folder, part: Folder, train: Folder) -> DataError:
    return DataError(
        f"{one.path}: a class that {train.path} does not have",
        f"put images of it into {train.path / one.name} too, or take it out: {_moved(part, [one.name])}",
    )


def absent_class(one: Folder, part: Folder) -> DataError:
    return DataError(
        f"{part.path} has no folder {one.name}, which {one.path.parent} has",
        f"put images of the class into {part.path / one.name}; or take the split out, for one to be taken from"
        f" the training images: `{hidden(part.path)}`",
    )


def nested(one: Folder, top: Folder) -> DataError:
    """Folders of folders: which are the classes?"""
    inner = [folder.name for folder in one.filled.values()]
    fault = (
        f"{one.path} holds {len(one.images):,} images itself and {one.number - len(one.images):,} in folders of its own"
    )
    return DataError(
        f"{fault} ({', '.join(inner[:_SHOWN])}{', ...' * (len(inner) > _SHOWN)}): which of them are the classes?",
        _flattened(one, top),
    )


def _flattened(one: Folder, top: Folder) -> str:
    if one.path.parent != top.path:
        return "put the images of a class right into its folder"
    new = _shell(_beside(top.path))
    here = _shell(top.path)
    inner = [name for outer in top.filled.values() for name in outer.filled]
    outer = (
        f'`for d in {here}/*/; do c={new}/"$(basename "$d")"; mkdir -p "$c"; find -L "$d" -type f | while read -r f; do'
        ' ln -s "$(realpath "$f")" "$c/$(realpath "$f" | tr / _)"; done; done`'
    )
    if all(part_of(name) for name in inner):
        flip = (
            f'`for d in {here}/*/*/; do s={new}/"$(basename "$d")"; mkdir -p "$s";'
            ' ln -s "$(realpath "$d")" "$s/$(basename "$(dirname "$d")")"; done`'
        )
        return f"splits hold classes, not the other way: links turn them round in a new folder, {flip}, then name {new}"
    whole = [f"{_shell(folder.path)}/" for folder in top.filled.values() if not folder.filled]
    parts = [f"{_shell(folder.path)}/*/" for folder in top.filled.values() if folder.filled]
    each = " ".join([*whole, *parts]) if len(whole) + len(parts) <= 2 * _SHOWN or whole else f"{here}/*/*/"
    within = f'`mkdir {new} && for d in {each}; do ln -s "$(realpath "$d")" {new}/; done`'
    unique = f"links to the inner folders, {within}, or, " if len({*inner}) == len(inner) else ""
    alike = len({frozenset(folder.filled) for folder in top.filled.values()}) == 1 < len(top.filled)
    splits = f"if {', '.join([*top.filled][:_SHOWN])} are splits, call them train, validation or test; else " * alike
    made = f"{splits}make a new folder of links and name that, {new}"
    return f"{made}: {unique}where the outer ones are the classes, {outer}"


def _told(left: LeftOuts) -> str:
    told = [
        f"{each.number:,} {'time' + 's' * (each.number != 1)} {each.reason} ({each.example})" for each in left.told()
    ]
    return f"; left out: {'; '.join(told)}" if told else ""


def _moved(top: Folder, names: Sequence[str]) -> str:
    """To names that are not read, where nothing is yet."""
    moves = [hidden(top.path / name) for name in names]
    return f"`{' && '.join(moves)}` (names that begin with a dot are left out)"


def _renamed(top: Folder, names: Sequence[str]) -> str:
    moves = [f"mv -n {_shell(top.path / name)} {_shell(top.path / f'{name}-class')}" for name in names]
    return f"`{' && '.join(moves)}`"


def _beside(path: Path) -> Path:
    """Where nothing is yet, beside a folder."""
    here = path if path.name else path.resolve()
    return unused(here.with_name(f"{here.name}-classes{number or ''}") for number in count())


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:_SHOWN], *(["others"] if len(names) > _SHOWN else [])]
    return f"{shown[0]} is" if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]} are"


def _shell(path: Path) -> str:
    return quote(str(path))
