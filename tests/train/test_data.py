from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deltanas.errors import DataError, UsageError
from deltanas.train.data import Images, available, load, official
from deltanas.train.data.idx import IDX_FILES as FASHION_FILES
from deltanas.train.data.splits import stratified_order

FASHION = Path("/usr/share/datasets/fashion-mnist")


def idx(values: NDArray[np.uint8]) -> bytes:
    """A gzipped file in the official IDX format."""
    head = struct.pack(f">I{values.ndim}I", 2048 + values.ndim, *values.shape)
    return gzip.compress(head + values.tobytes())


def labels(n: int) -> NDArray[np.uint8]:
    return (np.arange(n) % 10).astype(np.uint8)


def numbered(n: int) -> NDArray[np.uint8]:
    """Images that all differ: each holds its own number."""
    images = np.zeros((n, 2, 3), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
    return images


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small data set in the four official files: 600 images to train on, 100 to test on."""
    monkeypatch.setenv("DELTANAS_DATA", str(tmp_path))
    monkeypatch.setitem(official.DEBIAN, "fashion-mnist", tmp_path / "absent")
    folder = tmp_path / "fashion-mnist" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    test = numbered(100)
    test[:, 1, 2] = 1
    for name, values in zip(FASHION_FILES, (numbered(600), labels(600), test, labels(100)), strict=True):
        (folder / name).write_bytes(idx(values))
    return folder


def rows(images: Images) -> set[bytes]:
    return {image.tobytes() for image in images.x}


def test_digits_are_split_in_three() -> None:
    data = load("digits")
    assert (len(data.train), len(data.validation), len(data.test)) == (1078, 360, 359)
    assert data.in_shape == (1, 1, 8, 8)
    assert data.out_shape == (10,)
    assert data.train.x.dtype == np.uint8
    assert data.train.y.dtype == np.int64
    assert data.train.x.max() == 255
    for split in (data.train, data.validation, data.test):
        shares = np.bincount(split.y, minlength=10) / len(split)
        assert shares.min() > 0.08
        assert shares.max() < 0.12


def test_no_two_splits_share_an_image(folder: Path) -> None:
    data = load("fashion-mnist")
    train, validation, test = rows(data.train), rows(data.validation), rows(data.test)
    assert (len(train), len(validation), len(test)) == (500, 100, 100)
    assert not train & validation
    assert not (train | validation) & test


def test_labels_follow_their_images(folder: Path) -> None:
    data = load("fashion-mnist")
    for split in (data.train, data.validation):
        number = split.x[:, 0, 0, :2].astype(int) @ [1, 256]
        assert (split.y == number % 10).all()


@pytest.mark.skipif(not FASHION.is_dir(), reason=f"{FASHION} is missing (Debian's package dataset-fashion-mnist)")
def test_the_official_files_are_found() -> None:
    assert {entry.name: entry for entry in available()}["fashion-mnist"].found
    data = load("fashion-mnist", train_size=1000)
    assert (len(data.train), len(data.validation), len(data.test)) == (1000, 10_000, 10_000)
    assert data.in_shape == (1, 1, 28, 28)
    assert (np.bincount(data.train.y) == 100).all()


def test_a_smaller_subset_lies_within_a_larger_one() -> None:
    small, large = load("digits", train_size=50), load("digits", train_size=500)
    assert (small.train.x == large.train.x[:50]).all()
    assert (small.validation.x == large.validation.x).all()
    assert set(small.train.y) == set(range(10))


@pytest.mark.parametrize("size", [-1, 0, 1, 9, 1079])
def test_an_impossible_size_names_the_possible(size: int) -> None:
    with pytest.raises(UsageError, match=r"10 .* to 1078"):
        load("digits", train_size=size)


def test_equal_data_has_an_equal_fingerprint_and_no_other() -> None:
    data = load("digits")
    assert load("digits").fingerprint == data.fingerprint
    x = data.test.x.copy()
    x[-1, 0, 0, 0] ^= 1
    for other in (
        replace(data, test=Images(x, data.test.y)),
        replace(data, test=Images(data.test.x, data.test.y[::-1])),
        replace(data, train=data.train.take(np.arange(len(data.train))[::-1])),
        load("digits", train_size=1000),
        load("digits", resize=4),
    ):
        assert other.fingerprint != data.fingerprint
    assert (data.record["train"], data.record["sha256"]) == (1078, data.fingerprint)


def test_images_are_squeezed_when_asked() -> None:
    data, plain = load("digits", resize=16), load("digits")
    assert data.in_shape == (1, 1, 16, 16)
    assert (data.train.y == plain.train.y).all()
    assert abs(data.train.x.mean() - plain.train.x.mean()) < 2


def test_torch_is_not_loaded_for_data(folder: Path) -> None:
    """It costs the tool's own process seconds, and candidates do not need it there."""
    code = "import sys; from deltanas.train.data import load; load('digits', resize=4); load('fashion-mnist')"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="digits, fashion-mnist"):
        load("imagenet")


def test_every_slice_of_the_order_is_stratified() -> None:
    y = np.repeat(np.arange(4), [400, 200, 100, 100])
    order = stratified_order(y)
    assert sorted(order) == list(range(800))
    for start in range(0, 800, 80):
        counts = np.bincount(y[order[start : start + 80]], minlength=4)
        assert (abs(counts - [40, 20, 10, 10]) <= 2).all()


def test_missing_files_are_named(folder: Path) -> None:
    (folder / FASHION_FILES[1]).unlink()
    with pytest.raises(DataError, match=f"{FASHION_FILES[1]} not found") as caught:
        load("fashion-mnist")
    assert "apt-get install dataset-fashion-mnist" in caught.value.hint
    assert not {entry.name: entry for entry in available()}["fashion-mnist"].found


@pytest.mark.parametrize("file", FASHION_FILES)
def test_a_file_cut_short_is_named(folder: Path, file: str) -> None:
    path = folder / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=file):
        load("fashion-mnist")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        pytest.param(FASHION_FILES[0], b"", "not an IDX file", id="empty"),
        pytest.param(FASHION_FILES[0], b"<html>", "not gzip", id="a page"),
        pytest.param(FASHION_FILES[0], idx(labels(600)), "not an IDX file", id="labels for images"),
        pytest.param(
            FASHION_FILES[1],
            gzip.compress(gzip.decompress(idx(labels(600)))[:-1]),
            "599 values",
            id="a value short",
        ),
        pytest.param(FASHION_FILES[1], idx(labels(599)), "599 labels", id="a label short"),
        pytest.param(FASHION_FILES[1], idx(labels(600) + np.uint8(1)), "ten classes", id="eleven classes"),
        pytest.param(FASHION_FILES[1], idx(np.zeros(600, np.uint8)), "ten classes", id="one class"),
        pytest.param(FASHION_FILES[2], idx(np.zeros((100, 4, 4), np.uint8)), "pixels", id="small images"),
    ],
)
def test_a_malformed_file_is_named(folder: Path, file: str, content: bytes, message: str) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load("fashion-mnist")
    assert file in str(caught.value)
