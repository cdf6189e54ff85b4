"""Transforms in pixels and in shares: each way, and what torchvision makes of what is written."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deltanas.lemur import own_programs
from deltanas.lemur.layout import FaultError
from deltanas.lemur.shares import converted, pixels_text
from deltanas.lemur.transforms import read_released
from deltanas.program import Program, Trained
from deltanas.program.transforms import MENU, Step, read_transform, transform_text
from deltanas.records import Candidate, Draft, RunView
from deltanas.train.augment.draws import Draws
from deltanas.train.augment.geometry import WARPS
from deltanas.train.augment.warps import Shift, Window
from lemur_transforms import BLUR, JITTER, text
from lemur_wheels import net


def steps_of(*calls: str) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    found = converted(read_released(text(*calls)), 32)
    assert read_transform(transform_text(found.steps)) == found.steps
    return found.steps, found.notes


def test_scalars_become_the_ranges_that_torchvision_makes_of_them() -> None:
    (step,), notes = steps_of(JITTER)
    assert step.values == ((0.0, 2.04), (0.13, 1.87), (0.05, 1.95), (-0.06, 0.06))
    assert notes == ()
    assert steps_of("RandomRotation(degrees=20)")[0] == (Step("RandomRotation", ((-20.0, 20.0),)),)


def test_sizes_are_shares_of_the_side_as_it_is_at_that_place() -> None:
    steps, notes = steps_of("CenterCrop(size=24)", "Pad(padding=3, fill=(9, 9, 9), padding_mode='constant')", BLUR)
    assert steps[:2] == (Step("CenterCrop", (0.75,)), Step("Pad", (0.125, 9.0, "constant")))
    assert notes == ("GaussianBlur is of pixels of an image of 30, not 32",)
    steps, notes = steps_of("Pad(padding=2, fill=(0, 60, 90), padding_mode='constant')", "RandomCrop(size=27)")
    assert steps == (Step("Pad", (0.0625, 50.0, "constant")), Step("RandomCrop", (0.0, 0.75)))
    assert notes == ("Pad has one grey level in place of a colour",)
    # A centre crop to more than there is pads; a random one fails, as it did when it was measured.
    assert steps_of("RandomCrop(size=24)", "CenterCrop(size=30)")[0][1] == Step("Pad", (0.125, 0.0, "constant"))
    steps, notes = steps_of("RandomCrop(size=27)", "CenterCrop(size=32)")
    assert steps[1].values[1:] == (0.0, "constant")
    assert notes == ("CenterCrop pads 27 pixels to 32: one more on one side",)
    with pytest.raises(FaultError, match="a crop of 28 pixels out of 24 fails"):
        steps_of("CenterCrop(size=24)", "RandomCrop(size=28)")
    with pytest.raises(FaultError, match="sharpness_factor"):
        steps_of("RandomAdjustSharpness(sharpness_factor=50, p=0.5)")


def test_pixels_come_back_from_their_share_at_every_side() -> None:
    for side in (8, 9, 23, 27, 29, 32, 53, 64, 100):
        for pixels in range(side // 2):
            written = text(f"Pad(padding={pixels}, fill=(0, 0, 0), padding_mode='edge')")
            ((share, *_),) = (one.values for one in converted(read_released(written), side).steps)
            assert isinstance(share, float)
            assert int(share * side) == pixels, (side, pixels)


EACH = [(Step(one.name, one.at(strength)),) for one in MENU.values() for strength in (0, 2)]
SEVERAL = [
    tuple(Step(name, MENU[name].at(2)) for name in names)
    for names in (("CenterCrop", "Pad", "RandomCrop"), ("RandomResizedCrop", "Pad", "Grayscale"))
]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 24, 40), (1, 2, 2), (3, 6, 10)], ids=str)
def test_torchvision_builds_what_is_written_and_keeps_the_size(
    shape: tuple[int, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchvision")
    from PIL import Image

    monkeypatch.syspath_prepend(tmp_path)
    channels, height, width = shape
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    image = Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])
    for number, steps in enumerate([(), *EACH, *SEVERAL]):
        written = pixels_text(steps, shape, resized=False)
        name = f"made_{channels}_{width}_{number}"
        (tmp_path / f"{name}.py").write_text(written)
        built = importlib.import_module(name).transform(((0.5,) * channels, (0.25,) * channels))
        sys.modules.pop(name)
        assert tuple(built(image).shape) == shape, written


@pytest.mark.parametrize(("colour", "channels"), [(True, 3), (False, 1)])
def test_images_are_made_what_the_run_reads_them_as(
    colour: bool, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchvision")
    from PIL import Image

    monkeypatch.syspath_prepend(tmp_path)
    steps = (Step("Pad", (0.125, 128.0, "constant")), Step("Grayscale", ()))
    (tmp_path / f"read_{channels}.py").write_text(pixels_text(steps, (channels, 8, 8), resized=False, colour=colour))
    built = importlib.import_module(f"read_{channels}").transform(((0.5,) * channels, (0.25,) * channels))
    for mode in ("L", "RGB"):
        assert tuple(built(Image.new(mode, (8, 8))).shape) == (channels, 8, 8)


def test_what_needs_three_channels_is_left_out_for_two_and_four() -> None:
    steps = (Step("Grayscale", ()), Step("RandomGrayscale", (0.5,)))
    for channels in (2, 4):
        assert "Grayscale" not in pixels_text(steps, (channels, 8, 8), resized=False)


@pytest.mark.parametrize("side", [8, 24, 28, 32])
def test_as_many_pixels_are_padded_as_in_training(side: int) -> None:
    draws = Draws(1, torch.device("cpu"), torch.Generator().manual_seed(0))
    for padding in (0.0, 0.0625, 0.125, 0.25):
        window = WARPS["Pad"](draws, (side, side), padding, 0.0, "constant")
        assert isinstance(window, Window)
        text = pixels_text([Step("Pad", (padding, 0.0, "constant"))], (1, side, side), resized=False)
        assert f"Pad(padding={-int(window.box[0, 0])}, " in text
        shifts = [WARPS["RandomCrop"](draws, (side, side), padding, 1.0) for _ in range(200)]
        most = max(int(shift.left.abs()) for shift in shifts if isinstance(shift, Shift))
        text = pixels_text([Step("RandomCrop", (padding, 1.0))], (1, side, side), resized=False)
        assert f"RandomCrop(size={side}, padding={most})" in text


def test_what_is_written_is_read_back_as_it_was() -> None:
    for steps in (*EACH, *SEVERAL):
        if steps[0].name not in ("TrivialAugmentWide", "RandAugment"):
            for resized in (False, True):
                written = pixels_text(steps, (3, 32, 32), resized=resized)
                assert converted(read_released(written), 99 if resized else 32).steps == steps, written


def test_a_search_is_written_with_its_transforms() -> None:
    flip = transform_text((Step("RandomCrop", (0.125, 0.875)), Step("RandomHorizontalFlip", (0.5,))))
    rows = tuple(
        Candidate(0, place, "baseline", None, Draft(program), outcome=Trained(0.5, 100, 1, 2.5, 2.0, "A"))
        for place, program in enumerate((Program.of(net(8)), Program.of(net(8), flip), Program.of(net(16), flip)))
    )
    data = {"shape": [3, 32, 32]}
    config = {"dataset": "cifar10", "train": {"epochs": 1, "resize": 32}}
    own = own_programs(RunView("own", True, {"config": config, "data": data}, rows, {}))
    ((name, written),) = own.transforms.items()
    assert written == pixels_text(read_transform(flip), (3, 32, 32), resized=True)
    assert "Resize((32, 32)),\n        transforms.RandomCrop(size=28, padding=4)," in written
    used = sorted(trial.settings.partition('"transform": "')[2].partition('"')[0] for trial in own.trials)
    assert used == [name, name, "norm_32"]
    assert name.startswith("deltanas-")
