"""Patches, mixed in space by depthwise and in channels by 1x1 convolutions (ConvMixer; Trockman and Kolter, 2022)."""

from collections.abc import Iterable

import torch
from torch import nn


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


class Spatial(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=kernel, padding=kernel // 2, groups=width),
            nn.GELU(),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.body(x)
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
        width = 32
        kernel = 5
        patch = 2
        grid = 4
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=patch, stride=patch),
            nn.GELU(),
            nn.BatchNorm2d(width),
            Spatial(width, kernel),
            nn.Conv2d(width, width, kernel_size=1),
            nn.GELU(),
            nn.BatchNorm2d(width),
            Spatial(width, kernel),
            nn.Conv2d(width, width, kernel_size=1),
            nn.GELU(),
            nn.BatchNorm2d(width),
        )
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.head = nn.Linear(grid * grid * width, classes)

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
