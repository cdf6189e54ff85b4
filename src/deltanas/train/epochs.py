"""How long the short training is that a search ranks by, where nobody says it."""

from __future__ import annotations

from math import ceil

LEAST_STEPS = 128
"""Optimizer steps that a short training should have.

With 128 steps the mean accuracy of the baselines lies within 2 points of that with twice as many, on four small data
sets; with 16 to 34 steps it lies up to 32 points below. Further steps cost in proportion (docs/results.md).
"""


LONG_STEPS = 640
"""Optimizer steps of the longer training that a search gives baselines and the best of each cycle.

After 125 steps the 17 baselines stand in another order than after 625 (docs/results.md, "Rivals").
"""


LEAST_STEPS_OF_PAIRS, CROP = 512, 32
"""The same where images are to become others, and the side in pixels of the crops that larger pairs are trained on.

As many pixels pass as in 128 steps of whole patches of 64 pixels, after which most denoisers still return the noisy
image; four times the steps are worth more than whole patches (docs/results.md).
"""


def settled_epochs(images: int, batch: int, least: int = LEAST_STEPS) -> int:
    """One epoch over `images` in batches of `batch` where that gives `least` steps, else as many as reach them."""
    steps = ceil(images / batch)
    if images % batch == 1 and steps > 1:  # a last batch of one image is left out
        steps -= 1
    return ceil(least / steps)
