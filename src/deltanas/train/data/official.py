"""The sets that their makers publish as files, as torchvision downloads them and lays them out in a folder.

torchvision (and with it torch) is imported only where its readers or its checksums are needed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deltanas.errors import DataError, aside
from deltanas.train.data.class_names import named
from deltanas.train.data.folders import read_classes
from deltanas.train.data.idx import IDX_FILES, read_idx
from deltanas.train.data.picture import VISION_HINT
from deltanas.train.data.pictures import read_images
from deltanas.train.data.records import Images, Provenance, Splits
from deltanas.train.data.splits import with_test

DEBIAN = {"fashion-mnist": Path("/usr/share/datasets/fashion-mnist")}
"""Where a Debian package puts a set: the official files, with no folder around them."""

Sums = dict[str, str]
"""MD5 sums by path."""


@dataclass(frozen=True, slots=True)
class Official(ABC):
    """A published set.

    Attributes:
        kind: torchvision's class. images: in all splits.
        shape: (channels, height, width), None where the images differ in size.
        files: the official names of what is downloaded. parts: what is read, below the set's folder.
        inner: where torchvision looks for the official files before it downloads them, below the set's folder.
    """

    name: str
    kind: str
    images: int
    shape: tuple[int, int, int] | None
    files: tuple[str, ...]
    parts: tuple[str, ...]
    inner: str = ""

    @abstractmethod
    def archive_sums(self, kind: Any, /) -> Sums:
        """Published sums of `files`. kind: torchvision's class."""

    @abstractmethod
    def part_sums(self, kind: Any, /) -> Sums:
        """Published sums of those parts that have one."""

    @abstractmethod
    def read(self, folder: Path, resize: int | None, /) -> Splits:
        """Raises DataError, which names the file, where one is not what was published."""

    def download(self, root: Path) -> None:
        """Fetch what is not in `root` yet, compare its sums, unpack it. Raises what torchvision raises."""
        self.torchvision(root, download=True)

    def found(self, folder: Path) -> bool:
        return all((folder / part).exists() for part in self.parts)

    def located(self) -> Path | None:
        """The folder that holds the set, None where it is not on this machine."""
        own, packaged = data_folder() / self.name, DEBIAN.get(self.name)
        if self.found(own):
            return own
        return packaged if packaged and all((packaged / file).is_file() for file in self.files) else None

    def advice(self, root: Path | None = None) -> str:
        """How to get the set, with and without a network. root: another data folder than the default."""
        command = f"deltanas datasets prepare {self.name}" + (f" --dir {root}" if root else "")
        package = f"apt-get install dataset-{self.name}, or " if self.name in DEBIAN else ""
        folder = (root or data_folder()) / self.name
        return f"{package}{command}; without a network, put {', '.join(self.files)} into {folder} and run that again"

    def verify(self, folder: Path) -> None:
        """Compare what is in the set's folder with the published sums. Raises DataError, which names the file."""
        for part, md5 in self.part_sums(self.torchvision).items():
            compare(folder / part, md5, self.advice(), folder / Path(part).parts[0])

    @property
    def torchvision(self) -> Any:
        """torchvision's class. Raises DataError where torchvision is not installed."""
        return getattr(_datasets(), self.kind)


def data_folder() -> Path:
    """Where published sets are kept, each in a folder of its name: DELTANAS_DATA, or where this system keeps caches."""
    if given := os.environ.get("DELTANAS_DATA"):
        return Path(given)
    import platformdirs  # here only: arrays in memory need numpy alone

    return Path(platformdirs.user_cache_dir("deltanas")) / "data"


def intact(file: Path, md5: str) -> bool:
    return bool(_datasets().utils.check_integrity(file, md5))


def compare(file: Path, md5: str, hint: str, top: Path | None = None) -> None:
    """Raises DataError where the file does not have this sum. top: what is to be put aside then, if not the file."""
    if not intact(file, md5):
        raise DataError(
            f"{file} is not the published file, whose MD5 sum is {md5}: it was cut short or changed",
            f"put it aside: {aside(top or file)}; then {hint}",
        )


def _datasets() -> Any:
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(f"this data set needs torchvision, which can't be imported: {error}", VISION_HINT) from None
    return datasets


class _Idx(Official):
    __slots__ = ()

    def archive_sums(self, kind: Any, /) -> Sums:
        return dict(kind.resources)

    def part_sums(self, kind: Any, /) -> Sums:
        return {f"{self.inner}/{file}": md5 for file, md5 in kind.resources}

    def read(self, folder: Path, _: int | None, /) -> Splits:
        packaged = folder == DEBIAN.get(self.name)
        try:
            return read_idx(folder if packaged else folder / self.inner)
        except DataError as error:
            own = f"put it aside: {aside(folder / Path(self.inner).parts[0])}; then {self.advice()}"
            raise DataError(
                error.message, f"`apt-get install --reinstall dataset-{self.name}`" if packaged else own
            ) from error


class _Cifar(Official):
    __slots__ = ()

    def archive_sums(self, kind: Any, /) -> Sums:
        return {kind.filename: kind.tgz_md5}

    def part_sums(self, kind: Any, /) -> Sums:
        files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        return {f"{kind.base_folder}/{file}": md5 for file, md5 in files}

    def read(self, folder: Path, _: int | None, /) -> Splits:
        # The files are pickles, so none is opened before its sum is right; torchvision compares once more.
        self.verify(folder)
        both, test = (self.torchvision(folder, train=train) for train in (True, False))
        splits = with_test(self._images(both), self._images(test), len(both.classes))
        return replace(splits, source=Provenance(tuple(both.classes)))

    def _images(self, part: Any) -> Images:
        return Images(part.data.transpose(0, 3, 1, 2), np.array(part.targets, np.int64))


