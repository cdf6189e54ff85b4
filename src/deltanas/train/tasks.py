"""The half of a task that runs inside the sandbox, by the name of its other half in `deltanas.task`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ChildTask:
    """What a child needs to train for a task.

    Attributes:
        dtype: of the training targets as they lie in the mapped data. target_shape: shape of one image's target, given
            `Job.out_shape`.
        examples: targets of n made-up images for the build check, given n and `Job.out_shape`.
    """

    dtype: torch.dtype
    target_shape: Callable[[tuple[int, ...]], tuple[int, ...]]
    examples: Callable[[int, tuple[int, ...]], Tensor]


CHILD_TASKS = {
    "classify": ChildTask(
        torch.int64,
        target_shape=lambda out_shape: (),  # noqa: ARG005
        examples=lambda n, out_shape: torch.arange(n) % out_shape[0],
    ),
}
