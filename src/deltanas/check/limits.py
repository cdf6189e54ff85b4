"""The largest network that a run takes: a gate after the build check, and checks that let no larger one be offered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deltanas.program import Program, Refused, Stage
from deltanas.records import Draft
from deltanas.seams import Builds, Built, Gate

_Size = tuple[int | None, int | None]
"""Number of trainable parameters, FLOPs of one image's forward pass; None: not known, or no limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a network may be; None: as large as it likes.

    The gate and the build checks of a run share one of these: it knows the baselines that the run began with.

    Attributes:
        params: number of trainable parameters. flops: FLOPs of one image's forward pass.
        growth: number of times that it may have both of the baseline at its root, by the first parent of each. A root
            whose figure is 0 or not known limits nothing, and a program whose parent is not known is a root.
        joined: a program of several parents has them all at its root, and their sizes together.
    """

    params: int | None = None
    flops: int | None = None
    growth: float | None = None
    joined: bool = False
    _roots: dict[str, _Size] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.params is not None or self.flops is not None or self.growth is not None

    def remember(self, drafts: Sequence[Draft]) -> None:
        """Take note of programs that the run holds, parents before their children."""
        for draft in drafts:
            self._roots.setdefault(draft.program.id, self._root(draft.program) or (draft.params, draft.flops))

    def _root(self, program: Program) -> _Size | None:
        """None where no parent is known."""
        parents = program.parents if self.joined else program.parents[:1]
        roots = [self._roots[one] for one in parents if one in self._roots]
        if len(roots) < 2:
            return roots[0] if roots else None
        params, flops = (None if None in sizes else sum(sizes) for sizes in zip(*roots, strict=True))
        return params, flops

    def fault(self, program: Program, params: int | None, flops: int | None) -> Refused | None:
        """Why a network of this size is refused; None if it is not."""
        faults = list(self._faults(self._root(program) or (None, None), (params, flops)))
        if not faults:
            return None
        return Refused(
            "limit",
            f"the network is too large: {'; '.join(faults)}; make it smaller, by fewer or cheaper layers or channels",
        )

    def _faults(self, root: _Size, size: _Size) -> Iterator[str]:
        absolute = (self.params, self.flops)
        for what, found, most, base in zip(("parameters", "FLOPs an image"), size, absolute, root, strict=True):
            if found is None:
                continue
            if most is not None and found > most:
                yield f"it has {found:,} {what}, and the limit is {most:,} ({found / most:.2f} times as many)"
            if self.growth is not None and base and found > self.growth * base:
                yield (
                    f"it has {found:,} {what}, {found / base:.2f} times the {base:,} of its baseline, and the limit is"
                    f" {self.growth:g} times ({int(self.growth * base):,})"
                )


class LimitGate(Gate):
    """Refuses a network over the limits, a baseline too. It comes after the build gate, which knows the sizes."""

    stage: Stage = "limit"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [self._limits.fault(draft.program, draft.params, draft.flops) or draft for draft in drafts]

    def remember(self, drafts: Sequence[Draft]) -> None:
        self._limits.remember(drafts)


class LimitedBuilds:
    """Build checks that refuse what is over the limits, so that a proposer that verifies its draws passes over it."""

    def __init__(self, builds: Builds, limits: Limits) -> None:
        self._builds = builds
        self._limits = limits

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [
            built if isinstance(built, Refused) else self._limits.fault(program, built.params, built.flops) or built
            for program, built in zip(programs, self._builds.build(programs), strict=True)
        ]
