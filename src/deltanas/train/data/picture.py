"""One image file to pixels, by Pillow, in this process: as every file of a data set is read."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from shlex import quote
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError, unused

VISION_HINT = "pip install 'deltanas[vision]'"


def endings(names: str) -> frozenset[str]:
    """How names of files end: "jpg png" as .jpg and .png."""
    return frozenset(f".{name}" for name in names.split())


SUFFIXES = endings("apng bmp dib gif jfif jpe jpeg jpg mpo pbm pfm pgm png pnm ppm tif tiff webp")
AVIF = endings("avif avifs")
HEIF = endings("heic heics heif heifs hif")
# Pillow guesses the format from the content. Its other readers stay shut: that of EPS, for one, starts Ghostscript.
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_FAULTS = (OSError, SyntaxError, ValueError, EOFError, struct.error)
_EXIF_FAULTS = (*_FAULTS, ArithmeticError, LookupError, TypeError)
_ORIENTATION = 0x0112
_BITS, _PLANES = 0x0102, 0x011C
_KINDS = {"1": "bilevel", "P": "palette", "PA": "palette"}
_GREY = ("1", "L", "LA", "La")
DEPTHS = (8, 10, 12, 14, 16)
FULL = 2 ** DEPTHS[-1] - 1
DEEP = "of more than 8 bits"
_CUT = f"{DEEP} a channel, of which the upper 8 are read"
_CUT_MODE = re.compile(";16[BLN]")
_NUMBERS = {True: "floats", False: f"integers {DEEP}"}
_COMMANDS = 5


class UnreadableError(DataError):
    """A file that is no image, or a broken one. path: of the file. reason: of what is wrong with it."""

    def __init__(self, path: Path, reason: Exception) -> None:
        super().__init__(
            f"{path} can't be read as an image: {reason}", taken_out(path, locked=isinstance(reason, PermissionError))
        )
        self.path = path


def taken_out(*paths: Path, locked: bool = False) -> str:
    """The hint for files that can't be used: they can be taken out of a data set, and are not lost."""
    commands = [hidden(path) for path in paths[:_COMMANDS]]
    some = f", and so on for {len(paths) - _COMMANDS:,} more," if len(paths) > _COMMANDS else ""
    instead = f"make it readable with `chmod u+r {quote(str(paths[0]))}`" if locked else "replace the file"
    return f"{instead}, or take it out: `{' && '.join(commands)}`{some} (names that begin with a dot are left out)"


def hidden(path: Path) -> str:
    """The command that gives a file or folder a name that is not read, and that nothing has yet."""
    free = unused(path.with_name(f".{path.name}{number or ''}") for number in count())
    return f"mv -n {quote(str(path))} {quote(str(free))}"


def white_of(value: float) -> int:
    """What is white where whole numbers go up to `value`: the most that the least of the usual depths holds.

    Beyond 16 bits it is the most that as many bits hold as it takes.
    """
    bits = int(value).bit_length()
    return int(2 ** next((depth for depth in DEPTHS if bits <= depth), bits)) - 1


class Span(NamedTuple):
    """The least and the largest of values of more than 8 bits, and whether they are floats, None where not known."""

    low: float
    high: float
    floats: bool | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What was read of a file.

    Attributes:
        pixels: uint8 [1 or 3, height, width]; 1: grey, 3: RGB.
        kind: what the file holds: grey, RGB, palette, bilevel, or the name of another of Pillow's modes.
        done: what was done to it besides, in words that follow "n images".
        deep: whether the file holds more than 8 bits, of which the pixels are scaled.
        profile: ICC profile that the file has for such pixels, b"" for none.
    """

    pixels: NDArray[np.uint8]
    kind: str
    done: tuple[str, ...] = ()
    deep: bool = False
    profile: bytes = b""


def read_picture(
    path: Path, *, size: tuple[int, int] | None = None, colour: bool | None = None, span: Span | None = None
) -> Picture:
    """An image file, upright, without its transparency (laid on white), and in 8 bits. Of several frames the first.

    Args:
        size: (width, height) that the upright image is squeezed to; None for the image as it is.
        colour: True: as RGB; False: as grey; None: grey as grey, all else as RGB.
        span: values of more than 8 bits that become 0 and 255; None: 0 and 65,535, of floats 0 and 1.

    Raises:
        UnreadableError: no image, a broken one, or floats where `span` is of integers, or the other way round.
    """
    image = pillow()
    with _opened(path) as file:
        _require_read_right(file)
        cut = _cut(file)
        turn = _turn(file)
        several = file.format != "MPO" and getattr(file, "is_animated", False)
        file.load()
        plain, kind, done = _plain(file, span)
        deep = _deep(file.mode)
        profile, space = file.info.get("icc_profile"), "".join(file.getbands()).removesuffix("A")
    # Pillow turns a TIFF while it loads it.
    if turn in _turns(image):
        done.append("turned as the EXIF orientation says")
        plain = plain if file.format == "TIFF" else plain.transpose(_turns(image)[turn])
    if several:
        done.append("of several frames or pages, of which the first is read")
    if cut:
        done.append(_CUT)
    if colour is not None:
        plain = plain.convert("RGB" if colour else "L")
    if size is not None:
        plain = plain.resize(size, image.Resampling.BILINEAR)
    pixels = np.asarray(plain)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return Picture(pixels, kind, tuple(done), deep, profile if profile and space == plain.mode else b"")


def span_in(path: Path) -> Span | None:
    """The values of a file; None where it has 8 bits.

    Raises:
        UnreadableError: a broken image, or values that are no numbers.
    """
    with _opened(path) as file:
        if not _deep(file.mode):
            return None
        values = _values(file)
        return Span(float(values.min()), float(values.max()), file.mode[:1] == "F")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An image file; all that is wrong with it, while it is open, is an UnreadableError."""
    image = pillow()
    try:
        with image.open(path, formats=formats()) as file:
            # With a name, Pillow maps a TIFF into memory, its rows as wide as those of the upright image.
            file.filename = ""
            yield file
    except (*_FAULTS, image.DecompressionBombError) as error:
        raise UnreadableError(path, error) from None


