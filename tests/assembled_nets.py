"""Programs of tests, assembled and run in this process: their text is our own."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch

from deltanas.nets import DEFAULT_PRM, baseline
from deltanas.program.assembly import Expert, assembled
from deltanas.program.heads import Head

SHAPE = (1, 1, 28, 28)
torch.set_num_threads(1)  # such small networks are slower with more


def module_of(source: str) -> Any:
    """The program, run."""
    module = ModuleType("assembled")
    sys.modules["assembled"] = module  # dataclasses look their module up
    exec(compile(source, "assembled.py", "exec"), module.__dict__)
    return module


def net_of(
    source: str, shape: tuple[int, ...] = SHAPE, classes: int = 10, prm: Mapping[str, float] = DEFAULT_PRM
) -> Any:
    """Its network, ready to train."""
    net = module_of(source).Net(shape, (classes,), dict(prm), torch.device("cpu"))
    net.train_setup(dict(prm))
    return net


def experts_of(names: Sequence[str]) -> list[Expert]:
    """Built-in baselines."""
    return [Expert(name, baseline(name), DEFAULT_PRM) for name in names]


def mixture_of(names: Sequence[str], head: Head | None = None) -> tuple[Any, list[str]]:
    """The network, and the names of its experts in their order."""
    source = assembled(experts_of(names), head)
    return net_of(source), re.findall(r"^# Expert \d+: (\w+)$", source, re.MULTILINE)
