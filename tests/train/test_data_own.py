"""A user's own data: class folders and npz files, good ones and each kind of bad one."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from deltanas.cli import app
from deltanas.errors import DataError
from deltanas.seams import silent
from deltanas.train.data import Dataset, load, pictures
from deltanas.wiring import open_search

CHANCE = np.random.RandomState(7)


def pixels(n: int, *shape: int) -> NDArray[np.uint8]:
    """Images that all differ."""
    return CHANCE.randint(0, 256, (n, *shape)).astype(np.uint8)


def classes_in(folder: Path, n: int = 40, *shape: int, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """A folder for each class with n images, RGB of 6 x 5 pixels unless a shape is given."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(pixels(n, *(shape or (5, 6, 3)))):
            Image.fromarray(image).save(folder / name / f"{number:03}.png")
    return folder


def refused(name: object, *words: str, kind: str = "folder", resize: int | None = None) -> None:
    with pytest.raises(DataError) as caught:
        load(f"{kind}:{name}", resize=resize)
    for word in words:
        assert word in str(caught.value), caught.value
    assert caught.value.hint


def images_of(data: Dataset) -> list[set[bytes]]:
    return [{image.tobytes() for image in part.x} for part in (data.train, data.validation, data.test)]


def disjoint(data: Dataset) -> bool:
    train, validation, test = images_of(data)
    return not (train & validation or train & test or validation & test)


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
    (tmp_path / "test").rename(tmp_path / "val")
    refused(tmp_path, str(tmp_path), "train, val", "splits are train and test")
    (tmp_path / "val").rename(tmp_path / "test")
    (tmp_path / "test" / "dog").rename(tmp_path / "test" / "fox")
    refused(tmp_path, "test/fox", "train does not have")


def test_a_repeated_image_is_in_one_split_only(tmp_path: Path) -> None:
    x = pixels(100, 4, 4)
    np.savez(tmp_path / "twice.npz", x=np.concatenate([x, x]), y=np.tile(np.arange(100) % 2, 2))
    data = load(f"npz:{tmp_path / 'twice.npz'}")
    assert (len(data.train), len(data.validation), len(data.test), data.dropped) == (60, 20, 20, 100)
    assert disjoint(data)
    y = np.arange(100) % 2
    np.savez(tmp_path / "given.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10], x_val=x[5:20], y_val=y[5:20])
    data = load(f"npz:{tmp_path / 'given.npz'}")
    assert (len(data.train), len(data.validation), len(data.test), data.dropped) == (80, 10, 10, 25)
    assert disjoint(data)


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
    monkeypatch.setattr(pictures, "_memory", lambda: 20_000)
    refused(classes_in(tmp_path), "80 images of 6 x 5 pixels take 0.0 GB", "--resize N")
    assert load(f"folder:{tmp_path}", resize=4).in_shape == (1, 3, 4, 4)


def test_grey_and_rgb_mixed(tmp_path: Path) -> None:
    classes_in(tmp_path)
    Image.fromarray(pixels(1, 5, 6)[0]).save(tmp_path / "dog" / "005.png")
    for resize in (None, 4):
        refused(tmp_path, "cat/000.png is RGB", "dog/005.png is grey", "convert('RGB')", resize=resize)
    Image.fromarray(pixels(1, 5, 6, 4)[0]).save(tmp_path / "dog" / "005.png")
    refused(tmp_path, "dog/005.png", "mode RGBA", "convert('RGB')")


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
    refused(tmp_path, "cat is the only class")
    (tmp_path / "dog").mkdir()
    refused(tmp_path, "cat: no image (.bmp", "a folder for each class")


def test_too_little_to_train_on(tmp_path: Path) -> None:
    refused(classes_in(tmp_path / "few", 20), "24 images to train on are fewer than one batch of 32", "add images")
    np.savez(tmp_path / "repeated.npz", x_train=X, y_train=Y, x_test=X[Y == 2], y_test=Y[Y == 2])
    fault = "class 2 (counted from 0) has no image to train on"
    refused(tmp_path / "repeated.npz", fault, "20 were left out as repeats", kind="npz")


X, Y = pixels(60, 4, 4), np.arange(60) % 3


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, ("no array x and no array y", "numpy.savez")),
        ({"x": X}, ("no array y",)),
        ({"x_train": X, "y_train": Y}, ("no array x_test and no array y_test",)),
        ({"x": X / 255, "y": Y}, ("x is float64, not uint8", "(x * 255)")),
        ({"x": X[:, :, :, None].repeat(3, 3), "y": Y}, ("channels last", "transpose(0, 3, 1, 2)")),
        ({"x": X[0], "y": Y}, ("shape (4, 4), not [n, h, w]",)),
        ({"x": X[:0], "y": Y[:0]}, ("shape (0, 4, 4)",)),
        ({"x": X, "y": Y / 2}, ("y is float64; labels are integers", "astype('int64')")),
        ({"x": X, "y": Y.astype(str)}, ("labels are integers",)),
        ({"x": X, "y": Y[:, None]}, ("y has the shape (60, 1)", "y.ravel()")),
        ({"x": X, "y": Y[:50]}, ("y has the shape (50,) for 60 images",)),
        ({"x": X, "y": Y - 1}, ("label -1 in y is out of range", "from 0")),
        ({"x": X, "y": Y + 1}, ("labels go up to 3, but no image has the label 0", "without gaps")),
        ({"x": X, "y": Y * 2}, ("labels go up to 4, but no image has the label 1", "without gaps")),
        ({"x": X, "y": Y * 0}, ("every label is 0", "nothing to tell apart")),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 1}, ("label 3 in y_test is out of range",)),
        ({"x_train": X, "y_train": Y, "x_test": X[:, 1:], "y_test": Y}, ("x_test are (1, 3, 4)",)),
        (
            {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y},
            ("the validation split has no image", "60 were left out"),
        ),
    ],
)
def test_an_npz_with_a_fault_is_named(tmp_path: Path, arrays: dict[str, Any], words: tuple[str, ...]) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    refused(tmp_path / "data.npz", "data.npz", *words, kind="npz")


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.trace), "w")


