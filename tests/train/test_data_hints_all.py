"""No hint of the loaders is left out of the tests that carry hints out."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import deltanas.train.data as loaders
from deltanas.config import TrainConfig
from deltanas.errors import DataError, DeltanasError, UsageError
from deltanas.task import CLASSIFY
from deltanas.train.data import dataset_of, load, prepared
from deltanas.wiring.pools import require_fit
from faulty_arrays import FAULTS, GREY, ONLY_IN_FILES, RGB, SPLIT, UNNAMED, Y, saved, split
from hinted import Hinted, code_in, raised_in, run, watched
from own_data import classes_in, laid_out, pixels

ROOM = Path(loaders.__file__).parent
ELSEWHERE = {
    "fetch.py": "test_data_official.py",
    "meaning.py": "../export/test_export.py",
    "noise.py": "../denoise/test_pairs.py",
    "official.py": "test_data_official.py",
    "own_pairs.py": "../denoise/test_pairs.py",
    "pairs.py": "../denoise/test_pairs.py",
    "patches.py": "../denoise/test_pairs.py",
    "photos.py": "../denoise/test_pairs.py",
    "picture.py": "test_pictures.py",
    "pictures.py": "test_pictures.py",
    "tree.py": "test_data_files.py",
}
"""Files of which the hints are carried out, or the commands that they name are run, in another test."""
Arrays = dict[str, Any]


def again(**arrays: Any) -> Callable[[Path], str]:
    """Saves the arrays as a hint asks for them in prose."""

    def follow(folder: Path) -> str:
        np.savez(folder / "data-2.npz", **arrays)
        return "npz:data-2.npz"

    return follow


def of(arrays: Arrays, says: str, follow: Callable[[Path], str] | None) -> Hinted:
    return Hinted("", saved(arrays, says).lay, says, follow)


def text(folder: Path) -> str:
    (folder / "data.npz").write_text("text")
    return "npz:data.npz"


def one_array(folder: Path) -> str:
    np.save(folder / "x.npy", GREY)
    return "npz:x.npy"


def without_ending(folder: Path) -> str:
    np.savez(folder / "data.npz", x=GREY, y=Y)
    return "npz:data"


def few(folder: Path) -> str:
    return f"folder:{classes_in(folder / 'few', 20).name}"


def more_images(folder: Path) -> str:
    for name in ("cat", "dog"):
        for number, image in enumerate(pixels(10, 5, 6, 3)):
            Image.fromarray(image).save(folder / "few" / name / f"more {number}.png")
    return "folder:few"


def digits(_: Path) -> str:
    return "digits"


def pictures(folder: Path) -> str:
    classes_in(folder / "pets")
    return "npz:pets"


RARE = np.concatenate([Y, [3, 3]])
PROSE = [
    Hinted("name", lambda _: "imagenet", "unknown data set 'imagenet'", digits),
    Hinted("size", digits, "a training size of 3 is not", digits, {"train_size": 3}, {"train_size": 10}),
    Hinted("large", digits, "a training size of 2000 is", digits, {"train_size": 2000}, {"train_size": 1078}),
    Hinted("text", text, "plain arrays: it is neither an npz nor an npy file", again(x=GREY, y=Y)),
    Hinted("folder", pictures, "Is a directory", lambda _: "folder:pets"),
    Hinted("ending", without_ending, "data can't be read", lambda _: "npz:data.npz"),
    Hinted("array", one_array, "one array without a name", given="labels = [i % 3 for i in range(90)]"),
    Hinted("few", few, "24 images to train on are fewer", more_images),
    of({"x": GREY}, "no array y", again(x=GREY, y=Y)),
    of({}, "no array x and no array y", again(x=GREY, y=Y)),
    of({"x_test": GREY, "y_test": Y}, "no array x_train and no array y_train among x_test", again(**SPLIT)),
    of({"x": GREY, "y": Y[:80]}, r"y has the shape \(80,\) for 90 images", again(x=GREY, y=Y)),
    of({"x": GREY, "y": Y * 0}, "every label is 0; there is nothing", again(x=GREY, y=Y)),
    of({"x": GREY, "y": pixels(90, 3)}, "rows are not one-hot", again(x=GREY, y=Y)),
    of({"x": GREY.astype(str), "y": Y}, "which are no pixels", again(x=GREY, y=Y)),
    of({"x": GREY[:0], "y": Y[:0]}, r"shape \(0, 8, 6\): no image", again(x=GREY, y=Y)),
    of({"x": RGB[:, None], "y": Y}, r"not \[n, h, w\] or", again(x=RGB, y=Y)),
    of(split(x_test=GREY[60:, 1:]), "images of x_test are", again(**SPLIT)),
    of({"x": pixels(90, 1, 1), "y": Y}, r"\(90, 1, 1\): rows of numbers", again(x=GREY, y=Y)),
    of({"x": pixels(90, 7), "y": Y}, r"\(90, 7\): rows of numbers", again(x=GREY, y=Y)),
    of({"x": pixels(92, 8, 6), "y": RARE}, "class 3 .* fewer than three images", again(x=GREY, y=Y)),
    of(split(x_train=np.concatenate([GREY[60:], GREY[:30]])), "has no image|fewer than one", again(**SPLIT)),
]


@pytest.mark.parametrize("case", PROSE, ids=lambda case: case.says)
def test_what_a_hint_says_in_words_mends(case: Hinted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _, data in case.mend(tmp_path):
        assert data.classes > 1


def test_the_sizes_that_a_hint_names_are_possible() -> None:
    for size in (0, 3, 2000):
        with pytest.raises(DeltanasError) as caught:
            load("digits", train_size=size)
        for possible in map(int, re.findall(r"\d+", caught.value.hint)):
            assert len(load("digits", train_size=possible).train) == possible


@pytest.mark.parametrize("name", sorted(UNNAMED))
def test_arrays_without_names_are_named_by_the_code_of_the_hint(name: str, tmp_path: Path) -> None:
    """It is right where they were saved in the usual order; in another it is refused again, never misread."""
    arrays, says, *_ = ONLY_IN_FILES[name]
    usual = {"unnamed splits": [SPLIT[f"{kind}_{part}"] for part in ("train", "test") for kind in "xy"]}
    order = usual.get(name, [GREY, Y[:, None, None]])
    for given in (list(arrays.values()), order):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
        np.savez(path, *given)
        with pytest.raises(DataError, match=says) as caught:
            load(f"npz:{path}")
        run(code_in(caught.value.hint)[0], tmp_path)
        new = f"npz:{path.with_name(f'{path.stem}-2.npz')}"
        if given is order:
            assert load(new).classes == 3
            continue
        if name == "unnamed pair":  # images on both sides are pairs, which no classifier is trained on
            with pytest.raises(UsageError, match="holds pairs of images"):
                require_fit(CLASSIFY, load(new), TrainConfig())
            continue
        with pytest.raises(DataError):
            load(new)


SIZES = [pixels(1, 8 + i % 2, 6)[0] for i in range(90)]


def test_images_of_several_sizes_in_memory(tmp_path: Path) -> None:
    x = np.empty(90, object)
    x[:] = SIZES
    with pytest.raises(DataError, match="x is an array of objects") as caught:
        dataset_of("given", x=x, y=Y)
    assert "save each image as a file in the folder of its class, and name folder:PATH with --resize N" in str(
        caught.value
    )
    for number, (image, label) in enumerate(zip(SIZES, Y, strict=True)):
        (tmp_path / f"class {label}").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"class {label}" / f"{number}.png")
    assert load(f"folder:{tmp_path}", resize=8).classes == 3


def test_labels_of_several_types_in_memory() -> None:
    y = np.array([0, "cat", None] * 30, object)
    with pytest.raises(DataError, match="y is of type object") as caught:
        dataset_of("given", x=GREY, y=y)
    scope = {"y": y}
    exec(code_in(caught.value.hint)[0], scope)
    with pytest.raises(DataError, match="are 'None', which is no class"):
        dataset_of("given", x=GREY, y=scope["y"])


def test_every_hint_of_the_loaders_is_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = runpy.run_path(str(Path(__file__).with_name("test_data_layouts.py")))
    unmended = layouts["test_what_no_command_can_mend_is_refused_with_the_reason"].pytestmark[0].args[1]
    with watched(ROOM) as seen:
        for number, case in enumerate([*PROSE, *(saved(a, s) for a, s, *_ in (FAULTS | ONLY_IN_FILES).values())]):
            place = tmp_path / str(number)
            place.mkdir()
            monkeypatch.chdir(place)
            case.refusal(place)
        for number, (layout, *_) in enumerate([*layouts["MENDED"], *unmended]):
            with suppress(DataError):
                load(f"folder:{laid_out(tmp_path / f'folder {number}', **layout)}")
        with suppress(DataError):
            prepared("own", replace(load("digits"), classes=5))
        with suppress(UsageError):
            prepared("pairs", dataset_of("pairs", x=RGB, y=RGB), resize=4)
        with suppress(DataError):
            dataset_of("given", x=np.array([*GREY, None], object), y=Y)
        (tmp_path / "data.zip").write_bytes(b"PK")
        for wrong in ("data.zip", "absent"):
            with suppress(DataError):
                load(f"folder:{tmp_path / wrong}")
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(DataError, match="scikit-learn"):
            load("digits")
    missing = {
        place: hint for place, hint in raised_in(ROOM).items() if place not in seen and place[0] not in ELSEWHERE
    }
    assert not missing
    assert all((Path(__file__).parent / test).is_file() for test in ELSEWHERE.values())
