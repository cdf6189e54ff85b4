"""A grid over a runner that trains nothing: rows, failures, interruptions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas.errors import SandboxError
from deltanas.grid import Cell, Row, keys_of
from deltanas.program import Failed, Program
from deltanas.sandbox.supervise import STARVED
from grid_parts import GRID, CountingRunner, run_grid, told_apart

ROWS = 4 + 4 * 3 + 4 + 4 + 4


def rows_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def undisturbed(tmp_path: Path) -> bytes:
    assert run_grid(tmp_path / "undisturbed.jsonl", CountingRunner())
    return (tmp_path / "undisturbed.jsonl").read_bytes()


def test_a_row_a_training_in_the_order_of_the_grid(tmp_path: Path) -> None:
    runner, told = CountingRunner(), list[Row]()
    assert run_grid(tmp_path / "t.jsonl", runner, tell=told.append)
    rows = rows_of(tmp_path / "t.jsonl")
    assert len(rows) == len(told) == ROWS == len(keys_of(GRID))
    assert rows[0] == {
        "network": "one",
        "dataset": "digits",
        "loss": "ce",
        "optimizer": "sgd",
        "scale": 1.0,
        "arm": "fixed",
        "phase": "score",
        "rate": 0.01,
        "seed": GRID.score_seeds("one")[0],
        "score": rows[0]["score"],
        "n": 360,
        "chance": 0.1028,
        "decay": None,
        "failure": None,
        "seconds": 1.5,
        "program": told_apart(GRID.cells(next(GRID.batches()), {})[0]).id,
    }
    made = [(row["program"], row["seed"]) for row in rows]
    assert set(made) == set(runner.trained), "each row has its own program and seed"
    assert all(row["score"] == runner.scored(program_of(row), row["seed"]).score for row in rows)


def program_of(row: Row) -> Program:
    recipe = next(one for one in GRID.recipes if (one.loss, one.optimizer) == (row["loss"], row["optimizer"]))
    return told_apart(Cell(row["network"], row["dataset"], recipe, row["arm"], row["phase"], row["rate"], row["seed"]))


def test_the_tuned_arm_is_scored_at_the_rate_that_won_on_other_seeds(tmp_path: Path) -> None:
    run_grid(tmp_path / "t.jsonl", CountingRunner())
    rows = rows_of(tmp_path / "t.jsonl")
    for network in GRID.networks:
        for recipe in GRID.recipes:
            mine = [row for row in rows if (row["network"], row["loss"], row["arm"]) == (network, recipe.loss, "tuned")]
            tried = [row for row in mine if row["phase"] == "tune"]
            best = max(tried, key=lambda row: row["score"] or 0.0)
            assert {row["rate"] for row in mine if row["phase"] == "score"} == {best["rate"]}


def test_arms_that_come_to_one_rate_share_the_training(tmp_path: Path, undisturbed: bytes) -> None:
    """SGD's middle rate is that of the fixed arm: where it wins, program and seed are equal."""
    rows = [json.loads(line) for line in undisturbed.splitlines()]
    shared = [row for row in rows if (row["arm"], row["phase"], row["rate"]) == ("tuned", "score", 0.01)]
    made = [(row["program"], row["seed"]) for row in rows]
    runner = CountingRunner()
    run_grid(tmp_path / "t.jsonl", runner)
    assert shared, "no rate of .01 won: nothing is tested"
    assert len(runner.trained) == len(set(made)) == ROWS - len(shared)


def test_failures_and_refusals_are_rows(tmp_path: Path) -> None:
    def inject(cell: Cell) -> Program | str:
        return "line 3: the loss is made by a helper" if cell.network == "two" else told_apart(cell)

    def fails(program: Program, seed: int) -> Failed | None:
        return Failed("output", "not finite", 2.25, 2.0, "A") if "ngl" in program.net else None

    runner = CountingRunner(fails)
    assert run_grid(tmp_path / "t.jsonl", runner, inject=inject)
    rows = rows_of(tmp_path / "t.jsonl")
    assert len(rows) == ROWS
    for row in rows:
        found = (row["failure"], row["score"], row["seconds"], row["program"] is None)
        if row["network"] == "two":
            assert found == ("inject: line 3: the loss is made by a helper", None, 0.0, True)
        elif row["loss"] == "ngl":
            assert found == ("output: not finite", None, 2.25, False)
            assert row["rate"] in (0.01, 0.001, 0.000316, 0.00316)
            assert row["phase"] == "tune" or row["arm"] == "fixed" or row["rate"] == 0.001, "all failed: the default"
        else:
            assert row["failure"] is None
    assert run_grid(tmp_path / "t.jsonl", runner, inject=inject)
    assert len(rows_of(tmp_path / "t.jsonl")) == ROWS, "a failure is not tried again"


@pytest.mark.parametrize("after", [0, 1, 5, 6, 17, 21])
def test_a_fault_of_the_machine_is_no_row_and_the_same_call_goes_on(
    tmp_path: Path, undisturbed: bytes, after: int
) -> None:
    lost = iter(range(after + 1))

    def fails(program: Program, seed: int) -> Failed | None:
        if next(lost, None) == after:
            raise SandboxError("the pool is lost")
        return None

    path = tmp_path / "t.jsonl"
    with pytest.raises(SandboxError):
        run_grid(path, CountingRunner(fails))
    rows = rows_of(path)
    assert len(rows) >= after
    assert all(row["failure"] is None for row in rows)
    assert run_grid(path, CountingRunner())
    assert path.read_bytes() == undisturbed


def test_a_child_that_the_machine_had_no_memory_for_is_no_row(tmp_path: Path) -> None:
    reason = f"was ended by SIGKILL: {STARVED}, 3 times"
    with pytest.raises(SandboxError, match="one with ngl \\+ adam was ended as the machine had no memory") as caught:
        run_grid(
            tmp_path / "t.jsonl",
            CountingRunner(
                lambda program, seed: Failed("crash", reason, 1, 1, "A") if "one', 'ngl" in program.net else None
            ),
        )
    assert "--workers" in caught.value.hint
    assert "one" not in {row["network"] for row in rows_of(tmp_path / "t.jsonl")}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SandboxError("the pool is lost")])
def test_who_stops_ends_the_trainings_under_way(tmp_path: Path, error: BaseException) -> None:
    def tell(row: Row) -> None:
        raise error

    runner = CountingRunner()
    with pytest.raises(type(error)):
        run_grid(tmp_path / "t.jsonl", runner, tell=tell)
    assert runner.closed == len(runner.trained) == len(rows_of(tmp_path / "t.jsonl")) == 1


def test_it_ends_when_the_time_is_over(tmp_path: Path, undisturbed: bytes) -> None:
    path, calls = tmp_path / "t.jsonl", 0
    while not run_grid(path, CountingRunner(), seconds=0):
        calls += 1
        assert len(path.read_bytes().splitlines()) == calls, "a row a call: there is always progress"
    assert path.read_bytes() == undisturbed


def test_a_grid_grows(tmp_path: Path) -> None:
    """More seeds, networks and the other arm: what is there stays, and the order is that of the large grid."""
    path, first = tmp_path / "t.jsonl", CountingRunner()
    run_grid(path, first, replace(GRID, arms=("fixed",), networks=("two",), seeds=1))
    second = CountingRunner()
    assert run_grid(path, second)
    assert not set(first.trained) & set(second.trained)
    whole = tmp_path / "whole.jsonl"
    run_grid(whole, CountingRunner())
    assert path.read_bytes() == whole.read_bytes()
