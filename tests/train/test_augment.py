from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor

from deltanas.program.transforms import MENU, Parameter, Step, Value, read_transform
from deltanas.train.augment import OPERATIONS, Augmentation, run_wide
from deltanas.train.job import Augment


def images(n: int) -> Tensor:
    return torch.randint(1, 256, (n, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_about_half_are_mirrored_and_the_others_are_left_alone() -> None:
    x = images(400)
    y = Augmentation(run_wide(["flip"]), 1)(x)
    mirrored = [bool((b == a.flip(2)).all()) for a, b in zip(x, y, strict=True)]
    assert all(m or bool((b == a).all()) for m, a, b in zip(mirrored, x, y, strict=True))
    assert 150 < sum(mirrored) < 250


def test_a_crop_moves_the_image_and_fills_with_zeros() -> None:
    x = images(200)
    y = Augmentation(run_wide(["crop"]), 1)(x)
    assert y.shape == x.shape
    assert y.dtype == torch.uint8
    places = set()
    for before, after in zip(x, y, strict=True):
        found = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if bool((moved(before, dy, dx) == after).all())]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) == 25


def moved(image: Tensor, down: int, right: int) -> Tensor:
    """The image shifted by so many pixels, zeros where it does not reach."""
    out = torch.zeros_like(image)
    _, h, w = image.shape
    out[:, max(0, down) : h + min(0, down), max(0, right) : w + min(0, right)] = image[
        :, max(0, -down) : h + min(0, -down), max(0, -right) : w + min(0, -right)
    ]
    return out


def test_the_seed_alone_decides_and_the_input_is_left_as_it_was() -> None:
    x = images(20)
    kept = x.clone()
    first, second, other = (Augmentation(run_wide(["crop", "flip"]), seed)(x) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    ("kinds", "digest"),
    [(["crop"], "0b0b797c4360a7c4"), (["flip"], "a26ba27269b02068"), (["flip", "crop"], "94d32d7398f1a83c")],
    ids=["crop", "flip", "both"],
)
def test_a_runs_augmentation_draws_what_it_drew_before_there_were_transforms(kinds: list[Augment], digest: str) -> None:
    changed = Augmentation(run_wide(kinds), 5)(images(20)).contiguous()
    assert hashlib.sha256(changed.numpy().tobytes()).hexdigest()[:16] == digest


def corners(parameter: Parameter) -> list[Value]:
    """Its values at its bounds, and those that edits step through."""
    if parameter.choices:
        return list(parameter.choices)
    ends: list[Value] = [parameter.least, parameter.most]
    if isinstance(parameter.default, tuple):
        ends = [(low, high) for low in (parameter.least, parameter.most) for high in (low, parameter.most)]
    return [*ends, parameter.default, *parameter.grid]


@pytest.mark.parametrize("shape", [(7, 3, 16, 24), (5, 1, 28, 28), (3, 4, 8, 9), (1, 2, 1, 1), (2, 1, 3, 2)])
@pytest.mark.parametrize("name", MENU)
def test_an_operation_keeps_the_shape_at_all_bounds_of_its_parameters(name: str, shape: tuple[int, ...]) -> None:
    assert OPERATIONS.keys() == MENU.keys()
    x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spans = [corners(one) for one in MENU[name].parameters]
    for place in range(max(map(len, spans), default=1)):
        changed = Augmentation([Step(name, tuple(span[place % len(span)] for span in spans))], place)(x)
        assert (changed.shape, changed.dtype) == (x.shape, torch.uint8)


def test_a_transform_does_its_steps_in_their_order() -> None:
    text = "def transform(norm):\n    return transforms.Compose([transforms.RandomHorizontalFlip(1.0)])\n"
    assert torch.equal(Augmentation(read_transform(text), 0)(images(5)), images(5).flip(3))
