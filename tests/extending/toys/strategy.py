"""The first edit of the space that was not tried yet."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.propose import Context, Space, Strategy
from deltanas.propose.edits import exhausted, proposal_of
from deltanas.seams import Ask, Proposal


class FirstProposer:
    strategy = "first"
    batch = 1

    def __init__(self, space: Space) -> None:
        self._space = space

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        offered = self._space.offer(asks, 60)
        return [
            proposal_of(ask, edits[0].text, kind=edits[0].kind) if edits else exhausted()
            for ask, edits in zip(asks, offered, strict=True)
        ]


def build(context: Context) -> FirstProposer:
    return FirstProposer(Space(context.builds))


FIRST = Strategy(name="first", about="the first edit that is left", build=build)
