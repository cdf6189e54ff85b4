"""The two checks as gates of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deltanas.check.contract import contract_faults
from deltanas.program import Refused, Stage
from deltanas.seams import Draft, Runner


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
    """Builds each network in the sandbox, checks its output shape and runs one training step.

    What passes comes back with its parameters, FLOPs and the hash of its traced operations.
    """

    stage: Stage = "build"

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        results = self._runner.build([draft.program for draft in drafts])
        return [
            result
            if isinstance(result, Refused)
            else replace(draft, params=result.params, flops=result.flops, trace=result.trace)
            for draft, result in zip(drafts, results, strict=True)
        ]

    def remember(self, drafts: Sequence[Draft]) -> None:
        """Each program is judged by itself."""
