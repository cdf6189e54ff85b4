"""The half of a task that runs inside the sandbox, by the name of its other half in `deltanas.task`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_EVALUATED = 256
"""Images that are evaluated at a time."""
_EVALUATED_PIXELS = 1 << 18
"""Where outputs are images, pixels that are evaluated at a time."""


def _as_it_is(y: Tensor) -> Tensor:
    return y


@dataclass(frozen=True)
class ChildTask:
    """What a child needs to train for a task.

    Attributes:
        dtype: of the training targets as they lie in the mapped data. target_shape: shape of one image's target, given
            `Job.out_shape`.
        examples: targets of n made-up images for the build check, given n and `Job.out_shape`.
        fed: targets of a batch, as learn() gets them. output: name of what an exported network gives.
        images: targets and outputs are images as the inputs are: what turns the one turns the other, networks take
            images of any size, and outputs are floats.
    """

    dtype: torch.dtype
    target_shape: Callable[[tuple[int, ...]], tuple[int, ...]]
    examples: Callable[[int, tuple[int, ...]], Tensor]
    fed: Callable[[Tensor], Tensor] = _as_it_is
    output: str = "logits"
    images: bool = False

    def at_once(self, in_shape: tuple[int, ...]) -> int:
        """Number of images that are evaluated at a time. in_shape: (1, channels, height, width)."""
        return max(1, min(_EVALUATED, _EVALUATED_PIXELS // (in_shape[2] * in_shape[3]))) if self.images else _EVALUATED


def _made_up(n: int, out_shape: tuple[int, ...]) -> Tensor:
    return torch.randint(0, 256, (n, *out_shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


CHILD_TASKS = {
    "classify": ChildTask(
        torch.int64,
        target_shape=lambda out_shape: (),  # noqa: ARG005
        examples=lambda n, out_shape: torch.arange(n) % out_shape[0],
    ),
    "denoise": ChildTask(
        torch.uint8,
        target_shape=lambda out_shape: out_shape,
        examples=_made_up,
        fed=lambda y: y.to(torch.float32).div_(255),
        output="denoised",
        images=True,
    ),
}
