from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltanas.sandbox import LocalPool
from deltanas.seams import Runner
from deltanas.train.data import load

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import RunnerContract


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with LocalPool(load("digits"), timeout=5, build_timeout=5, memory_bytes=1 << 30) as pool:
        yield pool


class TestLocalPool(RunnerContract):
    """All of the contract."""
