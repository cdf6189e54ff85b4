"""What a transform does, by the bytes of fixed images: "" where it does nothing, and one digest for all spellings."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
import torch

from deltanas.program import acting
from deltanas.program.transforms import MENU, Step, read_transform, transform_text
from deltanas.train.augment import Augmentation
from deltanas.train.build import check_build
from deltanas.train.data import load
from deltanas.train.digest import acted, fixed_images
from deltanas.train.job import Job
from support import build_job

GREY, COLOUR, LARGE = (1, 1, 28, 28), (1, 3, 32, 32), (1, 3, 128, 96)
CROP, FLIP = "RandomCrop(padding=0.125)", "RandomHorizontalFlip(p=0.5)"


def written(*calls: str) -> str:
    return (
        f"def transform(norm):\n    return transforms.Compose([{', '.join(f'transforms.{each}' for each in calls)}])\n"
    )


def job(*calls: str, shape: tuple[int, int, int, int] = COLOUR) -> Job:
    return replace(build_job("", "{}", shape, 5), transform=written(*calls))


NOTHING = (
    "RandomPosterize(bits=8, p=1.0)",
    "Pad(padding=0)",
    "Pad(padding=0, fill=255, padding_mode='edge')",
    "RandomCrop(padding=0)",
    "CenterCrop(size=1.0)",
    "RandomRotation(degrees=(0, 0))",
    "RandomAffine(degrees=(0, 0), translate=(0, 0), scale=(1, 1), shear=(0, 0))",
    "RandomResizedCrop(scale=(1, 1), ratio=(1, 1))",
    "RandomPerspective(distortion_scale=0, p=1.0)",
    "ColorJitter(brightness=(1, 1), contrast=(1, 1), saturation=(1, 1), hue=(0, 0))",
    "RandomSolarize(threshold=256, p=1.0)",
    "RandomAdjustSharpness(sharpness_factor=1, p=1.0)",
    *(f"{name}(p=0)" for name, one in MENU.items() if any(parameter.name == "p" for parameter in one.parameters)),
)
UNDONE = ("RandomInvert(p=1.0)", "RandomHorizontalFlip(p=1.0)", "RandomVerticalFlip(p=1.0)")
COLOURS = ("Grayscale()", "RandomGrayscale(p=1.0)", "ColorJitter(saturation=(0.2, 2), hue=(-0.5, 0.5))")


def idle_policies(shape: tuple[int, ...]) -> list[tuple[str, ...]]:
    """Operations that do nothing, alone and in draws of two to four, with pairs that undo one another around them."""
    single = (*NOTHING, *(COLOURS if shape[1] == 1 else ()))
    chance = Random(0)
    drawn = [tuple(chance.sample(single, chance.choice((2, 3, 4)))) for _ in range(25)]
    pairs = [(one, *chance.sample(single, 2), one) for one in UNDONE for _ in range(3)]
    return [(), *((one,) for one in single), *((one, one) for one in UNDONE), *drawn, *pairs]


@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
def test_what_does_nothing_has_no_digest(shape: tuple[int, int, int, int]) -> None:
    assert {calls: found for calls in idle_policies(shape) if (found := acted(job(*calls, shape=shape)))} == {}
    assert acted(replace(job(shape=shape), transform="")) == ""


def test_what_is_said_to_do_nothing_leaves_real_images_as_they_are() -> None:
    x = torch.from_numpy(load("digits").train.x[:200])
    for calls in (*idle_policies((1, 1, 8, 8)), ("RandomEqualize(p=1.0)",)):
        assert acted(job(*calls, shape=(1, 1, 8, 8))) == ""
        assert torch.equal(Augmentation(read_transform(written(*calls)), 1)(x), x), calls


@pytest.mark.parametrize("shape", [GREY, COLOUR], ids=["grey", "colour"])
def test_each_operation_shows_at_each_strength(shape: tuple[int, int, int, int]) -> None:
    able = [one for one in MENU.values() if one.singles or shape[1] > 1]
    steps = list(dict.fromkeys(Step(one.name, one.at(strength)) for one in able for strength in range(3)))
    found = [acted(replace(job(shape=shape), transform=transform_text([step]))) for step in steps]
    assert "" not in found
    assert len(set(found)) == len(steps) > 50


def test_two_hundred_policies_that_do_something_have_digests_of_their_own() -> None:
    chance = Random(1)
    able = [one for one in MENU.values() if one.singles]
    policies: set[tuple[Step, ...]] = set()
    while len(policies) < 200:
        drawn = chance.sample(able, chance.choice((1, 2, 3)))
        policies.add(tuple(Step(one.name, tuple(chance.choice(p.grid) for p in one.parameters)) for one in drawn))
    found = [acted(replace(job(shape=GREY), transform=transform_text(steps))) for steps in policies]
    assert "" not in found
    assert len(set(found)) == 200


@pytest.mark.parametrize("idle", [*NOTHING, *COLOURS])
def test_an_operation_that_does_nothing_is_no_change_because_what_follows_draws_otherwise(idle: str) -> None:
    alone = acted(job(FLIP, CROP, shape=GREY))
    assert {acted(job(*calls, shape=GREY)) for calls in ((idle, FLIP, CROP), (FLIP, idle, CROP))} == {alone}
    if idle in COLOURS:
        assert acted(job(idle, FLIP)) != acted(job(FLIP))


@pytest.mark.parametrize("shape", [GREY, LARGE], ids=["grey", "large"])
def test_what_is_rarely_done_is_seen(shape: tuple[int, int, int, int]) -> None:
    assert acted(job("RandomInvert(p=0.01)", shape=shape))
    assert acted(job("RandomInvert(p=0.01)", FLIP, shape=shape)) != acted(job(FLIP, shape=shape))


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), GREY, LARGE], ids=["digits", "grey", "large"])
def test_probabilities_that_differ_by_a_twentieth_are_told_apart(shape: tuple[int, int, int, int]) -> None:
    found = [acted(job(f"RandomHorizontalFlip(p={step / 20})", shape=shape)) for step in range(1, 21)]
    assert len(set(found)) == 20
    assert {len(digest) for digest in found} == {16}


@pytest.mark.parametrize(
    "text",
    [
        written("RandomHorizontalFlip()"),
        written("RandomHorizontalFlip(0.5)", "RandomCrop(padding=0)"),
        f"import torchvision.transforms as transforms\n{written(FLIP)}",
    ],
)
def test_spellings_of_one_transform_have_one_digest(text: str) -> None:
    assert acted(replace(job(), transform=text)) == acted(job(FLIP))


def test_in_a_run_that_augments_what_does_the_same_has_no_digest() -> None:
    run = replace(job(CROP, FLIP), augment=("flip", "crop"))
    assert acted(run) == ""
    switched_off = acted(replace(run, transform=written()))
    assert switched_off
    assert acted(replace(run, transform=written("RandomCrop(padding=0)"))) == switched_off


def test_the_images_are_of_the_shape_and_of_all_brightness() -> None:
    x = fixed_images((3, 20, 30), 1)
    assert x.shape == (64, 3, 20, 30)
    assert (int(x.min()), int(x.max())) == (0, 255)
    assert not bool((x == fixed_images((3, 20, 30), 2)).all())


NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.head = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0])

    def forward(self, x):
        return self.head(x.flatten(1))

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)

    def learn(self, train_data):
        for x, y in train_data:
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self(x), y).backward()
            self.optimizer.step()
"""


def test_the_trace_ends_with_what_the_transform_does_and_the_network_s_part_does_not_move() -> None:
    plain = check_build(build_job(NET, "{}", GREY, 5))
    idle = check_build(replace(job("RandomCrop(padding=0)", shape=GREY), net=NET))
    flips = check_build(replace(job(FLIP, shape=GREY), net=NET))
    assert idle == plain
    trace = str(flips["trace"])
    assert trace == f"{plain['trace']}{acted(job(FLIP, shape=GREY))}"
    assert (acting(trace), acting(str(plain["trace"]))) == (trace[16:], "")
    assert flips["probe"] == plain["probe"]
