"""Which measured edits are worth learning from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from deltanas.learn.measured import MeasuredEdit

Rule = Literal["gain", "floor", "quantile"]


@dataclass(frozen=True, slots=True)
class EliteRule:
    """A choice among measured edits.

    Attributes:
        rule: gain: the edit beat its parent by more than chance. floor, quantile: as published, by the accuracy of
            the edited program alone, whatever its parent's.
        beyond: with gain: standard errors that the gain must exceed; 1.645: one in twenty that do nothing pass.
            An edit whose noise is not known is none.
        floor, fallback, least: with floor: accuracy of at least `floor`; `fallback` where fewer than `least` have it.
        share: with quantile: so much of all, the most accurate.
        per_family: so many of a family at most, those that gained most; None: all. One family may hold most of a
            corpus: of LEMUR 1.2.6's elites FractalNet's are 86 %.
    """

    rule: Rule = "gain"
    beyond: float = 1.645
    floor: float = 0.40
    fallback: float = 0.35
    least: int = 15
    share: float = 0.25
    per_family: int | None = None

    def chosen(self, edits: Sequence[MeasuredEdit]) -> list[MeasuredEdit]:
        """The elites, in their order."""
        elites = self._elites(edits)
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place in sorted(range(len(elites)), key=lambda place: -elites[place].gain):
            places[elites[place].family].append(place)
        return [elites[place] for place in sorted(one for some in places.values() for one in some[: self.per_family])]

    def _elites(self, edits: Sequence[MeasuredEdit]) -> list[MeasuredEdit]:
        match self.rule:
            case "gain":
                return [one for one in edits if one.noise is not None and one.gain > self.beyond * one.noise]
            case "floor":
                above = [one for one in edits if one.accuracy >= self.floor]
                return above if len(above) >= self.least else [one for one in edits if one.accuracy >= self.fallback]
            case "quantile":
                count = math.ceil(self.share * len(edits))
                worst = sorted((one.accuracy for one in edits), reverse=True)[count - 1 : count]
                return [one for one in edits if worst and one.accuracy >= worst[0]]
            case _:
                assert_never(self.rule)
