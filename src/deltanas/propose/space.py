"""The space of edits as the proposers see it: which edits are open to a slot, and fair draws among them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from deltanas.program import Program, Refused, SpaceEdit
from deltanas.propose.edits import Edits, open_edits
from deltanas.seams import Ask, Built

WIDTHS = 0.25
"""Share of the draws that change a width, where a program has such edits. The rest of the space is drawn uniformly."""


class Builds(Protocol):
    """The part of a `Runner` that verifies: the answers come in the order of `programs`."""

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]: ...


class Space:
    """Draws edits of a slot's parent, none that was tried for the slot before. Same asks, same draws.

    The kind of an edit comes first: a width with probability `WIDTHS`, else as often as the other edits are of it;
    then any edit of the kind, each as likely as the others.
    """

    def __init__(self, builds: Builds | None, edits: Edits = "architecture") -> None:
        """builds: what verifies the edits; None leaves them unverified."""
        self._builds = builds
        self._edits = edits

    def draw(self, asks: Sequence[Ask]) -> list[SpaceEdit | None]:
        """One edit a slot; None where none is left."""
        return [offered[0] if offered else None for offered in self.offer(asks, 1)]

    def offer(self, asks: Sequence[Ask], most: int) -> list[tuple[SpaceEdit, ...]]:
        """Up to `most` edits of one kind a slot, in the order of the source; none where no edit is left."""
        return [self._offer(ask, most) for ask in asks]

    def kind(self, ask: Ask) -> str | None:
        """The kind that `offer` tries first, without verifying anything; None where no edit is left."""
        space = open_edits(ask, self._edits)
        return drawn_kind(ask.rng("kind"), [edit.kind for edit in space]) if space else None

    def _offer(self, ask: Ask, most: int) -> tuple[SpaceEdit, ...]:
        space = open_edits(ask, self._edits)
        kind = self.kind(ask)
        places = [place for place, edit in enumerate(space) if edit.kind == kind]
        return tuple(space[place] for place in sorted(ask.rng("edit").sample(places, min(most, len(places)))))


def drawn_kind(rng: Random, kinds: Sequence[str]) -> str:
    """One of `kinds`, which names the kind of each edit of a space: `WIDTHS` of the draws are a width."""
    others = [kind for kind in kinds if kind != "width"]
    width = len(others) < len(kinds) and (not others or rng.random() < WIDTHS)
    return "width" if width else rng.choice(others)
