"""Flips and padded crops of whole batches of uint8 images. Runs inside the sandbox only; never on evaluation images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from deltanas.train.job import Augment

_PAD = 8
"""An image is padded by an eighth of its shorter side: 4 pixels of 32, as is common on CIFAR."""


class Augmentation:
    """Callable: uint8 [b, c, h, w] to a new tensor alike. Its draws come from `seed` alone.

    flip: each image is mirrored left to right with probability 1/2. crop: each image is padded with zeros on all sides
    and cut back to its size at a place of its own, each place as likely as any other.
    """

    def __init__(self, kinds: Sequence[Augment], seed: int) -> None:
        self._kinds = kinds
        self._chance = torch.Generator().manual_seed(seed)

    def __call__(self, x: Tensor) -> Tensor:
        if "crop" in self._kinds:
            x = self._crop(x)
        if "flip" in self._kinds:
            mirrored = (torch.rand(len(x), generator=self._chance) < 0.5).to(x.device)
            x = torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)
        return x

    def _crop(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        pad = max(1, min(height, width) // _PAD)
        top, left = torch.randint(0, 2 * pad + 1, (2, n, 1), generator=self._chance)
        rows = (top + torch.arange(height)).view(n, height, 1)
        columns = (left + torch.arange(width)).view(n, 1, width)
        padded = torch.nn.functional.pad(x, (pad, pad, pad, pad))
        images = torch.arange(n).view(n, 1, 1)
        return padded.permute(0, 2, 3, 1)[images, rows, columns].permute(0, 3, 1, 2)
