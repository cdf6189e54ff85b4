"""Clean photographs that Debian's packages and Python's libraries bring, with synthetic noise: pairs to denoise."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.noise import fingerprint, with_evaluation_noise, with_training_noise
from deltanas.train.data.patches import EVALUATED, TOO_DEEP, cut, each_of, originals, split_three, together
from deltanas.train.data.picture import pillow, read_picture, taken_out
from deltanas.train.data.records import DatasetInfo, Images, Provenance, Splits
from deltanas.train.data.tree import LeftOuts, scan
from deltanas.train.job import PATCH, Noise

_LARGE, _REDUCED = 1_500_000, 3
"""Photographs of more pixels than this are shrunk by this factor, which takes off most of what JPEG left in them."""
_DEBIAN = Path("/usr/share/backgrounds")
_LOMIRI = (
    "Bridge_by_Sander_Klootwijk",
    "Dragonfly_by_Bolly",
    "Picture_0B_by_freespace",
    "Picture_1A_by_freespace",
    "Wine_by_Jakkub_Mede",
    "aitzgorri_by_Aitzol_Berasategi",
    "free_by_Peter_Nerlich",
    "friends_by_Aitzol_Berasategi",
    "greentock_by_Peter_Nerlich",
    "life_by_Aitzol_Berasategi",
    "picosdeeuropa_by_Aitzol_Berasategi",
    "seeding_by_Clements_Engelhardt",
    "sunset_by_Aitzol_Berasategi",
)
_PACKAGES = "lomiri-wallpapers-16.04 mate-backgrounds"
_LAYOUT = "put photographs into it, at any depth"
_SIDES = ("left", "right")
_HINT = f"apt-get install {_PACKAGES}, or name photos:DIR, a folder of your own photographs"


@dataclass(frozen=True, slots=True)
class Making:
    """How photographs become pairs.

    Attributes:
        patch: height and width of patches. kind: of noise. secret: as `with_evaluation_noise` says.
    """

    patch: int = PATCH
    kind: Noise = "independent"
    secret: bytes | None = None


def installed_photos() -> list[Path]:
    """The photographs that are on this machine: of Debian's packages, and those of scikit-learn and scikit-image."""
    found = [path for name in _LOMIRI if (path := _DEBIAN / f"{name}.jpg").is_file()]
    found += sorted((_DEBIAN / "mate" / "nature").glob("*.jpg"))
    for package, inside, names in (
        ("sklearn", "datasets/images", ("china.jpg", "flower.jpg")),
        ("skimage", "data", ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")),
    ):
        spec = importlib.util.find_spec(package)
        if spec and spec.origin:
            folder = Path(spec.origin).parent / inside
            found += [folder / name for name in names if (folder / name).is_file()]
    return found


def photos_info() -> DatasetInfo:
    found = installed_photos()
    where = str(found[0].parent) if found else ""
    return DatasetInfo("photos", bool(found), where, len(found), (3, PATCH, PATCH), "" if found else _HINT)


def read_photos(folder: Path | None, making: Making) -> Splits:
    """Photographs of a folder, at any depth, or the installed ones, as patches with synthetic noise.

    No photograph is in two splits, nor a copy of one, but where there are two: then one is trained on, and the halves
    of the other one are validated and tested on.

    Raises:
        DataError: fewer than two photographs, one that can't be read, or has more than 8 bits, or is smaller than a
            patch.
    """
    left = LeftOuts()
    paths = installed_photos() if folder is None else _once(scan(folder, left, _LAYOUT).below(), left)
    if len(paths) < 2:
        where = "this machine" if folder is None else str(folder)
        raise DataError(
            f"{where} has {len(paths) or 'no'} photograph, and it takes two or more to train and to judge",
            _HINT if folder is None else "add photographs to it, at any depth; copies of one count once",
        )
    named = [(str(path), path, _reader(path)) for path in paths]
    notes = [f"{len(paths)} photographs, none in two splits"]
    if len(paths) == 2:
        _, path, second = named[1]
        halves = [(f"the {side} half of {path}", path, _half(second, place)) for place, side in enumerate(_SIDES)]
        parts = [[named[0]], halves[:1], halves[1:]]
        notes[0] = f"two photographs: {paths[0].name} to train on, the halves of {path.name} to validate and to test on"
    else:
        parts = list(split_three(named))
    patches = [
        [(path, cut(read(), making.patch, most, name, [path] * bool(folder))) for name, path, read in part]
        for part, most in zip(parts, (each_of(len(parts[0])), EVALUATED, EVALUATED), strict=True)
    ]
    channels = max(some.shape[1] for part in patches for _, some in part)
    if channels == 1 and making.kind == "mosaic":
        raise DataError(
            f"{folder} has grey photographs alone, and noise as after a Bayer mosaic is noise of colours",
            "leave --noise mosaic (train.noise) out, or add photographs with colours",
        )
    grey = len({path for part in patches for path, some in part if some.shape[1] < channels})
    if grey:
        notes.append(f"{grey} grey photograph{'s' * (grey != 1)} read as RGB")
    clean = [together(channels, [some for _, some in part]) for part in patches]
    train, validation, test = _with_noise(clean, making)
    notes += [*_told(making), f"evaluation noise with SHA-256 {fingerprint(validation.x, test.x)[:16]}"]
    source = Provenance(notes=tuple(notes), left_out=left.told())
    return Splits(train, validation, test, 0, source=source)


def _once(paths: Iterable[Path], left: LeftOuts) -> list[Path]:
    """Without copies of others, in any format: one would be trained on, and the other one judged by."""
    found = []
    for path, first in originals(paths, _read):
        if first == path:
            found.append(path)
        else:
            left.add("a copy of another photograph", path)
    return found


def _reader(path: Path) -> Callable[[], NDArray[np.uint8]]:
    return lambda: _read(path)


def _half(read: Callable[[], NDArray[np.uint8]], place: int) -> Callable[[], NDArray[np.uint8]]:
    return lambda: np.array_split(read(), 2, axis=2)[place]


def _read(path: Path) -> NDArray[np.uint8]:
    """Grey [1, h, w] or RGB [3, h, w]. Large ones are shrunk."""
    picture = read_picture(path)
    if picture.deep:
        raise DataError(f"{path} {TOO_DEEP}", taken_out(path))
    pixels = picture.pixels
    if pixels[0].size <= _LARGE:
        return pixels
    channels = [pillow().fromarray(np.ascontiguousarray(channel)).reduce(_REDUCED) for channel in pixels]
    return np.stack([np.asarray(channel) for channel in channels])


def _with_noise(clean: Sequence[NDArray[np.uint8]], making: Making) -> list[Images]:
    train = Images(with_training_noise(clean[0], making.kind, "photos:train"), clean[0])
    return [
        train,
        *(
            Images(with_evaluation_noise(part, making.kind, f"photos:{split}", making.secret), part)
            for split, part in zip(("validation", "test"), clean[1:], strict=True)
        ),
    ]


def _told(making: Making) -> list[str]:
    how = {
        "independent": "independent in each pixel",
        "mosaic": "correlated as after a Bayer mosaic",
        "darktable": "of strengths that darktable measured of cameras",
    }[making.kind]
    return [f"synthetic Poisson-Gaussian noise in linear light, {how}, which no camera's is (docs/denoise.md)"]
