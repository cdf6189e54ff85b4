"""A table of `python -m benchmarks policies`, and searches replayed on it.

A replay sees the scores of one seed, as a search does. What it looks for is told by the other trainings too: the
policies whose mean is among the best 1 %.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.augmentation.replay import BLIND, Arm, Board, greedy, neighbours, replay, spread
from benchmarks.augmentation.table import Floats
from deltanas.errors import DataError
from deltanas.program.transforms import MENU, Step, read_transform
from deltanas.whole import read_rows

AUTOMATIC = ("TrivialAugmentWide", "RandAugment")
"""Operations that are policies of their own: the enumeration holds none of them."""
BEST = 0.01
BUDGET = 50
"""Trainings after which an arm picks what scored highest."""
Told = Literal["all seeds", "other seeds"]
"""Of which trainings the mean decides what is looked for: all, or those alone that the search does not see."""


@dataclass(frozen=True)
class Table:
    """Policies that have a score for each of the seeds.

    Attributes:
        scores: [policies, seeds]. failed: number of policies that are left out, because a training failed.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    steps: tuple[tuple[Step, ...], ...]
    seeds: tuple[int, ...]
    scores: Floats
    failed: int

    def only(self, places: Sequence[int]) -> Table:
        return replace(
            self,
            names=tuple(self.names[i] for i in places),
            kinds=tuple(self.kinds[i] for i in places),
            steps=tuple(self.steps[i] for i in places),
            scores=self.scores[list(places)],
        )

    @property
    def enumerated(self) -> Table:
        """No transform, single operations and pairs, without the policies that are automatic."""
        return self.only([i for i, steps in enumerate(self.steps) if not {s.name for s in steps} & {*AUTOMATIC}])

    @property
    def operations(self) -> tuple[str, ...]:
        return tuple(name for name in MENU if any(step.name == name for steps in self.steps for step in steps))

    def row(self, name: str) -> int:
        return self.names.index(name)

    def paired(self, one: int, other: int) -> Floats:
        """[seeds], how much higher the first scores with the same seed."""
        return np.asarray(self.scores[one] - self.scores[other], float)


def read_own(path: Path) -> Table:
    """Of the seeds that all policies were trained with; the others are still to come.

    Raises DataError where no seed is whole.
    """
    wanted: list[str] = json.loads(path.with_suffix(".json").read_text("utf-8"))["policies"]
    rows = read_rows(path)
    found = {(str(row["policy"]), int(str(row["seed"]))): row for row in rows}
    seeds = tuple(seed for seed in dict.fromkeys(key[1] for key in found) if all((n, seed) in found for n in wanted))
    if not seeds:
        raise DataError(f"{path} has no seed with which all {len(wanted)} policies were trained", "go on training")
    scores = np.array([[found[name, seed]["score"] for seed in seeds] for name in wanted], float)
    kept = np.flatnonzero(np.isfinite(scores).all(1)).tolist()
    first = [found[name, seeds[0]] for name in wanted]
    table = Table(
        tuple(wanted),
        tuple(str(row["kind"]) for row in first),
        tuple(read_transform(str(row["transform"])) for row in first),
        seeds,
        scores,
        len(wanted) - len(kept),
    )
    return table.only(kept)


def presence(table: Table, operations: Sequence[str]) -> Floats:
    """[n, operations]: which ones a policy has."""
    return np.array([[name in {s.name for s in steps} for name in operations] for steps in table.steps], float)


def numbers(table: Table, operations: Sequence[str]) -> Floats:
    """[n, 3 operations + 1]: which operations a policy has, which comes first, how strong each is, how many there are.

    Strengths count from the middle: -1, 0, 1.
    """
    has = presence(table, operations)
    first, strength = np.zeros_like(has), np.zeros_like(has)
    for row, steps in enumerate(table.steps):
        for step in steps:
            strength[row, operations.index(step.name)] = _strength(step)
        if len(steps) > 1:
            first[row, operations.index(steps[0].name)] = 1
    return np.hstack([has, first, strength, has.sum(1, keepdims=True)])


def _strength(step: Step) -> int:
    levels = [MENU[step.name].at(level) for level in range(3)]
    return levels.index(step.values) - 1 if step.values in levels else 0


def boards(table: Table, told: Told) -> list[Board]:
    """One a seed."""
    operations = table.operations
    near = neighbours([tuple(step.name for step in steps) for steps in table.steps], operations)
    has, found = presence(table, operations), []
    for seen in range(len(table.seeds)):
        counted = table.scores if told == "all seeds" else np.delete(table.scores, seen, 1)
        hits = np.zeros(len(table.names), bool)
        hits[np.argsort(-counted.mean(1), kind="stable")[: looked_for(table)]] = True
        found.append(Board(table.scores[:, seen], hits, has, near))
    return found


def looked_for(table: Table) -> int:
    return max(1, round(BEST * len(table.names)))


def arms(table: Table, given: Mapping[str, Floats]) -> dict[str, Arm]:
    """Those that begin with nothing, and one for each ranking that is given: [n] merits."""
    ranked = {f"given {name}": partial(_in_order, merits) for name, merits in given.items()}
    usual = [place for place, kind in enumerate(table.kinds) if kind == "usual"]
    first = partial(_in_order, np.isin(np.arange(len(table.names)), usual).astype(float))
    return {**BLIND, "ridge": greedy(numbers(table, table.operations)), "usual ones first": first, **ranked}


def _in_order(merits: Floats, board: Board, chance: np.random.Generator) -> Iterator[int]:
    """The highest first; equal ones as they are drawn."""
    yield from map(int, np.lexsort((chance.random(len(board.accuracy)), -merits)))


def picked(board: Board, arm: Arm, name: str, number: int, budgets: Sequence[int] = (BUDGET,)) -> list[int]:
    """The places of what scored highest among an arm's first trainings, for so many of them."""
    walk = list(islice(replay(arm, board, name, number), max(budgets)))
    return [max(walk[:budget], key=lambda place: board.accuracy[place]) for budget in budgets]


def worth(
    table: Table, seen: Sequence[Board], arm: Arm, name: str, replays: int, budgets: Sequence[int]
) -> dict[str, dict[str, float]]:
    """How much higher an arm's picks score than no transform with the seeds that it did not see: see `spread`."""
    none, found = table.row("none"), []
    for number in range(replays):
        seed = number % len(seen)
        places = picked(seen[seed], arm, name, number, budgets)
        found.append([float(np.delete(table.paired(place, none), seed).mean()) for place in places])
    return {f"after {budget}": spread(gains) for budget, gains in zip(budgets, np.array(found).T, strict=True)}


def given_by(other: Table, table: Table) -> Floats:
    """[n] what a ridge on another table's means says of this one's policies."""
    operations = table.operations
    known = other.only([i for i, steps in enumerate(other.steps) if {s.name for s in steps} <= {*operations}])
    x, y = numbers(known, operations), known.scores.mean(1)
    x, new = (np.hstack([np.ones((len(rows), 1)), rows]) for rows in (x, numbers(table, operations)))
    penalty = 0.1 * np.eye(x.shape[1])
    penalty[0, 0] = 1e-3
    return np.asarray(new @ np.linalg.solve(x.T @ x + penalty, x.T @ y), float)


def given_effects(effects: Mapping[str, float], table: Table) -> Floats:
    """[n] the sum of the effects of a policy's operations."""
    return np.array([sum(effects.get(step.name, 0.0) for step in steps) for steps in table.steps])
