"""U of five scales with one residual block a scale each way: the shape of LEMUR's LiteDenoiseNet, for NPUs."""

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
        return torch.relu(x + y)


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
        width = 16
        self.head = nn.Sequential(nn.Conv2d(channels, width, kernel_size=3, padding=1), Block(width))
        self.down1 = self.down(width, 2 * width)
        self.down2 = self.down(2 * width, 4 * width)
        self.down3 = self.down(4 * width, 8 * width)
        self.down4 = self.down(8 * width, 16 * width)
        self.up4 = self.up(16 * width, 8 * width)
        self.up3 = self.up(8 * width, 4 * width)
        self.up2 = self.up(4 * width, 2 * width)
        self.up1 = self.up(2 * width, width)
        self.larger = nn.Upsample(scale_factor=2, mode="nearest")
        self.tail = nn.Conv2d(width, out_shape[0], kernel_size=3, padding=1)

    def down(self, inner: int, outer: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inner, outer, kernel_size=3, stride=2, padding=1), nn.ReLU(), Block(outer))

    def up(self, inner: int, outer: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inner + outer, outer, kernel_size=3, padding=1), Block(outer))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.head(x)
        two = self.down1(one)
        four = self.down2(two)
        eight = self.down3(four)
        y = self.down4(eight)
        y = self.up4(torch.cat([self.larger(y), eight], dim=1))
        y = self.up3(torch.cat([self.larger(y), four], dim=1))
        y = self.up2(torch.cat([self.larger(y), two], dim=1))
        y = self.up1(torch.cat([self.larger(y), one], dim=1))
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
