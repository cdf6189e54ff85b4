"""What differs by a seed alone is told as that, and nothing else is."""

from __future__ import annotations

import pytest

from deltanas.novelty import SeedGate
from deltanas.novelty.luck import SEED_ALONE
from deltanas.program import Program, Refused
from deltanas.records import Draft

BASE = """import torch
from torch import nn

SEED = 3
seed_width = 4


class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        torch.manual_seed(SEED)
        self.layer = nn.Linear(4, 4)
"""
PARENT = Program.of(net=BASE)


def verdict(net: str) -> Draft | Refused:
    gate = SeedGate()
    gate.remember([Draft(PARENT)])
    (found,) = gate.judge([Draft(PARENT.edited("net", net))])
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SEED = 3", "SEED = 4"),
        ("manual_seed(SEED)", "manual_seed(77)"),
        ("        torch.manual_seed(SEED)\n", ""),
        ("import torch\n", "import random\n\nimport torch\n\nrandom.seed(5)\n"),
        ("        super().__init__()\n", "        super().__init__()\n        torch.cuda.manual_seed_all(1)  # mine\n"),
    ],
)
def test_a_seed_alone_is_told(old: str, new: str) -> None:
    assert old in BASE
    assert verdict(BASE.replace(old, new)) == Refused("novelty", SEED_ALONE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("G = torch.Generator().manual_seed(3)", "G = torch.Generator().manual_seed(5)"),
        ("R = random.Random(3)", "R = random.Random(-4)"),
        ("R = np.random.default_rng(3)", "R = np.random.default_rng(4)"),
        ("SEED: int = 3", "SEED: int = 5"),
        ("SEED = 3", "SEED = -3"),
    ],
)
def test_so_is_the_seed_of_a_generator_or_of_a_declared_name(old: str, new: str) -> None:
    parent = Program.of(net=f"{old}\n{BASE}")
    gate = SeedGate()
    gate.remember([Draft(parent)])
    assert gate.judge([Draft(parent.edited("net", f"{new}\n{BASE}"))]) == [Refused("novelty", SEED_ALONE)]
    assert isinstance(gate.judge([Draft(parent.edited("net", f"{new}\n{BASE}W = 1\n"))])[0], Draft)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Linear(4, 4)", "Linear(4, 5)"),
        ("seed_width = 4", "seed_width = 8"),
        ("SEED = 3", "SEED = 3\nWIDTH = 9"),
        ("manual_seed(SEED)", "set_num_threads(SEED)"),
    ],
)
def test_any_other_change_passes(old: str, new: str) -> None:
    assert isinstance(verdict(BASE.replace(old, new)), Draft)


def test_a_seed_beside_another_change_passes_and_so_does_what_does_not_parse() -> None:
    assert isinstance(verdict(BASE.replace("SEED = 3", "SEED = 4").replace("4, 4", "4, 8")), Draft)
    assert isinstance(verdict("class Net(:"), Draft)
