"""The screen: many draws of the space, unverified, are ranked by what is foretold, and only the best are verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from deltanas.program import Part, SpaceEdit, kinds_of
from deltanas.seams import Ask, Forecast

DRAWS = 30
"""Edits that are ranked for a slot."""
SHARE = 3
"""At most one in so many edits of a cycle is of one kind, as far as there are others: what a forecast gets wrong of a
kind shall not fill a cycle."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Ranks draws.

    candidates: number of slots of a cycle. draws: number of edits that are ranked for a slot. steps: of each edit.
    """

    forecast: Forecast
    candidates: int
    draws: int = DRAWS
    steps: int = 1

    def knows(self, part: Part) -> bool:
        """Whether draws of this space are ranked; else they are taken as they come."""
        return self.forecast.knows(part)

    def ranked(self, ask: Ask, edits: Sequence[SpaceEdit]) -> list[SpaceEdit]:
        """The best first; equals in the order of the draws."""
        gains = [expected.mean for expected in self.forecast.gains(ask.parent, edits)]
        return [edits[place] for place in sorted(range(len(edits)), key=lambda place: -gains[place])]

    def spread(self, asks: Sequence[Ask]) -> Counter[str]:
        """How many edits of each kind the cycle of these slots has so far."""
        rows = [*asks[0].journal.of_cycle(asks[0].cycle), *asks[0].beside] if asks else []
        return Counter(kind for row in rows if (kept := row.kept) for kind in kinds_of(kept.kind))

    def best(self, ranked: Sequence[SpaceEdit], spread: Counter[str], number: int) -> list[SpaceEdit]:
        """The `number` best whose kinds have room in the cycle; where none has, the best."""
        room = max(1, self.candidates * self.steps // SHARE)
        fitting = [edit for edit in ranked if spread[edit.kind] < room]
        return list(fitting or ranked)[:number]
