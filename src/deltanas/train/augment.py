"""Random changes of whole batches of uint8 images. Runs inside the sandbox only; never on evaluation images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Generator, Tensor

from deltanas.program.transforms import MENU, Step
from deltanas.train.job import Augment

RUN_WIDE: Mapping[Augment, str] = {"crop": "RandomCrop", "flip": "RandomHorizontalFlip"}
"""The operations that a run may apply to every program, with the usual values of their parameters, in this order."""


class Augmentation:
    """Callable: uint8 [b, c, h, w] to a new tensor alike. Each image is changed by itself; `seed` alone decides."""

    def __init__(self, steps: Sequence[Step], seed: int) -> None:
        self._steps = steps
        self._chance = Generator().manual_seed(seed)

    def __call__(self, x: Tensor) -> Tensor:
        for step in self._steps:
            x = OPERATIONS[step.name](x, self._chance, *step.values)
        return x


def run_wide(kinds: Sequence[Augment]) -> tuple[Step, ...]:
    """What a run's setting `augment` comes to."""
    names = [name for kind, name in RUN_WIDE.items() if kind in kinds]
    return tuple(Step(name, tuple(one.default for one in MENU[name].parameters)) for name in names)


def _flip(x: Tensor, chance: Generator, p: float) -> Tensor:
    mirrored = (torch.rand(len(x), generator=chance) < p).to(x.device)
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(3), x)


def _crop(x: Tensor, chance: Generator, padding: float) -> Tensor:
    n, _, height, width = x.shape
    pad = max(1, int(padding * min(height, width))) if padding else 0
    top, left = torch.randint(0, 2 * pad + 1, (2, n, 1), generator=chance)
    rows = (top + torch.arange(height)).view(n, height, 1)
    columns = (left + torch.arange(width)).view(n, 1, width)
    padded = torch.nn.functional.pad(x, (pad, pad, pad, pad))
    images = torch.arange(n).view(n, 1, 1)
    return padded.permute(0, 2, 3, 1)[images, rows, columns].permute(0, 3, 1, 2)


OPERATIONS: Mapping[str, Callable[..., Tensor]] = {"RandomHorizontalFlip": _flip, "RandomCrop": _crop}
"""The operations of `program.transforms.MENU`: images, the source of chance and the parameters to new images."""
