"""What a transform does, told by the bytes of fixed images before and after. Runs inside the sandbox only."""

from __future__ import annotations

import hashlib
from math import prod

import torch
from torch import Generator, Tensor

from deltanas.program.transforms import Step
from deltanas.train.augment import Augmentation, run_wide
from deltanas.train.job import Job
from deltanas.train.loop import steps_of

_EACH = 64
"""Images that are changed at a time, by one seed."""
_SEEDS = (2, 8)
"""Fewest and most seeds: of 512 images one shows what comes with probability .01 but for one time in 170."""
_VALUES = 2_000_000
"""Values of all images together, where that is between these. What shows on none of them gets the most seeds."""


def acted(job: Job) -> str:
    """16 digits, equal for transforms that give equal bytes; "" for one that does what the run does without any.

    So a run without `augment` has "" for each transform that does nothing, in whatever words: an operation of strength
    0 or probability 0, one that needs colours on images of one channel, two that undo one another. Beside others an
    operation that does nothing by itself is left out, so that it is not told as a change because what follows draws
    otherwise. Other transforms that draw otherwise have other digits, even where they do the same on average.
    """
    if not job.transform:
        return ""
    shape, (few, most) = job.in_shape[1:], _SEEDS
    due = min(most, max(few, _VALUES // (_EACH * prod(shape))))
    own, usual, found, same = steps_of(job), run_wide(job.augment), hashlib.sha256(), True
    if len(own) > 1:
        own = tuple(step for step in own if not _is_idle(step, shape))
    for seed in range(most):
        if seed >= due and not same:
            break
        images = fixed_images(shape, seed)
        changed, wanted = (Augmentation(steps, seed)(images) for steps in (own, usual))
        found.update(changed.contiguous().numpy().data)
        same = same and torch.equal(changed, wanted)
    return "" if same else found.hexdigest()[:16]


def _is_idle(step: Step, shape: tuple[int, ...]) -> bool:
    seen = ((fixed_images(shape, seed), seed) for seed in range(_SEEDS[1]))
    return all(torch.equal(Augmentation((step,), seed)(images), images) for images, seed in seen)


def fixed_images(shape: tuple[int, ...], seed: int) -> Tensor:
    """uint8 [n, channels, height, width], of four kinds in turn, so that each operation has some on which it shows.

    They are noise of all values, noise of low contrast, ramps whose channels differ, and bright dots on black.
    """
    channels, height, width = shape
    chance = Generator().manual_seed(seed)
    noise = torch.randint(0, 256, (_EACH, *shape), dtype=torch.uint8, generator=chance)
    slopes = torch.rand(3, _EACH // 4, channels, 1, 1, generator=chance)
    down, right = torch.linspace(0, 1, height).view(-1, 1), torch.linspace(0, 1, width)
    noise[1::4] = 64 + noise[1::4] // 2
    noise[2::4] = (32 + 191 * (slopes[0] * down + slopes[1] * right + slopes[2]) / 3).to(torch.uint8)
    noise[3::4] = torch.where(noise[3::4] < 208, 0, noise[3::4])
    return noise
