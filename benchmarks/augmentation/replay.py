"""Searches replayed on a table of trainings: how many it takes until one hits.

Every arm trains entries of the table, none twice, but for `repeated`, which trains any again and again. Arms that
begin with nothing see the outcomes of their own trainings alone. The others were made from other tables, or from the
entries that are not in the table that they search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.augmentation.table import Entry, Floats, presence
from deltanas.intervals import wilson
from deltanas.lemur.transforms import CALLS
from deltanas.thompson import SPREAD, Known, thompson

THRESHOLD = 0.59
FIRST = 8
"""Trainings that a surrogate and a population begin with."""
DRAWS = 2_000
POPULATION, TOURNAMENT = 16, 4

Chance = np.random.Generator
Arm = Callable[["Board", Chance], Iterator[int]]
"""The places of a search's trainings, one after the other."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Board:
    """A table to search.

    Attributes:
        accuracy: [n], what a training of each entry shows. hits: [n] of bool, which entries are looked for.
        has: [n, operations], which operations each has. near: for each those one edit away: the same operations with
            other parameters, or one operation more, less or another.
    """

    accuracy: Floats
    hits: NDArray[np.bool_]
    has: Floats
    near: Sequence[Places]


def board_of(entries: Sequence[Entry]) -> Board:
    """Of the released table; what reaches the threshold hits."""
    accuracy = np.array([entry.accuracy for entry in entries])
    near = neighbours([entry.sequence for entry in entries], list(CALLS))
    return Board(accuracy, accuracy >= THRESHOLD, presence(entries), near)


def idle_board(entries: Sequence[Entry]) -> Board:
    """Of the trainings without any effect, for `repeated`."""
    accuracy = np.array([entry.accuracy for entry in entries])
    return Board(accuracy, accuracy >= THRESHOLD, np.zeros((len(entries), 0)), ())


def needed(board: Board) -> dict[str, float]:
    """Trainings until one hits, by the share of hits, with its 95 % interval (Wilson) for other trainings of the kind.

    An interval over replays of these ones leaves out that they are few.
    """
    share = wilson(int(board.hits.sum()), len(board.hits))
    until = {"": share.value, "_low": share.high, "_high": share.low}
    return {"trainings": len(board.hits), "reaching": int(board.hits.sum()),
            **{f"needed{key}": 1 / value if value else np.inf for key, value in until.items()}}  # fmt: skip


def neighbours(sequences: Sequence[tuple[str, ...]], operations: Sequence[str]) -> list[Places]:
    by_sequence: dict[tuple[str, ...], list[int]] = {}
    for place, sequence in enumerate(sequences):
        by_sequence.setdefault(sequence, []).append(place)
    around: dict[tuple[str, ...], Places] = {}
    for sequence in by_sequence:
        alike = (sequence, *_edited(sequence, operations))
        around[sequence] = np.array([place for one in alike for place in by_sequence.get(one, [])], np.int64)
    return [around[sequence] for sequence in sequences]


