"""How networks stand on a data set where they were measured: compared in pairs, after equally many epochs.

- Two networks are compared within one piece of evidence (one run, table or wheel: one way of training), after the most
  epochs that both have there. Several such comparisons of the same two are averaged.
- They are compared by equally many trials: the chance that the best of k trials of one is above the best of k of the
  other, where k is the smaller of their numbers of trials, and `TEN` at most. So a network does not rank higher for
  having been tried more often. Where trainings differ in the seed alone, the one with the higher mean wins.
- A standing is the mean over all networks that one met on the set, itself as a half among them. Networks that share a
  longer training, or a further run, have an order of their own: the places that such a group holds among all are given
  out anew in the order of the wins within it, group by group, the largest first. So the best three of a wide run that
  are trained again, or for longer, stay above the others, and stand among themselves as they did there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, inf, sqrt
from statistics import fmean

import numpy as np

from deltanas.task import Floats

TEN = 10
"""Trials by which two networks are compared at most."""
FEWEST = 3
"""Networks that have an order."""
_SEVERAL = 4
"""Trials that are drawn again, to see how far other trials would move a standing."""
_COMMON = 1 / 3
"""Share of the networks on several sets that a common number of epochs reaches."""
_DRAWS = 100
_ALIKE = 12
"""Decimals of wins that are compared."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A score of one training. program: as `--baselines` takes it."""

    program: str
    dataset: str
    epochs: int
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Scores that are comparable within a data set.

    Attributes:
        tuned: trainings of a network differ in hyperparameters: the best counts, of ten. Else in the seed: their mean.
        sources: text of each program.
    """

    rows: Sequence[Measured]
    sources: Mapping[str, str]
    tuned: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """Scores of one piece of evidence on one data set, by epochs and program: of `FEWEST` programs or more each."""

    scores: Mapping[int, Mapping[str, Sequence[float]]]
    tuned: bool

    def longest(self) -> dict[str, int]:
        """The most epochs that each program was trained for."""
        return {program: epochs for epochs in sorted(self.scores) for program in self.scores[epochs]}


@dataclass(frozen=True, slots=True)
class Standing:
    """share: of the networks on a data set that one beats, in [0, 1]. trials: by which it is known, of all pieces."""

    share: float
    trials: int

    @property
    def weight(self) -> float:
        """What it counts among standings on several sets, in (0, 1]: `TEN` trials count 1, fewer by their root."""
        return sqrt(min(self.trials, TEN) / TEN)


Pieces = Mapping[str, Sequence[Piece]]
"""By data set."""


def pieces_of(evidence: Iterable[Evidence], epochs: int | None) -> Pieces:
    """What has an order. epochs: the most that count; None for those that are common (`common_epochs`) where networks
    are tuned, since others were trained alike on purpose.
    """
    found: defaultdict[str, list[Piece]] = defaultdict(list)
    for one in evidence:
        most = epochs or (common_epochs(one.rows) if one.tuned else inf)
        held: defaultdict[str, defaultdict[int, defaultdict[str, list[float]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for row in one.rows:
            if row.epochs <= most:
                held[row.dataset][row.epochs][row.program].append(row.score)
        for dataset, by_epochs in held.items():
            scores = {length: those for length, those in by_epochs.items() if len(those) >= FEWEST}
            if scores:
                found[dataset].append(Piece(scores, one.tuned))
    return found


def common_epochs(rows: Iterable[Measured]) -> int:
    """The most epochs that a third of the networks reach, of those that were measured on several sets if there are any.

    A rank after more epochs says more; networks that were measured for fewer count by what they have.
    """
    sets: defaultdict[int, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        sets[row.epochs][row.program].add(row.dataset)
    for several in (2, 1):
        counts = {epochs: sum(len(those) >= several for those in held.values()) for epochs, held in sets.items()}
        if most := max(counts.values(), default=0):
            return max(epochs for epochs, count in counts.items() if count >= _COMMON * most)
    return 1


def standings(pieces: Sequence[Piece]) -> dict[str, Standing]:
    """Of each program on the data set of these pieces."""
    trials: defaultdict[str, int] = defaultdict(int)
    for piece in pieces:
        for program, epochs in piece.longest().items():
            trials[program] += len(piece.scores[epochs][program])
    return {program: Standing(share, trials[program]) for program, share in _shares(pieces).items()}


def _shares(pieces: Sequence[Piece]) -> dict[str, float]:
    names = sorted({program for piece in pieces for held in piece.scores.values() for program in held})
    place = {name: number for number, name in enumerate(names)}
    total, times = np.zeros((len(names),) * 2), np.zeros((len(names),) * 2)
    groups: set[tuple[int, ...]] = set()
    for piece in pieces:
        found = np.full_like(total, np.nan)
        for epochs in sorted(piece.scores, reverse=True):
            held = piece.scores[epochs]
            group = tuple(place[program] for program in held)
            groups.add(tuple(sorted(group)))
            cell = np.ix_(group, group)
            if np.isnan(found[cell]).any():  # a longer training has not told of all pairs
                found[cell] = np.where(np.isnan(found[cell]), wins([*held.values()], piece.tuned), found[cell])
        met = ~np.isnan(found)
        total[met] += found[met]
        times += met
    mean = total / np.maximum(times, 1)
    shares = mean.sum(axis=1) / (times > 0).sum(axis=1)
    for group in sorted(groups, key=lambda one: (-len(one), one)):
        rows = np.array(group)
        shares[rows] = _given_out(shares[rows], mean[np.ix_(rows, rows)].mean(axis=1))
    return dict(zip(names, shares.tolist(), strict=True))


def _given_out(places: Floats, order: Floats) -> Floats:
    """The places anew, the highest to what is highest in order; equals share theirs. All [n]."""
    _, tied = np.unique(order.round(_ALIKE), return_inverse=True)
    given = np.sort(places)[np.argsort(np.argsort(tied, kind="stable"), kind="stable")]
    found: Floats = (np.bincount(tied, given) / np.bincount(tied))[tied]
    return found


def wins(scores: Sequence[Sequence[float]], tuned: bool) -> Floats:
    """[n, n] how often the network of a row beats that of a column, ties and itself half.

    Args:
        scores: the trials of each of n networks, one or more each.
    """
    if not tuned:
        means = np.array([fmean(those) for those in scores])  # of equal scores in any order the same
        made: Floats = (np.sign(means[:, None] - means) + 1) / 2
        return made
    values = np.unique(np.concatenate([np.asarray(those, float) for those in scores]))
    number = np.array([min(len(those), TEN) for those in scores])
    found = np.full((len(scores),) * 2, 0.5)
    for k in np.unique(number):
        able, few = np.flatnonzero(number >= k), np.flatnonzero(number[number >= k] == k)
        chance = np.zeros((len(able), len(values)))
        for row, which in enumerate(able.tolist()):
            np.add.at(chance[row], np.searchsorted(values, np.sort(scores[which])), best_of(len(scores[which]), int(k)))
        below = np.cumsum(chance, axis=1) - chance / 2
        beaten = chance[few] @ below.T
        found[np.ix_(able[few], able)] = beaten
        found[np.ix_(able, able[few])] = 1 - beaten.T
    np.fill_diagonal(found, 0.5)
    return found


@lru_cache(maxsize=4096)
def best_of(number: int, k: int) -> Floats:
    """[number] the chance that each of so many trials, the lowest first, is the best of k drawn without repetition."""
    return np.array([comb(place, k - 1) / comb(number, k) for place in range(number)])


def noise(pieces: Sequence[Piece], reach: float) -> dict[str, tuple[float, float]]:
    """95 % bounds of the shares for other trials: drawn again, with repetition.

    Of a network with few trials: as far as those with several move; `reach` where there are none.
    """
    own = standings(pieces)
    rng = np.random.default_rng(0)
    steady = set(own)
    for piece in pieces:
        for program, epochs in piece.longest().items():
            if len(piece.scores[epochs][program]) < _SEVERAL:
                steady.discard(program)
    drawn = [_shares([_again(piece, rng) for piece in pieces]) for _ in range(_DRAWS if steady else 0)]
    moves = [abs(one[program] - own[program].share) for program in sorted(steady) for one in drawn]
    wide = float(np.quantile(moves, 0.95)) if moves else reach
    found: dict[str, tuple[float, float]] = {}
    for program, standing in own.items():
        share = standing.share
        low, high = share - wide, share + wide
        if program in steady:
            low, high = np.quantile([one[program] for one in drawn], [0.025, 0.975]).tolist()
        found[program] = min(low, share), max(high, share)
    return found


def _again(piece: Piece, rng: np.random.Generator) -> Piece:
    """Other trials of the same networks."""
    return Piece(
        {
            epochs: {program: rng.choice(scores, len(scores)).tolist() for program, scores in held.items()}
            for epochs, held in piece.scores.items()
        },
        piece.tuned,
    )


def reached(pieces: Sequence[Piece]) -> tuple[dict[str, float], set[str]]:
    """What each network reached in its longest training, by its best trial or by the mean over its seeds; and those
    that were trained longest of all.
    """
    most = max(epochs for piece in pieces for epochs in piece.scores)
    best: dict[str, tuple[int, float]] = {}
    for piece in pieces:
        for program, epochs in piece.longest().items():
            scores = piece.scores[epochs][program]
            best[program] = max(
                best.get(program, (0, -inf)), (epochs, float((max if piece.tuned else np.mean)(scores)))
            )
    found = {program: score for program, (_, score) in best.items()}
    return found, {program for program, (epochs, _) in best.items() if epochs == most}
