"""Controls of a grid's table, on tables whose answers are known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import recipes_controls
from benchmarks.recipes_controls import Row, cells_of, controls, coverage, itself, twins

NETWORKS, SEEDS = 17, 5


def rows_of(score: Callable[[int, str, int], float | None], losses: tuple[str, ...] = ("ce", "ngl")) -> list[Row]:
    """Rows of the fixed arm; score: of network, loss and seed."""
    rows: list[Row] = []
    for network in range(NETWORKS):
        for loss in losses:
            for seed in range(SEEDS):
                known: dict[str, Any] = {"network": f"n{network}", "dataset": "d", "loss": loss, "optimizer": "sgd"}
                known |= {"scale": 1.0, "arm": "fixed", "phase": "score", "seed": seed, "chance": 0.1}
                rows.append(known | {"program": loss, "score": score(network, loss, seed)})
    return rows


def noisy(spread: float, shared: float = 0.0) -> Callable[[int, str, int], float]:
    """shared: standard deviation of what a seed does to all networks alike."""
    rng = np.random.default_rng(1)
    luck = shared * rng.standard_normal(SEEDS)
    return lambda network, loss, seed: 0.5 + 0.02 * network + luck[seed] + spread * float(rng.standard_normal())


def test_twins_are_counted_by_seed_and_optimizer() -> None:
    found = twins(rows_of(lambda network, loss, seed: 0.8 + 0.001 * seed, ("ce", "nll")))
    assert (found["pairs"], found["equal"]) == (NETWORKS * SEEDS, NETWORKS * SEEDS)
    assert found["difference"] == {"value": 0, "low": 0, "high": 0}

    def one_off(network: int, loss: str, seed: int) -> float | None:
        if (network, seed) == (0, 0):
            return None if loss == "nll" else 0.7
        return 0.8

    found = twins(rows_of(one_off, ("ce", "nll")))
    assert (found["pairs"] - found["equal"], found["largest"]) == (1, pytest.approx(0.6)), "a failure scores as chance"
    assert found["share"]["low"] < 1 - 1 / 85 < found["share"]["high"]
    assert "lacking" in twins(rows_of(one_off, ("ce",)))


def test_a_recipe_is_rejected_against_itself_as_often_as_the_test_errs() -> None:
    found = itself(cells_of(rows_of(noisy(0.01), tuple(f"l{n}" for n in range(20)))))
    assert found["resamplings"] == 1_000
    assert 0.03 < found["rejected"]["value"] < 0.07
    assert found["splits for all networks"] == 20 * 10
    assert found["rejected of these"]["low"] < 0.05 < found["rejected of these"]["high"]


def test_a_seed_that_is_lucky_for_all_networks_is_seen_where_all_are_split_alike() -> None:
    found = itself(cells_of(rows_of(noisy(0.005, shared=0.02))))
    assert found["rejected of these"]["low"] > 0.2
    assert found["rejected"]["value"] < 0.2


def test_intervals_hold_the_known_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes_controls, "TABLES", 500)
    found = coverage(cells_of(rows_of(noisy(0.01))))
    for effect in ("0", "1", "5"):
        assert 0.92 < found[f"hold {effect} points"]["value"] < 0.98
    monkeypatch.setattr(recipes_controls, "mean", lambda values: None)
    assert coverage(cells_of(rows_of(noisy(0.01))))["hold 0 points"]["value"] == 0


def test_what_a_table_lacks_is_told() -> None:
    found = controls(rows_of(noisy(0.01))[:20])
    assert all("lacking" in part for part in found.values())


def test_the_command(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows_of(noisy(0.01), ("ce", "nll"))))
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "benchmarks", "recipes_controls"]
    done = subprocess.run([*command, str(table)], cwd=root, capture_output=True, text=True, check=True)
    assert "a recipe and itself: recipes 2, resamplings 1000, rejected 0." in done.stdout
    done = subprocess.run([*command, str(tmp_path / "none")], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, "train.sh" in done.stderr) == (2, True)
