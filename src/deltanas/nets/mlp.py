"""Multilayer perceptron on the flattened image (Rumelhart, Hinton and Williams, 1986), with layer normalisation."""

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
        pixels = channels * in_shape[2] * in_shape[3]
        width = 256
        hidden = 128
        dropout = 0.1
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x)
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
