"""What was measured on this machine is found again; what was not is left alone, with a word."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from deltanas import search
from deltanas.config import TrainConfig
from deltanas.errors import DeltanasError
from deltanas.propose import RandomProposer
from deltanas.sandbox import Calibration, keep_calibration, stored_calibration, this_machine
from deltanas.seams import Ask, Proposal
from deltanas.wiring import open_dataset_pool

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from runner_contract import descendants

CORES = len(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("DELTANAS_STATE", str(folder))
    return folder


@pytest.fixture
def measured() -> Calibration:
    cpu, cores, torch = this_machine()
    return Calibration(cpu, cores, torch, cores, {f"1 x {cores}": 100.0}, "a net")


def threads_of_pool(**settings: Any) -> tuple[int | None, int]:
    pool = open_dataset_pool("digits", TrainConfig(**settings))
    return pool.workers, pool.threads


def watched(patch: pytest.MonkeyPatch) -> list[tuple[set[int], set[int]]]:
    """The candidates that run as a strategy is asked for proposals, and as it answers."""
    seen: list[tuple[set[int], set[int]]] = []
    propose = RandomProposer.propose

    def watching(self: RandomProposer, asks: Sequence[Ask]) -> list[Proposal]:
        before = descendants()
        proposals = propose(self, asks)
        seen.append((before, descendants()))
        return proposals

    patch.setattr(RandomProposer, "propose", watching)
    return seen


def test_nothing_measured_is_one_thread(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "deltanas.wiring.pools.machine_secret", lambda: bytes(32)
    )  # else made here, if by no test before
    assert stored_calibration() == (None, "")
    assert threads_of_pool() == (None, 1)
    assert not state.exists()


def test_what_was_measured_here_is_used_where_nothing_is_set(state: Path, measured: Calibration) -> None:
    assert keep_calibration(measured) == state / "calibration.json"
    assert [file.name for file in state.iterdir()] == ["calibration.json"]
    assert stored_calibration() == (measured, "")
    assert threads_of_pool() == (None, CORES)
    assert threads_of_pool(threads=3) == (None, 3)
    assert threads_of_pool(workers=2) == (2, 1)
    assert threads_of_pool(executor="ray") == (None, 1)


@pytest.mark.parametrize("change", [{"cpu": "another"}, {"cores": CORES + 1}, {"torch": "1.0"}, {"threads": 0}])
def test_what_was_measured_elsewhere_is_not(
    change: dict[str, Any], measured: Calibration, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep_calibration(replace(measured, **change))
    assert threads_of_pool() == (None, 1)
    [word] = caplog.messages
    assert str(state / "calibration.json") in word
    assert "deltanas calibrate" in word


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"threads": "many"}'])
def test_a_spoilt_file_is_left_alone(content: bytes, state: Path, caplog: pytest.LogCaptureFixture) -> None:
    state.mkdir()
    (state / "calibration.json").write_bytes(content)
    assert threads_of_pool() == (None, 1)
    assert "can't be read as a calibration" in caplog.text
    assert (state / "calibration.json").read_bytes() == content


def test_a_state_folder_that_cannot_be_made_is_named(state: Path, measured: Calibration) -> None:
    state.write_text("a file in its place")
    with pytest.raises(DeltanasError, match="can't be kept") as caught:
        keep_calibration(measured)
    assert "DELTANAS_STATE" in caught.value.hint


def test_a_run_keeps_its_threads_and_nothing_trains_while_it_proposes(
    tmp_path: Path, state: Path, measured: Calibration, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"strategy": "random", "cycles": 1, "candidates": 1, "retries": 0, "baselines": ["mlp"], "finals": 0}
    settings = {**config, "train": {"size": 100, "epochs": 1}}
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        proposing = watched(patch)
        begun = search(settings, run=run)
    assert proposing == [(set(), set())]
    assert begun.manifest["config"]["train"]["threads"] == 1  # type: ignore[index]
    assert begun.manifest["parallel"] == f"{CORES} x 1 threads"
    keep_calibration(measured)
    assert search(settings, run=run).manifest == begun.manifest
    assert not caplog.messages
    assert json.loads((state / "calibration.json").read_text()) == asdict(measured)
