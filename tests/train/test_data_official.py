"""Published sets: small files in their official formats, served over HTTP, fetched and read by the real code."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deltanas.cli import app
from deltanas.errors import DataError, UsageError
from deltanas.train.data import available, load, official, pictures, prepare
from deltanas.train.data.idx import IDX_FILES
from hinted import code_in, run
from published_sets import SETS, Files, Patch, celeba, cifar10

pytestmark = pytest.mark.filterwarnings("ignore:Python 3.14 will, by default, filter extracted tar:DeprecationWarning")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which its files are served."""
    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield tmp_path / "served", f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: Patch) -> Path:
    """An empty data folder; nothing of Debian's; no proxy."""
    monkeypatch.setenv("DELTANAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setitem(official.DEBIAN, "fashion-mnist", tmp_path / "absent")
    return tmp_path / "data"


def publish(name: str, served: tuple[Path, str], patch: Patch) -> Files:
    folder, url = served
    files = SETS[name](url, patch)
    for file, raw in files.items():
        (folder / file).write_bytes(raw)
    return files


def give(files: Files, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file, raw in files.items():
        (folder / file).write_bytes(raw)


def found(name: str) -> bool:
    return {info.name: info.found for info in available()}[name]


@pytest.mark.parametrize(
    ("name", "shape", "sizes", "classes", "resize"),
    [
        ("mnist", (1, 28, 28), (100, 20, 30), 10, None),
        ("fashion-mnist", (1, 28, 28), (100, 20, 30), 10, None),
        ("cifar10", (3, 32, 32), (84, 16, 30), 10, None),
        ("cifar100", (3, 32, 32), (500, 100, 100), 100, None),
        ("svhn", (3, 32, 32), (100, 20, 30), 10, None),
        ("imagenette", (3, 24, 24), (50, 10, 20), 10, 24),
        ("celeba-gender", (3, 18, 15), (60, 20, 20), 2, None),
    ],
)
def test_a_set_is_fetched_and_read(
    name: str,
    shape: tuple[int, ...],
    sizes: tuple[int, ...],
    classes: int,
    resize: int | None,
    served: tuple[Path, str],
    cache: Path,
    monkeypatch: Patch,
) -> None:
    assert not found(name)
    with pytest.raises(DataError, match="not found in") as caught:
        load(name)
    assert f"datasets prepare {name}" in caught.value.hint
    files = publish(name, served, monkeypatch)
    if name == "celeba-gender":
        give(files, cache / name)
    assert prepare(name) == cache / name
    assert found(name)
    assert not list(cache.rglob(".new-*"))
    data = load(name, resize=resize)
    assert data.in_shape == (1, *shape)
    assert (len(data.train), len(data.validation), len(data.test)) == sizes
    assert (data.classes, data.dropped) == (classes, 0)
    assert sorted(set(data.train.y.tolist())) == list(range(classes))
    assert prepare(name) == cache / name
    if name == "celeba-gender":
        assert [round(part.y.mean() * 60) for part in (data.train, data.validation, data.test)] == [20, 21, 21]
        assert not (cache / name / "celeba" / "img_align_celeba.zip").exists()


def test_pixels_and_labels_arrive_as_they_were_published(
    served: tuple[Path, str], cache: Path, monkeypatch: Patch
) -> None:
    publish("cifar10", served, monkeypatch)
    folder = prepare("cifar10") / "cifar-10-batches-py"
    batches = [pickle.loads(file.read_bytes()) for file in sorted(folder.glob("data_batch_*"))]
    truth = {row.tobytes(): label for part in batches for row, label in zip(part["data"], part["labels"], strict=True)}
    data = load("cifar10")
    assert data.source.names == tuple("abcdefghij")
    for part in (data.train, data.validation):
        assert [truth[image.tobytes()] for image in part.x] == part.y.tolist()
    publish("svhn", served, monkeypatch)
    prepare("svhn")
    # Image i carries the label (i % 10) + 1, and 10 is the digit 0.
    assert load("svhn").test.y.tolist() == [(i % 10 + 1) % 10 for i in range(30)]


def test_sizes_that_differ_are_named_and_resize_is_offered(
    served: tuple[Path, str], cache: Path, monkeypatch: Patch
) -> None:
    publish("imagenette", served, monkeypatch)
    prepare("imagenette")
    with pytest.raises(DataError, match=r"0\.JPEG has 170 x 160 pixels, .*1\.JPEG has 170 x 161") as caught:
        load("imagenette")
    assert "--resize N" in caught.value.hint
    give(celeba("", monkeypatch), cache / "celeba-gender")
    prepare("celeba-gender")
    monkeypatch.setattr(pictures, "memory", lambda: 100_000)
    with pytest.raises(DataError, match="100 images of 15 x 18 pixels take") as caught:
        load("celeba-gender")
    assert "--resize N" in caught.value.hint


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-20], lambda raw: raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:], lambda raw: b""]
)
def test_a_wrong_download_leaves_nothing(
    damage: Callable[[bytes], bytes], served: tuple[Path, str], cache: Path, monkeypatch: Patch
) -> None:
    for name in ("cifar10", "mnist", "svhn", "imagenette"):
        for file, raw in publish(name, served, monkeypatch).items():
            (served[0] / file).write_bytes(damage(raw))
        with pytest.raises(DataError, match=f"{name} can't be downloaded: .* arrived cut short or changed") as caught:
            prepare(name)
        assert "without a network, put" in caught.value.hint
        assert list((cache / name).iterdir()) == []
        assert not found(name)


