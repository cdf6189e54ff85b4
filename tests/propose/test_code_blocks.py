"""Whole programs in replies: one is taken, several are refused, and no part of an answer is left out in silence."""

from __future__ import annotations

import pytest

from deltanas.propose.code_blocks import extracted, left_out

SMALL = """import torch
from torch import nn


def supported_hyperparameters():
    return {"lr"}


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        self.act = nn.ReLU()  # the activation
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(in_shape[1], out_shape[0])

    def forward(self, x):
        x = self.pool(self.act(x)).flatten(1)
        return self.head(x)

    def train_setup(self, prm):
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm["lr"])
"""
NEW = SMALL.replace("nn.ReLU()", "nn.GELU()")
OTHER = SMALL.replace("nn.ReLU()", "nn.SiLU()")
IMPORTS, REST = NEW.split("\n\n\n", 1)
FUNCTION, NET = REST.split("\n\n\n", 1)
HELPER = "class Act(nn.Module):\n    def forward(self, x):\n        return x * x\n"
USING = SMALL.replace("nn.ReLU()", "Act()")


def fenced(*codes: str, tag: str = "python") -> str:
    return "\n".join(f"Here:\n```{tag}\n{code}```\n" for code in codes)


@pytest.mark.parametrize(
    "reply",
    [
        fenced(NEW),
        fenced(NEW, tag=""),
        NEW,
        f"{fenced('pip install torch' + chr(10), tag='bash')}{fenced(NEW)}",
        fenced(NEW, "net = Net((1, 3, 8, 8), (10,), {}, 'cpu')\nprint(net)\n"),
        f"{fenced(NEW)}{fenced('accuracy: 95 %' + chr(10), tag='')}",
        f"The line was\n{fenced('        self.act = nn.ReLU()' + chr(10))}and is\n"
        f"{fenced('        self.act = nn.GELU()' + chr(10))}The file:\n{fenced(NEW)}",
        fenced(NEW, NEW),
        f"The file was:\n{fenced(SMALL)}",
        f"<think>\n{fenced(OTHER)}</think>\n{fenced(NEW)}".partition("</think>")[2],
    ],
)
def test_one_whole_program_is_all_of_the_answer(reply: str) -> None:
    program = extracted(reply)
    assert program in (NEW, SMALL)
    assert left_out(reply, program, SMALL) == ""


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (fenced(NEW, OTHER), "several programs (code blocks 1 and 2)"),
        (f"Option 1\n{fenced(NEW)}Option 2\n{fenced(OTHER, tag='py')}", "several programs"),
        (f"~~~python\n{NEW}~~~\n~~~python\n{OTHER}~~~\n", "several programs"),
        (NEW + "\n\n" + OTHER, "several programs"),
        (fenced(NEW + "\n\n" + OTHER), "several programs"),
        (fenced(IMPORTS + "\n", REST), "split over code blocks 2 and 1"),
        (fenced(f"{IMPORTS}\n\n\n{FUNCTION}\n", NET), "split over"),
        (fenced(NET, FUNCTION + "\n"), "split over code blocks 1 and 2"),
        (fenced(HELPER, USING), "split over code blocks 2 and 1"),
        (fenced(USING, HELPER, tag=""), "split over code blocks 1 and 2"),
        (
            fenced(*NEW.split("    def train_setup")).replace("(self, prm):", "    def train_setup(self, prm):", 1),
            "split",
        ),
        (
            fenced(NEW, "    def forward(self, x):\n        return self.head(x)\n"),
            "code block 2 changes what code block 1",
        ),
        (fenced(NEW, "        self.act = nn.Mish()\n"), "code block 2 changes"),
    ],
)
def test_what_is_not_one_program_is_refused_with_the_reason(reply: str, reason: str) -> None:
    program = extracted(reply)
    assert program is not None
    assert reason in left_out(reply, program, SMALL)
