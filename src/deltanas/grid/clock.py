"""How long a grid will still take: by what each network has cost on each data set so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import fmean
from time import monotonic

from deltanas.grid.cells import Key
from deltanas.grid.table import Row

_LEAST = 5
"""Number of trainings after which the rest is estimated."""


class Clock:
    """Told of each row as it is written."""

    def __init__(self, missing: Iterable[Key], rows: Iterable[Row]) -> None:
        """missing: keys of the rows that are to come. rows: those that are there."""
        self._missing = Counter((key[1], key[0]) for key in missing)
        self._costs: dict[tuple[str, str], list[float]] = {}
        self._made: set[tuple[str, str | None, int]] = set()
        for row in rows:
            self._note(row)
        self._began = monotonic()
        self._busy = 0.0
        self._ended = 0

    def wrote(self, row: Row) -> None:
        self._missing[row["dataset"], row["network"]] -= 1
        if self._note(row):
            self._busy += row["seconds"]
            self._ended += 1

    def left(self) -> float | None:
        """Seconds, with as many trainings at a time as there were on the average; None before some have ended."""
        elapsed = monotonic() - self._began
        if self._ended < _LEAST:
            return None
        known = {place: fmean(costs) for place, costs in self._costs.items()}
        usual = fmean(known.values())
        due = sum(count * known.get(place, usual) for place, count in self._missing.items())
        return due * elapsed / self._busy

    def _note(self, row: Row) -> bool:
        """Whether it took time: a row that shares the training of the other arm tells the seconds of that."""
        made = row["dataset"], row["program"], row["seed"]
        took = row["seconds"] > 0 and made not in self._made
        if took:
            self._made.add(made)
            self._costs.setdefault((row["dataset"], row["network"]), []).append(row["seconds"])
        return took
