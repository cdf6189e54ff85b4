"""What is done to pairs of images while a network trains on them: one crop, one turn for both. Runs inside the sandbox
only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class Turned:
    """Callable: two batches [b, c, h, w] to two new ones, whose pairs got the same crop, flips and transpose.

    Each pair has draws of its own, which `seed` alone decides. Images that are not square are never transposed.
    """

    def __init__(self, seed: int) -> None:
        self._chance = Generator().manual_seed(seed)

    def __call__(self, x: Tensor, y: Tensor, crop: int | None = None) -> tuple[Tensor, Tensor]:
        height, width = x.shape[2:]
        rows, columns = (crop or height, crop or width)
        draws = torch.rand(len(x), 5, generator=self._chance).tolist()
        changed: tuple[list[Tensor], list[Tensor]] = ([], [])
        for place, (down, right, *turns) in enumerate(draws):
            top, left = int(down * (height - rows + 1)), int(right * (width - columns + 1))
            for images, found in zip((x, y), changed, strict=True):
                one = images[place, :, top : top + rows, left : left + columns]
                found.append(_turned(one, turns, square=rows == columns))
        return torch.stack(changed[0]), torch.stack(changed[1])


def _turned(image: Tensor, turns: Sequence[float], *, square: bool) -> Tensor:
    """Flipped down, flipped across and transposed, each if its draw is below one half."""
    axes = [axis for axis, draw in zip((1, 2), turns, strict=False) if draw < 0.5]
    image = image.flip(axes) if axes else image
    return image.transpose(1, 2) if square and turns[2] < 0.5 else image


def crop_of(epoch: int, epochs: int, crops: Sequence[int]) -> int | None:
    """The crop of an epoch, counted from 1: each size for an equal share of them, in their order. None without any."""
    return crops[(epoch - 1) * len(crops) // epochs] if crops else None
