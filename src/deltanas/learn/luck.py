"""What a seed did to a network and to all edits of it alike, estimated from these trainings, to be taken off them.

The order of images that a seed draws moves a network and its edits together, and other networks otherwise: in
`benchmarks/gains` the variance of (parent, seed) is 2.3 times that of the seed over all parents. So the luck of a seed
is that of a cell, parent x seed, shrunken towards what the seed did to all parents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

SHRINK = 2.0
"""Variance of one training within its cell, by that of the cells' luck (`benchmarks/gains`: 2.5e-4 by 1.37e-4)."""


@dataclass(frozen=True, slots=True)
class Trainings:
    """The trainings of one program that ended well: accuracies and the numbers of their seeds."""

    parent: str
    accuracies: tuple[float, ...]
    seeds: tuple[int, ...]


def seed_luck(parents: Iterable[Trainings]) -> dict[int, float]:
    """How far each seed lifts a parent's accuracy above its mean over seeds; of two parents or more with all seeds."""
    rows = [dict(zip(row.seeds, row.accuracies, strict=True)) for row in parents]
    longest = max(map(len, rows), default=0)
    whole = [row for row in rows if len(row) == longest]
    if len(whole) < 2:
        return {}
    return {seed: fmean(row[seed] - fmean(row.values()) for row in whole) for seed in whole[0]}


def without_luck(
    parents: Mapping[str, Trainings], edits: Sequence[Trainings], main: Mapping[int, float]
) -> list[list[float]]:
    """The accuracies of the edits, then of the parents, each less the luck of its cell.

    The luck of a training's cell comes from the other programs of the cell, so that no edit's gain is shrunken by its
    own part in it. main: of `seed_luck`.
    """
    programs = [*edits, *parents.values()]
    levels = _levels(parents, edits, main)
    cells: defaultdict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
    for number, row in enumerate(programs):
        level = levels[row.parent, number < len(edits)]
        for accuracy, seed in zip(row.accuracies, row.seeds, strict=True):
            cells[row.parent, seed].append((number, accuracy - main.get(seed, 0.0) - level))

    def luck(number: int, parent: str, seed: int) -> float:
        others = [moved for other, moved in cells[parent, seed] if other != number]
        return main.get(seed, 0.0) + sum(others) / (len(others) + SHRINK)

    return [
        [one - luck(number, row.parent, seed) for one, seed in zip(row.accuracies, row.seeds, strict=True)]
        for number, row in enumerate(programs)
    ]


def _levels(
    parents: Mapping[str, Trainings], edits: Sequence[Trainings], main: Mapping[int, float]
) -> dict[tuple[str, bool], float]:
    """Mean accuracy of each parent (False) and of all edits of it (True), less what the seeds did to all parents."""
    found: defaultdict[tuple[str, bool], list[float]] = defaultdict(list)
    for row, edited in [*((row, True) for row in edits), *((row, False) for row in parents.values())]:
        for accuracy, seed in zip(row.accuracies, row.seeds, strict=True):
            found[row.parent, edited].append(accuracy - main.get(seed, 0.0))
    return {key: fmean(values) for key, values in found.items()}
