"""The largest network that a run takes: a gate after the build check, and checks that let no larger one be offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltanas.program import Program, Refused, Stage
from deltanas.records import Draft
from deltanas.seams import Builds, Built, Gate


@dataclass(frozen=True, slots=True)
class Limits:
    """params: number of trainable parameters; flops: FLOPs of one image's forward pass; None: as many as it likes."""

    params: int | None = None
    flops: int | None = None

    def __bool__(self) -> bool:
        return self.params is not None or self.flops is not None

    def fault(self, params: int | None, flops: int | None) -> Refused | None:
        """Why a network of this size is refused; None if it is not."""
        faults = [
            f"it has {found:,} {what}, and the limit is {most:,} ({found / most:.2f} times as many)"
            for what, found, most in (("parameters", params, self.params), ("FLOPs an image", flops, self.flops))
            if most is not None and found is not None and found > most
        ]
        return Refused("limit", f"the network is too large: {'; '.join(faults)}; make it smaller") if faults else None


class LimitGate(Gate):
    """Refuses a network over the limits, a baseline too. It comes after the build gate, which knows the sizes."""

    stage: Stage = "limit"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [self._limits.fault(draft.params, draft.flops) or draft for draft in drafts]


class LimitedBuilds:
    """Build checks that refuse what is over the limits, so that a proposer that verifies its draws passes over it."""

    def __init__(self, builds: Builds, limits: Limits) -> None:
        self._builds = builds
        self._limits = limits

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [
            built if isinstance(built, Refused) else self._limits.fault(built.params, built.flops) or built
            for built in self._builds.build(programs)
        ]
