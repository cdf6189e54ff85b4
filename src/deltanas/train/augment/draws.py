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
        return self.uniform(0, 1) < p

    def uniform(self, low: float, high: float, *times: int) -> Tensor:
        """float32 [n, *times] between the two."""
        drawn = torch.rand(self.n, *times, generator=self._chance, dtype=torch.float32, device="cpu")
        return self._there(drawn if (low, high) == (0, 1) else low + (high - low) * drawn)

    def whole(self, most: int, *times: int) -> Tensor:
        """int64 [n, *times] from 0 to `most`, both included."""
        return self._there(torch.randint(0, most + 1, (self.n, *times), generator=self._chance, device="cpu"))

    def signs(self) -> Tensor:
        """float32 [n], 1 or -1."""
        return 1 - 2 * self.whole(1).to(torch.float32)

    def orders(self, count: int) -> Tensor:
        """int64 [n, count]: an order of `count` things for each image."""
        return self.uniform(0, 1, count).argsort(1)

    def alike(self, values: Sequence[float]) -> Tensor:
        """float32 [n, number of values]: the same for every image."""
        return self._there(torch.tensor(values, dtype=torch.float32, device="cpu").repeat(self.n, 1))

    def _there(self, drawn: Tensor) -> Tensor:
        return drawn.to(self._device)


def each(values: Tensor) -> Tensor:
    """[n] to [n, 1, 1, 1], to go with a batch of images."""
    return values.view(-1, 1, 1, 1)
