"""The forecast of a run: fitted to measured edits of others, and anew after each cycle to those of the run besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from deltanas.forecast.ridge import fitted
from deltanas.forecast.table import Row, Table, rows_of
from deltanas.foretold import foretold
from deltanas.journal import Journal
from deltanas.learn.sources import OwnEdits
from deltanas.program import Part, Program, SpaceEdit, text_of
from deltanas.program.features import edit_features
from deltanas.seams import Expected

LEAST = 200
"""Measured edits of a space that its forecast takes: with fewer it ranks little better than chance (docs/screen.md)."""


class Forecaster:
    """A `Forecast`. What it foretells depends on the table and on the journal that it was last told of alone."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._own = OwnEdits()
        self._rows: dict[str, Row] = {}
        self._on = True
        self._fit()

    @property
    def known(self) -> Counter[Part]:
        """Number of measured edits by space."""
        return Counter(row.part for row in (*self.table.rows, *self._rows.values()))

    def knows(self, part: Part) -> bool:
        return self._on and self._counts[part] >= LEAST

    def gains(self, parent: Program, edits: Sequence[SpaceEdit]) -> list[Expected]:  # noqa: ARG002
        """The parent is in none of the features: edits of one parent are compared."""
        return self._model.expected([edit_features(one.old, one.new, one.kind, one.part) for one in edits])

    def of(self, parent: Program, child: Program, part: Part, kind: str = "") -> Expected:
        before, after = (program.editable(text_of(part)) for program in (parent, child))
        return self._model.expected([edit_features(before, after, kind, part)])[0]

    def told(self, journal: Journal) -> None:
        edits = self._own.edits(journal)
        for edit in edits:
            row = self._rows.get(edit.origin) or next(iter(rows_of([edit])), None)
            if row is not None:  # its noise is known better with each cycle
                self._rows[edit.origin] = replace(row, noise=edit.noise)
        states = foretold(journal, journal.metric)
        self._on = not states or states[-1].on
        self._fit()

    def _fit(self) -> None:
        self._counts = self.known
        self._model = fitted([*self.table.rows, *self._rows.values()])
