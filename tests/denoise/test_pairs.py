"""Pairs of images: noise, patches, folders and arrays, and what can be wrong with them."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from deltanas.errors import DataError, DeltanasError, UsageError
from deltanas.train.data import Dataset, Making, load, noise
from deltanas.train.data.noise import noisy, with_evaluation_noise, with_training_noise
from deltanas.train.data.patches import cut, split_three
from deltanas.train.data.photos import installed_photos
from pairs_of_images import folders, saved, sidd, smooth

GREY = np.full((3, 64, 64), 128, np.uint8)


def commands(hint: str) -> list[str]:
    return re.findall(r"`([^`]+)`", hint)


def mended(name: str, folder: Path, says: str) -> Dataset:
    """What loads once the command of the hint was run."""
    with pytest.raises(DeltanasError, match=says) as caught:
        load(name)
    (command, *_) = commands(caught.value.hint)
    shell = ["bash", "-c", command] if command.startswith("mv") else [sys.executable, "-c", command]
    subprocess.run(shell, cwd=folder, check=True)
    for named in re.findall(r"then name (\S+)", caught.value.hint):
        name = named
    return load(name)


@pytest.mark.parametrize("shot", [0.0004, 0.002, 0.008])
def test_noise_has_the_variance_of_the_model(shot: float) -> None:
    read = 1e-5
    found = noisy(GREY, shot, read, "independent", np.random.RandomState(0))
    light = (found / 255) ** 2.2
    rounding = (2.2 * (128 / 255) ** 1.2 / 255) ** 2 / 12
    assert light.var() == pytest.approx(shot * (128 / 255) ** 2.2 + read + rounding, rel=0.05)
    flat = (found.astype(float) - found.mean())[0]
    assert abs((flat[:, 1:] * flat[:, :-1]).mean()) < 0.05 * flat.var()


def test_noise_after_a_mosaic_is_correlated() -> None:
    found = noisy(GREY, 0.008, 1e-5, "mosaic", np.random.RandomState(0)).astype(float)
    flat = (found - found.mean(axis=(1, 2), keepdims=True))[0]
    assert (flat[:, 1:] * flat[:, :-1]).mean() > 0.3 * flat.var()


def test_noise_of_cameras_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = [{"iso": iso, "a": [0.008, 0.002, 0.004], "b": [1e-5, -1e-3, 0.0]} for iso in (1600, 100)]
    file = tmp_path / "noiseprofiles.json"
    file.write_text(json.dumps({"noiseprofiles": [{"maker": "m", "models": [{"model": "n", "profiles": profiles}]}]}))
    assert noise._profiles(file) == [([0.008, 0.002, 0.004], [1e-5, -1e-3, 0.0])]
    with pytest.raises(DataError, match="can't be read") as caught:
        noise._profiles(tmp_path / "nothing.json")
    assert "apt-get install darktable" in caught.value.hint
    monkeypatch.setattr(noise, "_profiles", lambda: [([0.008, 0.002, 0.004], [1e-5, -1e-4, 0.0])])
    found = with_evaluation_noise(GREY[None], "darktable", "a", b"s")[0].astype(float)
    spread = found.std(axis=(1, 2))
    assert spread[0] > spread[2] > spread[1] > 1
    assert with_training_noise(GREY[None, :1], "darktable", "a")[0].std() > 1


def test_training_noise_is_everybodys_and_evaluation_noise_the_secrets() -> None:
    clean = smooth(4)
    once, again = (with_training_noise(clean, "independent", "a") for _ in range(2))
    assert np.array_equal(once, again)
    secrets = [with_evaluation_noise(clean, "independent", "a", key) for key in (b"1", b"1", b"2", None, None)]
    assert np.array_equal(secrets[0], secrets[1])
    assert all(not np.array_equal(one, other) for one, other in itertools.pairwise(secrets[1:]))


def test_photographs_are_split_by_photograph(tmp_path: Path) -> None:
    for place in range(5):
        saved(np.full((3, 128, 192), 40 * place + 20, np.uint8), tmp_path / f"{place}.png")
    saved(np.full((1, 128, 192), 250, np.uint8), tmp_path / "grey.png")
    data = load(f"photos:{tmp_path}", making=Making(patch=32, secret=b"s"))
    shades = [set(np.unique(part.y).tolist()) for part in (data.train, data.validation, data.test)]
    assert [len(some) for some in shades] == [4, 1, 1]
    assert not shades[0] & shades[1]
    assert not shades[2] & (shades[0] | shades[1])
    assert data.in_shape == (1, 3, 32, 32)
    assert data.out_shape == (3, 32, 32)
    assert data.paired
    assert data.scale == ((0.0,) * 3, (255.0,) * 3)
    assert any("evaluation noise with SHA-256" in note for note in data.record["notes"])  # type: ignore[attr-defined]
    assert load(f"photos:{tmp_path}", making=Making(patch=32, secret=b"s")).fingerprint == data.fingerprint
    assert load(f"photos:{tmp_path}", making=Making(patch=32, secret=b"t")).fingerprint != data.fingerprint


def test_grey_photographs_are_grey(tmp_path: Path) -> None:
    for place, image in enumerate(smooth(5, 192, channels=1)):
        saved(image, tmp_path / f"{place}.png")
    saved(smooth(1, 1500, channels=1)[0], tmp_path / "large.png")
    data = load(f"photos:{tmp_path}", making=Making(patch=32, secret=b"s"))
    assert data.in_shape == (1, 1, 32, 32)
    assert not any("as RGB" in note for note in data.source.notes)
    assert np.array_equal(data.train.x, with_training_noise(data.train.y, "independent", "photos:train"))
    with pytest.raises(DataError, match="grey photographs alone, and noise as after a Bayer mosaic") as caught:
        load(f"photos:{tmp_path}", making=Making(patch=32, kind="mosaic"))
    assert "leave --noise mosaic" in caught.value.hint


def test_of_two_grey_photographs_the_halves_are_grey(tmp_path: Path) -> None:
    for place, image in enumerate(smooth(2, 256, channels=1)):
        saved(image, tmp_path / f"{place}.png")
    making = Making(patch=32)
    assert load(f"photos:{tmp_path}", making=making).in_shape[1] == 1
    saved(smooth(1, 256)[0], tmp_path / "0.png")
    data = load(f"photos:{tmp_path}", making=making)
    assert data.in_shape[1] == 3
    assert "1 grey photograph read as RGB" in data.source.notes


def in_colours(paths: Sequence[Path], making: Making) -> list[np.ndarray]:
    """Noisy and clean patches of the three splits, made of photographs that are each read as RGB."""
    photographs = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        photographs.append(np.asarray(image.reduce(3) if image.width * image.height > 1_500_000 else image))
    dealt: Sequence[Sequence[np.ndarray]] = (
        (photographs[:1], [photographs[1][:, :width]], [photographs[1][:, width:]])
        if len(photographs) == 2 and (width := (photographs[1].shape[1] + 1) // 2)
        else split_three(photographs)
    )
    found = []
    for part, most, name in zip(dealt, (2048 // len(dealt[0]), 12, 12), ("train", "validation", "test"), strict=True):
        clean = np.concatenate([cut(one.transpose(2, 0, 1), making.patch, most, "a photograph") for one in part])
        key = (making.kind, f"photos:{name}")
        noisy_side = (
            with_training_noise(clean, *key) if name == "train" else with_evaluation_noise(clean, *key, making.secret)
        )
        found += [noisy_side, clean]
    return found


@pytest.mark.parametrize("kind", ["independent", "mosaic"])
@pytest.mark.parametrize("grey", [0, 3])
def test_photographs_with_colours_among_them_are_rgb_to_the_byte(
    tmp_path: Path, grey: int, kind: Literal["independent", "mosaic"]
) -> None:
    levels = np.random.RandomState(0)
    for place in range(4):
        saved(levels.randint(0, 256, (3, 100, 130)).astype(np.uint8), tmp_path / f"{place}.png")
    saved(levels.randint(0, 256, (3, 1300, 1200)).astype(np.uint8), tmp_path / "large.png")
    for place in range(grey):
        size = (1, 1300, 1200) if place == 0 else (1, 100, 130)
        saved(levels.randint(0, 256, size).astype(np.uint8), tmp_path / f"grey{place}.png")
    making = Making(32, kind, b"s")
    data = load(f"photos:{tmp_path}", making=making)
    made = [side for part in (data.train, data.validation, data.test) for side in (part.x, part.y)]
    expected = in_colours(sorted(tmp_path.iterdir()), making)
    assert all(np.array_equal(one, other) for one, other in zip(made, expected, strict=True))
    assert [note for note in data.source.notes if "grey" in note] == ["3 grey photographs read as RGB"] * bool(grey)


def test_installed_photographs_are_rgb_to_the_byte() -> None:
    making = Making(secret=b"s")
    data = load("photos", making=making)
    made = [side for part in (data.train, data.validation, data.test) for side in (part.x, part.y)]
    expected = in_colours(installed_photos(), making)
    assert all(np.array_equal(one, other) for one, other in zip(made, expected, strict=True))


@pytest.mark.parametrize("side", [128, 1300])
def test_a_copy_of_a_photograph_in_another_format_counts_once(tmp_path: Path, side: int) -> None:
    levels = np.random.RandomState(0)
    for place in range(5):
        image = levels.randint(0, 256, (3, side, side)).astype(np.uint8)
        saved(image, tmp_path / "own" / f"{place}.png")
        saved(image, tmp_path / "own" / "more" / f"{place}.tif")
    saved(levels.randint(0, 256, (1, side, side)).astype(np.uint8), tmp_path / "own" / "5.png")
    Image.open(tmp_path / "own" / "5.png").convert("RGB").save(tmp_path / "own" / "more" / "5.bmp")
    data = load(f"photos:{tmp_path / 'own'}", making=Making(patch=16))
    assert data.source.notes[0] == "6 photographs, none in two splits"
    assert [(out.reason, out.number) for out in data.source.left_out] == [("a copy of another photograph", 6)]
    seen = [{patch.tobytes() for patch in part.y} for part in (data.train, data.validation, data.test)]
    assert not any(one & other for one, other in itertools.combinations(seen, 2))


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_pairs_of_one_clean_photograph_are_in_one_split(tmp_path: Path, ending: str) -> None:
    for place, image in enumerate(smooth(10, 64)):
        for time, kind in enumerate(("png", ending)):
            saved(image + np.uint8(time), tmp_path / "noisy" / f"{time}{place}.png")
            saved(image, tmp_path / "clean" / f"{time}{place}.{kind}")
    data = load(f"pairs:{tmp_path}", making=Making(patch=16))
    assert data.source.notes[0] == "20 pairs of 10 scenes, no scene in two splits"
    seen = [{patch.tobytes() for patch in part.y} for part in (data.train, data.validation, data.test)]
    assert not any(one & other for one, other in itertools.combinations(seen, 2))


def test_pairs_of_photographs_of_their_own_come_out_to_the_byte(tmp_path: Path) -> None:
    root = folders(tmp_path)
    parts = split_three([f"{place:02d}.png" for place in range(20)])
    data = load(f"pairs:{root}", making=Making(patch=16))
    for part, names, most in zip((data.train, data.validation, data.test), parts, (2048 // 12, 12, 12), strict=True):
        for made, side in ((part.x, "noisy"), (part.y, "clean")):
            images = [np.asarray(Image.open(root / side / name)).transpose(2, 0, 1) for name in names]
            assert np.array_equal(made, np.concatenate([cut(image, 16, most, side) for image in images]))


def test_clean_photographs_of_more_than_8_bits_are_told_before_copies_are_looked_for(tmp_path: Path) -> None:
    root = folders(tmp_path, n=4)
    for place in range(4):
        Image.fromarray(np.full((64, 64), place, np.uint16)).save(root / "clean" / f"{place:02d}.png")
    with pytest.raises(DataError, match=r"clean/00\.png has more than 8 bits") as caught:
        load(f"pairs:{root}")
    assert str(root / "noisy" / "00.png") in caught.value.hint


def test_the_photographs_that_libraries_bring_are_enough() -> None:
    data = load("photos")
    assert len(data.train) >= 32
    assert len(data.validation) >= 12
    assert len(data.test) >= 12


@pytest.mark.parametrize("sides", [("noisy", "clean"), ("original", "denoised")])
def test_pairs_are_matched_by_name(tmp_path: Path, sides: tuple[str, str]) -> None:
    data = load(f"pairs:{folders(tmp_path, sides)}", making=Making(patch=16))
    for part in (data.train, data.validation, data.test):
        assert np.array_equal(part.x, part.y + np.uint8(3))
    assert (len(data.train), len(data.validation), len(data.test)) == (12 * 16, 4 * 12, 4 * 12)


def test_a_scene_of_sidd_is_in_one_split(tmp_path: Path) -> None:
    data = load(f"pairs:{sidd(tmp_path)}", making=Making(patch=16))
    assert "12 pairs of 4 scenes, no scene in two splits" in data.source.notes
    assert np.array_equal(data.test.x, data.test.y + np.uint8(3))
    assert (len(data.train), len(data.validation), len(data.test)) == (6 * 16, 3 * 12, 3 * 12)


def test_grey_pairs_are_grey_and_among_colours_rgb(tmp_path: Path) -> None:
    for side in ("noisy", "clean"):
        for place, image in enumerate(smooth(60, 64, channels=1)):
            saved(image, tmp_path / side / f"{place}.png")
    assert load(f"pairs:{tmp_path}").in_shape[1] == 1
    saved(smooth(1, 64)[0], tmp_path / "noisy" / "3.png")
    data = load(f"pairs:{tmp_path}")
    assert data.in_shape[1] == 3
    assert any("119 grey photographs read as RGB" in note for note in data.source.notes)


def test_a_missing_twin_is_told_and_can_be_taken_out(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", n=60)
    (root / "clean" / "07.png").unlink()
    (root / "noisy" / "03.png").unlink()
    data = mended(f"pairs:{root}", tmp_path, r"noisy/07.png has no twin on the other side, nor has 1 more")
    assert "58 pairs" in data.source.notes[0]


def test_twins_of_unlike_size_are_told(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", n=60)
    saved(smooth(1, 80)[0], root / "clean" / "07.png")
    assert "59 pairs" in mended(f"pairs:{root}", tmp_path, "64 x 64 pixels, its twin .* 80 x 80").source.notes[0]


def test_more_than_8_bits_are_told(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", n=60)
    Image.fromarray(np.full((64, 64), 40_000, np.uint16)).save(root / "clean" / "07.png")
    assert "59 pairs" in mended(f"pairs:{root}", tmp_path, "more than 8 bits").source.notes[0]


def test_an_image_smaller_than_a_patch_is_told(tmp_path: Path) -> None:
    root = folders(tmp_path, n=60, size=48)
    with pytest.raises(DataError, match="48 x 48 pixels, and patches have 64 x 64") as caught:
        load(f"pairs:{root}")
    (patch,) = re.findall(r"--patch (\d+)", caught.value.hint)
    assert load(f"pairs:{root}", making=Making(patch=int(patch))).in_shape == (1, 3, 48, 48)


def test_one_image_smaller_than_a_patch_can_be_taken_out(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", n=60)
    for side in ("noisy", "clean"):
        saved(smooth(1, 48)[0], root / side / "07.png")
    assert "59 pairs" in mended(f"pairs:{root}", tmp_path, r"07\.png has 48 x 48 pixels").source.notes[0]
    for place in range(4):
        saved(smooth(1, 300)[0] + np.uint8(place), tmp_path / "own" / f"{place}.png")
    saved(smooth(1, 5)[0], tmp_path / "own" / "tiny.png")
    assert (
        "4 photo" in mended(f"photos:{tmp_path / 'own'}", tmp_path, r"own/tiny\.png has 5 x 5 pixels").source.notes[0]
    )


def test_no_layout_and_too_few_scenes_are_told(tmp_path: Path) -> None:
    saved(smooth(1)[0], tmp_path / "some" / "a.png")
    with pytest.raises(DataError, match="holds no pairs") as caught:
        load(f"pairs:{tmp_path}")
    assert "noisy/ and clean/" in caught.value.hint
    with pytest.raises(DataError, match="has 2 scenes"):
        load(f"pairs:{folders(tmp_path / 'few', n=2)}")
    with pytest.raises(DataError, match="has 1 photograph,"):
        load(f"photos:{tmp_path / 'some'}")


def test_arrays_of_pairs(tmp_path: Path) -> None:
    clean = smooth(60, 20)
    np.savez(tmp_path / "own.npz", x=(clean + np.uint8(3)).transpose(0, 2, 3, 1), y=clean.transpose(0, 2, 3, 1))
    data = load(f"npz:{tmp_path / 'own.npz'}")
    assert data.paired
    assert data.in_shape == (1, 3, 20, 20)
    assert np.array_equal(data.test.x, data.test.y + np.uint8(3))
    assert any("may be in several" in note for note in data.source.notes)
    parts = {f"{kind}{split}": clean for kind in "xy" for split in ("_train", "_val", "_test")}
    (note,) = load(_saved(tmp_path / "three.npz", {k: smooth(40, 16, len(k)) for k in parts})).source.notes
    assert note.startswith("PSNR before denoising: ")


def test_arrays_that_are_no_pairs_are_told_and_mended(tmp_path: Path) -> None:
    clean = smooth(60, 20)
    few = {"x": clean, "y": clean[:55]}
    assert len(mended(_saved(tmp_path / "few.npz", few), tmp_path, "the shape").train) == 33
    deep = {"x": clean.astype(np.uint16) * 257, "y": clean.astype(np.uint16) * 257}
    data = mended(_saved(tmp_path / "deep.npz", deep), tmp_path, "uint16, and denoisers")
    assert np.array_equal(np.unique(data.train.y), np.unique(data.train.x))
    floats = {"x": clean / 255, "y": clean / 255}
    assert mended(_saved(tmp_path / "floats.npz", floats), tmp_path, "float64").train.y.max() == clean.max()


def test_arrays_of_several_scales_are_mended_each_by_its_own(tmp_path: Path) -> None:
    clean = smooth(60, 20)
    noise = np.random.RandomState(0).normal(0, 0.1, clean.shape)
    for name, x, y in (
        ("one", clean / 255, clean),
        ("two", clean / 255 + noise, clean / 255),
        ("three", clean / 255 + noise, clean),
    ):
        data = mended(_saved(tmp_path / f"{name}.npz", {"x": x, "y": y}), tmp_path, "float64, and denoisers")
        assert data.train.y.max() == clean.max()
        assert abs(data.train.x.mean() - data.train.y.mean()) < 2


def test_arrays_from_minus_one_to_one_are_mended_by_their_scale(tmp_path: Path) -> None:
    clean = smooth(60, 20)
    noise = np.random.RandomState(0).normal(0, 0.1, clean.shape)
    for name, x, y in (
        ("one", clean / 127.5 - 1, clean / 127.5 - 1),
        ("two", clean / 127.5 - 1 + noise, clean / 127.5 - 1),
        ("three", clean, clean / 127.5 - 1),
    ):
        data = mended(_saved(tmp_path / f"{name}.npz", {"x": x, "y": y}), tmp_path, "float64, and denoisers")
        assert np.array_equal(np.unique(data.train.y), np.unique(clean))
        assert abs(data.train.x.mean() - data.train.y.mean()) < 1
    splits = {split: smooth(40, 20, seed) for seed, split in enumerate(("_train", "_val", "_test"))}
    parts = {f"{kind}{split}": images / 127.5 - 1 for kind in "xy" for split, images in splits.items()}
    data = mended(_saved(tmp_path / "splits.npz", parts), tmp_path, "float64, and denoisers")
    assert np.array_equal(data.test.y, splits["_test"])


def test_clean_values_just_below_zero_are_clipped(tmp_path: Path) -> None:
    clean = smooth(60, 20)
    resized = np.where(clean < 50, -0.03, clean / 255)
    data = mended(_saved(tmp_path / "own.npz", {"x": resized, "y": resized}), tmp_path, "float64, and denoisers")
    assert set(np.unique(data.train.y)) == {0, *np.unique(clean[clean >= 50])}


@pytest.mark.parametrize("scaled", [lambda x: (x - 128.0) / 60, lambda x: x.astype(np.int16) - 128])
def test_a_scale_that_is_not_known_is_told_without_code(
    tmp_path: Path, scaled: Callable[[np.ndarray], np.ndarray]
) -> None:
    own = scaled(smooth(60, 20))
    with pytest.raises(DataError, match=f"clean images go from {own.min():.4g} to {own.max():.4g}, so") as caught:
        load(_saved(tmp_path / "own.npz", {"x": own, "y": own}))
    assert not commands(caught.value.hint)
    assert caught.value.hint.startswith("save x, y as uint8, with black as 0 and white as 255")


def test_noisy_values_from_minus_one_to_one_beside_clean_levels_are_told_without_code(tmp_path: Path) -> None:
    clean = smooth(60, 20)
    with pytest.raises(DataError, match="the values go from -") as caught:
        load(_saved(tmp_path / "own.npz", {"x": clean / 127.5 - 1, "y": clean}))
    assert not commands(caught.value.hint)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.full((60, 3, 20, 20), np.nan), "no real, finite numbers"),
        (np.full((60, 3, 20, 20), 1j), "no real, finite numbers"),
        (np.zeros((60, 20, 20, 4), np.uint8), "have 4 channels"),
        (np.zeros((60, 5, 20, 20), np.uint8), "have 5 channels"),
    ],
)
def test_arrays_that_no_denoiser_takes_are_told(tmp_path: Path, x: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load(
            _saved(
                tmp_path / "own.npz",
                {"x": x, "y": np.zeros(x.shape, np.uint8), "layout": np.array("nhwc" if x.shape[-1] == 4 else "nchw")},
            )
        )


def _saved(path: Path, arrays: dict[str, np.ndarray]) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return f"npz:{path}"


def test_pairs_are_not_resized(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whose noise would be another one") as caught:
        load(f"pairs:{folders(tmp_path)}", resize=8)
    assert "--patch" in caught.value.hint
