"""Folders of noisy and clean photographs: one's own, or in the layouts of SIDD and of the Mobile AI challenge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.patches import EVALUATED, TOO_DEEP, cut, each_of, originals, split_three, together
from deltanas.train.data.picture import read_picture, taken_out
from deltanas.train.data.records import Images, Provenance, Splits
from deltanas.train.data.tree import LeftOuts, scan

SIDES = (("noisy", "clean"), ("original", "denoised"))
"""The folders of a set: one's own, and those of Mobile AI's denoising sets."""
_LAYOUT = (
    "put photographs into its folders noisy/ and clean/, each under one name in both; SIDD (Data/*/NOISY_SRGB_*.PNG)"
    " and Mobile AI (original/, denoised/) are known too"
)
_SIDD = re.compile(r"(?:(?P<instance>\d{4})_)?(?P<side>NOISY|GT)_SRGB_(?P<number>\d{3})\.PNG", re.IGNORECASE)
_SCENE = re.compile(r"\d{4}_(\d{3})_")


@dataclass(frozen=True, slots=True)
class Pair:
    """scene: pairs of one scene are in one split."""

    noisy: Path
    clean: Path
    scene: str


def read_pairs(folder: Path, patch: int) -> Splits:
    """Patches of the pairs that a folder holds, in any of the layouts.

    Raises:
        DataError: no such layout, a photograph without its twin, twins of unlike size, a grey one whose twin has
            colours, more than 8 bits, one smaller than a patch, or fewer than three scenes.
    """
    left = LeftOuts()
    pairs = _found(folder, left)
    scenes: dict[str, list[Pair]] = {}
    for pair in pairs:
        scenes.setdefault(pair.scene, []).append(pair)
    if len(scenes) < 3:
        raise DataError(
            f"{folder} has {len(scenes)} scene{'s' * (len(scenes) != 1)}, and each split needs one of its own",
            "add pairs, three or more",
        )
    parts = [[pair for scene in part for pair in scenes[scene]] for part in split_three(sorted(scenes))]
    sides = [
        [cut(side, patch, most, str(pair.noisy), (pair.noisy, pair.clean)) for pair in part for side in _read(pair)]
        for part, most in zip(parts, (each_of(len(parts[0])), EVALUATED, EVALUATED), strict=True)
    ]
    channels = max(side.shape[1] for part in sides for side in part)
    grey = sum(side.shape[1] < channels for part in sides for side in part)
    notes = [f"{len(pairs)} pairs of {len(scenes)} scenes, no scene in two splits"]
    if grey:
        notes.append(f"{grey} grey photographs read as RGB")
    train, validation, test = (Images(together(channels, part[::2]), together(channels, part[1::2])) for part in sides)
    return Splits(train, validation, test, 0, source=Provenance(notes=tuple(notes), left_out=left.told()))


def _found(folder: Path, left: LeftOuts) -> list[Pair]:
    tree = scan(folder, left, _LAYOUT)
    for noisy, clean in SIDES:
        if {noisy, clean} <= tree.folders.keys():
            return list(_by_name([*tree.folders[noisy].below()], [*tree.folders[clean].below()], folder, noisy, clean))
    files = [path for path in tree.below() if _SIDD.fullmatch(path.name)]
    if files:
        return list(_sidd(files))
    raise DataError(f"{folder} holds no pairs of photographs", _LAYOUT)


def _by_name(noisy: Sequence[Path], clean: Sequence[Path], folder: Path, *names: str) -> Iterator[Pair]:
    """By the path below the side's folder, less what it ends with.

    Pairs of one clean photograph, in whatever format, are one scene.
    """
    sides = [
        {str(path.relative_to(folder / name).with_suffix("")): path for path in files}
        for name, files in zip(names, (noisy, clean), strict=True)
    ]
    for name, files, side in zip(names, (noisy, clean), sides, strict=True):
        if len(side) < len(files):
            twice = next(path for path in files if path not in side.values())
            raise DataError(f"{folder}/{name} holds two photographs by the name {twice.stem}", taken_out(twice))
    _require_twins(sides[0], sides[1])
    names_of = {sides[1][name]: name for name in sorted(sides[0])}
    for path, first in originals(names_of, lambda path: _pixels(path, sides[0][names_of[path]], path)):
        yield Pair(sides[0][names_of[path]], path, names_of[first])


def _sidd(files: Sequence[Path]) -> Iterator[Pair]:
    """Data/0001_001_S6_.../NOISY_SRGB_010.PNG beside GT_SRGB_010.PNG; the scene is the second number."""
    sides: tuple[dict[str, Path], dict[str, Path]] = ({}, {})
    for path in files:
        match = _SIDD.fullmatch(path.name)
        assert match
        key = f"{path.parent}/{match['instance'] or ''}:{match['number']}"
        sides[0 if match["side"].upper() == "NOISY" else 1][key] = path
    _require_twins(*sides)
    for key, path in sorted(sides[0].items()):
        scene = _SCENE.match(path.parent.name)
        yield Pair(path, sides[1][key], scene[1] if scene else path.parent.name)


def _require_twins(noisy: dict[str, Path], clean: dict[str, Path]) -> None:
    alone = [side[name] for side, other in ((noisy, clean), (clean, noisy)) for name in sorted(side.keys() - other)]
    if alone:
        more = f", nor has {len(alone) - 1} more" if len(alone) > 1 else ""
        raise DataError(f"{alone[0]} has no twin on the other side{more}", taken_out(*alone))


def _pixels(path: Path, *pair: Path) -> NDArray[np.uint8]:
    """Grey [1, h, w] or RGB [3, h, w]. pair: what to take out where the file has more than 8 bits."""
    picture = read_picture(path)
    if picture.deep:
        raise DataError(f"{path} {TOO_DEEP}", taken_out(*pair))
    return picture.pixels


def _read(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    noisy, clean = (_pixels(path, pair.noisy, pair.clean) for path in (pair.noisy, pair.clean))
    if noisy.shape[1:] != clean.shape[1:]:
        sizes = [f"{side.shape[2]} x {side.shape[1]}" for side in (noisy, clean)]
        raise DataError(
            f"{pair.noisy} has {sizes[0]} pixels, its twin {pair.clean} {sizes[1]}", taken_out(pair.noisy, pair.clean)
        )
    if len(noisy) < len(clean):
        raise DataError(
            f"{pair.noisy} is grey, its twin {pair.clean} has colours, and a denoiser makes none",
            taken_out(pair.noisy, pair.clean),
        )
    return noisy, clean
