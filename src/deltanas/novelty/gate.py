"""The novelty gate: repeats are refused, whether repeated in text or only in function."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.program import Refused, Stage
from deltanas.seams import Draft

NO_OP = "the edit has no effect: with equal weights the outputs are the parent's, before and after training steps"


class NoveltyGate:
    """Refuses a program that the run holds already, and one that computes what its parent computes.

    Two programs are the same if their canonical sources and hyperparameters are equal, or if they trace to the same
    operations on the same shapes with the same optimizer. An edit after which other operations give the parent's
    outputs, such as a second ReLU after a first, is a no-op (`Draft.effective`).
    """

    stage: Stage = "novelty"

    def __init__(self) -> None:
        self._identities: set[str] = set()
        self._traces: dict[tuple[str, str], str] = {}

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [self._judge(draft) for draft in drafts]

    def remember(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            self._identities.add(draft.program.id)
            if draft.trace is not None:
                self._traces.setdefault(_key(draft, draft.trace), draft.program.id)

    def _judge(self, draft: Draft) -> Draft | Refused:
        program = draft.program
        if program.id in self._identities:
            return Refused("novelty", f"this program is known already ({program.id}); propose another change")
        twin = self._traces.get(_key(draft, draft.trace)) if draft.trace is not None else None
        if twin is not None:
            of = "its parent" if twin == program.parent else f"program {twin}"
            return Refused("novelty", f"the network computes the same as {of}; change what it computes")
        if draft.effective is False:
            return Refused("novelty", f"{NO_OP}; change what the network computes")
        return draft


def _key(draft: Draft, trace: str) -> tuple[str, str]:
    """Programs with other hyperparameters or another transform train differently, however alike their operations."""
    return trace, draft.program.prm + draft.program.transform