def test_nothing_in_an_npz_is_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    np.savez(tmp_path / "object.npz", x=X, y=np.array([Hostile(trace)] * 60, object))
    refused(tmp_path / "object.npz", "object.npz can't be read", "allow_pickle", kind="npz")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Hostile(trace)))
    refused(tmp_path / "pickle.npz", "pickle.npz can't be read", kind="npz")
    assert not trace.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        pickle.loads((tmp_path / "pickle.npz").read_bytes())
    assert trace.exists(), "the pickle does nothing"


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    refused(tmp_path / "absent.npz", "absent.npz", kind="npz")
    np.savez(tmp_path / "cut.npz", x=X, y=Y)
    whole = (tmp_path / "cut.npz").read_bytes()
    np.save(tmp_path / "array.npy", X)
    for content in (whole[:300], whole[:-30], b"", b"text", (tmp_path / "array.npy").read_bytes()):
        (tmp_path / "cut.npz").write_bytes(content)
        refused(tmp_path / "cut.npz", "cut.npz", kind="npz")


def test_bad_data_is_a_message_and_no_run(tmp_path: Path) -> None:
    classes_in(tmp_path / "pets")
    (tmp_path / "pets" / "dog" / "007.png").write_bytes(b"text")
    run = tmp_path / "run"
    done = CliRunner().invoke(app, ["search", "--dataset", f"folder:{tmp_path / 'pets'}", "--run", str(run)])
    assert isinstance(done.exception, DataError)
    assert "007.png can't be read as an image" in str(done.exception)
    assert not run.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pets"]


def test_a_run_is_not_resumed_on_other_data(tmp_path: Path) -> None:
    file, run = tmp_path / "data.npz", tmp_path / "run"
    given = {"dataset": f"npz:{file}", "strategy": "random", "baselines": ["mlp"], "train": {"workers": 1}}
    np.savez(file, x=X, y=Y)
    with open_search(given, run, silent) as opened:
        assert opened.run.manifest["data"] == load(f"npz:{file}").record
    changed = X.copy()
    changed[0, 0, 0] ^= 1
    np.savez(file, x=changed, y=Y)
    with pytest.raises(DataError, match="begun with: `sha256` was") as caught, open_search(given, run, silent):
        pass
    assert "another run" in caught.value.hint
