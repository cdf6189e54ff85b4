"""A grid of trainings: each row is written as its training ends, and the same call goes on where the table ends."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic

from deltanas.errors import SandboxError
from deltanas.grid.cells import Batch, Cell, Grid, Key, winner
from deltanas.grid.table import Row, Table
from deltanas.program import Failed, Program, Trained
from deltanas.program.recipes import decay_of
from deltanas.sandbox.supervise import STARVED
from deltanas.seams import Runner
from deltanas.trainings import Recipe

Inject = Callable[[Cell], Program | str]
"""The program of a cell, or why its recipe can't be put into its network."""


@dataclass(frozen=True, slots=True)
class Split:
    """The images that trainings on a data set are scored on. n: their number. chance: as in `Row`."""

    n: int
    chance: float


class GridRun:
    """One grid over one table. A fault of the machine is an error and no row: what was written stays."""

    def __init__(
        self,
        grid: Grid,
        table: Table,
        splits: Mapping[str, Split],
        inject: Inject,
        runner: Callable[[str], Runner],
        tell: Callable[[Row], None],
    ) -> None:
        """splits: by data set. runner: that of a data set, ready. tell: gets each row once it is written."""
        self._grid, self._table, self._splits = grid, table, splits
        self._inject, self._runner, self._tell = inject, runner, tell
        self._known = {(row["dataset"], row["program"], row["seed"]): row for row in table.rows.values()}

    def run(self, seconds: float = float("inf")) -> bool:
        """Make the rows that the table lacks. False where `seconds` were over before all were made."""
        deadline = monotonic() + seconds
        for batch in self._grid.batches():
            with closing(self._rows(self._grid.cells(batch, self._won(batch)), batch)) as rows:
                for row in rows:
                    self._table.add(row)
                    self._known[row["dataset"], row["program"], row["seed"]] = row
                    self._tell(row)
                    if monotonic() > deadline and self.left():
                        return False
        self._table.sort(keys_of(self._grid))
        return True

    def left(self) -> int:
        """Number of rows that the table lacks."""
        return sum(key not in self._table.rows for key in keys_of(self._grid))

    def _rows(self, cells: Sequence[Cell], batch: Batch) -> Generator[Row, None, None]:
        """The missing rows of a batch; those that need no training first."""
        due: list[tuple[Cell, Program]] = []
        for cell in cells:
            if cell.key in self._table.rows:
                continue
            program = self._inject(cell)
            if isinstance(program, str):
                yield self._row(cell, None, f"inject: {program}")
            elif known := self._known.get((cell.dataset, program.id, cell.seed)):
                # Both arms may come to one rate, and equal programs and seeds give equal scores.
                yield self._row(cell, program, known["failure"], known["score"], known["seconds"])
            else:
                due.append((cell, program))
        if due:
            programs = [program for _, program in due]
            outcomes = self._runner(batch.dataset).train(programs, seed=batch.seed)
            try:
                for place, outcome in outcomes:
                    yield self._measured(*due[place], outcome)
            finally:
                if isinstance(outcomes, Generator):  # it kills what is under way, before the pool is closed
                    outcomes.close()

    def _won(self, batch: Batch) -> dict[Recipe, float]:
        """The rates that tuning chose for the batch's network and data set; none where they are not asked for."""
        if batch.arm == "fixed" or batch.phase == "tune":
            return {}
        tuned = Batch(batch.network, batch.dataset, "tuned", "tune", self._grid.tune_seed(batch.network))
        tried: dict[Recipe, list[tuple[float, float | None]]] = {}
        for cell in self._grid.cells(tuned, {}):
            tried.setdefault(cell.recipe, []).append((cell.rate, self._table.rows[cell.key]["score"]))
        return {recipe: winner(recipe.optimizer, scores) for recipe, scores in tried.items()}

    def _measured(self, cell: Cell, program: Program, outcome: Trained | Failed) -> Row:
        if isinstance(outcome, Trained):
            return self._row(cell, program, None, outcome.score, outcome.seconds)
        if outcome.kind == "crash" and STARVED in outcome.reason:
            raise SandboxError(
                f"{cell.network} with {cell.recipe} was ended as the machine had no memory left",
                "make room, or give fewer --workers; the same command goes on",
            )
        return self._row(cell, program, f"{outcome.kind}: {outcome.reason}", None, outcome.seconds)

    def _row(
        self, cell: Cell, program: Program | None, failure: str | None, score: float | None = None, seconds: float = 0.0
    ) -> Row:
        split, recipe = self._splits[cell.dataset], cell.recipe
        return {
            "network": cell.network,
            "dataset": cell.dataset,
            "loss": recipe.loss,
            "optimizer": recipe.optimizer,
            "scale": recipe.scale,
            "arm": cell.arm,
            "phase": cell.phase,
            "rate": cell.rate,
            "seed": cell.seed,
            "score": score,
            "n": split.n,
            "chance": split.chance,
            "decay": decay_of(program.net) if program else None,
            "failure": failure,
            "seconds": round(seconds, 3),
            "program": program.id if program else None,
        }


def keys_of(grid: Grid) -> list[Key]:
    """The keys of all rows, in the order of the work."""
    rates = dict.fromkeys(grid.recipes, 0.0)  # no part of a key
    return [cell.key for batch in grid.batches() for cell in grid.cells(batch, rates)]
