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
        " make it smaller",
    )
    both = LimitGate(Limits(params=1000, flops=6)).judge(drafts)[1]
    assert isinstance(both, Refused)
    assert "2,500 parameters" in both.reason
    assert "7 FLOPs an image, and the limit is 6" in both.reason
    assert LimitGate(Limits(flops=7)).judge(drafts) == drafts


@pytest.mark.parametrize(("limits", "there"), [(Limits(), False), (Limits(params=1), True), (Limits(flops=1), True)])
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
