"""Draws of composite edits: several edits of the space, one after another, each of the program so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from deltanas.program import Chain, SpaceEdit, edits_in
from deltanas.propose.edits import open_edits
from deltanas.propose.prior import KINDS, RecipePrior
from deltanas.seams import Ask

Kinds = Callable[[Ask], Callable[[Sequence[str]], str]]
"""For a slot: what chooses a kind, given the kind of each edit that is open to it."""


Pick = Callable[[Ask, int, Sequence[SpaceEdit]], SpaceEdit]
"""Chooses a step: given the ask of the program so far, the number of the composite, and the edits that are open."""


def by_chance(kinds: Kinds, prior: RecipePrior | None = None) -> Pick:
    """A step's kind comes first, by `kinds`, then any edit of the kind, as where one edit is drawn."""

    def pick(at: Ask, _: int, edits: Sequence[SpaceEdit]) -> SpaceEdit:
        kind = kinds(at)([edit.kind for edit in edits])
        alike = [edit for edit in edits if edit.kind == kind]
        weights = prior.weights(at.parent, alike) if prior and kind in KINDS else None
        return at.rng(f"edit:{kind}").choices(alike, weights)[0]

    return pick


def composed(ask: Ask, number: int, most: int, pick: Pick) -> SpaceEdit | None:
    """The `number`th composite that is drawn for a slot: up to `most` steps, fewer where no further one is apart.

    None where the parent has no edit, or the steps come to nothing that a diff could say.
    """
    chain = Chain(ask.parent, ask.part)
    for step in range(most):
        at = replace(ask, parent=chain.program, key=f"{ask.key}:{number}:{step}")
        edits = chain.apart(edits_in(chain.program, ask.parts) if step else open_edits(ask))
        if not edits:
            break
        chain.take(pick(at, number, edits))
    return chain.whole() if chain.steps else None
