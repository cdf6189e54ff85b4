"""Gated blocks at half resolution: products of two halves in place of activations (L. Chen et al., 2022, NAFNet)."""

from collections.abc import Iterable

import torch
from torch import nn


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, 2 * width, kernel_size=1)
        self.spread = nn.Conv2d(2 * width, 2 * width, kernel_size=3, padding=1, groups=2 * width)
        self.merge = nn.Conv2d(width, width, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.mix(x)
        y = self.spread(y)
        one, other = y.chunk(2, dim=1)
        x = x + self.merge(one * other)
        return x


class Net(nn.Module):
    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        prm: dict[str, float],
        device: torch.device,
    ) -> None:
        super().__init__()
        self.device = device
        channels = in_shape[1]
        width = 32
        self.head = nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1)
        self.trunk = nn.Sequential(Block(width), Block(width), Block(width), Block(width))
        self.tail = nn.Sequential(
            nn.Conv2d(width, 4 * out_shape[0], kernel_size=3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.head(x)
        y = self.trunk(y)
        x = x + self.tail(y)
        return x

    def train_setup(self, prm: dict[str, float]) -> None:
        self.to(self.device)
        self.criteria = nn.MSELoss()
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=prm["lr"], betas=(prm["momentum"], 0.99))

    def learn(self, train_data: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.train()
        for noisy, clean in train_data:
            self.optimizer.zero_grad()
            outputs = self(noisy.to(self.device))
            loss = self.criteria(outputs, clean.to(self.device))
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters(), max_norm=1.0)
            self.optimizer.step()
