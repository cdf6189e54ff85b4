"""A grid of two networks on one data set, and a runner that trains nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from deltanas.grid import Cell, Grid, GridRun, Row, Split, keys_of, open_table
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.seams import Built
from deltanas.seams import Split as Images
from deltanas.testing.examples import program
from deltanas.trainings import Recipe

GRID = Grid(("one", "two"), (Recipe("ce", "sgd"), Recipe("ngl", "adam")), ("digits",), rates=3, seeds=2)
DESCRIPTION: dict[str, Any] = {
    "networks": {"one": {}, "two": {}},
    "recipes": ["ce + sgd"],
    "seeds": {"one": [1, 2], "two": [3, 4]},
    "epochs": 1,
}
SPLITS = {"digits": Split(360, 0.1028)}


def told_apart(cell: Cell) -> Program:
    """One program for each network, recipe and rate."""
    return program(f"made = {(cell.network, str(cell.recipe), cell.rate)!r}")


class CountingRunner:
    """Scores by the hash of program and seed. fails: its outcome in place of a score, or None; it may raise."""

    tier = "A"

    def __init__(self, fails: Callable[[Program, int], Failed | None] = lambda program, seed: None) -> None:
        self.trained: list[tuple[str, int]] = []
        self.fails = fails
        self.closed = 0

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        raise NotImplementedError

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Images = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        assert split == "validation", "a grid looks at no other split"
        try:
            for place in reversed(range(len(programs))):  # as they end is no order
                self.trained.append((programs[place].id, seed))
                yield place, self.fails(programs[place], seed) or self.scored(programs[place], seed)
        finally:
            self.closed += 1

    @staticmethod
    def scored(program: Program, seed: int) -> Trained:
        digest = hashlib.sha256(f"{program.id} {seed}".encode()).digest()
        return Trained(int.from_bytes(digest[:2]) / 2**16, 360, seed, 1.5, 1.5, "A")


def run_grid(
    path: Path,
    runner: CountingRunner,
    grid: Grid = GRID,
    *,
    inject: Callable[[Cell], Program | str] = told_apart,
    tell: Callable[[Row], None] = lambda row: None,
    seconds: float = float("inf"),
    description: dict[str, Any] = DESCRIPTION,
) -> bool:
    splits = {name: Split(360, 0.1028) for name in grid.datasets}
    with open_table(path, description, keys_of(grid)) as table:
        return GridRun(grid, table, splits, inject, lambda name: runner, tell).run(seconds)
