"""Network in network: 1x1 convolutions after each spatial one, one map a class, pooled (Lin, Chen and Yan, 2014)."""

from collections.abc import Iterable

import torch
from torch import nn


def supported_hyperparameters() -> set[str]:
    return {"lr", "momentum"}


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
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, ceil_mode=True),
            nn.Conv2d(width, 2 * width, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, kernel_size=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, kernel_size=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(2 * width, classes, kernel_size=1)
        self.pool = nn.AdaptiveMaxPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        x = self.head(x)
        x = self.pool(x)
        x = torch.flatten(x, 1)
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
