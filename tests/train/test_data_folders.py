"""A user's own pictures: class folders, good ones and each kind of bad one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deltanas.cli import app
from deltanas.errors import DataError
from deltanas.train.data import load, pictures
from own_data import classes_in, disjoint, pixels, refused


def test_a_folder_of_classes_is_split_60_20_20(tmp_path: Path) -> None:
    data = load(f"folder:{classes_in(tmp_path)}")
    assert (len(data.train), len(data.validation), len(data.test)) == (48, 16, 16)
    assert (data.in_shape, data.classes, data.dropped) == ((1, 3, 5, 6), 2, 0)
    assert disjoint(data)
    for part in (data.train, data.validation, data.test):
        for image, label in zip(part.x, part.y, strict=True):
            files = (tmp_path / ("cat", "dog")[label]).iterdir()
            assert any((np.asarray(Image.open(file)).transpose(2, 0, 1) == image).all() for file in files)
        assert abs(part.y.mean() - 0.5) < 0.1
    assert load(f"folder:{tmp_path}").fingerprint == data.fingerprint


def test_grey_images_and_nested_folders(tmp_path: Path) -> None:
    classes_in(tmp_path, 30, 4, 4)
    (tmp_path / "cat" / "more").mkdir()
    (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "more" / "000.png")
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    data = load(f"folder:{tmp_path}")
    assert data.in_shape == (1, 1, 4, 4)
    assert sum(map(len, (data.train, data.validation, data.test))) == 60


def test_given_splits_are_kept(tmp_path: Path) -> None:
    for split, n in (("train", 30), ("val", 5), ("test", 7)):
        classes_in(tmp_path / split, n)
    data = load(f"folder:{tmp_path}")
    assert (len(data.train), len(data.validation), len(data.test)) == (60, 10, 14)
    for path in (tmp_path / "val").rglob("*.png"):
        path.unlink()
    for path in sorted((tmp_path / "val").rglob("*"), reverse=True):
        path.rmdir()
    (tmp_path / "val").rmdir()
    data = load(f"folder:{tmp_path}")
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 10, 14)
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "fox")
    refused(tmp_path, "test/fox", "train does not have")


def test_sizes_that_differ_need_resize(tmp_path: Path) -> None:
    classes_in(tmp_path)
    Image.fromarray(pixels(1, 7, 8, 3)[0]).save(tmp_path / "dog" / "005.png")
    refused(tmp_path, "cat/000.png has 6 x 5 pixels", "dog/005.png has 8 x 7 pixels", "--resize N")
    data = load(f"folder:{tmp_path}", resize=9)
    assert data.in_shape == (1, 3, 9, 9)
    assert len(data.train) == 48


def test_more_than_memory_can_hold_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "memory", lambda: 20_000)
    refused(classes_in(tmp_path), "80 images of 6 x 5 pixels take 0.0 GB", "--resize N")
    assert load(f"folder:{tmp_path}", resize=4).in_shape == (1, 3, 4, 4)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "cut", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_a_broken_image_is_named(tmp_path: Path, content: bytes | str) -> None:
    file = classes_in(tmp_path) / "dog" / "007.png"
    file.write_bytes(content if isinstance(content, bytes) else file.read_bytes()[:90])
    refused(tmp_path, "dog/007.png can't be read as an image", "replace the file")


def test_folders_that_hold_no_data(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "absent can't be read", "a folder for each class")
    refused(tmp_path, str(tmp_path), "no class folder")
    (tmp_path / "cat").mkdir()
    refused(tmp_path, "cat: no image", "put images into it")
    (tmp_path / "dog").mkdir()
    refused(tmp_path, "cat: no image", "put images into it")


def test_bad_data_is_a_message_and_no_run(tmp_path: Path) -> None:
    classes_in(tmp_path / "pets")
    (tmp_path / "pets" / "dog" / "007.png").write_bytes(b"text")
    run = tmp_path / "run"
    done = CliRunner().invoke(app, ["search", "--dataset", f"folder:{tmp_path / 'pets'}", "--run", str(run)])
    assert isinstance(done.exception, DataError)
    assert "007.png can't be read as an image" in str(done.exception)
    assert not run.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pets"]
