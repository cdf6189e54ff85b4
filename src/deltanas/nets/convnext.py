"""Depthwise 7x7 convolutions, layer normalisation and a wide MLP a position (ConvNeXt; Liu et al., 2022)."""

from collections.abc import Iterable

import torch
from torch import nn


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Block(nn.Module):
    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, kernel_size=7, padding=3, groups=width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, expansion * width),
            nn.GELU(),
            nn.Linear(expansion * width, width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.spatial(x)
        y = y.permute(0, 2, 3, 1)
        y = self.mix(y)
        y = y.permute(0, 3, 1, 2)
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
        classes = out_shape[0]
        width = 16
        expansion = 3
        grid = 4
        self.stem = nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1)
        self.early = Block(width, expansion)
        self.down = nn.Conv2d(width, 2 * width, kernel_size=2, stride=2)
        self.middle = Block(2 * width, expansion)
        self.late = Block(2 * width, expansion)
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.norm = nn.LayerNorm(grid * grid * 2 * width)
        self.head = nn.Linear(grid * grid * 2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.early(x)
        x = self.down(x)
        x = self.middle(x)
        x = self.late(x)
        x = self.pool(x)
        x = torch.flatten(x, 1)
        x = self.norm(x)
        x = self.head(x)
        return x

    def train_setup(self, prm: dict[str, float]) -> None:
        self.to(self.device)
        self.criteria = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=prm["lr"], betas=(prm["momentum"], 0.99))

    def learn(self, train_data: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.train()
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            outputs = self(inputs.to(self.device))
            loss = self.criteria(outputs, labels.to(self.device))
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters(), max_norm=1.0)
            self.optimizer.step()
