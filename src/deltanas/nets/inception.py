"""Inception network: branches of several kernel sizes side by side (Szegedy et al., 2015)."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Inception(nn.Module):
    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.point = nn.Conv2d(inner, width, kernel_size=1, bias=False)
        self.small = nn.Sequential(
            nn.Conv2d(inner, width, kernel_size=1),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False),
        )
        self.large = nn.Sequential(
            nn.Conv2d(inner, width // 2, kernel_size=1),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, kernel_size=5, padding=2, bias=False),
        )
        self.pooled = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
            nn.Conv2d(inner, width, kernel_size=1, bias=False),
        )
        self.norm = nn.BatchNorm2d(4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.point(x), self.small(x), self.large(x), self.pooled(x)], dim=1)
        x = self.norm(x)
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
        width = 12
        grid = 4
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 2 * width, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.body = nn.Sequential(
            Inception(2 * width, width),
            nn.MaxPool2d(kernel_size=2, ceil_mode=True),
            Inception(4 * width, 2 * width),
        )
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.head = nn.Linear(grid * grid * 8 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.body(x)
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
