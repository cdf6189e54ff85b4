"""The two checks as gates of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deltanas.check.contract import contract_faults
from deltanas.journal import Draft
from deltanas.program import Program, Refused, Stage
from deltanas.seams import Builds, Built


class ContractGate:
    """Refuses a program whose source does not fulfil the contract. Static: microseconds, nothing runs."""

    stage: Stage = "contract"

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [
            Refused("contract", "; ".join(faults)) if (faults := contract_faults(draft.program.net)) else draft
            for draft in drafts
        ]

    def remember(self, drafts: Sequence[Draft]) -> None:
        """Each program is judged by itself."""


class BuildGate:
    """Builds each network in the sandbox, checks its output shape and runs its first training steps.

    What passes comes back with its parameters, FLOPs, the hash of its traced operations, its probe and, where its
    parent is known, whether it computes another function than that.
    """

    stage: Stage = "build"

    def __init__(self, builds: Builds) -> None:
        self._builds = builds
        self._known: dict[str, Draft] = {}

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        results = self._builds.build([draft.program for draft in drafts])
        return [
            result if isinstance(result, Refused) else self._passed(draft, result)
            for draft, result in zip(drafts, results, strict=True)
        ]

    def remember(self, drafts: Sequence[Draft]) -> None:
        self._known |= {draft.program.id: draft for draft in drafts}

    def _passed(self, draft: Draft, built: Built) -> Draft:
        parent = self._known.get(draft.program.parent or "")
        return replace(
            draft,
            params=built.params,
            flops=built.flops,
            trace=built.trace,
            probe=built.probe,
            effective=None if parent is None else _effective(draft.program, built, parent),
        )


def _effective(program: Program, built: Built, parent: Draft) -> bool | None:
    """None where the parent's probe is not known: its run was begun by an older version.

    Other hyperparameters train differently, even where two steps don't show it: the batch, for one.
    """
    if (program.prm, program.transform) != (parent.program.prm, parent.program.transform):
        return True
    if parent.params is None or parent.flops is None or parent.trace is None or parent.probe is None:
        return None
    return built.differs(Built(parent.params, parent.flops, parent.trace, parent.probe))
