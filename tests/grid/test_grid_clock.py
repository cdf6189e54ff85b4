"""How long a grid will still take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltanas.grid import Clock, Row, clock, keys_of, known_rows
from grid_parts import DESCRIPTION, GRID, CountingRunner, run_grid


def test_a_training_that_two_rows_share_takes_its_time_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One training at a time takes as long as its row says."""
    grid = replace(GRID, seeds=5)
    run_grid(tmp_path / "t.jsonl", CountingRunner(), grid)
    rows = list(known_rows(tmp_path / "t.jsonl", DESCRIPTION, keys_of(grid))[0].values())
    made = {(row["program"], row["seed"]) for row in rows}
    assert len(made) < len(rows), "no row shares a training: nothing is tested"
    now = 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    coming: list[Row] = [*rows, {**rows[-1], "seed": 1, "program": "other"}]
    told = Clock([*keys_of(grid), keys_of(grid)[-1]], [])
    for row in rows:
        shared = (row["program"], row["seed"]) not in made
        made.discard((row["program"], row["seed"]))
        now += 0.0 if shared else row["seconds"]
        told.wrote(row)
    assert told.left() == pytest.approx(coming[-1]["seconds"])
    begun = Clock([keys_of(grid)[-1]], rows)
    assert begun.left() is None
