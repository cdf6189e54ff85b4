from __future__ import annotations

import torch
from torch import Tensor

from deltanas.train.augment import Augmentation


def images(n: int) -> Tensor:
    return torch.randint(1, 256, (n, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_about_half_are_mirrored_and_the_others_are_left_alone() -> None:
    x = images(400)
    y = Augmentation(["flip"], 1)(x)
    mirrored = [bool((b == a.flip(2)).all()) for a, b in zip(x, y, strict=True)]
    assert all(m or bool((b == a).all()) for m, a, b in zip(mirrored, x, y, strict=True))
    assert 150 < sum(mirrored) < 250


def test_a_crop_moves_the_image_and_fills_with_zeros() -> None:
    x = images(200)
    y = Augmentation(["crop"], 1)(x)
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
    first, second, other = (Augmentation(["crop", "flip"], seed)(x) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(x, kept)
