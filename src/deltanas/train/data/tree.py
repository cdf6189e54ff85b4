"""The files below a folder: images, and what is left out of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deltanas.errors import DataError
from deltanas.train.data.picture import AVIF, HEIF, endings, is_picture, suffixes
from deltanas.train.data.records import LeftOut

LAYOUT = "make a folder for each class in it, with the images of the class inside, or train/ and test/ of such folders"
_SYSTEM = frozenset(
    ("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information", "lost+found")
)
_COPIES = (".bak", ".crdownload", ".old", ".orig", ".part", ".tmp", "~")
# These are images, of formats that stay unread. Several raw formats begin as a TIFF does, with a small copy.
_UNREAD = endings(
    "ai arw cr2 cr3 cur dcm dds dng eps exr fits hdr icns ico j2k jp2 jpx jxl nef orf pcx ps psd qoi raf raw rw2 svg"
    " svgz tga wmf xcf"
)
_PLAIN = endings(
    "cfg csv db doc docx gz h5 htm html ini ipynb json jsonl log lst mat md mp4 names npy npz pdf pkl py tar toml tsv"
    " txt url xls xlsx xml yaml yml zip"
)


def content(path: Path) -> bytes:
    """A hash that copies of a file share; a file that can't be read has one of its own."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return os.fsencode(path)


class LeftOuts:
    """Counts what is left out, by its reason. The example of each is the first by name."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, Path]] = {}

    def add(self, reason: str, example: Path, number: int = 1) -> None:
        known, first = self._found.get(reason, (0, example))
        self._found[reason] = (known + number, min(first, example))

    def told(self) -> tuple[LeftOut, ...]:
        return tuple(LeftOut(why, number, str(path)) for why, (number, path) in sorted(self._found.items()))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, looked into; links are followed. images: those right in it. folders: by their names, in order."""

    path: Path
    images: list[Path] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.name

    def below(self) -> Iterator[Path]:
        """The images at any depth."""
        yield from self.images
        for folder in self.folders.values():
            yield from folder.below()

    @property
    def number(self) -> int:
        return len(self.images) + sum(folder.number for folder in self.folders.values())

    @property
    def filled(self) -> dict[str, Folder]:
        """The folders in it that hold images, at any depth."""
        return {name: folder for name, folder in self.folders.items() if folder.number}


def scan(path: Path, left: LeftOuts, layout: str = LAYOUT) -> Folder:
    """layout: what the folder should hold, in words. Raises DataError where a folder can't be read."""
    place = path.resolve()
    above = frozenset(_identity(folder) for folder in (place, *place.parents) if folder.exists())
    try:
        return _scan(path, above, suffixes(), left)
    except OSError as error:
        raise DataError(
            f"{error.filename} can't be read as a folder of images: {error.strerror}", f"name one that can be: {layout}"
        ) from None


def _scan(path: Path, above: frozenset[tuple[int, int]], known: frozenset[str], left: LeftOuts) -> Folder:
    found = Folder(path)
    with os.scandir(path) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    for entry in inside:
        place = path / entry.name
        if entry.name.startswith(".") or entry.name.casefold() in _SYSTEM:
            left.add("hidden, or a system's own", place, _hidden(entry))
        elif _is(entry.is_dir):
            identity = _identity(place)
            if identity in above:
                left.add("a link to a folder above it", place)
            else:
                found.folders[entry.name] = _scan(place, above | {identity}, known, left)
        elif reason := _reason(entry, place, known):
            left.add(reason, place)
        else:
            found.images.append(place)
    return found


def _reason(entry: os.DirEntry[str], place: Path, known: frozenset[str]) -> str:
    """Why the file is not taken; "" for an image, also for a link to a file that is not there."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in known:
        return "" if _is(entry.is_file) or entry.is_symlink() else "no file, but a pipe or a device"
    if suffix in HEIF:
        return f"{suffix}, which needs `pip install pillow-heif`"
    if suffix in AVIF:
        return f"{suffix}, which needs a newer Pillow: `pip install -U pillow`"
    if suffix in _UNREAD:
        return f"{suffix}, a format that is not read"
    if entry.name.lower().endswith(_COPIES):
        return "a copy for safety, or half of a download"
    # Whatever its name ends with: some sets give their images numbers or words there.
    return "" if suffix not in _PLAIN and _is(entry.is_file) and is_picture(place) else "no image"


def _is(asked: Callable[[], bool]) -> bool:
    """What an entry of a folder says of itself; no, where a link goes round in a circle or can't be followed."""
    try:
        return asked()
    except OSError:
        return False


def _hidden(entry: os.DirEntry[str]) -> int:
    """Number of files: 1, or as many as are in the folder."""
    if not entry.is_dir(follow_symlinks=False):
        return 1
    return sum(len(files) for _, _, files in os.walk(entry.path))


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino
