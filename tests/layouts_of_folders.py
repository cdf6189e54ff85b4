"""Generates folders of pictures as people keep them, with what each means."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from coded_images import Meant, encoded

NAMES = [
    ["cat", "dog", "fox", "owl", "yak"],
    ["0", "1", "2", "10", "11"],
    ["n01440764", "n02102040", "n02979186", "n03000684", "n03028079"],
    ["Golden Retriever", "poodle (toy)", "été", "狗", "a-b_c"],
    ["good", "bad", "ugly", "other", "none"],
]
TOPS = ["pets", "my pets", "dätä"]
SPLITS = [
    {"": 22},
    {"": 18},
    {"train": 22, "test": 6},
    {"train": 22, "val": 6},
    {"train": 20, "val": 5, "test": 5},
]
SPELLED = {
    "train": ["train", "Train", "TRAIN", "training", "training_set", "train_images", "Training"],
    "val": ["val", "valid", "validation", "Validation", "dev", "VAL"],
    "test": ["test", "Test", "testing", "test_set", "TEST", "tests"],
}
UNKNOWN = [("entrainement", "essai"), ("fold1", "fold2"), ("part A", "part B"), ("alt", "neu")]


def _turned(image: Image.Image, path: Path) -> None:
    exif = image.getexif()
    exif[0x0112] = 3
    image.transpose(Image.Transpose.ROTATE_180).save(path, exif=exif, quality=95)


def _on_its_side(image: Image.Image, path: Path) -> None:
    exif = image.getexif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)


def _transparent(image: Image.Image, path: Path) -> None:
    image = image.convert("RGBA")
    image.putalpha(255)
    image.save(path)


def _deep(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)


KINDS: dict[str, Callable[[Image.Image, Path], None]] = {
    ".png": lambda image, path: image.save(path),
    ".PNG": lambda image, path: image.save(path),
    ".bmp": lambda image, path: image.save(path),
    ".jpg": lambda image, path: image.save(path, quality=95),
    ".JPEG": lambda image, path: image.save(path, quality=95),
    ".jfif": lambda image, path: image.save(path, "JPEG", quality=95),
    ".gif": lambda image, path: image.save(path),
    ".tif": lambda image, path: image.save(path),
    ".webp": lambda image, path: image.save(path, lossless=True),
    ".ppm": lambda image, path: image.convert("RGB").save(path),
    "palette.png": lambda image, path: image.convert("P").save(path),
    "alpha.png": _transparent,
    "bilevel.png": lambda image, path: image.convert("L").point(lambda v: 255 * (v > 127)).convert("1").save(path),
    "cmyk.jpg": lambda image, path: image.convert("CMYK").save(path, quality=95),
    "turned.jpg": _turned,
    "side.jpg": _on_its_side,
}


def _write(path: Path, label: int, number: int, kind: str, rng: Random) -> None:
    pixels = encoded(label, number, rng)
    image = Image.fromarray(pixels if rng.random() < 0.2 else np.stack([pixels, pixels // 8 * 8, pixels], 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](image, path)


def folders_at(place: Path, seed: int) -> tuple[str, Meant]:
    """Makes a generated folder; returns its name as a data set, and what it means."""
    rng, meant = Random(f"folder {seed}"), Meant()
    k = rng.randint(3, 5)
    meant.names = rng.choice(NAMES)[:k]
    top = place / rng.choice(TOPS)
    around = rng.choice(["", "", "", "archive", "archive/images_v2", "dataset-1.0"])
    base = top / around
    kinds = rng.sample(list(KINDS), rng.choice([1, 1, 2, 4]))
    nested = rng.random() < 0.15
    meant.what += [around, *kinds, *(["nested"] if nested else [])]
    numbers = [0] * k
    spelled: dict[str, Path] = {}
    for split, least in rng.choice(SPLITS).items():
        spelled[split] = base / (rng.choice(SPELLED[split]) if split else "")
        meant.images[split] = set()
        for label, name in enumerate(meant.names):
            for _ in range(least + rng.randint(0, 5)):
                number, kind = numbers[label], rng.choice(kinds)
                within = f"more/{rng.randint(1, 2)}" if nested and rng.random() < 0.2 else ""
                file = f"{number:03}{kind}" if kind.startswith(".") else f"{number:03}-{kind}"
                _write(spelled[split] / name / within / file, label, number, kind, rng)
                meant.images[split].add((label, number))
                numbers[label] += 1
    meant.what.append(", ".join(path.name for path in spelled.values()))
    for change in rng.sample(BESIDE, rng.choice([0, 1, 1, 2, 3])):
        change(spelled, meant, rng)
        meant.what.append(change.__name__)
    if rng.random() < 0.3:
        fault = rng.choice(FAULTS)
        fault(spelled, meant, rng)
        meant.what.append(fault.__name__)
    return f"folder:{top}", meant


Split = dict[str, Path]


def _some(spelled: Split, meant: Meant, rng: Random) -> Path:
    """A class folder."""
    return spelled[rng.choice(list(spelled))] / rng.choice(meant.names)


def _hidden(spelled: Split, meant: Meant, rng: Random) -> None:
    folder = _some(spelled, meant, rng)
    (folder / ".ipynb_checkpoints").mkdir()
    _write(folder / ".ipynb_checkpoints" / "copy.png", 7, 1, ".png", rng)


def _text(spelled: Split, meant: Meant, rng: Random) -> None:
    (_some(spelled, meant, rng) / "notes.txt").write_text("about the images")
    (spelled[next(iter(spelled))] / "labels.csv").write_text("file,label")
    (_some(spelled, meant, rng) / "Thumbs.db").write_bytes(b"\0" * 64)


def _macos(spelled: Split, meant: Meant, rng: Random) -> None:
    folder = _some(spelled, meant, rng)
    (folder / "._000.png").write_bytes(b"\0\5\x16\7")
    (folder / ".DS_Store").write_bytes(b"Bud1")
    other = spelled[next(iter(spelled))] / "__MACOSX" / folder.name
    other.mkdir(parents=True)
    (other / "._000.png").write_bytes(b"\0\5\x16\7")


def _loose(spelled: Split, meant: Meant, rng: Random) -> None:
    _write(spelled[next(iter(spelled))] / "sample.png", 7, 2, ".png", rng)
    meant.perhaps.append("is the only class")


def _vector(spelled: Split, meant: Meant, rng: Random) -> None:
    (_some(spelled, meant, rng) / "logo.svg").write_text("<svg/>")


def _annotations(spelled: Split, meant: Meant, rng: Random) -> None:
    folder = spelled[next(iter(spelled))] / "annotations"
    folder.mkdir()
    (folder / "000.xml").write_text("<object/>")


def _linked(spelled: Split, meant: Meant, rng: Random) -> None:
    """A class that is a link to a folder elsewhere."""
    folder = _some(spelled, meant, rng)
    top = next(path for path in folder.parents if path.name in TOPS)
    elsewhere = top.parent / f"elsewhere {rng.randrange(10**6)}"
    shutil.move(folder, elsewhere)
    folder.symlink_to(elsewhere)


def _repeated(spelled: Split, meant: Meant, rng: Random) -> None:
    """An image stands twice in its class."""
    folder = _some(spelled, meant, rng)
    file = sorted(
        path for path in folder.rglob("*") if path.name[0] != "." and path.suffix.lower() in (".png", ".jpg", ".bmp")
    )
    if file:
        shutil.copy(file[0], file[0].with_stem("copy of it"))


BESIDE = [_hidden, _text, _macos, _loose, _vector, _annotations, _linked, _repeated]


def _broken(spelled: Split, meant: Meant, rng: Random) -> None:
    (_some(spelled, meant, rng) / "broken.png").write_bytes(
        rng.choice([b"", b"text", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
    )
    meant.reasons.append("can't be read")


def _other_size(spelled: Split, meant: Meant, rng: Random) -> None:
    Image.new("RGB", (20, 17)).save(_some(spelled, meant, rng) / "large.png")
    meant.reasons.append("differ in size")


def _empty(spelled: Split, meant: Meant, rng: Random) -> None:
    (spelled[rng.choice(list(spelled))] / "zebra").mkdir()
    meant.reasons.append("no image")


def _unknown_splits(spelled: Split, meant: Meant, rng: Random) -> None:
    """Splits whose names say nothing: folders of folders."""
    base = spelled[next(iter(spelled))]
    base = base if "" in spelled else base.parent
    classes = [path for path in base.iterdir() if not path.name.startswith((".", "__"))]
    for name in rng.choice(UNKNOWN):
        (base / name).mkdir()
        for path in classes:
            if path.is_dir():
                shutil.copytree(path, base / name / path.name, symlinks=True)
    for path in classes:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)
    meant.reasons.append(
        "which of them are the classes|holds 0 images itself|split|only class|under another label|in folders of its own"
    )


def _split_beside_classes(spelled: Split, meant: Meant, rng: Random) -> None:
    """A folder called test beside classes, or an unknown one beside splits."""
    base = spelled[next(iter(spelled))]
    base = base if "" in spelled else base.parent
    other = base / ("test" if "" in spelled else "cats and dogs")
    _write(other / "000.png", 7, 3, ".png", rng)
    meant.reasons.append("spelt as a split")


def _one_class(spelled: Split, meant: Meant, rng: Random) -> None:
    for folder in spelled.values():
        for name in meant.names[1:]:
            path = folder / name
            path.unlink() if path.is_symlink() else shutil.rmtree(path)
    meant.reasons.append("only class|splits are|no class|is the only")


def _new_class(spelled: Split, meant: Meant, rng: Random) -> None:
    """A class in the last split alone, or one of two images where none is given."""
    split = next(reversed(spelled))
    for number in range(2):
        _write(spelled[split] / "zebra" / f"{number}.png", 7, number, ".png", rng)
    meant.reasons.append("a class that|fewer than three images|no image to train on")


def _two_spellings(spelled: Split, meant: Meant, rng: Random) -> None:
    split = next(iter(spelled))
    name = next((name for name in meant.names if name.swapcase() != name), None)
    if name:
        _write(spelled[split] / name.swapcase() / "000.png", 7, 0, ".png", rng)
        meant.reasons.append("differ in capitals|is no class|has no folder")


FAULTS = [_broken, _other_size, _empty, _unknown_splits, _split_beside_classes, _one_class, _new_class, _two_spellings]
