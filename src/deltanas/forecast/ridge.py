"""Ridge regression of gains on features of edits, with the deviation of what it foretells."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
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
Indices = np.ndarray[Any, np.dtype[np.int64]]


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
    sums = Sums()
    sums.add(rows)
    noises = [row.noise**2 for row in rows if row.noise is not None]
    return sums.fitted(float(np.mean(noises)) if noises else 0.0)


class Sums:
    """What a ridge regression takes of measured edits, kept as they come.

    The products of the features are added up: whole numbers, so that a sum is the same in whatever steps it came
    about. What is left of a fit are passes over numbers.
    """

    def __init__(self) -> None:
        self._features: list[Mapping[str, int]] = []
        self._gains, self._parents = array("d"), array("q")
        self._parent: dict[str, int] = {}
        self._name: dict[str, int] = {}
        self._rows, self._names, self._counts = array("q"), array("q"), array("d")  # an entry a feature of a row
        self._seldom: dict[str, list[int]] = {}
        self._places: dict[str, int] = {}
        self._products: Floats = np.zeros((0, 0))

    def add(self, rows: Iterable[Row]) -> None:
        first = len(self._features)
        for number, row in enumerate(rows, first):
            self._features.append(row.features)
            self._gains.append(row.gain)
            self._parents.append(self._parent.setdefault(row.parent, len(self._parent)))
            for name, count in row.features.items():
                self._rows.append(number)
                self._names.append(self._name.setdefault(name, len(self._name)))
                self._counts.append(count)
                if name not in self._places:
                    self._seldom.setdefault(name, []).append(number)
        fresh = _matrix(self._features[first:], self._places)
        self._products += fresh.T @ fresh
        self._widen([name for name, where in self._seldom.items() if len(where) >= FEWEST])

    def _widen(self, names: Sequence[str]) -> None:
        """Columns for features that are no longer seldom."""
        for name in names:
            self._places[name] = len(self._places)
        known, width = len(self._products), len(self._places)
        wider = np.zeros((width, width))
        wider[:known, :known] = self._products
        for name in names:
            place = self._places[name]
            table = _matrix([self._features[row] for row in self._seldom.pop(name)], self._places)
            wider[place] = wider[:, place] = table[:, place] @ table
        self._products = wider

    def fitted(self, noise: float) -> Ridge:
        """noise: mean variance of the gains by chance, as far as it is known."""
        places = {name: place for place, name in enumerate(sorted(self._places))}
        order = [self._places[name] for name in places]
        n, width = len(self._gains), len(places)
        rows, columns, counts = self._entries(places)
        gains = _centred(np.array(self._gains, float), np.array(self._parents, np.int64))
        centre = np.bincount(columns, counts, width) / max(1, n)
        products = self._products[np.ix_(order, order)] - n * np.outer(centre, centre)
        inverse: Floats = np.asarray(np.linalg.inv(products + PENALTY * np.eye(width)), np.float64)
        pulls = np.bincount(columns, counts * gains[rows], width) - centre * gains.sum()
        weights: Floats = np.asarray(inverse @ pulls, np.float64)
        told = np.bincount(rows, counts * weights[columns], n) - centre @ weights
        left = float(np.mean((gains - told) ** 2)) if n else 0.0
        own = max(UNEXPLAINED * left, left - noise)
        return Ridge(places, centre, weights, np.asarray(inverse * left, np.float64), own)

    def _entries(self, places: Mapping[str, int]) -> tuple[Indices, Indices, Floats]:
        """Row, column and count of each feature that is not seldom, in the order of the rows."""
        column = np.array([places.get(name, -1) for name in self._name], np.int64)
        names = np.array(self._names, np.int64)
        columns = column[names] if len(names) else names
        often = columns >= 0
        return np.array(self._rows, np.int64)[often], columns[often], np.array(self._counts, float)[often]


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
    parents = {name: number for number, name in enumerate(dict.fromkeys(row.parent for row in rows))}
    return _centred(np.array([row.gain for row in rows], float), np.array([parents[row.parent] for row in rows], int))


def _centred(raw: Floats, parents: Indices) -> Floats:
    if not len(raw):
        return raw
    reach = WIDEST * (sqrt(float(raw.var())) or 1.0)
    gains: Floats = np.clip(raw - raw.mean(), -reach, reach)
    edits = np.bincount(parents)
    means = np.bincount(parents, gains) / edits
    return np.asarray(gains - (means * edits / (edits + SHRINK))[parents], np.float64)
