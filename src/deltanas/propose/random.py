"""The control: edits drawn uniformly from the same space that the model chooses from. Needs no model."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.propose.edits import Edits, exhausted, open_edits, proposal_of
from deltanas.seams import Ask, Proposal


class RandomProposer:
    """One simple edit of the parent, each as likely as any other."""

    strategy = "random"
    batch = 1

    def __init__(self, edits: Edits = "architecture") -> None:
        self._edits = edits

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        return [self._propose(ask) for ask in asks]

    def _propose(self, ask: Ask) -> Proposal:
        space = open_edits(ask, self._edits)
        if not space:
            return exhausted()
        edit = ask.rng("edit").choice(space)
        return proposal_of(ask, edit.text, edit.kind)
