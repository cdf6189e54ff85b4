"""Where chance comes from: a draw for each image of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class Draws:
    """Draws for `n` images, on their device; the generator is of the CPU, so that they are the same on every device."""

    def __init__(self, n: int, device: torch.device, chance: Generator) -> None:
        self.n = n
        self._device, self._chance = device, chance

    def chosen(self, p: float) -> Tensor:
        """bool [n], each true with probability `p`."""
        return self._there(torch.rand(self.n, generator=self._chance) < p)

    def uniform(self, low: float, high: float) -> Tensor:
        """float32 [n] between the two."""
        return self._there(low + (high - low) * torch.rand(self.n, generator=self._chance))

    def whole(self, most: int) -> Tensor:
        """int64 [n] from 0 to `most`, both included."""
        return self._there(torch.randint(0, most + 1, (self.n,), generator=self._chance))

    def signs(self) -> Tensor:
        """float32 [n], 1 or -1."""
        return self._there(1.0 - 2.0 * torch.randint(0, 2, (self.n,), generator=self._chance))

    def orders(self, count: int) -> Tensor:
        """int64 [n, count]: an order of `count` things for each image."""
        return self._there(torch.rand(self.n, count, generator=self._chance).argsort(1))

    def alike(self, values: Sequence[float]) -> Tensor:
        """float32 [n, number of values]: the same for every image."""
        return self._there(torch.tensor(values, dtype=torch.float32).repeat(self.n, 1))

    def _there(self, drawn: Tensor) -> Tensor:
        return drawn.to(self._device)


def each(values: Tensor) -> Tensor:
    """[n] to [n, 1, 1, 1], to go with a batch of images."""
    return values.view(-1, 1, 1, 1)
