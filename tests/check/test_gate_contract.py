"""The gates hold the contract of gates."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.check import BuildGate, ContractGate, LimitGate, Limits
from deltanas.novelty import NoveltyGate
from deltanas.program import Program, Refused
from deltanas.records import Draft
from deltanas.seams import Builds, Built, Gate
from deltanas.testing import GateContract
from deltanas.testing.examples import BASE, CHILD, OTHER, program
from transformed_run import FLIP

BROKEN = program("class Net: pass\n")


class Answers(Builds):
    """Builds by the number of lines: the broken program does not build."""

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [
            Refused("build", "no forward") if each == BROKEN else Built(1, 2, each.id, (0.5, float(len(each.net))) * 4)
            for each in programs
        ]


class TestContractGate(GateContract):
    def gate(self) -> Gate:
        return ContractGate()

    def passing(self) -> Sequence[Draft]:
        return [Draft(BASE), Draft(CHILD, 1, 2, "t", (1.0,) * 8, effective=True)]

    def refused(self) -> Sequence[Draft]:
        return [Draft(BROKEN)]


class TestBuildGate(TestContractGate):
    def gate(self) -> Gate:
        return BuildGate(Answers())

    def passing(self) -> Sequence[Draft]:
        return [Draft(BASE), Draft(CHILD)]

    def stages(self) -> Sequence[str]:
        return "build", "step"


class TestLimitGate(GateContract):
    def gate(self) -> Gate:
        return LimitGate(Limits(params=1000, growth=1.5))

    def passing(self) -> Sequence[Draft]:
        return [Draft(BASE, 100, 200), Draft(BASE.edited("net", CHILD.net), 150, 300), Draft(OTHER, 1000, 2)]

    def refused(self) -> Sequence[Draft]:
        wider, dearer = BASE.edited("net", "x = 1\n"), CHILD.edited("net", "x = 2\n")
        return [Draft(OTHER, 1001, 2), Draft(wider, 151, 200), Draft(dearer, 100, 301)]


class TestNoveltyGate(GateContract):
    threshold = 1.0

    def gate(self) -> Gate:
        return NoveltyGate(self.threshold)

    def passing(self) -> Sequence[Draft]:
        policy = Draft(BASE.edited("transform", FLIP), 1, 2, f"{'0' * 16}{'f' * 16}", effective=True)
        return [Draft(BASE, 1, 2, "t0"), Draft(CHILD, 1, 2, "t1", effective=True), Draft(OTHER, 1, 2, "t2"), policy]

    def refused(self) -> Sequence[Draft]:
        return [
            Draft(program(f"{BASE.net}\n# the same\n"), 1, 2, "t3"),
            Draft(BASE.edited("net", f"{BASE.net}\nx = 1\n"), 1, 2, "t0"),
            Draft(BASE.edited("net", f"{BASE.net}\nx = 2\n"), 1, 2, "t4", effective=False),
            Draft(BASE.edited("transform", FLIP.replace("1.0", "1")), 1, 2, f"{'0' * 16}{'f' * 16}", effective=True),
            Draft(BASE.edited("transform", FLIP.replace("1.0", "0")), 1, 2, "0" * 16, effective=False),
        ]


class TestNearNoveltyGate(TestNoveltyGate):
    threshold = 0.99

    def refused(self) -> Sequence[Draft]:
        return [*super().refused(), Draft(program(f"{BASE.net}\n\n\n# a comment\n"), 1, 2, "t5")]