def _edited(sequence: tuple[str, ...], operations: Sequence[str]) -> list[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    fresh = [name for name in operations if name not in sequence]
    for place in range(len(sequence) + 1):
        found |= {(*sequence[:place], name, *sequence[place:]) for name in fresh}
        if place < len(sequence):
            found.add((*sequence[:place], *sequence[place + 1 :]))
            found |= {(*sequence[:place], name, *sequence[place + 1 :]) for name in fresh}
    return sorted(found)


def repeated(board: Board, chance: Chance) -> Iterator[int]:
    while True:
        yield int(chance.integers(len(board.accuracy)))


def drawn(board: Board, chance: Chance) -> Iterator[int]:
    yield from map(int, chance.permutation(len(board.accuracy)))


def bandit(board: Board, chance: Chance) -> Iterator[int]:
    """The strategy's own Thompson sampling: an operation by what trainings with it brought, then any entry with it."""
    rng = Random(int(chance.integers(2**31)))
    queues = {str(operation): list(chance.permutation(np.flatnonzero(column))) for operation, column in
              enumerate(board.has.T)}  # fmt: skip
    queues[""] = list(chance.permutation(np.flatnonzero(board.has.sum(1) == 0)))
    moments = {operation: np.zeros(3) for operation in queues}
    done: set[int] = set()
    while True:
        for queue in queues.values():
            while queue and queue[-1] in done:
                queue.pop()
        open_ = [operation for operation, queue in queues.items() if queue]
        if not open_:
            return
        operation = thompson(_known(moments), rng)(open_)
        place = int(queues[operation].pop())
        done.add(place)
        moments[operation] += board.accuracy[place] ** np.arange(3)
        yield place


def _known(moments: Mapping[str, Floats]) -> Known:
    """As `Known.of`, from the sums of each operation's scores to the powers 0, 1 and 2."""
    count, total, squares = np.array(list(moments.values())).T
    seen = count > 0
    within = float((squares[seen] - total[seen] ** 2 / count[seen]).sum())
    degrees = float((count[seen] - 1).sum())
    counts, sums = (dict(zip(moments, some.tolist(), strict=True)) for some in (count, total))
    prior = float(total.sum() / max(1.0, count.sum()))
    return Known(counts, sums, prior, np.sqrt(max(0.0, within) / degrees) if degrees else SPREAD)


def evolution(board: Board, chance: Chance) -> Iterator[int]:
    """The best of a few of the last ones is edited; where no edit of it is left, any entry is trained."""
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
        yield place


def surrogate(board: Board, chance: Chance) -> Iterator[int]:
    """Greedy on an additive model of the operations, refitted after each training."""
    return greedy(board.has)(board, chance)


def greedy(features: Floats, penalty: float = 0.1) -> Arm:
    """The entry that a linear model puts first, refitted after each training; a few that are drawn come before."""

    def arm(board: Board, chance: Chance) -> Iterator[int]:
        x = np.hstack([np.ones((len(board.accuracy), 1)), features])
        gram, moment = penalty * np.eye(x.shape[1]), np.zeros(x.shape[1])
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
            yield place

    return arm


def best_of(scores: Floats, offered: int) -> Arm:
    """Of so many entries that are drawn, the one of the highest score is trained, again and again."""

    def arm(board: Board, chance: Chance) -> Iterator[int]:
        left = np.arange(len(board.accuracy))
        while len(left):
            few = chance.choice(len(left), min(offered, len(left)), replace=False)
            merits = scores[left[few]]
            chosen = few[chance.choice(np.flatnonzero(merits == merits.max()))]
            yield int(left[chosen])
            left = np.delete(left, chosen)

    return arm


BLIND: Mapping[str, Arm] = {
    "random": drawn,
    "bandit": bandit,
    "evolution": evolution,
    "additive surrogate": surrogate,
}


def replay(arm: Arm, board: Board, name: str, number: int) -> Iterator[int]:
    """One replay; equal name and number give equal draws."""
    return arm(board, np.random.default_rng([number, *name.encode()]))


def replayed(boards: Sequence[Board], arm: Arm, name: str, replays: int) -> dict[str, float]:
    """Trainings until one hits: see `counted` and `spread`."""
    return spread(counted(boards, arm, name, replays))


def counted(boards: Sequence[Board], arm: Arm, name: str, replays: int) -> Floats:
    """[replays] trainings until one hits, on each of the boards in turn."""
    counts = []
    for number in range(replays):
        board = boards[number % len(boards)]
        trained = enumerate(replay(arm, board, name, number), 1)
        counts.append(next((count for count, place in trained if board.hits[place]), len(board.accuracy) + 1))
    return np.array(counts, float)


def spread(values: Floats) -> dict[str, float]:
    """Mean and median over replays, with bootstrap intervals, 95 %."""
    found: dict[str, float] = {"replays": len(values)}
    for what, statistic in (("mean", np.mean), ("median", np.median)):
        low, high = np.quantile(statistic(_resampled(values, 0), axis=1), [0.025, 0.975])
        found |= {what: float(statistic(values)), f"{what}_low": float(low), f"{what}_high": float(high)}
    return found


def times_fewer(usual: Floats, counts: Floats) -> dict[str, float]:
    """How many times as many trainings the usual way needs on average, with a bootstrap interval, 95 %."""
    ratios = _resampled(usual, 1).mean(1) / _resampled(counts, 0).mean(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return {"times_fewer": float(usual.mean() / counts.mean()), "times_low": float(low), "times_high": float(high)}


def _resampled(values: Floats, seed: int) -> Floats:
    return values[np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))]
