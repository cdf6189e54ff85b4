"""Grouped convolutions whose channels are shuffled between the groups (ShuffleNet; Zhang et al., 2018)."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Block(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=1, groups=groups, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ChannelShuffle(groups),
            nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, kernel_size=1, groups=groups, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.body(x)
        x = F.relu(x)
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
        width = 24
        groups = 4
        grid = 4
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            Block(width, groups),
            nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1, groups=groups, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            Block(2 * width, groups),
            Block(2 * width, groups),
        )
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.head = nn.Linear(grid * grid * 2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        x = self.pool(x)
        x = torch.flatten(x, 1)
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
