"""As many epochs as give optimizer steps enough, and one where one does."""

from __future__ import annotations

import pytest
import torch

from deltanas.train.batches import Batches
from deltanas.train.epochs import LEAST_STEPS, settled_epochs


@pytest.mark.parametrize("batch", [1, 32, 100])
@pytest.mark.parametrize("images", [1, 10, 33, 101, 540, 1_078, 1_601, 32 * LEAST_STEPS, 32 * LEAST_STEPS + 1, 60_000])
def test_the_fewest_epochs_that_reach_the_steps(images: int, batch: int) -> None:
    one = torch.zeros(1, 1, 1)
    x, y = torch.zeros(images, 1, 1, 1, dtype=torch.uint8), torch.zeros(images)
    epochs, steps = settled_epochs(images, batch), len(Batches(x, y, torch.arange(images), batch, one, one))
    assert epochs >= 1
    assert epochs * steps >= LEAST_STEPS
    assert epochs == 1 or (epochs - 1) * steps < LEAST_STEPS


def test_one_epoch_of_a_large_set() -> None:
    assert settled_epochs(32 * LEAST_STEPS, 32) == 1
    assert settled_epochs(32 * (LEAST_STEPS - 1), 32) == 2
