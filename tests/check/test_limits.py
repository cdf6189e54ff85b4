"""A network over a limit is refused with its size and the limit; a proposer that verifies draws passes over it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from deltanas.check import LimitedBuilds, LimitGate, Limits
from deltanas.program import Program, Refused
from deltanas.records import Draft
from deltanas.seams import Built

PROGRAMS = [Program.of(f"n = {size}\n") for size in (10, 1000, 1001)]


class Sizes:
    """Builds each program to as many parameters as its source says; of the last it says that it does not build."""

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [Built(int(program.net.split()[-1]), 50, "t", ()) for program in programs[:-1]] + [
            Refused("build", "no")
        ]


def test_what_is_over_a_limit_is_refused_in_words() -> None:
    drafts = [Draft(PROGRAMS[0], params=1000, flops=5), Draft(PROGRAMS[1], params=2500, flops=7)]
    kept, refused = LimitGate(Limits(params=1000)).judge(drafts)
    assert kept is drafts[0]
    assert refused == Refused(
        "limit",
        "the network is too large: it has 2,500 parameters, and the limit is 1,000 (2.50 times as many);"
        " make it smaller, by fewer or cheaper layers or channels",
    )
    both = LimitGate(Limits(params=1000, flops=6)).judge(drafts)[1]
    assert isinstance(both, Refused)
    assert "2,500 parameters" in both.reason
    assert "7 FLOPs an image, and the limit is 6" in both.reason
    assert LimitGate(Limits(flops=7)).judge(drafts) == drafts


@pytest.mark.parametrize(
    ("limits", "there"),
    [(Limits(), False), (Limits(params=1), True), (Limits(flops=1), True), (Limits(growth=2.0), True)],
)
def test_without_a_limit_there_is_no_gate(limits: Limits, there: bool) -> None:
    assert bool(limits) is there


def test_builds_over_a_limit_are_refused_and_others_come_back_as_they_are() -> None:
    found = LimitedBuilds(Sizes(), Limits(params=1000)).build([*PROGRAMS, PROGRAMS[0]])
    small, fits, large, broken = found
    assert isinstance(small, Built)
    assert isinstance(fits, Built)
    assert isinstance(large, Refused)
    assert "1,001 parameters" in large.reason
    assert broken == Refused("build", "no")


ROOT = Draft(Program.of("root = 1\n"), params=1000, flops=200)


def edited(name: str, parents: Sequence[Draft], params: int | None, flops: int | None) -> Draft:
    return Draft(Program.of(f"{name} = 1\n", parents=tuple(one.program.id for one in parents)), params, flops)


def test_a_network_may_grow_so_far_from_the_baseline_that_it_descends_from() -> None:
    gate = LimitGate(Limits(growth=1.5))
    assert gate.judge([ROOT]) == [ROOT]
    gate.remember([ROOT])
    child = edited("child", [ROOT], 1500, 300)
    assert gate.judge([child]) == [child]
    gate.remember([child])
    # By the root, not by the parent: growth does not add up from step to step.
    grandchildren = [
        edited("wide", [child], 1501, 300),
        edited("dear", [child], 10, 400),
        edited("as", [child], 1500, 300),
    ]
    wide, dear, as_large = gate.judge(grandchildren)
    assert wide == Refused(
        "limit",
        "the network is too large: it has 1,501 parameters, 1.50 times the 1,000 of its baseline, and the limit is"
        " 1.5 times (1,500); make it smaller, by fewer or cheaper layers or channels",
    )
    assert isinstance(dear, Refused)
    assert "400 FLOPs an image, 2.00 times the 200 of its baseline" in dear.reason
    assert as_large is grandchildren[2]


def test_of_several_parents_the_first_leads_to_the_baseline() -> None:
    gate, small = LimitGate(Limits(growth=2.0)), Draft(Program.of("small = 1\n"), params=10, flops=10)
    gate.remember([ROOT, small])
    crossed, turned = edited("a", [ROOT, small], 1100, 210), edited("b", [small, ROOT], 1100, 210)
    first, second = gate.judge([crossed, turned])
    assert first is crossed
    assert isinstance(second, Refused)
    assert "110.00 times the 10" in second.reason


@pytest.mark.parametrize("root", [(0, 0), (None, None), (0, None)])
def test_a_root_without_a_size_limits_nothing(root: tuple[int | None, int | None]) -> None:
    gate = LimitGate(Limits(growth=1.0))
    base = Draft(Program.of("base = 1\n"), *root)
    gate.remember([base])
    drafts = [edited("a", [base], 7, 9), edited("b", [base], None, None), edited("of nobody known", [ROOT], 7, 9)]
    assert gate.judge(drafts) == drafts


def test_builds_know_the_baselines_that_the_gate_was_told_of() -> None:
    limits, base = Limits(growth=50.0), Draft(PROGRAMS[0], params=10, flops=50)
    builds = LimitedBuilds(Sizes(), limits)
    children = [base.program.edited("net", f"n = {size}\n") for size in (500, 501, 1)]
    assert all(isinstance(one, Built) for one in builds.build(children)[:2])
    LimitGate(limits).remember([base])
    fits, large, _ = builds.build(children)
    assert isinstance(fits, Built)
    assert isinstance(large, Refused)
    assert "501 parameters, 50.10 times the 10 of its baseline, and the limit is 50 times (500)" in large.reason
