from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltanas.calibrate import best, calibrate, choices
from deltanas.doctor import _calibration
from support import Command


def test_what_is_best_is_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELTANAS_STATE", str(tmp_path / "state"))
    lines: list[str] = []
    settings: dict[str, Any] = {"dataset": "digits", "size": 64, "resize": None, "net": "mlp", "batch": 32}
    result: dict[str, Any] = calibrate(**settings, repeats=1, keep=True, say=lines.append)
    assert len(lines) == 1
    kept = json.loads((tmp_path / "state" / "calibration.json").read_text())
    shapes = {row["workers x threads"]: row["candidates an hour"] for row in result["shapes"]}
    assert result["best"] in shapes
    assert kept["rates"] == shapes
    assert result["best"].endswith(f" x {kept['threads']}")
    assert all(rate > 0 for rate in shapes.values())
    told = _calibration()
    assert told.ok
    assert result["best"] in told.detail


@pytest.mark.parametrize(
    ("cores", "threads"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 6]), (7, [1, 7]), (16, [1, 2, 4, 8, 16])]
)
def test_shapes_leave_no_core_idle(cores: int, threads: list[int]) -> None:
    assert choices(cores) == threads


def test_more_threads_must_be_faster_by_more_than_noise() -> None:
    assert best({1: 100.0, 2: 104.0, 4: 30.0}) == 1
    assert best({1: 100.0, 2: 120.0, 4: 130.0}) == 4


def test_the_command_prints_what_it_keeps(deltanas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELTANAS_STATE", str(tmp_path / "state"))
    options = ("--net", "mlp", "--train-size", 64, "--repeats", 1, "--json")
    done = deltanas("calibrate", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kept"] == str(tmp_path / "state" / "calibration.json")
    assert found["best"] in {row["workers x threads"] for row in found["shapes"]}
    unknown = deltanas("calibrate", "--net", "alexnet")
    assert unknown.returncode == 2
    assert "no baseline" in unknown.stderr