class _Svhn(Official):
    __slots__ = ()

    def archive_sums(self, kind: Any, /) -> Sums:
        return {file: md5 for split, (_, file, md5) in kind.split_list.items() if split != "extra"}

    part_sums = archive_sums

    def read(self, folder: Path, _: int | None, /) -> Splits:
        self.verify(folder)
        both, test = (self.torchvision(folder, split=split) for split in ("train", "test"))
        return with_test(Images(both.data, both.labels), Images(test.data, test.labels), 10)

    def download(self, root: Path) -> None:
        for split in ("train", "test"):
            self.torchvision(root, split=split, download=True)


class _Imagenette(Official):
    """In the smallest of its three sizes: the shorter side has 160 pixels."""

    __slots__ = ()

    def archive_sums(self, kind: Any, /) -> Sums:
        return {self.files[0]: kind._ARCHIVES["160px"][1]}

    def part_sums(self, _: Any, /) -> Sums:
        return {}

    def read(self, folder: Path, resize: int | None, /) -> Splits:
        train, test = (folder / part for part in self.parts)
        names = tuple(sorted(path.name for path in train.iterdir() if path.is_dir()))
        # A few of its images are grey; torchvision, too, turns them into RGB.
        both, rest = (read_classes(part, names, resize=resize, colour=True) for part in (train, test))
        source = replace(both[1], notes=(*both[1].notes, *(f"{note} (test)" for note in rest[1].notes)))
        return replace(with_test(both[0], rest[0], len(names)), source=source)

    def download(self, root: Path) -> None:
        self.torchvision(root, size="160px", download=True)


class _Celeba(Official):
    __slots__ = ()

    def archive_sums(self, kind: Any, /) -> Sums:
        return {file: md5 for _, md5, file in kind.file_list}

    def part_sums(self, kind: Any, /) -> Sums:
        return {f"{self.inner}/{file}": md5 for file, md5 in self.archive_sums(kind).items() if file.endswith(".txt")}

    def read(self, folder: Path, resize: int | None, /) -> Splits:
        self.verify(folder)
        every = self.torchvision(folder, split="all", target_type="attr")
        y = every.attr[:, every.attr_names.index("Male")].numpy().astype(np.int64)
        base = folder / self.inner
        files = [base / "img_align_celeba" / file for file in every.filename]
        read = read_images(files, resize=resize, colour=True)
        # Its makers' splits share no person, so the validation split is theirs too.
        part = np.loadtxt(base / "list_eval_partition.txt", dtype=np.int64, usecols=1)
        train, validation, test = (Images(read.x, y).take(np.flatnonzero(part == split)) for split in range(3))
        return Splits(train, validation, test, 2, source=Provenance(("female", "male"), notes=read.notes))

    def download(self, root: Path) -> None:
        archive = root / self.inner / "img_align_celeba.zip"
        if all((archive.parent / file).is_file() for file in self.files):
            _datasets().utils.extract_archive(archive)
        else:
            # From Google Drive: torchvision asks for the package gdown, even for files that are there.
            self.torchvision(root, download=True)
        archive.unlink()


def _below(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


_SVHN = ("train_32x32.mat", "test_32x32.mat")
_LISTS = (
    "list_attr_celeba.txt",
    "identity_CelebA.txt",
    "list_bbox_celeba.txt",
    "list_landmarks_align_celeba.txt",
    "list_eval_partition.txt",
)
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta")

_ALL: tuple[Official, ...] = (
    _Idx(
        "fashion-mnist",
        "FashionMNIST",
        70_000,
        (1, 28, 28),
        IDX_FILES,
        _below("FashionMNIST/raw", *IDX_FILES),
        inner="FashionMNIST/raw",
    ),
    _Idx("mnist", "MNIST", 70_000, (1, 28, 28), IDX_FILES, _below("MNIST/raw", *IDX_FILES), inner="MNIST/raw"),
    _Cifar(
        "cifar10",
        "CIFAR10",
        60_000,
        (3, 32, 32),
        ("cifar-10-python.tar.gz",),
        _below("cifar-10-batches-py", *_BATCHES),
    ),
    _Cifar(
        "cifar100",
        "CIFAR100",
        60_000,
        (3, 32, 32),
        ("cifar-100-python.tar.gz",),
        _below("cifar-100-python", "train", "test", "meta"),
    ),
    _Svhn("svhn", "SVHN", 99_289, (3, 32, 32), _SVHN, _SVHN),
    _Imagenette(
        "imagenette", "Imagenette", 13_394, None, ("imagenette2-160.tgz",), _below("imagenette2-160", "train", "val")
    ),
    _Celeba(
        "celeba-gender",
        "CelebA",
        202_599,
        (3, 218, 178),
        (*_LISTS, "img_align_celeba.zip"),
        _below("celeba", *_LISTS, "img_align_celeba"),
        inner="celeba",
    ),
)
OFFICIAL = {entry.name: entry for entry in _ALL}


def read_official(name: str, resize: int | None) -> Splits:
    """A published set from its files.

    Raises:
        DataError: it is not on this machine, torchvision is missing, or a file is not the one that was published.
    """
    entry = OFFICIAL[name]
    folder = entry.located()
    if folder is None:
        lacking = next(part for part in entry.parts if not (data_folder() / name / part).exists())
        raise DataError(f"{name}: {lacking} not found in {data_folder() / name}", entry.advice())
    return named(name, entry.read(folder, resize))
