from __future__ import annotations

import pytest
import torch
from torch import Tensor

from deltanas.train.loop import Batches, normalise


def batches(n: int, batch: int) -> Batches:
    x = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    return Batches(x, torch.arange(n), order, batch, torch.zeros(1, 1, 1), torch.ones(1, 1, 1))


def labels(pairs: list[tuple[Tensor, Tensor]]) -> list[int]:
    return [int(label) for _, y in pairs for label in y]


def test_every_image_comes_once_with_its_label() -> None:
    data = batches(10, 4)
    pairs = list(data)
    assert len(pairs) == len(data) == 3
    assert sorted(labels(pairs)) == list(range(10))
    for x, y in pairs:
        assert x.dtype == torch.float32
        assert x.flatten().tolist() == y.tolist()


def test_a_look_at_the_first_batch_costs_nothing_twice() -> None:
    data = batches(10, 4)
    first = next(iter(data))
    rest = list(data)
    assert sorted(labels([first, *rest])) == list(range(10))
    with pytest.raises(RuntimeError, match="over its data once"):
        iter(data)


@pytest.mark.parametrize(("n", "batch", "given"), [(9, 4, 8), (1, 4, 1), (8, 4, 8), (3, 1, 3)])
def test_a_last_batch_of_one_is_left_out(n: int, batch: int, given: int) -> None:
    assert len(labels(list(batches(n, batch)))) == given


def test_normalising_takes_each_channel_to_mean_0_and_deviation_1() -> None:
    x = torch.randint(0, 256, (50, 2, 6, 6), dtype=torch.uint8)
    mean = x.float().mean((0, 2, 3)).view(2, 1, 1)
    std = x.float().std((0, 2, 3)).view(2, 1, 1)
    y = normalise(x, mean, std)
    assert torch.allclose(y.mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(y.std((0, 2, 3)), torch.ones(2), atol=1e-4)
