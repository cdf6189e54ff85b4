"""Published sets: small files in their official formats, served over HTTP, fetched and read by the real code."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from torchvision import datasets
from typer.testing import CliRunner

from deltanas.cli import app
from deltanas.errors import DataError, UsageError
from deltanas.train.data import available, load, official, pictures, prepare
from deltanas.train.data.idx import IDX_FILES
from hinted import code_in, run

pytestmark = pytest.mark.filterwarnings("ignore:Python 3.14 will, by default, filter extracted tar:DeprecationWarning")

CHANCE = np.random.RandomState(3)
Files = dict[str, bytes]
Patch = pytest.MonkeyPatch


def pixels(*shape: int) -> NDArray[np.uint8]:
    return CHANCE.randint(0, 256, shape).astype(np.uint8)


def md5(raw: bytes) -> str:
    return hashlib.md5(raw).hexdigest()


def tar(files: Files) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, raw in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return memory.getvalue()


def picture(kind: str, *shape: int) -> bytes:
    memory = io.BytesIO()
    Image.fromarray(pixels(*shape)).save(memory, kind)
    return memory.getvalue()


def batch(n: int, key: str, classes: int) -> bytes:
    return pickle.dumps({"data": pixels(n, 3072), key: [i % classes for i in range(n)]}, protocol=2)


def cifar(kind: Any, url: str, patch: Patch, contents: Files, train: list[str], test: str, meta: str) -> Files:
    raw = tar({f"{kind.base_folder}/{name}": content for name, content in contents.items()})
    patch.setattr(kind, "train_list", [[name, md5(contents[name])] for name in train])
    patch.setattr(kind, "test_list", [[test, md5(contents[test])]])
    patch.setattr(kind, "meta", {**kind.meta, "md5": md5(contents[meta])})
    patch.setattr(kind, "url", f"{url}/{kind.filename}")
    patch.setattr(kind, "tgz_md5", md5(raw))
    return {kind.filename: raw}


def cifar10(url: str, patch: Patch) -> Files:
    names = [f"data_batch_{number}" for number in range(1, 6)]
    contents = {name: batch(20, "labels", 10) for name in names}
    contents |= {"test_batch": batch(30, "labels", 10)}
    contents |= {"batches.meta": pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)}
    return cifar(datasets.CIFAR10, url, patch, contents, names, "test_batch", "batches.meta")


def cifar100(url: str, patch: Patch) -> Files:
    contents = {"train": batch(600, "fine_labels", 100), "test": batch(100, "fine_labels", 100)}
    contents |= {"meta": pickle.dumps({"fine_label_names": list(map(str, range(100)))}, protocol=2)}
    return cifar(datasets.CIFAR100, url, patch, contents, ["train"], "test", "meta")


def svhn(url: str, patch: Patch) -> Files:
    files: Files = {}
    for split, n in (("train", 120), ("test", 30)):
        memory = io.BytesIO()
        # The official labels are 1 to 10; 10 stands for the digit 0.
        savemat(memory, {"X": pixels(32, 32, 3, n), "y": np.arange(n)[:, None] % 10 + 1})
        files[f"{split}_32x32.mat"] = memory.getvalue()
    lists = {f[:-10]: [f"{url}/{f}", f, md5(raw)] for f, raw in files.items()}
    patch.setattr(datasets.SVHN, "split_list", {**datasets.SVHN.split_list, **lists})
    return files


def mnist(kind: Any, url: str, patch: Patch) -> Files:
    files: Files = {}
    for name in IDX_FILES:
        n = 120 if name.startswith("train") else 30
        values = pixels(n, 28, 28) if "images" in name else (np.arange(n) % 10).astype(np.uint8)
        head = struct.pack(f">I{values.ndim}I", 2048 + values.ndim, *values.shape)
        files[name] = gzip.compress(head + values.tobytes())
    patch.setattr(kind, "resources", [(name, md5(raw)) for name, raw in files.items()])
    patch.setattr(kind, "mirrors", [f"{url}/"])
    return files


def imagenette(url: str, patch: Patch) -> Files:
    contents = {}
    for split, n in (("train", 6), ("val", 2)):
        for wnid in datasets.Imagenette._WNID_TO_CLASS:
            for number in range(n):
                shape = (160 + number, 170, 3) if number != 3 else (160, 170)  # a few are grey
                contents[f"imagenette2-160/{split}/{wnid}/{number}.JPEG"] = picture("JPEG", *shape)
    raw = tar(contents)
    archive = (f"{url}/imagenette2-160.tgz", md5(raw))
    patch.setattr(datasets.Imagenette, "_ARCHIVES", {**datasets.Imagenette._ARCHIVES, "160px": archive})
    return {"imagenette2-160.tgz": raw}


def celeba(url: str, patch: Patch) -> Files:
    """60 images to train on, 20 to validate, 20 to test; every third is male. It is not served: that takes Google."""
    names = [f"{number:06}.jpg" for number in range(1, 101)]
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in names:
            archive.writestr(f"img_align_celeba/{name}", picture("JPEG", 18, 15, 3))
    attributes = [f"A{number}" if number != 20 else "Male" for number in range(40)]

    def values(number: int) -> str:
        return "  ".join("1" if place != 20 or number % 3 == 0 else "-1" for place in range(40))

    lists = {
        "list_attr_celeba.txt": ["100", " ".join(attributes), *(f"{n} {values(i)}" for i, n in enumerate(names))],
        "identity_CelebA.txt": [f"{name} 1" for name in names],
        "list_bbox_celeba.txt": ["100", "image_id x_1 y_1 width height", *(f"{name} 1 2 3 4" for name in names)],
        "list_landmarks_align_celeba.txt": ["100", "a b c", *(f"{name} 1 2 3" for name in names)],
        "list_eval_partition.txt": [f"{name} {(i >= 60) + (i >= 80)}" for i, name in enumerate(names)],
    }
    files = {name: ("\n".join(lines) + "\n").encode() for name, lines in lists.items()}
    files["img_align_celeba.zip"] = memory.getvalue()
    patch.setattr(datasets.CelebA, "file_list", [("id", md5(raw), name) for name, raw in files.items()])
    return files


SETS: dict[str, Callable[[str, Patch], Files]] = {
    "mnist": partial(mnist, datasets.MNIST),
    "fashion-mnist": partial(mnist, datasets.FashionMNIST),
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": svhn,
    "imagenette": imagenette,
    "celeba-gender": celeba,
}


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
