"""How long the short training is that a search ranks by, where nobody says it."""

from __future__ import annotations

from math import ceil

LEAST_STEPS = 128
"""Optimizer steps that a short training should have. With fewer the baselines are told apart by how fast they begin,
and not by how well they learn (docs/results.md)."""


def settled_epochs(images: int, batch: int) -> int:
    """One epoch over `images` in batches of `batch` where that gives `LEAST_STEPS`, else as many as reach them."""
    return ceil(LEAST_STEPS / ceil(images / batch))
