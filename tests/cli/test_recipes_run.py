"""A small real grid from the command line: killed, interrupted, with a second writer, of another grid, on Ray."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from deltanas.grid import FIXED_RATE, Row
from support import Command

pytestmark = pytest.mark.timeout(300)
DELTANAS = str(Path(sys.executable).with_name("deltanas"))
SIZE = ("--baseline", "mlp", "--train-size", "200", "--epochs", "1", "--seeds", "2", "--rates", "2")
GRID = ("recipes", "run", *SIZE, "--loss", "ce", "--optimizer", "sgd", "--optimizer", "adam")
ROWS = 4 + 4 + 4


def rows_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def same(path: Path) -> list[dict[str, Any]]:
    """All but the time that it took."""
    return [{**row, "seconds": None} for row in rows_of(path)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "t.jsonl"
    subprocess.run([DELTANAS, *GRID, "--out", str(path)], capture_output=True, timeout=100, check=True)
    return path


def killed(path: Path, how: signal.Signals, *, after: int, options: tuple[str, ...] = ()) -> str:
    """Begin the grid and stop it once the table holds `after` rows: what it said on stderr."""
    process = subprocess.Popen(
        [DELTANAS, *GRID, *options, "--out", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not path.exists() or path.read_bytes().count(b"\n") < after:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(how)
    _, said = process.communicate()
    assert process.returncode, "it was over before it was stopped: nothing is tested"
    return said


def test_it_trains_scores_and_says_what_it_did(undisturbed: Path) -> None:
    rows = rows_of(undisturbed)
    assert len(rows) == ROWS
    assert all(row["failure"] is None and row["n"] == 360 and row["seconds"] > 0 for row in rows)
    assert {row["rate"] for row in rows if row["arm"] == "fixed"} == {FIXED_RATE}
    assert all(row["score"] and row["score"] > 2 * row["chance"] for row in rows if row["rate"] == FIXED_RATE)
    assert len({row["seed"] for row in rows}) == 3, "two that score, one that chooses rates"
    told = json.loads((undisturbed.parent / "t.meta.json").read_text())
    assert told["split"] == "validation"
    assert told["networks"]["mlp"]["clipping"] == "clip_grad_norm_ 1.0"
    assert told["datasets"]["digits"] | {"train": 200, "epochs": 1} == told["datasets"]["digits"]
    assert told["arms"]["tuned"]["rates"]["adam"] == [0.000562, 0.00178]


def test_kill_9_in_the_middle_ends_in_the_same_rows(tmp_path: Path, deltanas: Command, undisturbed: Path) -> None:
    path = tmp_path / "t.jsonl"
    killed(path, signal.SIGKILL, after=6)
    done = deltanas(*GRID, "--out", path, "--json")
    assert done.returncode == 0, done.stderr
    assert "going on: the table holds" in done.stderr
    assert json.loads(done.stdout) | {"rows": ROWS, "failed": 0, "left": 0} == json.loads(done.stdout)
    assert same(path) == same(undisturbed)


@pytest.mark.slow
def test_who_interrupts_it_is_told_how_to_go_on(tmp_path: Path, deltanas: Command, undisturbed: Path) -> None:
    path = tmp_path / "t.jsonl"
    said = killed(path, signal.SIGINT, after=2)
    assert "error: interrupted; all rows that were written are kept" in said
    assert "the same command goes on" in said
    done = deltanas(*GRID, "--out", path, "--minutes", "0")
    assert "the time is over" in done.stderr
    held = len(rows_of(path))
    assert held < ROWS
    done = deltanas(*GRID, "--out", path, "--dry-run", "--json")
    assert json.loads(done.stdout)["counts"]["rows that the table holds"] == held
    assert deltanas(*GRID, "--out", path).returncode == 0
    assert same(path) == same(undisturbed)


@pytest.mark.slow
def test_of_two_writers_the_second_is_told(tmp_path: Path, deltanas: Command) -> None:
    path = tmp_path / "t.jsonl"
    process = subprocess.Popen(
        [DELTANAS, *GRID, "--out", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not path.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    done = deltanas(*GRID, "--out", path)
    process.kill()
    process.wait()
    assert done.returncode == 1
    assert f"t.jsonl is being written by process {process.pid}" in done.stderr


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.skipif(not find_spec("ray"), reason="needs Ray: pip install 'deltanas[ray]'")
@pytest.mark.timeout(300)
def test_ray_makes_the_same_rows(tmp_path: Path, undisturbed: Path) -> None:
    path = tmp_path / "t.jsonl"
    killed(path, signal.SIGKILL, after=3, options=("--executor", "ray"))
    subprocess.run(
        [DELTANAS, *GRID, "--executor", "ray", "--out", str(path)], capture_output=True, timeout=200, check=True
    )
    assert same(path) == same(undisturbed)
