"""Published sets as small files in their official formats, whose addresses and sums torchvision is told."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from deltanas.train.data.idx import IDX_FILES

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
