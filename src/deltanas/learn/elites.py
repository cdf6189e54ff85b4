"""Which measured edits are worth learning from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Literal, assert_never

from pydantic import Field

from deltanas.learn.measured import MeasuredEdit
from deltanas.settings import Section

Rule = Literal["gain", "floor", "quantile"]


class EliteRule(Section):
    """A choice among measured edits.

    "gain" asks whether the edit beat its parent by more than chance (1.645: one in twenty that do nothing pass); an
    edit whose noise is not known did not. "floor" and "quantile", as published, ask for the accuracy of the edited
    program alone. `per_family` limits a family that holds most of a corpus: 86 % of LEMUR 1.2.6's are of FractalNet.
    """

    rule: Rule = Field(
        "gain", description="which edits to learn from: gain (over the parent, beyond noise) | floor | quantile"
    )
    beyond: float = Field(1.645, ge=0, description="with gain: number of standard errors that a gain must exceed")
    floor: float = Field(0.40, ge=0, le=1, description="with floor: least accuracy")
    fallback: float = Field(0.35, ge=0, le=1, description="with floor: least accuracy if too few edits reach `floor`")
    least: int = Field(15, ge=0, description="with floor: least number of edits; fewer are too few")
    share: float = Field(0.25, gt=0, le=1, description="with quantile: share of the most accurate edits to take")
    per_family: Annotated[int, Field(ge=1)] | None = Field(
        None, description="largest number of lessons from one family, a baseline and its descendants; default: all"
    )

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
