"""A user's own pictures: a folder with a folder of images for each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.layout_errors import (
    absent_class,
    copies_inside,
    empty_class,
    flat_splits,
    nested,
    no_classes,
    no_training,
    strange_class,
    too_few_classes,
    two_of_a_split,
    two_spellings,
    unsure_splits,
)
from deltanas.train.data.names import Part, beside_images, images_alone, part_of, same
from deltanas.train.data.pictures import read_images
from deltanas.train.data.records import Images, Provenance, Splits
from deltanas.train.data.splits import as_given, in_three
from deltanas.train.data.tree import Folder, LeftOuts, scan
from deltanas.wording import counted


def read_folder(folder: Path, *, resize: int | None, colour: bool | None = None) -> Splits:
    """Class folders of images, or splits (`train` with `val`, `test` or both, in any usual spelling) of such folders.

    Classes are numbered in the order of their names. Without given splits 60 % train, 20 % validate, 20 % test.

    Raises:
        DataError: no such folder, a layout that is not sure to be meant so, or what `read_images` refuses.
    """
    if folder.is_file():
        instead = f"name it as npz:{folder}" if folder.suffix == ".npz" else "unpack it, and name the folder"
        raise DataError(f"{folder} is a file, no folder of images", instead)
    left, notes = LeftOuts(), list[str]()
    whole = scan(folder, left)
    top = _unwrapped(whole, left)
    if top.path != whole.path:
        notes.append(f"read from {top.path}")
    parts = _parts(top, left, notes)
    train = parts.pop("train")
    classes = _classes(train, left)
    found = {"train": list(classes.values())}
    found |= {part: _matched(one, train, classes, left) for part, one in parts.items()}
    within = list[Path]()
    files = {part: [_files(one, top, within) for one in inside] for part, inside in found.items()}
    if within:
        told = counted(
            len(within), "folder inside a class is a part of it", "folders inside classes are parts of these"
        )
        notes.append(f"{told}, as {within[0]}")
    names = tuple(one.name for one in classes.values())
    # Read as one, so that sizes and kinds are compared across the splits too.
    pictures = read_images(
        [path for inside in files.values() for one in inside for path in one], resize=resize, colour=colour
    )
    labels = {part: _labels(inside) for part, inside in files.items()}
    bounds = np.cumsum([len(y) for y in labels.values()])[:-1]
    images = {part: Images(x, labels[part]) for part, x in zip(labels, np.split(pictures.x, bounds), strict=True)}
    if "test" in images:
        splits = as_given(images["train"], images.get("validation"), images["test"], len(names))
    else:
        splits = in_three(images["train"], len(names))
    source = Provenance(names, None, (*notes, *pictures.notes), left.told(), pictures.span)
    return replace(splits, source=source)


def read_classes(
    folder: Path, names: tuple[str, ...], *, resize: int | None, colour: bool | None = None
) -> tuple[Images, Provenance]:
    """The images of a published set's class folders."""
    left = LeftOuts()
    inside = scan(folder, left).folders
    files = [sorted(inside[name].below()) for name in names]
    pictures = read_images([path for one in files for path in one], resize=resize, colour=colour)
    return Images(pictures.x, _labels(files)), Provenance(names, None, pictures.notes, left.told(), pictures.span)


def _unwrapped(folder: Folder, left: LeftOuts) -> Folder:
    """The folder that holds the classes or splits: not one around it, as unpacking makes it."""
    while len(folder.filled) == 1:
        (sole,) = folder.filled.values()
        beside = [name for name in folder.folders if name != sole.name]
        if sole.images or not sole.filled or not all(beside_images(name, sure=False) for name in beside):
            break
        _loose(folder, left)
        folder = sole
    return folder


def _loose(folder: Folder, left: LeftOuts) -> None:
    if folder.images:
        left.add("an image in no class folder", folder.images[0], len(folder.images))


def _parts(top: Folder, left: LeftOuts, notes: list[str]) -> dict[Part, Folder]:
    """The splits, `train` first; all of it is `train` where none are given."""
    named = {name: part for name in top.folders if (part := part_of(name))}
    _loose(top, left)
    if not named:
        return {"train": top}
    others = [name for name in top.filled if name not in named]
    if others:
        raise unsure_splits(top, list(named), others)
    flat = [name for name in named if _flat(top.folders[name])]
    if flat:
        raise flat_splits(top, flat, list(named))
    found: dict[Part, list[str]] = {}
    for name, part in named.items():
        found.setdefault(part, []).append(name)
    if evaluation := found.pop("evaluation", None):
        found.setdefault("validation" if "test" in found else "test", []).extend(evaluation)
    if twice := next((names for names in found.values() if len(names) > 1), None):
        raise two_of_a_split(top, twice)
    if "train" not in found:
        raise no_training(top, list(named))
    if "test" not in found:
        (val,) = found["test"] = found.pop("validation")
        notes.append(f"no test split: {val}/ is it, and a sixth of {found['train'][0]}/ validates")
    order: tuple[Part, ...] = ("train", "validation", "test")
    parts = {part: _unwrapped(top.folders[found[part][0]], left) for part in order if part in found}
    for folder in parts.values():
        _loose(folder, left)
    return parts


def _flat(split: Folder) -> bool:
    """Whether its images lie right in it, or in one folder that is no class, as val/images."""
    lone = all(images_alone(name) and not one.filled for name, one in split.folders.items())
    return not split.filled or (len(split.folders) == 1 and lone)


def _inside(folder: Folder, left: LeftOuts) -> dict[str, Folder]:
    """The class folders, by what `same` makes of their names."""
    images = any(images_alone(name) for name in folder.folders)
    beside = [name for name in folder.folders if beside_images(name, sure=not images)]
    if any(name in folder.filled for name in beside) or (images and beside):
        raise no_classes(folder, [name for name in folder.folders if name in beside or images_alone(name)])
    inside = {name: one for name, one in folder.folders.items() if one.number or not beside_images(name, sure=False)}
    found: dict[str, Folder] = {}
    for name, one in inside.items():
        if not one.number:
            raise empty_class(one, folder, left)
        if same(name) in found:
            raise two_spellings(found[same(name)], one)
        found[same(name)] = one
    return found


def _classes(folder: Folder, left: LeftOuts) -> dict[str, Folder]:
    found = _inside(folder, left)
    if len(found) < 2:
        raise too_few_classes(folder, list(found.values()), left)
    return found


def _matched(part: Folder, train: Folder, classes: Mapping[str, Folder], left: LeftOuts) -> list[Folder]:
    """The folders of the classes in another split, in the order of `classes`."""
    found = _inside(part, left)
    for key, one in found.items():
        if key not in classes:
            raise strange_class(one, part, train)
    for key, one in classes.items():
        if key not in found:
            raise absent_class(one, part)
    return [found[key] for key in classes]


def _files(folder: Folder, top: Folder, within: list[Path]) -> list[Path]:
    """The images of a class in the order of their names. Folders inside it are a part of it where that is sure."""
    one = folder
    while not one.images and len(one.filled) == 1:
        (one,) = one.filled.values()
    inner = list(one.filled.values())
    for each in inner:
        if beside_images(each.name) and not images_alone(each.name):
            raise copies_inside(each)
    if len(inner) > 1 and len(one.images) < one.number - len(one.images):
        raise nested(one, top)
    within += [each.path for each in inner]
    return sorted(one.below())


def _labels(files: list[list[Path]]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(files)), [len(one) for one in files])
