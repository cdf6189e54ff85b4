"""The forecast of a run: fitted to measured edits of others, and anew after each cycle to those of the run besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from deltanas.forecast.ridge import Sums
from deltanas.forecast.table import Table, rows_of
from deltanas.foretold import Foretelling
from deltanas.journal import Journal
from deltanas.learn.noise import gain_noise
from deltanas.learn.sources import OwnEdit, OwnEdits
from deltanas.program import Part, Program, SpaceEdit, text_of
from deltanas.program.features import edit_features
from deltanas.seams import Expected

LEAST = 200
"""Measured edits of a space that its forecast takes: with fewer it ranks little better than chance (docs/screen.md)."""


class Forecaster:
    """A `Forecast`. What it foretells depends on the table and on the journal that it was last told of alone."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.known = Counter(row.part for row in table.rows)
        """Number of measured edits by space."""
        self._own = OwnEdits()
        self._foretelling: Foretelling | None = None
        self._sums = Sums()
        self._sums.add(table.rows)
        self._noise = _Noise()
        for row in table.rows:
            self._noise.add(row.noise)
        self._read = 0
        self._on = True
        self._fit()

    def knows(self, part: Part) -> bool:
        return self._on and self.known[part] >= LEAST

    def gains(self, parent: Program, edits: Sequence[SpaceEdit]) -> list[Expected]:  # noqa: ARG002
        """The parent is in none of the features: edits of one parent are compared."""
        return self._model.expected([edit_features(one.old, one.new, one.kind, one.part) for one in edits])

    def of(self, parent: Program, child: Program, part: Part, kind: str = "") -> Expected:
        before, after = (program.editable(text_of(part)) for program in (parent, child))
        return self._model.expected([edit_features(before, after, kind, part)])[0]

    def told(self, journal: Journal) -> None:
        """A call reads the rows that were added since the last one; all are settled."""
        for one in self._own.read(journal):
            rows = rows_of([one.edit])
            self._sums.add(rows)
            for row in rows:
                self.known[row.part] += 1
                self._noise.add_own(one)
        self._foretelling = self._foretelling or Foretelling(journal.metric)
        self._foretelling.read(journal[self._read :])
        self._read = len(journal)
        self._on = self._foretelling.on
        self._fit()

    def _fit(self) -> None:
        self._model = self._sums.fitted(self._noise.variance(self._own.noise()))


class _Noise:
    """Mean variance of measured gains by chance, over those of which it is known.

    That of the run's own edits is told by its repeated trainings, so it is known better with each cycle.
    """

    def __init__(self) -> None:
        self._squares, self._count = 0.0, 0
        self._scoring, self._scored = 0.0, 0
        self._own: Counter[tuple[str, int, int]] = Counter()

    def add(self, noise: float | None) -> None:
        if noise is not None:
            self._squares += noise**2
            self._count += 1

    def add_own(self, one: OwnEdit) -> None:
        if one.edit.noise is not None:  # None where the images' scores alone do not tell it, as of decibels
            self._scoring += one.edit.noise**2
            self._scored += 1
        self._own[one.edit.family, one.child, one.parent] += 1

    def variance(self, known: Mapping[str, float]) -> float:
        """known: noise of one training by family."""
        own, number = self._scoring, self._scored
        if known:
            found = [(gain_noise(known, *key), count) for key, count in self._own.items()]
            own = sum(count * noise**2 for noise, count in found if noise is not None)
            number = sum(count for noise, count in found if noise is not None)
        count = self._count + number
        return (self._squares + own) / count if count else 0.0
