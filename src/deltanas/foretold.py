"""How well a run's gains were foretold: the rank correlation of what was expected with what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import atanh, sqrt, tanh
from typing import Any

import numpy as np

from deltanas.intervals import Estimate, Z
from deltanas.records import Candidate
from deltanas.task import CLASSIFY, Metric

FEWEST = 4
"""Candidates of a cycle that an interval takes."""
_MOST = 0.999
"""Of a few candidates that are ranked alike, z would be infinite."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """One cycle. rho, n: of its candidates; pooled, total: of all cycles up to it, each ranked by itself.

    A rho is None where there are too few. on: whether what was expected went on to choose edits after it.
    """

    cycle: int
    rho: Estimate | None
    n: int
    pooled: Estimate | None
    total: int
    on: bool


def foretold(candidates: Iterable[Candidate], metric: Metric = CLASSIFY.metric) -> list[Foretold]:
    """By cycle, of candidates in the order of the journal. It is off for good once the pooled interval lies below 0."""
    scores: dict[str, float] = {}
    cycles: dict[int, list[tuple[float, float]]] = {}
    for one in candidates:
        before, kept = scores.get(one.parent or ""), one.kept
        if one.program is not None and one.score is not None:
            scores.setdefault(one.program.id, one.score)
            if before is not None and kept is not None and kept.predicted is not None:
                pair = (kept.predicted, metric.over(one.score, before))
                cycles.setdefault(one.cycle, []).append(pair)
    found: list[Foretold] = []
    tables: list[Sequence[tuple[float, float]]] = []
    for cycle, pairs in cycles.items():
        tables.append(pairs)
        pooled = rank_correlation(tables)
        on = (not found or found[-1].on) and (pooled is None or pooled.high >= 0)
        found.append(Foretold(cycle, rank_correlation([pairs]), len(pairs), pooled, sum(map(len, tables)), on))
    return found


def rank_correlation(tables: Iterable[Sequence[tuple[float, float]]]) -> Estimate | None:
    """Spearman's rho within tables of pairs, with its 95 % interval; None where no table has `FEWEST`.

    By Fisher's z, weighted by n - 3. The variance of one table's is (1 + rho^2 / 2) / (n - 3): D. G. Bonett, T. A.
    Wright (2000), "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika
    65:23-28.
    """
    weights, moved, squares = 0, 0.0, 0.0
    for pairs in tables:
        if len(pairs) >= FEWEST:
            rho, weight = _spearman(pairs), len(pairs) - 3
            weights += weight
            moved += weight * atanh(max(-_MOST, min(_MOST, rho)))
            squares += weight * (1 + rho * rho / 2)
    if not weights:
        return None
    centre, half = moved / weights, Z * sqrt(squares) / weights
    return Estimate(tanh(centre), tanh(centre - half), tanh(centre + half))


def told_rho(rho: Estimate | None, n: int) -> str:
    """In words. n: number of candidates."""
    if rho is None:
        return f"too few candidates to tell (n = {n})"
    return f"{rho.value:+.2f} [{rho.low:+.2f}, {rho.high:+.2f}] (n = {n})"


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
