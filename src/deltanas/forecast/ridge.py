"""Ridge regression of gains on features of edits, with the deviation of what it foretells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from deltanas.forecast.table import Row
from deltanas.seams import Expected

PENALTY = 30.0
"""Variance of a measured gain by that of a weight. From 10 to 100 the ranking is as good (`benchmarks forecast`)."""
FEWEST = 8
"""Rows that a feature stands in at least."""
WIDEST = 2.6
"""Gains further from their mean count as so many standard deviations: an edit that breaks a network teaches little."""
SHRINK = 2.0
"""The mean gain of a parent's n edits, which its own luck moves, counts as n / (n + SHRINK) of it."""
UNEXPLAINED = 0.25
"""Least share of what is left of the variance that is the edits' own: the reliability of one training."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False, slots=True)
class Ridge:
    """A fitted forecast.

    Attributes:
        places: column of each feature. centre: mean of each column. weights: gain by feature.
        spread: covariance of the weights. own: variance of the edits' true gains that features don't tell.
    """

    places: Mapping[str, int]
    centre: Floats
    weights: Floats
    spread: Floats
    own: float

    def expected(self, features: Sequence[Mapping[str, int]]) -> list[Expected]:
        """Gain over that of a mean edit of the same parent, with its standard deviation; in the order given."""
        if not features:
            return []
        moved = _matrix(features, self.places) - self.centre
        deviations = np.sqrt(np.einsum("ij,jk,ik->i", moved, self.spread, moved) + self.own)
        # Rounded, so that equals stay equal whatever stands beside them.
        pairs = zip(moved @ self.weights, deviations, strict=True)
        return [Expected(round(float(mean), 6), round(float(deviation), 6)) for mean, deviation in pairs]


def fitted(rows: Sequence[Row]) -> Ridge:
    """Fits to measured edits; those of one parent are compared with one another."""
    counts = Counter(name for row in rows for name in row.features)
    places = {name: place for place, name in enumerate(sorted(n for n, count in counts.items() if count >= FEWEST))}
    table, gains = _matrix([row.features for row in rows], places), centred(rows)
    centre = table.mean(axis=0) if rows else np.zeros(len(places))
    moved = table - centre
    inverse: Floats = np.asarray(np.linalg.inv(moved.T @ moved + PENALTY * np.eye(len(places))), np.float64)
    weights = inverse @ (moved.T @ gains)
    left = float(np.mean((gains - moved @ weights) ** 2)) if rows else 0.0
    noises = [row.noise**2 for row in rows if row.noise is not None]
    own = max(UNEXPLAINED * left, left - float(np.mean(noises)) if noises else 0.0)
    return Ridge(places, centre, weights, np.asarray(inverse * left, np.float64), own)


def _matrix(features: Sequence[Mapping[str, int]], places: Mapping[str, int]) -> Floats:
    table = np.zeros((len(features), len(places)))
    for number, row in enumerate(features):
        for name, count in row.items():
            place = places.get(name)
            if place is not None:
                table[number, place] = count
    return table


def centred(rows: Sequence[Row]) -> Floats:
    """Gains less those of the parent's other edits, and of all edits where it has few."""
    raw = np.array([row.gain for row in rows], float)
    if not len(raw):
        return raw
    reach = WIDEST * (sqrt(float(raw.var())) or 1.0)
    gains: Floats = np.clip(raw - raw.mean(), -reach, reach)
    parents: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        parents[row.parent].append(number)
    for those in parents.values():
        gains[those] -= gains[those].mean() * len(those) / (len(those) + SHRINK)
    return gains
