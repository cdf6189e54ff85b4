"""How long the short training is that a search ranks by, where nobody says it."""

from __future__ import annotations

from math import ceil

LEAST_STEPS = 128
"""Optimizer steps that a short training should have.

With 128 steps the mean accuracy of the baselines lies within 2 points of that with twice as many, on four small data
sets; with 16 to 34 steps it lies up to 32 points below. Further steps cost in proportion (docs/results.md).
"""


def settled_epochs(images: int, batch: int) -> int:
    """One epoch over `images` in batches of `batch` where that gives `LEAST_STEPS`, else as many as reach them."""
    steps = ceil(images / batch)
    if images % batch == 1 and steps > 1:  # a last batch of one image is left out
        steps -= 1
    return ceil(LEAST_STEPS / steps)
