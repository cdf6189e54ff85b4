"""Files in a folder of pictures: what is taken, what is left out and told, and what is refused."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, PngImagePlugin, features

from deltanas.errors import DataError
from deltanas.train.data import load
from deltanas.train.data.picture import formats
from own_data import classes_in, files_of, follow, left_out, number_of, pixels


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("notes.txt", "no image"),
        ("Thumbs.db", "no image"),
        ("labels.csv", "no image"),
        ("0", "no image"),
        ("README", "no image"),
        (".DS_Store", "hidden, or a system's own"),
        ("._000.png", "hidden, or a system's own"),
        (".ipynb_checkpoints/000-checkpoint.png", "hidden, or a system's own"),
        ("@eaDir/000.png", "hidden, or a system's own"),
        ("__MACOSX/000.png", "hidden, or a system's own"),
        ("000.png~", "a copy for safety, or half of a download"),
        ("000.jpg.part", "a copy for safety, or half of a download"),
        ("x.heic", ".heic, which needs `pip install pillow-heif`"),
        ("x.HEIF", ".heif, which needs `pip install pillow-heif`"),
        ("x.psd", ".psd, a format that is not read"),
        ("x.dng", ".dng, a format that is not read"),
        ("x.svg", ".svg, a format that is not read"),
    ],
)
def test_what_is_left_out_is_counted_and_named(tmp_path: Path, name: str, reason: str) -> None:
    file = classes_in(tmp_path) / "cat" / name
    file.parent.mkdir(exist_ok=True)
    image = name.endswith((".png", "~", ".part"))
    file.write_bytes((tmp_path / "dog" / "000.png").read_bytes() if image else b"BMW drives; P5 is a format")
    data = load(f"folder:{tmp_path}")
    (left,) = data.source.left_out
    assert number_of(data) == 80
    assert (left.reason, left.number) == (reason, 1)
    assert str(file).startswith(left.example)


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package opens files under its name, as the package does."""
    classes_in(tmp_path)
    for number, image in enumerate(pixels(9, 5, 6, 3)):
        Image.fromarray(image).save(tmp_path / "cat" / f"{number}.heic", format="PNG")

    def register() -> None:
        Image.register_open("HEIF", PngImagePlugin.PngImageFile, lambda start: start.startswith(b"\x89PNG"))

    Image.init()
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    package = ModuleType("pillow_heif")
    package.register_heif_opener = register  # type: ignore[attr-defined]
    formats.cache_clear()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pillow_heif", package)
        data = load(f"folder:{tmp_path}")
    formats.cache_clear()
    assert (number_of(data), left_out(data)) == (89, {})


def test_avif_is_named_where_this_pillow_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (classes_in(tmp_path) / "cat" / "x.avif").write_bytes(b"content")
    monkeypatch.setattr(features, "check", lambda name: False)
    formats.cache_clear()
    data = load(f"folder:{tmp_path}")
    formats.cache_clear()
    assert left_out(data) == {".avif, which needs a newer Pillow: `pip install -U pillow`": 1}


def linked_image(folder: Path, place: Path) -> None:
    (folder / "cat" / "one.png").symlink_to(place / "000.png")


def linked_folder(folder: Path, place: Path) -> None:
    (folder / "cat" / "more").symlink_to(place)


def circle(folder: Path, place: Path) -> None:
    (folder / "cat" / "more").symlink_to(place)
    (place / "again").symlink_to(folder / "cat")


def to_the_root(folder: Path, place: Path) -> None:
    (folder / "cat" / "up").symlink_to(folder)
    (folder / "cat" / "up2").symlink_to(folder.parent)


def to_itself(folder: Path, place: Path) -> None:
    (folder / "cat" / "self").symlink_to(folder / "cat" / "self")


def pipe(folder: Path, place: Path) -> None:
    os.mkfifo(folder / "cat" / "pipe.png")
    os.mkfifo(folder / "cat" / "pipe")


def linked_class(folder: Path, place: Path) -> None:
    (folder / "fox").symlink_to(place)


@pytest.mark.parametrize(
    ("change", "images", "left"),
    [
        (linked_image, 81, {}),
        (linked_folder, 85, {}),
        (circle, 85, {"a link to a folder above it": 1}),
        (to_the_root, 80, {"a link to a folder above it": 2}),
        (to_itself, 80, {"no image": 1}),
        (pipe, 80, {"no file, but a pipe or a device": 1, "no image": 1}),
        (linked_class, 85, {}),
    ],
)
def test_links_are_followed_once(
    tmp_path: Path, change: Callable[[Path, Path], None], images: int, left: dict[str, int]
) -> None:
    folder = classes_in(tmp_path / "data")
    place = classes_in(tmp_path / "elsewhere", 5, names=("a",)) / "a"
    change(folder, place)
    data = load(f"folder:{folder}")
    assert (number_of(data), left_out(data)) == (images, left)


BROKEN = {
    "empty.png": b"",
    "text.jpg": b"text",
    "cut.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    "x.gif": b"GIF89a",
    "p.ppm": b"P6 9",
}


@pytest.mark.parametrize("place", ["cat", "dog"], ids=["first", "later"])
def test_all_broken_files_are_named_and_the_hint_takes_them_out(tmp_path: Path, place: str) -> None:
    classes_in(tmp_path)
    for name, content in BROKEN.items():
        (tmp_path / place / (f"000-{name}" if place == "cat" else name)).write_bytes(content)
    if place == "cat":
        (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "z.png")
    before = files_of(tmp_path)
    with pytest.raises(DataError, match=r"cut.png can't be read as an image: .*; nor can 4 more: ") as caught:
        load(f"folder:{tmp_path}")
    follow(caught.value.hint)
    assert sorted(files_of(tmp_path).values()) == sorted(before.values())
    data = load(f"folder:{tmp_path}")
    assert (number_of(data), left_out(data)) == (80, {"hidden, or a system's own": 5})


def test_a_link_to_nothing_and_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes_in(tmp_path)
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"gone.png can't be read as an image: .*No such file") as caught:
        load(f"folder:{tmp_path}")
    follow(caught.value.hint)
    assert number_of(load(f"folder:{tmp_path}")) == 80
    opened = Image.open

    def locked(path: Path, **more: object) -> Image.Image:
        if path.parts[-2:] == ("cat", "003.png"):
            raise PermissionError(13, "Permission denied")
        return opened(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Image, "open", locked)
    with pytest.raises(DataError, match=r"(?s)003.png can't be read .*Permission denied.*chmod u\+r"):
        load(f"folder:{tmp_path}")


def test_no_file_is_changed(tmp_path: Path) -> None:
    classes_in(tmp_path)
    Image.fromarray(pixels(1, 5, 6, 4)[0]).save(tmp_path / "cat" / "hole.png")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*.png")}
    load(f"folder:{tmp_path}", resize=4, colour=False)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*.png")} == before
    assert re.fullmatch("[0-9a-f]{64}", load(f"folder:{tmp_path}").fingerprint)
