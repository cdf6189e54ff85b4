"""Random changes of whole batches of uint8 images, each image by itself. Runs inside the sandbox only; never on
evaluation images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Generator, Tensor

from deltanas.program.transforms import MENU, Step
from deltanas.train.augment.draws import Draws
from deltanas.train.augment.effects import EFFECTS
from deltanas.train.augment.geometry import WARPS
from deltanas.train.augment.warps import Warp, warped
from deltanas.train.job import Augment

__all__ = ["OPERATIONS", "RUN_WIDE", "Augmentation", "run_wide"]

RUN_WIDE: Mapping[Augment, str] = {"crop": "RandomCrop", "flip": "RandomHorizontalFlip"}
"""The operations that a run may apply to every program, with the usual values of their parameters, in this order."""

OPERATIONS: Mapping[str, Callable[..., Tensor | Warp]] = {**WARPS, **EFFECTS}
"""The operations of `program.transforms.MENU`."""


_AT_ONCE, _VALUES = 128, 2**19


class Augmentation:
    """Callable: uint8 [b, c, h, w] to a new tensor alike. Each image has its own draws; `seed` alone decides them."""

    def __init__(self, steps: Sequence[Step], seed: int) -> None:
        self._steps = steps
        self._chance = Generator().manual_seed(seed)

    def at_once(self, values: int) -> int:
        """Number of images, of so many values each, that it best gets together; 0 if it gets each batch by itself.

        Operations cost as much for a few small images as for many. Those of a run draw batch by batch, so that runs of
        before keep their digits.
        """
        own = any(step.name not in RUN_WIDE.values() for step in self._steps)
        return min(_AT_ONCE, _VALUES // values) if own else 0

    def __call__(self, x: Tensor) -> Tensor:
        draws = Draws(len(x), x.device, self._chance)
        size = x.shape[3], x.shape[2]
        pending: list[Warp] = []
        for step in self._steps:
            if step.name in WARPS:
                pending.append(WARPS[step.name](draws, size, *step.values))
            else:
                x = EFFECTS[step.name](warped(x, pending), draws, *step.values)
                pending = []
        return warped(x, pending)


def run_wide(kinds: Sequence[Augment]) -> tuple[Step, ...]:
    """What a run's setting `augment` comes to."""
    names = [name for kind, name in RUN_WIDE.items() if kind in kinds]
    return tuple(Step(name, tuple(one.default for one in MENU[name].parameters)) for name in names)
