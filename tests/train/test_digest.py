"""What a transform does, by the bytes of fixed images: "" where it does nothing, and one digest for all spellings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas.program import acting
from deltanas.train.build import check_build
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


@pytest.mark.parametrize("shape", [GREY, COLOUR, LARGE], ids=["grey", "colour", "large"])
@pytest.mark.parametrize(
    "calls",
    [
        (),
        ("RandomHorizontalFlip(p=0)",),
        ("RandomCrop(padding=0)",),
        ("RandomCrop(0.0)", "RandomHorizontalFlip(0.0)"),
        ("RandomHorizontalFlip(p=1)", "RandomHorizontalFlip(p=1.0)"),
    ],
)
def test_what_does_nothing_has_no_digest(calls: tuple[str, ...], shape: tuple[int, int, int, int]) -> None:
    assert acted(job(*calls, shape=shape)) == ""
    assert acted(replace(job(shape=shape), transform="")) == ""


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), GREY, COLOUR, LARGE], ids=["digits", "grey", "colour", "large"])
def test_transforms_that_differ_have_digests_of_their_own(shape: tuple[int, int, int, int]) -> None:
    flips = [(f"RandomHorizontalFlip(p={step / 20})",) for step in range(1, 21)]
    policies = [*flips, (CROP,), (CROP, FLIP), (FLIP, CROP), ("RandomCrop(padding=0.3)",), (CROP, CROP)]
    found = [acted(job(*calls, shape=shape)) for calls in policies]
    assert len(set(found)) == len(policies)
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
