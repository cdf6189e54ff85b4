"""A user's own arrays: npz files, good ones and each kind of bad one."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltanas.errors import DataError
from deltanas.seams import silent
from deltanas.train.data import load
from deltanas.wiring import open_search
from own_data import classes_in, disjoint, pixels, refused

X, Y = pixels(60, 4, 4), np.arange(60) % 3


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


def test_too_little_to_train_on(tmp_path: Path) -> None:
    refused(classes_in(tmp_path / "few", 20), "24 images to train on are fewer than one batch of 32", "add images")
    np.savez(tmp_path / "repeated.npz", x_train=X, y_train=Y, x_test=X[Y == 2], y_test=Y[Y == 2])
    fault = "class 2 (counted from 0) has no image to train on"
    refused(tmp_path / "repeated.npz", fault, "20 were left out as repeats", kind="npz")


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.trace), "w")


def test_nothing_in_an_npz_is_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    np.savez(tmp_path / "object.npz", x=X, y=np.array([Hostile(trace)] * 60, object))
    refused(tmp_path / "object.npz", "y is an array of objects", "if you trust the file", kind="npz")
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


def test_a_run_is_not_resumed_on_other_data(tmp_path: Path) -> None:
    file, run = tmp_path / "data.npz", tmp_path / "run"
    given = {
        "dataset": f"npz:{file}",
        "strategy": "random",
        "baselines": ["mlp"],
        "train": {"workers": 1},
        "rungs": "off",
    }
    np.savez(file, x=X, y=Y)
    with open_search(given, run, silent) as opened:
        assert opened.run.manifest["data"] == load(f"npz:{file}").record
    changed = X.copy()
    changed[0, 0, 0] ^= 1
    np.savez(file, x=changed, y=Y)
    with pytest.raises(DataError, match="begun with: `sha256` was") as caught, open_search(given, run, silent):
        pass
    assert "another run" in caught.value.hint


def test_a_file_that_unpacks_to_more_than_memory_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.npz"
    np.savez_compressed(file, x=np.zeros((600, 40, 40), np.uint8), y=np.arange(600) % 2)
    assert file.stat().st_size < 20_000
    monkeypatch.setattr("deltanas.train.data.own.memory", lambda: 900_000)
    refused(file, "it unpacks to 0.0 GB, and this machine has", kind="npz")


def test_a_file_whose_header_asks_for_more_than_memory_holds_is_refused(tmp_path: Path) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**3, 10**3)})
    np.savez(tmp_path / "data.npz", y=Y)
    with zipfile.ZipFile(tmp_path / "data.npz", "a") as file:
        file.writestr("x.npy", head.getvalue())
    refused(tmp_path / "data.npz", "Unable to allocate", kind="npz")
