"""The Ray pool on a cluster of this machine: the contract, the same scores as the local pool, and deaths."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from deltanas.errors import SandboxError, UsageError
from deltanas.program import Trained
from deltanas.sandbox import LocalPool, RayPool
from deltanas.seams import Runner
from deltanas.train.data import load

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import HONEST, RunnerContract, learning, program, servers

pytestmark = [
    pytest.mark.alone,
    pytest.mark.ray,
    pytest.mark.skipif(not find_spec("ray"), reason="needs Ray: pip install 'deltanas[ray]'"),
]


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with RayPool(load("digits"), timeout=5, build_timeout=5, memory_bytes=1 << 30) as pool:
        yield pool


class TestRayPool(RunnerContract):
    """All of the contract."""


SLOW = learning("import time; time.sleep(1.5)")
LATE = learning("import time; time.sleep(0.5)")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def accuracies(runner: Runner, seed: int = 0) -> list[float]:
    programs = [HONEST, program(prm='{"batch": 16, "lr": 0.001}'), LATE, HONEST]
    outcomes = sorted(runner.train(programs, seed=seed))
    assert [position for position, _ in outcomes] == [0, 1, 2, 3]
    return [outcome.score for _, outcome in outcomes if isinstance(outcome, Trained)]


def test_the_local_pool_gives_the_same_scores_to_the_last_digit(runner: Runner) -> None:
    with LocalPool(load("digits"), workers=2) as local:
        for seed in (0, 1):
            scores = accuracies(runner, seed)
            assert len(scores) == 4
            assert accuracies(local, seed) == scores
        [(_, here)] = local.train([HONEST], seed=5, split="test")
        [(_, there)] = runner.train([HONEST], seed=5, split="test")
        assert isinstance(here, Trained)
        assert isinstance(there, Trained)
        assert (here.score, here.n, here.tier) == (there.score, there.n, there.tier)
        assert local.build([HONEST, LATE]) == runner.build([HONEST, LATE])


@pytest.mark.parametrize("victim", ["actor", pytest.param("fork server", marks=pytest.mark.slow)])
def test_a_kill_in_the_middle_costs_no_result(runner: Runner, victim: str) -> None:
    before = accuracies(runner)
    [server] = servers()
    target = server if victim == "fork server" else parent(server)
    killer = threading.Timer(0.7, os.kill, (target, signal.SIGKILL))
    killer.start()
    outcomes = list(runner.train([SLOW, HONEST, SLOW, HONEST], seed=0))
    killer.join()
    assert sorted(position for position, _ in outcomes) == [0, 1, 2, 3]
    scores = {outcome.score for _, outcome in outcomes if isinstance(outcome, Trained)}
    assert len(outcomes) == 4
    assert scores == {before[0]}
    assert servers().isdisjoint({server})


def test_an_address_where_nothing_is_says_so() -> None:
    with pytest.raises(SandboxError, match=r"no Ray cluster at 127\.0\.0\.1:1") as caught:
        RayPool(load("digits"), address="127.0.0.1:1").__enter__()
    assert "ray start" in caught.value.hint
    with pytest.raises(UsageError, match="Ray Client"):
        RayPool(load("digits"), address="ray://127.0.0.1:10001").__enter__()


def test_without_ray_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SandboxError) as caught:
        RayPool(load("digits")).__enter__()
    assert caught.value.hint == "pip install 'deltanas[ray]'"
