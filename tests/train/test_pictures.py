"""Image files: formats, orientation, and modes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, features

from deltanas.errors import DataError
from deltanas.train.data import Dataset, load, meaning_of
from deltanas.train.data.picture import Span, read_picture
from own_data import classes_in, follow, left_out, number_of, pixels

EXACT = [".png", ".bmp", ".ppm", ".pnm", ".tif", ".TIFF", ".webp", ".apng", ".dib"]
CLOSE = [".jpg", ".JPEG", ".jfif", ".jpe", *([".avif"] if features.check("avif") else [])]


@pytest.mark.parametrize("suffix", EXACT + CLOSE)
def test_every_usual_format_is_read(tmp_path: Path, suffix: str) -> None:
    (image,) = np.full((1, 5, 7, 3), (200, 40, 90), np.uint8)
    image[2:4] = 10
    more: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(image).save(tmp_path / f"x{suffix}", {".jfif": "JPEG", ".jpe": "JPEG"}.get(suffix), **more)
    found = read_picture(tmp_path / f"x{suffix}")
    off = np.abs(found.pixels.transpose(1, 2, 0).astype(int) - image)
    assert off.max() == 0 if suffix in EXACT else off.mean() < 20
    assert (found.kind, found.done, found.deep) == ("RGB", (), False)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.JPG", "x", "subject01.happy", "x.0001", "x.gif"])
def test_the_content_tells_the_format_whatever_the_name_says(tmp_path: Path, name: str) -> None:
    classes_in(tmp_path)
    Image.fromarray(pixels(1, 5, 6, 3)[0]).save(tmp_path / "cat" / name, format="PNG")
    data = load(f"folder:{tmp_path}")
    assert (number_of(data), left_out(data)) == (81, {})


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: lambda x: np.rot90(x, 3),
}
"""From an upright image to how it is stored, by the orientation that says so."""


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_an_image_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.kron(pixels(1, 3, 4, 3)[0], np.ones((8, 8, 1), np.uint8))
    stored = Image.fromarray(np.ascontiguousarray(TURNS[orientation](upright)))
    exif = stored.getexif()
    exif[0x0112] = orientation
    known: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}
    stored.save(tmp_path / f"x{suffix}", exif=exif, **known.get(suffix, {}))
    found = read_picture(tmp_path / f"x{suffix}")
    off = np.abs(found.pixels.transpose(1, 2, 0).astype(int) - upright)
    assert off.max() <= (30 if suffix == ".jpg" else 0)
    assert found.done == (("turned as the EXIF orientation says",) if orientation > 1 else ())
    squeezed = read_picture(tmp_path / f"x{suffix}", size=(4, 3)).pixels
    assert squeezed.shape == (3, 3, 4)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, "RGB", "CMYK"])
def test_a_tiff_of_any_kind_is_turned_upright(tmp_path: Path, kind: Any, orientation: int) -> None:
    upright = pixels(1, 24, 32, {"RGB": 3, "CMYK": 4}.get(kind, 1))[0]
    stored = np.ascontiguousarray(TURNS[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if isinstance(kind, str):
        Image.fromarray(stored, kind).save(tmp_path / "x.tif", exif=exif)
        expected = np.asarray(Image.fromarray(upright, kind).convert("RGB"))
    else:
        Image.fromarray(stored[..., 0].astype(kind)).save(tmp_path / "x.tif", exif=exif)
        expected = upright
    found = read_picture(tmp_path / "x.tif", span=Span(0, 255)).pixels
    assert found.transpose(1, 2, 0).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40, b"x" * 99]
)
def test_metadata_that_is_broken_turns_nothing(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(pixels(1, 5, 6, 3)[0]).save(classes_in(tmp_path) / "cat" / "x.jpg", exif=exif)
    data = load(f"folder:{tmp_path}")
    assert (number_of(data), data.source.notes) == (81, ())


def test_turned_images_are_told(tmp_path: Path) -> None:
    classes_in(tmp_path)
    for number in range(7):
        image = Image.fromarray(pixels(1, 6, 5, 3)[0])
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "cat" / f"turned {number}.png", exif=exif)
    data = load(f"folder:{tmp_path}")
    assert data.in_shape == (1, 3, 5, 6)
    assert data.source.notes == ("7 images turned as the EXIF orientation says",)


RED, WHITE = (255, 0, 0), (255, 255, 255)
LAID = ("with transparency, laid on white",)


def plain(mode: str, colour: object = RED) -> Image.Image:
    return Image.new("RGB", (6, 5), RED).convert(mode)


def hidden_colours(mode: str) -> Image.Image:
    """The left half is red; the right half is transparent, and red lies under it."""
    image = Image.new("RGBA", (6, 5), (*RED, 255))
    image.paste((*RED, 0), (3, 0, 6, 5))
    return image.convert(mode)


def palette_with_hole() -> Image.Image:
    image = Image.new("P", (6, 5), 0)
    image.putpalette([*RED, *RED])
    image.paste(1, (3, 0, 6, 5))
    return image


def lab() -> Image.Image:
    ways = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    made = ImageCms.profileToProfile(Image.new("RGB", (6, 5), RED), *ways, outputMode="LAB")
    assert made
    return made


@pytest.mark.parametrize(
    ("image", "suffix", "more", "left", "right", "kind", "done"),
    [
        (plain("RGB"), ".png", {}, RED, RED, "RGB", ()),
        (plain("L"), ".png", {}, (76,), (76,), "grey", ()),
        (plain("P"), ".png", {}, RED, RED, "palette", ()),
        (plain("P"), ".gif", {}, RED, RED, "palette", ()),
        (plain("1"), ".png", {}, None, None, "bilevel", ()),
        (plain("1"), ".tif", {}, None, None, "bilevel", ()),
        (plain("1"), ".pbm", {}, None, None, "bilevel", ()),
        (plain("RGBA"), ".png", {}, RED, RED, "RGB", ()),
        (plain("LA"), ".png", {}, (76,), (76,), "grey", ()),
        (plain("CMYK"), ".tif", {}, RED, RED, "CMYK", ()),
        (plain("CMYK"), ".jpg", {"quality": 100}, RED, RED, "CMYK", ()),
        (lab(), ".tif", {}, RED, RED, "LAB", ()),
        (hidden_colours("RGBA"), ".png", {}, RED, WHITE, "RGB", LAID),
        (hidden_colours("RGBA"), ".tif", {}, RED, WHITE, "RGB", LAID),
        (hidden_colours("RGBA"), ".webp", {"lossless": True, "exact": True}, RED, WHITE, "RGB", LAID),
        (hidden_colours("LA"), ".png", {}, (76,), (255,), "grey", LAID),
        (palette_with_hole(), ".png", {"transparency": 1}, RED, WHITE, "palette", LAID),
        (palette_with_hole(), ".png", {"transparency": bytes([255, 0])}, RED, WHITE, "palette", LAID),
        (palette_with_hole(), ".gif", {"transparency": 1}, RED, WHITE, "palette", LAID),
        (plain("RGB"), ".png", {"transparency": RED}, WHITE, WHITE, "RGB", LAID),
        (plain("L"), ".png", {"transparency": 76}, (255,), (255,), "grey", LAID),
    ],
)  # fmt: skip
def test_modes(
    tmp_path: Path, image: Image.Image, suffix: str, more: dict[str, object], left: tuple[int, ...] | None,
    right: tuple[int, ...], kind: str, done: tuple[str, ...],
) -> None:  # fmt: skip
    image.save(tmp_path / f"x{suffix}", **more)  # type: ignore[arg-type]
    found = read_picture(tmp_path / f"x{suffix}")
    assert (found.kind, found.done) == (kind, done)
    if left is not None:
        assert np.abs(found.pixels[:, 2, 1].astype(int) - left).max() <= 6
        assert np.abs(found.pixels[:, 2, 5].astype(int) - right).max() <= 6
    else:
        assert set(np.unique(found.pixels)) <= {0, 255}
    for colour, channels in ((True, 3), (False, 1)):
        again = read_picture(tmp_path / f"x{suffix}", colour=colour).pixels
        assert again.shape == (channels, 5, 6)
        assert not done or again[:, 2, 5].min() >= 252


MIXED = ["1", "L", "P", "RGBA", "LA", "CMYK"]


@pytest.mark.parametrize("mode", MIXED)
@pytest.mark.parametrize("first", [True, False])
def test_one_image_of_another_mode_among_rgb_is_told(tmp_path: Path, mode: str, first: bool) -> None:
    classes_in(tmp_path)
    place = tmp_path / ("cat/000" if first else "dog/020")
    place.with_suffix(".png").unlink()
    Image.fromarray(pixels(1, 5, 6, 3)[0]).convert(mode).save(place.with_suffix(".tif"))
    data = load(f"folder:{tmp_path}")
    told = {"1": "bilevel", "L": "grey", "LA": "grey", "P": "palette", "CMYK": "CMYK"}
    assert data.in_shape == (1, 3, 5, 6)
    assert data.source.notes == ((f"1 {told[mode]} image read as RGB",) if mode in told else ())


def test_colours_are_read_as_asked(tmp_path: Path) -> None:
    folder = classes_in(tmp_path)
    Image.fromarray(pixels(1, 5, 6)[0]).save(folder / "cat" / "grey.png")
    plain, colours, grey = (load(f"folder:{folder}", colour=colour) for colour in (None, True, False))
    assert plain.source.notes == colours.source.notes == ("1 grey image read as RGB",)
    assert plain.fingerprint == colours.fingerprint
    assert grey.in_shape == (1, 1, 5, 6)
    assert grey.source.notes == ("80 RGB images read as grey",)
    whole = np.concatenate([part.x for part in (grey.train, grey.validation, grey.test)])
    expected = np.asarray(Image.open(folder / "dog" / "003.png").convert("L"))
    assert (whole[:, 0] == expected).all((1, 2)).any()


def test_arrays_are_read_as_asked(tmp_path: Path) -> None:
    x, y = pixels(60, 3, 4, 5), np.arange(60) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y)
    grey = load(f"npz:{tmp_path / 'data.npz'}", colour=False)
    assert grey.in_shape == (1, 1, 4, 5)
    whole = np.concatenate([part.x for part in (grey.train, grey.validation, grey.test)])
    for image in x[:5]:
        assert (whole[:, 0] == np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L"))).all((1, 2)).any()
    digits = load("digits", colour=True)
    assert digits.in_shape == (1, 3, 8, 8)
    assert (digits.train.x == load("digits").train.x).all()


def deep(folder: Path, values: Callable[[NDArray[np.float64]], NDArray[np.generic]], suffix: str = ".png") -> Dataset:
    """Grey images whose values are made of shares from 0 to 1."""
    random = np.random.RandomState(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            shares = random.random((6, 5))
            shares[0, :2] = 0, 1
            Image.fromarray(values(shares)).save(folder / name / f"{number:02}{suffix}")
    return load(f"folder:{folder}")


@pytest.mark.parametrize(
    ("values", "suffix", "span"),
    [
        (lambda x: (x * 65_535).astype(np.uint16), ".png", (0, 65_535)),
        (lambda x: (x * 65_535).astype(np.uint16), ".tif", (0, 65_535)),
        (lambda x: (x * 65_535).astype(np.uint16), ".pgm", (0, 65_535)),
        (lambda x: (x * 4_095).astype(np.uint16), ".png", (0, 4_095)),
        (lambda x: (x * 1_000).astype(np.uint16), ".tif", (0, 1_023)),
        (lambda x: (x * 255).astype(np.uint16), ".png", (0, 255)),
        (lambda x: (x * 70_000).astype(np.int32), ".tif", (0, 131_071)),
        (lambda x: (x * 4_000 - 1_000).astype(np.int32), ".tif", (-1_000, 3_000)),
        (lambda x: x.astype(np.float32), ".tif", (0, 1)),
        (lambda x: (x * 255).astype(np.float32), ".tif", (0, 255)),
        (lambda x: (x * 2 - 1).astype(np.float32), ".tif", (-1, 1)),
        (lambda x: (x * 40).astype(np.float32), ".tif", (0, 40)),
        (lambda x: (x * 5 - 2).astype(np.float32), ".tif", (-2, 3)),
        (lambda x: (x * 3_000).astype(np.uint16), ".png", (0, 4_095)),
    ],
)
def test_values_of_more_than_8_bits_have_one_scale(
    tmp_path: Path, values: Callable[[NDArray[np.float64]], NDArray[np.generic]], suffix: str, span: tuple[int, int]
) -> None:
    data = deep(tmp_path, values, suffix)
    assert data.source.span == Span(*span, values(np.zeros(1)).dtype.kind == "f")
    meaning = meaning_of(data.record, None)
    assert meaning
    assert meaning.span == data.source.span
    (note,) = data.source.notes
    assert note == f"60 images of more than 8 bits, scaled from {span[0]:,g} to {span[1]:,g} to 0 to 255"
    found = np.concatenate([part.x for part in (data.train, data.validation, data.test)])[:, 0]
    stored = np.asarray(Image.open(tmp_path / "a" / f"07{suffix}")).astype(float)
    expected = np.rint((stored - span[0]) / (span[1] - span[0]) * 255)
    assert (found == expected).all((1, 2)).any()
    assert found.max() > 120
    assert read_picture(tmp_path / "a" / f"07{suffix}", span=data.source.span).pixels[0].tolist() == expected.tolist()


def test_images_of_8_and_of_more_bits(tmp_path: Path) -> None:
    classes_in(tmp_path, 30, 6, 5, names=("a", "b"))
    Image.fromarray(pixels(1, 6, 5)[0].astype(np.uint16) * 257).save(tmp_path / "b" / "deep.png")
    data = load(f"folder:{tmp_path}")
    assert data.in_shape == (1, 1, 6, 5)
    assert data.source.notes == ("1 image of more than 8 bits, scaled from 0 to 65,535 to 0 to 255",)


def test_floats_and_integers_have_no_one_scale(tmp_path: Path) -> None:
    deep(tmp_path, lambda x: (x * 65_535).astype(np.uint16))
    Image.fromarray(np.zeros((6, 5), np.float32)).save(tmp_path / "a" / "f.tif")
    with pytest.raises(DataError, match=r"f.tif holds floats, .*00.png integers") as caught:
        load(f"folder:{tmp_path}")
    follow(caught.value.hint)
    assert left_out(load(f"folder:{tmp_path}")) == {"hidden, or a system's own": 1}


def test_the_fewer_of_floats_and_integers_are_taken_out(tmp_path: Path) -> None:
    deep(tmp_path, lambda x: x.astype(np.float32), ".tif")
    Image.fromarray(np.zeros((6, 5), np.uint16)).save(tmp_path / "a" / "i.png")
    with pytest.raises(DataError, match=r"i.png integers") as caught:
        load(f"folder:{tmp_path}")
    follow(caught.value.hint)
    assert left_out(load(f"folder:{tmp_path}")) == {"hidden, or a system's own": 1}


def png_of_16_bits(values: NDArray[np.uint16]) -> bytes:
    """values: [h, w, 2 to 4] of grey with alpha, RGB, or RGB with alpha."""
    height, width, channels = values.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    made = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + made


CUT = "of more than 8 bits a channel, of which the upper 8 are read"


def test_colours_of_16_bits_lose_the_lower_ones_which_is_told(tmp_path: Path) -> None:
    classes_in(tmp_path)
    for number in range(7):
        values = pixels(1, 5, 6, 3)[0].astype(np.uint16) << 4
        (tmp_path / "cat" / f"deep {number}.png").write_bytes(png_of_16_bits(values))
    data = load(f"folder:{tmp_path}")
    assert data.source.notes == (f"7 images {CUT}",)
    assert read_picture(tmp_path / "cat" / "deep 6.png").pixels.tolist() == (values >> 8).transpose(2, 0, 1).tolist()


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_of_16_bits_are_told_in_pngs(tmp_path: Path, channels: int) -> None:
    (tmp_path / "x").write_bytes(png_of_16_bits(np.full((5, 6, channels), 65_535, np.uint16)))
    assert read_picture(tmp_path / "x").done == (CUT,)


@pytest.mark.parametrize(("head", "told"), [("P6 6 5 255\n", ()), ("P6 6 5 254\n", ()), ("P6 6 5 4095\n", (CUT,))])
def test_channels_of_16_bits_are_told_in_ppms(tmp_path: Path, head: str, told: tuple[str, ...]) -> None:
    (tmp_path / "x").write_bytes(head.encode() + bytes(6 * 5 * 3 * 2))
    assert read_picture(tmp_path / "x").done == told


def tiff_of(values: NDArray[Any], photometric: int = 2, *, planes: bool = False) -> bytes:
    """values: [h, w, 3 or 4], uint8 or uint16, not compressed. planes: each channel by itself."""
    height, width, channels = values.shape
    size, bits = values.nbytes, 8 * values.itemsize
    stored = values.transpose(2, 0, 1) if planes else values
    at = 8 + size
    depths = struct.pack(f"<{channels}H", *[bits] * channels)
    places = struct.pack(f"<{channels}I", *(8 + size // channels * number for number in range(channels)))
    sizes = struct.pack(f"<{channels}I", *[size // channels] * channels)
    tags: dict[int, tuple[int, int, int]] = {
        tag: (4, 1, value)
        for tag, value in {256: width, 257: height, 259: 1, 262: photometric, 277: channels, 278: height}.items()
    }
    tags[258] = (3, channels, at)
    tags[284] = (3, 1, 2 if planes else 1)
    tags[273] = (4, channels, at + len(depths)) if planes else (4, 1, 8)
    tags[279] = (4, channels, at + len(depths) + len(places)) if planes else (4, 1, size)
    folder = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    more = depths + places + sizes
    return b"II*\0" + struct.pack("<I", at + len(more)) + stored.tobytes() + more + folder + bytes(4)


@pytest.mark.parametrize(("photometric", "channels"), [(2, 3), (2, 4), (5, 4)])
def test_channels_of_16_bits_are_told_in_tiffs(tmp_path: Path, photometric: int, channels: int) -> None:
    (tmp_path / "x").write_bytes(tiff_of(np.full((5, 6, channels), 0xFF00, np.uint16), photometric))
    assert read_picture(tmp_path / "x").done == (CUT,)


def test_a_tiff_whose_channels_of_16_bits_lie_apart_is_refused_as_pillow_reads_other_pixels(tmp_path: Path) -> None:
    values = pixels(1, 5, 6, 3)[0]
    (tmp_path / "x").write_bytes(tiff_of(values, planes=True))
    assert (read_picture(tmp_path / "x").pixels == values.transpose(2, 0, 1)).all()
    deep = values.astype(np.uint16) * 257
    (tmp_path / "x").write_bytes(tiff_of(deep))
    assert (read_picture(tmp_path / "x").pixels == values.transpose(2, 0, 1)).all()
    (tmp_path / "x").write_bytes(tiff_of(deep, planes=True))
    with pytest.raises(DataError, match="save it with channels interleaved"):
        read_picture(tmp_path / "x")
    assert (np.asarray(Image.open(tmp_path / "x")) != values).any(), "Pillow reads it right: no need to refuse it"


def test_a_bitmap_of_16_bits_for_all_channels_has_no_more_than_8_for_each(tmp_path: Path) -> None:
    head = struct.pack("<IiiHHIIiiII", 40, 6, 5, 1, 16, 3, 60, 0, 0, 0, 0) + struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    (tmp_path / "x").write_bytes(b"BM" + struct.pack("<IHHI", 126, 0, 0, 66) + head + bytes(60))
    assert read_picture(tmp_path / "x").done == ()


def test_a_file_is_put_aside_where_its_name_is_taken_already(tmp_path: Path) -> None:
    classes_in(tmp_path, 40, 6, 5, names=("a", "b"))
    for content in (b"one", b"another"):
        (tmp_path / "a" / "broken.png").write_bytes(content)
        with pytest.raises(DataError, match="can't be read as an image") as caught:
            load(f"folder:{tmp_path}")
        follow(caught.value.hint)
    assert left_out(load(f"folder:{tmp_path}")) == {"hidden, or a system's own": 2}
    assert {path.read_bytes() for path in tmp_path.glob("a/.broken*")} == {b"one", b"another"}


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    deep(tmp_path, lambda x: x.astype(np.float32), ".tif")
    Image.fromarray(np.full((6, 5), np.nan, np.float32)).save(tmp_path / "a" / "00.tif")
    with pytest.raises(DataError, match=r"00.tif can't be read as an image: it holds values that are no numbers"):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_of_frames_and_pages_the_first_is_read_and_told(tmp_path: Path, suffix: str) -> None:
    classes_in(tmp_path)
    frames = [Image.new("RGB", (6, 5), colour) for colour in (RED, (0, 0, 255), (0, 255, 0))]
    more: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(tmp_path / "cat" / f"moving{suffix}", save_all=True, append_images=frames[1:], **more)
    assert np.abs(read_picture(tmp_path / "cat" / f"moving{suffix}").pixels[:, 2, 2].astype(int) - RED).max() <= 2
    assert "1 image of several frames or pages, of which the first is read" in load(f"folder:{tmp_path}").source.notes
