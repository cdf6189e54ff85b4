"""The static contract: what it asks for, and that nothing of a candidate runs for it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.check import MAX_CHARACTERS, ContractGate, contract_faults
from deltanas.program import Program, Refused
from deltanas.records import Draft

GOOD = textwrap.dedent(
    """
    import torch
    from torch import nn

    def supported_hyperparameters():
        return {"lr"}

    class Net(nn.Module):
        def __init__(self, in_shape, out_shape, prm, device):
            super().__init__()

        def forward(self, x):
            return x

        def train_setup(self, prm):
            pass

        def learn(self, train_data):
            pass
    """
)


def test_every_baseline_fulfils_it() -> None:
    for name, source in nets.baselines().items():
        assert contract_faults(source) == (), name


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("def supported_hyperparameters", "def hyperparameters", "no function `supported_hyperparameters()`"),
        ("supported_hyperparameters()", "supported_hyperparameters(prm)", "must take ()"),
        ("class Net(", "class Network(", "no class `Net`"),
        ("class Net(nn.Module)", "class Net", "line 8: class `Net` has no base"),
        ("in_shape, out_shape, prm, device", "in_shape, out_shape", "line 9: `Net.__init__` must take (self, in_shape"),
        ("def forward(self, x)", "def forward(self, x, y)", "line 12: `Net.forward` must take (self, x)"),
        ("def forward(self, x)", "def forward(self, x, *, y)", "line 12: `Net.forward` must take (self, x)"),
        ("def learn", "def fit", "has no method `learn(self, train_data)`"),
        ("def train_setup(self, prm)", "def train_setup(self)", "`Net.train_setup` must take (self, prm)"),
        ("return x\n", "return (x\n", "syntax error"),
        ("return x\n", "return x\0\n", "can't be parsed|syntax error|null"),
    ],
)
def test_each_fault_is_named_with_its_line(old: str, new: str, fault: str) -> None:
    faults = contract_faults(GOOD.replace(old, new))
    assert any(part in text for part in fault.split("|") for text in faults), faults


def test_what_is_callable_as_asked_passes() -> None:
    assert contract_faults(GOOD) == ()
    assert contract_faults(GOOD.replace("def forward(self, x)", "def forward(self, x, scale=1.0)")) == ()
    assert contract_faults(GOOD.replace("def forward(self, x)", "def forward(self, *args)")) == ()


def test_a_method_may_be_inherited_from_a_class_of_the_file() -> None:
    base = GOOD.replace("class Net(nn.Module)", "class Base(nn.Module)") + "\nclass Net(Base):\n    pass\n"
    assert contract_faults(base) == ()


ALIASED = GOOD.replace("class Net(", "class CNN(")


@pytest.mark.parametrize(
    "source",
    [
        ALIASED + "\nNet = CNN\n",
        ALIASED + "\nNet: type = CNN\n",
        ALIASED + "\nFirst = CNN\nNet = First\n",
        ALIASED + "\nif torch.cuda.is_available():\n    Net = CNN\nelse:\n    Net = CNN\n",
        ALIASED + "\ntry:\n    from torch import Nothing\nexcept ImportError:\n    class Net(CNN):\n        pass\n",
        ALIASED + "\ndef make():\n    return CNN\n\nNet = make()\n",
        ALIASED + "\nCNN, Net = None, CNN\n",
        ALIASED + "\ndef Net(in_shape, out_shape, prm, device):\n    return CNN(in_shape, out_shape, prm, device)\n",
        GOOD.replace("(nn.Module)", "(nn.Sequential)").replace("def forward(self, x)", "def other(self, x)"),
        GOOD.replace("    def learn(self, train_data):\n        pass\n", "    learn = None\n"),
        GOOD.replace("def learn(", "def fit(") + "\nNet.learn = Net.fit\n",
        GOOD.replace(
            'def supported_hyperparameters():\n    return {"lr"}', 'supported_hyperparameters = lambda: {"lr"}'
        ),
    ],
)
def test_what_is_called_net_may_be_called_so_in_any_way(source: str) -> None:
    assert contract_faults(source) == ()


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (ALIASED, "no class `Net`: call `CNN` so, or end with `Net = CNN`"),
        (ALIASED + "\ndef f():\n    Net = CNN\n", "no class `Net`: call `CNN` so, or end with `Net = CNN`"),
        (ALIASED.replace("def learn", "def fit") + "\nNet = CNN\n", "line 8: class `CNN` has no method `learn"),
        (ALIASED.replace("self, x)", "self)") + "\nNet = CNN\n", "line 12: `CNN.forward` must take (self, x)"),
        (ALIASED.replace("CNN(nn.Module)", "CNN") + "\nNet = CNN\n", "line 8: class `CNN` has no base"),
    ],
)
def test_a_fault_of_the_class_that_net_names_is_told_by_its_own_name(source: str, fault: str) -> None:
    assert any(fault in told for told in contract_faults(source)), contract_faults(source)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("", "empty"),
        (" \n\t\n", "empty"),
        ("x" * (MAX_CHARACTERS + 1), "the limit is 200,000"),
        ("(" * 5_000, "syntax error|parsed"),
        ("x = " + "-" * 50_000 + "1", "parsed|syntax|no function"),
    ],
)
def test_no_text_brings_it_down(source: str, fault: str) -> None:
    faults = contract_faults(source)
    assert faults
    assert re.search(fault, faults[0]), faults


def test_nothing_is_executed(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    source = f"open({str(trap)!r}, 'w')\n" + GOOD.replace("pass", f"open({str(trap)!r}, 'w')")
    assert contract_faults(source) == ()
    assert not trap.exists()


def test_the_gate_refuses_with_every_fault() -> None:
    (good, bad) = ContractGate().judge([Draft(Program.of(net=GOOD)), Draft(Program.of(net="x = 1\n"))])
    assert isinstance(good, Draft)
    assert bad == Refused("contract", "no function `supported_hyperparameters()`; no class `Net`")


def test_the_gate_refuses_a_transform_that_is_not_of_the_menu_with_a_hint() -> None:
    calls = ("RandomCrop(padding=0.1)", "HorizontalFlip(0.1)")
    texts = [f"def transform(norm):\n    return transforms.Compose([transforms.{call}])\n" for call in calls]
    good, bad = ContractGate().judge([Draft(Program.of(GOOD, transform=text)) for text in texts])
    assert isinstance(good, Draft)
    assert isinstance(bad, Refused)
    assert bad.stage == "contract"
    assert "line 2: `transforms.HorizontalFlip(0.1)` is not an operation of the menu" in bad.reason
    assert "for instance `transforms.RandomHorizontalFlip(p=0.5)`" in bad.reason
