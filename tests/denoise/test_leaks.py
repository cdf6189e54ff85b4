"""No photograph is in two splits: nor a copy of one, nor its clean image under another noise."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deltanas.errors import DataError
from deltanas.train.data import Dataset, Making, load
from pairs_of_images import Levels, folders, saved, smooth


def images(some: Levels) -> set[bytes]:
    return {image.tobytes() for image in some}


def require_apart(data: Dataset) -> None:
    train, validation, test = (images(part.y) for part in (data.train, data.validation, data.test))
    assert not train & validation
    assert not test & (train | validation)


def test_a_copy_of_a_photograph_is_left_out(tmp_path: Path) -> None:
    for place, image in enumerate(smooth(12, 96)):
        saved(image, tmp_path / f"{place}.png")
        shutil.copy(tmp_path / f"{place}.png", tmp_path / f"copy-of-{place}.png")
    data = load(f"photos:{tmp_path}", making=Making(32, secret=b"s"))
    require_apart(data)
    assert data.source.notes[0] == "12 photographs, none in two splits"
    (left,) = data.source.left_out
    assert (left.reason, left.number) == ("a copy of another photograph", 12)


def test_pairs_of_one_clean_photograph_are_one_scene(tmp_path: Path) -> None:
    folders(tmp_path, n=24)
    for place in range(8, 24):
        shutil.copy(tmp_path / "clean" / f"{place % 8:02d}.png", tmp_path / "clean" / f"{place:02d}.png")
    data = load(f"pairs:{tmp_path}", making=Making(16))
    assert data.source.notes[0] == "24 pairs of 8 scenes, no scene in two splits"
    require_apart(data)


@pytest.mark.parametrize("given", [False, True])
def test_arrays_with_one_clean_image_under_several_noises(tmp_path: Path, *, given: bool) -> None:
    clean = np.concatenate([smooth(30, 20)] * 4)
    noisy = (clean + np.random.RandomState(0).randint(0, 4, clean.shape)).astype(np.uint8)
    arrays = {"x": noisy, "y": clean}
    if given:
        parts = {"_train": slice(0, 80), "_test": slice(80, 120)}
        arrays = {f"{kind}{name}": side[part] for kind, side in arrays.items() for name, part in parts.items()}
        arrays["x_train"], arrays["y_train"] = (
            np.concatenate([arrays[f"{kind}_train"], side])
            for kind, side in (("x", smooth(60, 20, 9)), ("y", smooth(60, 20, 9)))
        )
    np.savez(tmp_path / "own.npz", **arrays)  # type: ignore[arg-type]
    data = load(f"npz:{tmp_path / 'own.npz'}")
    require_apart(data)
    if not given:
        assert len(data.train) >= 68, "of one clean image all are in one split: next to nothing is left out"


def test_photographs_of_more_than_8_bits_are_told(tmp_path: Path) -> None:
    saved(smooth(1, 96)[0], tmp_path / "0.png")
    Image.fromarray(np.full((96, 96), 1000, np.uint16)).save(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"1\.png has more than 8 bits") as caught:
        load(f"photos:{tmp_path}", making=Making(32))
    assert "mv -n" in caught.value.hint


def test_a_grey_photograph_whose_twin_has_colours_is_told(tmp_path: Path) -> None:
    saved(smooth(1, 64)[0][:1], folders(tmp_path) / "noisy" / "07.png")
    with pytest.raises(DataError, match=r"noisy/07\.png is grey, its twin .*clean/07\.png has colours"):
        load(f"pairs:{tmp_path}", making=Making(16))


def test_hints_are_of_pairs_and_not_of_classes(tmp_path: Path) -> None:
    for name, says in {
        f"pairs:{tmp_path / 'none'}": "noisy/ and clean/",
        f"photos:{tmp_path / 'none'}": "put photographs into it",
        f"pairs:{folders(tmp_path / 'few', n=4)}": "--patch",
    }.items():
        with pytest.raises(DataError) as caught:
            load(name)
        assert says in caught.value.hint
        assert "class" not in caught.value.hint
    saved(smooth(1, 64)[0], tmp_path / "one" / "a.png")
    with pytest.raises(DataError, match="has 1 photograph") as caught:
        load(f"photos:{tmp_path / 'one'}")
    assert "apt-get" not in caught.value.hint