def is_picture(path: Path) -> bool:
    """Whether the file begins as an image does that can be read."""
    try:
        with _opened(path):
            return True
    except UnreadableError:
        return False


@cache
def formats() -> tuple[str, ...]:
    """What can be read here, by Pillow's names: AVIF where Pillow has it, HEIF where pillow-heif is installed."""
    from PIL import features

    more = ("AVIF",) if features.check("avif") else ()
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return (*_FORMATS, *more)
    register_heif_opener()
    return (*_FORMATS, *more, "HEIF")


def suffixes() -> frozenset[str]:
    """How names of files end that can be read here."""
    return SUFFIXES.union(*(names for name, names in (("AVIF", AVIF), ("HEIF", HEIF)) if name in formats()))


def pillow() -> ModuleType:
    """The module PIL.Image. Raises DataError where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"image files and --resize need Pillow, which can't be imported: {error}", VISION_HINT
        ) from None
    return Image


def _turn(file: Any) -> object:
    """The EXIF orientation; 1 where there is none that can be read."""
    try:
        return file.getexif().get(_ORIENTATION, 1)
    except _EXIF_FAULTS:
        return 1


@cache
def _turns(image: ModuleType) -> dict[object, object]:
    """What makes an image upright, by its EXIF orientation."""
    how = image.Transpose
    made = (how.FLIP_LEFT_RIGHT, how.ROTATE_180, how.FLIP_TOP_BOTTOM, how.TRANSPOSE, how.ROTATE_270, how.TRANSVERSE)
    return dict(enumerate((*made, how.ROTATE_90), 2))


def _plain(file: Any, span: Span | None) -> tuple[Any, str, list[str]]:
    """The image of a loaded file as grey (L) or RGB; its kind, and what was done."""
    mode = file.mode
    kind = _KINDS.get(mode, "grey" if mode in _GREY or _deep(mode) else "RGB" if mode[:3] == "RGB" else mode)
    if _deep(mode):
        floats = mode[:1] == "F"
        low, high, meant = span or (0, 1 if floats else FULL, None)
        if meant not in (None, floats):
            held, wanted = (_NUMBERS[each] for each in (floats, not floats))
            raise ValueError(f"it holds {held}, and the pictures of the training hold {wanted}: save it as they are")
        values = _values(file)
        shares = np.clip((values - low) / (high - low), 0, 1)
        return pillow().fromarray(np.rint(shares * 255).astype(np.uint8)), kind, [DEEP]
    if file.has_transparency_data:
        layer = file.convert("LA" if mode in _GREY else "RGBA")
        alpha = layer.getchannel("A")
        plain = layer.convert("L" if mode in _GREY else "RGB")
        if alpha.getextrema() == (255, 255):
            return plain, kind, []
        ground = pillow().new(plain.mode, plain.size, "white")
        ground.paste(plain, mask=alpha)
        return ground, kind, ["with transparency, laid on white"]
    if mode in ("L", "RGB"):
        return file, kind, []
    return _lab(file) if mode == "LAB" else file.convert("L" if mode == "1" else "RGB"), kind, []


def _deep(mode: str) -> bool:
    """Whether pixels of this mode of Pillow's are grey and have more than 8 bits."""
    return mode[:1] in "IF"


def _require_read_right(file: Any) -> None:
    """Raises ValueError for what Pillow reads as other pixels than the file holds."""
    if file.format == "TIFF":
        planes = file.tag_v2.get(_PLANES) == 2 and len(file.getbands()) > 1
        if planes and max(file.tag_v2.get(_BITS, (8,))) > 8:
            raise ValueError("it holds channels of more than 8 bits apart: save it with channels interleaved")


def _cut(file: Any) -> bool:
    """Whether Pillow, whose pixels of several channels have 8 bits each, will read 8 of more as it loads the file."""
    return not _deep(file.mode) and any(
        bool(_CUT_MODE.search(str(how))) or (decoder[:3] == "ppm" and file.mode == "RGB" and how[1] > 255)
        for decoder, _, _, how in file.tile
    )


def _values(file: Any) -> NDArray[np.float64]:
    values = np.asarray(file, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are no numbers")
    return values


def _lab(file: Any) -> Any:
    from PIL import ImageCms

    ways = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(file, *ways, outputMode="RGB")
