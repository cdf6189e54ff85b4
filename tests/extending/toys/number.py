"""A small network that gives a number."""

import torch
from torch import nn


def supported_hyperparameters():
    return {"lr", "momentum"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.hidden = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], 16)
        self.act = nn.ReLU()
        self.head = nn.Linear(16, out_shape[0])

    def forward(self, x):
        return self.head(self.act(self.hidden(x.flatten(1))))

    def train_setup(self, prm):
        self.criteria = nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"], momentum=prm["momentum"])

    def learn(self, train_data):
        for inputs, targets in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(inputs), targets).backward()
            self.optimizer.step()
