"""How well a run's gains were foretold: the rank correlation of what was expected with what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import atanh, sqrt, tanh
from typing import Any

import numpy as np

from deltanas.intervals import Estimate, Z
from deltanas.records import Candidate
from deltanas.task import CLASSIFY, Metric

FEWEST = 4
"""Candidates of a cycle that an interval takes."""
ENOUGH = 8
"""Candidates of a cycle that are ranked by themselves; fewer, where edits are of several parts, wait for the next."""
_MOST = 0.999
"""Of a few candidates that are ranked alike, z would be infinite."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """One cycle. rho, n: of its candidates; pooled, total: of all cycles up to it.

    There each is ranked by itself, or small ones together with those that follow (`ENOUGH`). A rho is None where there
    are too few. on: whether what was expected went on to choose edits after it.
    """

    cycle: int
    rho: Estimate | None
    n: int
    pooled: Estimate | None
    total: int
    on: bool


class Foretelling:
    """What was foretold and measured so far. Rows come in the order of the journal, each once and settled."""

    def __init__(self, metric: Metric = CLASSIFY.metric) -> None:
        self._metric = metric
        self._known: dict[str, Candidate] = {}
        self._past: list[Foretold] = []
        self._before = _Pooled()
        self._cycle = 0
        self._pairs: list[tuple[float, float]] = []
        self._waiting: list[tuple[float, float]] = []

    def read(self, candidates: Iterable[Candidate]) -> None:
        """Rows that follow those that were read before."""
        for one in candidates:
            parent, kept = self._known.get(one.parent or ""), one.kept
            if one.program is None or one.score is None:
                continue
            self._known.setdefault(one.program.id, one)
            gain = _gain(one, parent, self._metric) if parent else None
            if gain is None or kept is None or kept.predicted is None:
                continue
            if self._pairs and one.cycle != self._cycle:
                self._past.append(self._last())
                self._waiting += self._pairs
                self._pairs = []
                if len(self._waiting) >= ENOUGH:
                    self._before.add(self._waiting)
                    self._waiting = []
            self._cycle = one.cycle
            self._pairs.append((kept.predicted, gain))

    @property
    def on(self) -> bool:
        """Whether what is expected still chooses edits."""
        return not self._pairs or self._last().on

    def cycles(self) -> list[Foretold]:
        """By cycle, of those in which something was foretold."""
        return [*self._past, self._last()] if self._pairs else []

    def _last(self) -> Foretold:
        pooled = replace(self._before)
        pooled.add([*self._waiting, *self._pairs])
        rho, n = pooled.rho, len(self._pairs)
        on = (not self._past or self._past[-1].on) and (rho is None or rho.high >= 0)
        return Foretold(self._cycle, rank_correlation([self._pairs]), n, rho, pooled.pairs, on)


def foretold(candidates: Iterable[Candidate], metric: Metric = CLASSIFY.metric) -> list[Foretold]:
    """By cycle, of candidates in the order of the journal. It is off for good once the pooled interval lies below 0.

    Gains are those after the shortest training, which all candidates of a cycle have.
    """
    found = Foretelling(metric)
    found.read(candidates)
    return found.cycles()


def _gain(child: Candidate, parent: Candidate, metric: Metric) -> float | None:
    mine, theirs = child.at(child.shortest), parent.at(child.shortest)
    if mine is None or theirs is None or mine.score is None or theirs.score is None:
        return None
    return metric.over(mine.score, theirs.score)


def rank_correlation(tables: Iterable[Sequence[tuple[float, float]]]) -> Estimate | None:
    """Spearman's rho within tables of pairs, with its 95 % interval; None where no table has `FEWEST`.

    By Fisher's z, weighted by n - 3. The variance of one table's is (1 + rho^2 / 2) / (n - 3): D. G. Bonett, T. A.
    Wright (2000), "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika
    65:23-28.
    """
    pooled = _Pooled()
    for pairs in tables:
        pooled.add(pairs)
    return pooled.rho


@dataclass(slots=True)
class _Pooled:
    """Sums over tables of pairs, as `rank_correlation` takes them. pairs: their number."""

    pairs: int = 0
    weights: int = 0
    moved: float = 0.0
    squares: float = 0.0

    def add(self, pairs: Sequence[tuple[float, float]]) -> None:
        self.pairs += len(pairs)
        if len(pairs) >= FEWEST:
            rho, weight = _spearman(pairs), len(pairs) - 3
            self.weights += weight
            self.moved += weight * atanh(max(-_MOST, min(_MOST, rho)))
            self.squares += weight * (1 + rho * rho / 2)

    @property
    def rho(self) -> Estimate | None:
        if not self.weights:
            return None
        centre, half = self.moved / self.weights, Z * sqrt(self.squares) / self.weights
        return Estimate(tanh(centre), tanh(centre - half), tanh(centre + half))


def told_rho(rho: Estimate | None, n: int) -> str:
    """In words. n: number of candidates."""
    if rho is None:
        return f"too few candidates to tell (n = {n})"
    return f"{rho:+.2f} (n = {n})"


def _spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """0 where one of the two does not vary."""
    one, two = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    spread = float(one.std() * two.std())
    return float(np.mean((one - one.mean()) * (two - two.mean()))) / spread if spread else 0.0


def _ranks(values: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """From 0; equals share their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[places]
