"""The control: edits drawn from the same space that the model chooses from. Needs no model."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.propose.edits import drawn_proposal
from deltanas.propose.space import Space
from deltanas.propose.strategy import Strategy
from deltanas.seams import Ask, Proposal


class RandomProposer:
    """One edit of the parent, drawn by chance alone."""

    strategy = "random"

    def __init__(self, space: Space, batch: int = 8) -> None:
        """batch: slots that are drawn for together, so that their edits are verified side by side."""
        self.batch = batch
        self._space = space

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        return [drawn_proposal(ask, edit) for ask, edit in zip(asks, self._space.draw(asks), strict=True)]


RANDOM = Strategy(
    name="random",
    about="a uniform draw from the space of edits: the control",
    build=lambda context: RandomProposer(context.space()),
    weighs=True,
    composes=lambda _: True,
    screens=lambda _: True,
)
