"""Searches replayed on the table: trainings until one reaches a threshold.

Every arm trains files of the table, none twice, but for `identity`, which trains "no transform" again and again. Arms
that begin with nothing see the outcomes of their own trainings alone. The others were made from the files that are not
in the table that they search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.augmentation.table import Entry, Floats, presence
from deltanas.lemur.transforms import CALLS

THRESHOLD = 0.59
FIRST = 8
"""Trainings that a surrogate and a population begin with."""
DRAWS = 2_000
POPULATION, TOURNAMENT = 16, 4
BELIEF = (0.5, 0.1, 0.07)
"""Of a bandit's operation, before it was tried: mean and deviation of its mean, and the deviation of one training."""

Chance = np.random.Generator
Arm = Callable[["Board", Chance], Iterator[float]]
"""The accuracies of a search's trainings, one after the other."""


@dataclass(frozen=True)
class Board:
    """A table to search.

    Attributes:
        accuracy: [n]. has: [n, 19], which operations each file has. idle: accuracies of the trainings without any
            effect. near: for each file those one edit away: the same operations with other parameters, or one
            operation more, less or another.
    """

    accuracy: Floats
    has: Floats
    idle: Floats
    near: Sequence[np.ndarray[Any, np.dtype[np.int64]]]


def board_of(entries: Sequence[Entry], idle: Sequence[Entry]) -> Board:
    by_sequence: dict[tuple[str, ...], list[int]] = {}
    for place, entry in enumerate(entries):
        by_sequence.setdefault(entry.sequence, []).append(place)
    around = {
        sequence: np.array([place for one in (sequence, *_edited(sequence)) for place in by_sequence.get(one, [])])
        for sequence in by_sequence
    }
    accuracy = np.array([entry.accuracy for entry in entries])
    return Board(accuracy, presence(entries), np.array([one.accuracy for one in idle]),
                 [around[entry.sequence] for entry in entries])  # fmt: skip


def _edited(sequence: tuple[str, ...]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    fresh = [name for name in CALLS if name not in sequence]
    for place in range(len(sequence) + 1):
        found |= {(*sequence[:place], name, *sequence[place:]) for name in fresh}
        if place < len(sequence):
            found.add((*sequence[:place], *sequence[place + 1 :]))
            found |= {(*sequence[:place], name, *sequence[place + 1 :]) for name in fresh}
    return found


def identity(board: Board, chance: Chance) -> Iterator[float]:
    while True:
        yield float(chance.choice(board.idle))


def drawn(board: Board, chance: Chance) -> Iterator[float]:
    yield from board.accuracy[chance.permutation(len(board.accuracy))]


def bandit(board: Board, chance: Chance) -> Iterator[float]:
    """Thompson sampling: an operation is chosen by what trainings with it brought, then any file that has it."""
    mean, spread, error = BELIEF
    count, total = np.zeros(len(CALLS)), np.zeros(len(CALLS))
    left = np.ones(len(board.accuracy), bool)
    while left.any():
        precision = 1 / spread**2 + count / error**2
        belief = (mean / spread**2 + total / error**2) / precision
        sample = chance.normal(belief, 1 / np.sqrt(precision))
        for operation in np.argsort(-sample):
            open_ = np.flatnonzero(left & (board.has[:, operation] > 0))
            if len(open_):
                break
        place = int(chance.choice(open_))
        left[place] = False
        count[operation] += 1
        total[operation] += board.accuracy[place]
        yield float(board.accuracy[place])


def evolution(board: Board, chance: Chance) -> Iterator[float]:
    """The best of a few of the last ones is edited; where no edit of it is left, any file is trained."""
    left = np.ones(len(board.accuracy), bool)
    population: list[int] = []
    while left.any():
        open_ = np.flatnonzero(left)
        if len(population) >= FIRST:
            few = chance.choice(population, min(TOURNAMENT, len(population)), replace=False)
            near = board.near[max(few, key=lambda place: board.accuracy[place])]
            open_ = near[left[near]] if left[near].any() else open_
        place = int(chance.choice(open_))
        left[place] = False
        population = [*population, place][-POPULATION:]
        yield float(board.accuracy[place])


def surrogate(board: Board, chance: Chance) -> Iterator[float]:
    """Greedy on an additive model of the operations, refitted after each training."""
    x = np.hstack([np.ones((len(board.accuracy), 1)), board.has])
    gram, moment = 0.1 * np.eye(x.shape[1]), np.zeros(x.shape[1])
    gram[0, 0] = 1e-3
    order = chance.permutation(len(x))
    left = np.ones(len(x), bool)
    for number in range(len(x)):
        if number < FIRST:
            place = int(order[number])
        else:
            merit = x @ np.linalg.solve(gram, moment) + 1e-9 * order
            place = int(np.argmax(np.where(left, merit, -np.inf)))
        left[place] = False
        gram += np.outer(x[place], x[place])
        moment += x[place] * board.accuracy[place]
        yield float(board.accuracy[place])


def best_of(scores: Floats, offered: int) -> Arm:
    """Of so many files that are drawn, the one of the highest score is trained, again and again."""

    def arm(board: Board, chance: Chance) -> Iterator[float]:
        left = np.arange(len(board.accuracy))
        while len(left):
            few = chance.choice(len(left), min(offered, len(left)), replace=False)
            merits = scores[left[few]]
            chosen = few[chance.choice(np.flatnonzero(merits == merits.max()))]
            yield float(board.accuracy[left[chosen]])
            left = np.delete(left, chosen)

    return arm


BLIND: Mapping[str, Arm] = {
    "identity": identity,
    "random": drawn,
    "bandit": bandit,
    "evolution": evolution,
    "additive surrogate": surrogate,
}


def replayed(board: Board, arm: Arm, name: str, replays: int) -> dict[str, float]:
    """Trainings until one reaches the threshold: mean and median over replays, with bootstrap intervals, 95 %."""
    counts = []
    for number in range(replays):
        chance = np.random.default_rng([number, *name.encode()])
        trained = enumerate(arm(board, chance), 1)
        counts.append(next((count for count, accuracy in trained if accuracy >= THRESHOLD), len(board.accuracy) + 1))
    values = np.array(counts, float)
    resampled = values[np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))]
    found: dict[str, float] = {"replays": replays}
    for what, statistic in (("mean", np.mean), ("median", np.median)):
        low, high = np.quantile(statistic(resampled, axis=1), [0.025, 0.975])
        found |= {what: float(statistic(values)), f"{what}_low": float(low), f"{what}_high": float(high)}
    return found
