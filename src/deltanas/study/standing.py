"""How networks stand on several data sets, and on which of two a network stands higher: the examples of suitability."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from deltanas.program.trial import Trial
from deltanas.study.estimate import Floats, Integers, LackingError

Label = Literal["relative", "quantile"]
_MORE = "take more trials: `deltanas lemur import WHEEL` of nn-dataset 1.2.6 has seven data sets and 29 families"
FEWEST = 5
"""Examples: one for each part of a division at random."""
DIVISIONS = 20
"""Times that the trials are divided into halves, to see how far these agree."""
SEVERAL = 4
"""Trials of a network on a set from which halves can be compared."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The trials of networks on data sets after one number of epochs: lists of equal length, a trial each."""

    program: Sequence[str]
    dataset: Sequence[str]
    score: Sequence[float]

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> Scores:
        rows = [(one.experiment.program, one.experiment.dataset, one.accuracy) for one in trials]
        return cls([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


@dataclass(frozen=True, eq=False)
class Table:
    """Networks by data sets.

    Attributes:
        programs: [n] names. families: [n] theirs. datasets: [m] names.
        best: [n, m] the best trial, NaN where there is none. trials: all of them, by row and column.
        several: [k] rows of the networks that were measured on two sets or more.
    """

    programs: tuple[str, ...]
    families: NDArray[np.str_]
    datasets: tuple[str, ...]
    best: Floats
    trials: Mapping[tuple[int, int], Floats]
    several: Integers


@dataclass(frozen=True, eq=False)
class Examples:
    """Each network with each pair of data sets that it was measured on.

    Attributes:
        standing: [n, m], NaN where not measured. program, first, second: [k] rows and columns of it.
        higher: [k] whether the network stands higher on the first. ties: number of pairs that were left out.
    """

    standing: Floats
    program: Integers
    first: Integers
    second: Integers
    higher: NDArray[np.bool_]
    ties: int

    @property
    def pair(self) -> Integers:
        pair: Integers = self.first * self.standing.shape[1] + self.second
        return pair


def family_of(name: str) -> str:
    """The family of a network by LEMUR's names: what stands before the first `-`; the sizes of DPN are one family."""
    first = name.split("-", 1)[0]
    return re.sub(r"^DPN\d+$", "DPN", first)


def table_of(scores: Scores) -> Table:
    """All networks, as those of one set have their place in its order too.

    Raises:
        LackingError: there is one data set alone, or no network on two, or they are of one family.
    """
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for program, dataset, score in zip(scores.program, scores.dataset, scores.score, strict=True):
        found[program, dataset].append(score)
    datasets = tuple(sorted({dataset for _, dataset in found}))
    if len(datasets) < 2:
        raise LackingError(
            f"there is one data set alone ({', '.join(datasets) or 'none'}), and a comparison takes two", _MORE
        )
    programs = tuple(sorted({program for program, _ in found}))
    best = np.full((len(programs), len(datasets)), np.nan)
    trials: dict[tuple[int, int], Floats] = {}
    for row, program in enumerate(programs):
        for column, dataset in enumerate(datasets):
            if (program, dataset) in found:
                trials[row, column] = np.array(found[program, dataset], float)
                best[row, column] = trials[row, column].max()
    families = np.array([family_of(program) for program in programs])
    several = np.flatnonzero((~np.isnan(best)).sum(axis=1) > 1)
    known = set(families[several].tolist())
    if len(known) < 2:
        raise LackingError(
            f"{len(several)} networks of {len(known)} families were measured on two data sets, and a family that is"
            " held out needs others to learn from",
            _MORE,
        )
    return Table(programs, families, datasets, best, trials, several)


def standing_of(best: Floats, label: Label) -> Floats:
    """How high a network stands on a set: as a share of the set's best score, or of the networks that it beats.

    The second takes away that a set is easy or that its best is far above the rest.
    """
    standing = np.full(best.shape, np.nan)
    for column in range(best.shape[1]):
        rows = np.flatnonzero(~np.isnan(best[:, column]))
        if not len(rows):
            continue
        scores = best[rows, column]
        if label == "relative":
            standing[rows, column] = scores / max(float(scores.max()), 1e-12)
        else:
            standing[rows, column] = (rankdata(scores) - 0.5) / len(rows)
    return standing


def examples_of(standing: Floats) -> Examples:
    """All pairs but those in which a network stands alike."""
    rows = []
    ties = 0
    for first, second in combinations(range(standing.shape[1]), 2):
        both = np.flatnonzero(~np.isnan(standing[:, first] + standing[:, second]))
        equal = standing[both, first] == standing[both, second]
        ties += int(equal.sum())
        rows += [(program, first, second) for program in both[~equal]]
    table = np.array(sorted(rows), int).reshape(-1, 3)
    program, one, other = table.T
    return Examples(standing, program, one, other, standing[program, one] > standing[program, other], ties)


def compared(scores: Scores, label: Label) -> tuple[Table, Examples]:
    """The table and its examples.

    Raises:
        LackingError: as `table_of`, or there are too few examples to hold families out.
    """
    table = table_of(scores)
    examples = examples_of(standing_of(table.best, label))
    families = len(set(table.families[examples.program].tolist()))
    if families < 2 or len(examples.higher) < FEWEST:
        raise LackingError(
            f"examples: {len(examples.higher)}, of {families} families (left out as ties: {examples.ties}); {FEWEST} of"
            " two families are the least",
            _MORE,
        )
    return table, examples


def agreement(table: Table, label: Label) -> tuple[Floats, NDArray[np.str_]]:
    """Whether two halves of the trials give the same answer: (share of `DIVISIONS`, family) of each example.

    Of networks on sets with `SEVERAL` trials or more. Two halves that agree in a share a are each right in about
    (1 + sqrt(2 a - 1)) / 2 of the cases: no predictor of one half can be told to be better.
    """
    cells = {place: trials for place, trials in table.trials.items() if len(trials) >= SEVERAL}
    agreed: defaultdict[tuple[int, int, int], list[float]] = defaultdict(list)
    for repeat in range(DIVISIONS):
        rng = np.random.default_rng(repeat)
        halves = [np.full(table.best.shape, np.nan) for _ in range(2)]
        for place, trials in cells.items():
            mixed = rng.permutation(trials)
            middle = len(mixed) // 2
            halves[0][place], halves[1][place] = mixed[:middle].max(), mixed[middle:].max()
        one, other = (examples_of(standing_of(half, label)) for half in halves)
        answers = dict(zip(zip(other.program, other.first, other.second, strict=True), other.higher, strict=True))
        for key, higher in zip(zip(one.program, one.first, one.second, strict=True), one.higher, strict=True):
            if key in answers:
                agreed[key].append(float(answers[key] == higher))
    shares = np.array([float(np.mean(found)) for found in agreed.values()])
    return shares, np.array([table.families[key[0]] for key in agreed])
