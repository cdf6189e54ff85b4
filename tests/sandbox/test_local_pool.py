from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltanas.program import Trained
from deltanas.sandbox import LocalPool
from deltanas.seams import Runner
from deltanas.train.data import load

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import HONEST, RunnerContract, train_one


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with LocalPool(load("digits"), timeout=5, build_timeout=5, memory_bytes=1 << 30) as pool:
        yield pool


class TestLocalPool(RunnerContract):
    """All of the contract."""


def test_augmentation_moves_training_and_is_the_same_for_the_same_seed(runner: Runner) -> None:
    plain = train_one(runner, HONEST)
    with LocalPool(load("digits"), timeout=30, augment=("flip", "crop")) as pool:
        augmented = dict(pool.train([HONEST, HONEST], seed=0))
    accuracies = [outcome.score for outcome in (plain, *augmented.values()) if isinstance(outcome, Trained)]
    assert len(accuracies) == 3
    assert accuracies[1] == accuracies[2] < accuracies[0]  # a mirrored digit is mostly none
