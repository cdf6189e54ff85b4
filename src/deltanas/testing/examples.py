"""Programs, rows and errors that the contracts share."""

from __future__ import annotations

from collections.abc import Callable

from deltanas.errors import DeltanasError
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft

SMALL = """import torch
from torch import nn


def supported_hyperparameters():
    return {"lr"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.conv = nn.Conv2d(in_shape[1], 8, kernel_size=3, padding=1)
        self.act = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, out_shape[0])

    def forward(self, x):
        x = self.act(self.conv(x))
        x = self.pool(x).flatten(1)
        return self.head(x)

    def train_setup(self, prm):
        self.criteria = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"])

    def learn(self, train_data):
        for inputs, labels in train_data:
            self.optimizer.zero_grad()
            self.criteria(self(inputs), labels).backward()
            self.optimizer.step()
"""
"""A network by the contract, of images of any size."""


def program(net: str = SMALL, prm: str = '{"batch": 16, "lr": 0.01}') -> Program:
    return Program.of(net, prm=prm)


BASE = program()
OTHER = program(SMALL.replace("8, kernel_size=3", "12, kernel_size=3").replace("Linear(8", "Linear(12"))
CHILD = BASE.edited("net", SMALL.replace("nn.ReLU()", "nn.GELU()"))
TRAINED = Trained(0.8125, 1000, 2**62, 1.5, 1.25, "A")
BETTER = Trained(0.875, 1000, 2**62, 1.5, 1.25, "A")
FAILED = Failed("timeout", "over 30 s", 30.1, 29.9, "B")
REFUSED = Refused("apply", "no edit in the reply")
CALL = Call("a model", "Edit é", "<<<\n", 12, 3, 0.1)


def rows() -> list[Candidate]:
    """A small run: two baselines, a child that is open, a refused slot, and a child that failed."""
    given = Attempt("", None, "", None)
    tried = Attempt("I can't", None, "widen", REFUSED, (CALL,))
    applied = Attempt("a\n=======\nb", "exact", "widen", None, (CALL,), predicted=0.0078125)
    wider = OTHER.edited("net", OTHER.net.replace("nn.ReLU()", "nn.SiLU()"))
    return [
        Candidate(0, 0, "baseline", None, Draft(BASE, 10, 20, "t0"), (given,), TRAINED, (TRAINED,), name="small"),
        Candidate(0, 1, "baseline", None, Draft(OTHER, 20, 40, "t1"), (given,), BETTER, (BETTER,), name="wide"),
        Candidate(1, 0, "delta", BASE.id, Draft(CHILD, 2**40, None, None), (tried, applied)),
        Candidate(1, 1, "delta", BASE.id, None, (tried,), REFUSED),
        Candidate(1, 2, "random", OTHER.id, Draft(wider, 21, 41, "t2"), (applied,), FAILED, (FAILED,)),
    ]


def error_of(action: Callable[[], object]) -> DeltanasError | None:
    """The error that it raises; None if it raises none."""
    try:
        action()
    except DeltanasError as error:
        return error
    return None
