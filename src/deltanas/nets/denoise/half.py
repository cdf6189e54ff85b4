"""Trunk at half resolution: a strided head, residual blocks, a pixel shuffle back; little memory traffic."""

from collections.abc import Iterable

import torch
from torch import nn


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(width, width // 2, kernel_size=3, padding=1)
        self.act = nn.ReLU()
        self.wide = nn.Conv2d(width // 2, width, kernel_size=3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.narrow(x)
        y = self.act(y)
        y = self.wide(y)
        x = x + y
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