def test_without_a_network_the_files_to_put_by_hand_are_named_and_used(
    served: tuple[Path, str], cache: Path, monkeypatch: Patch
) -> None:
    files = cifar10("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(DataError, match=r"cifar10 can't be downloaded: .*refused") as caught:
        prepare("cifar10")
    assert f"put cifar-10-python.tar.gz into {cache / 'cifar10'} and run that again" in caught.value.hint
    give({name: raw[:-9] for name, raw in files.items()}, cache / "cifar10")
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz is not the published file") as caught:
        prepare("cifar10")
    run(code_in(caught.value.hint)[0], cache)
    assert (cache / "cifar10" / "cifar-10-python.tar.gz.1").is_file()
    give(files, cache / "cifar10")
    assert len(load_prepared("cifar10").test) == 30
    with pytest.raises(DataError, match="celeba-gender can't be downloaded"):
        prepare("celeba-gender")


def load_prepared(name: str) -> Any:
    prepare(name)
    return load(name)


def test_a_set_with_a_part_missing_is_not_complete(served: tuple[Path, str], cache: Path, monkeypatch: Patch) -> None:
    publish("cifar10", served, monkeypatch)
    missing = prepare("cifar10") / "cifar-10-batches-py" / "test_batch"
    missing.unlink()
    with pytest.raises(DataError, match="cifar-10-batches-py/test_batch not found"):
        load("cifar10")
    with pytest.raises(DataError, match="cifar-10-batches-py is not complete") as caught:
        prepare("cifar10")
    run(code_in(caught.value.hint)[0], cache)
    assert len(load_prepared("cifar10").test) == 30


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_with_a_wrong_sum_is_never_opened(
    file: str, served: tuple[Path, str], cache: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    publish("cifar10", served, monkeypatch)
    path = prepare("cifar10") / "cifar-10-batches-py" / file
    path.write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    for act in (load, prepare):
        with pytest.raises(DataError, match=f"{file} is not the published file") as caught:
            act("cifar10")
        assert "put it aside: `mv -n" in caught.value.hint
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists(), "the pickle does nothing"


@pytest.mark.parametrize("name", ["svhn", "celeba-gender", "mnist"])
def test_a_file_that_was_changed_is_named(name: str, served: tuple[Path, str], cache: Path, monkeypatch: Patch) -> None:
    files = publish(name, served, monkeypatch)
    give(files, cache / name)
    folder = prepare(name)
    part = next(part for part in official.OFFICIAL[name].parts if (folder / part).is_file())
    (folder / part).write_bytes((folder / part).read_bytes()[:-3])
    for act in (load, prepare):
        with pytest.raises(DataError, match=Path(part).name) as caught:
            act(name)
    run(code_in(caught.value.hint)[0], cache)
    if name == "mnist":  # The file that was put there by hand is the same one.
        with pytest.raises(DataError, match=Path(part).name) as caught:
            prepare(name)
        run(code_in(caught.value.hint)[0], cache)
    give(files if name == "celeba-gender" else {}, cache / name)
    assert len(load_prepared(name).test) > 0


def test_a_lost_image_of_celeba_is_named(cache: Path, monkeypatch: Patch) -> None:
    give(celeba("", monkeypatch), cache / "celeba-gender")
    (prepare("celeba-gender") / "celeba" / "img_align_celeba" / "000042.jpg").unlink()
    with pytest.raises(DataError, match=r"000042\.jpg can't be read"):
        load("celeba-gender")


def test_another_folder(served: tuple[Path, str], cache: Path, tmp_path: Path, monkeypatch: Patch) -> None:
    publish("svhn", served, monkeypatch)
    assert prepare("svhn", tmp_path / "else") == tmp_path / "else" / "svhn"
    assert not cache.exists()
    monkeypatch.setenv("DELTANAS_DATA", str(tmp_path / "else"))
    assert len(load("svhn").test) == 30
    with pytest.raises(UsageError, match="'digits' is not a data set to download"):
        prepare("digits")


def test_the_command_prints_the_folder(served: tuple[Path, str], cache: Path, monkeypatch: Patch) -> None:
    publish("svhn", served, monkeypatch)
    done = CliRunner().invoke(app, ["datasets", "prepare", "svhn", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"name": "svhn", "folder": str(cache / "svhn")}
    listed = CliRunner().invoke(app, ["datasets", "list"]).stdout
    assert "svhn is missing" not in listed
    assert f"mnist is missing: deltanas datasets prepare mnist; without a network, put {IDX_FILES[0]}" in listed


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system, which needs root")
def test_a_data_folder_that_can_not_be_written(served: tuple[Path, str], cache: Path, monkeypatch: Patch) -> None:
    publish("svhn", served, monkeypatch)
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(cache)], check=True)
    try:
        with pytest.raises(DataError, match="svhn can't be written: No space left") as caught:
            prepare("svhn")
        assert "--dir" in caught.value.hint
        assert list((cache / "svhn").iterdir()) == []
        subprocess.run(["mount", "-o", "remount,ro", str(cache)], check=True)
        with pytest.raises(DataError, match="can't be written: Read-only file system") as caught:
            prepare("svhn")
        assert "DELTANAS_DATA" in caught.value.hint
    finally:
        subprocess.run(["umount", str(cache)], check=True)


def test_without_torchvision_the_way_to_get_it_is_named(cache: Path, monkeypatch: Patch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match="torchvision") as caught:
        prepare("cifar10")
    assert caught.value.hint == "pip install 'deltanas[vision]'"
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="Pillow") as caught:
        load("digits", resize=16)
    assert caught.value.hint == "pip install 'deltanas[vision]'"
