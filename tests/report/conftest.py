"""Hand-made runs, small enough to count by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from deltanas.nets import baseline
from deltanas.program import Failed, Outcome, Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft, Final, RunView

MANIFEST: dict[str, object] = {
    "version": "0.1.0",
    "commit": "abc1234",
    "torch": "2.13.0",
    "device": "cpu",
    "tier": "A",
    "seed": 7,
    "config": {"dataset": "digits", "cycles": 2},
}


def trained(correct: int, n: int = 1000) -> Trained:
    return Trained(correct / n, n, seed=1, seconds=4.0, cpu_seconds=3.0, tier="A")


def tried(refusal: Refused | None = None, goal: str = "widen it", rung: str | None = "exact") -> Attempt:
    return Attempt("an edit", rung, goal, refusal, (Call("smollm2", "a prompt", "a reply", 100, 10, 0.5),))


def slot(
    cycle: int,
    index: int,
    parent: Program,
    program: Program | None,
    outcome: Outcome | None,
    attempts: tuple[Attempt, ...] | None = None,
) -> Candidate:
    draft = Draft(program, params=1234, flops=5_600_000, trace="t") if program else None
    if attempts is None:
        attempts = (tried(outcome if isinstance(outcome, Refused) else None),)
    trainings = (outcome,) if isinstance(outcome, Trained | Failed) else ()
    return Candidate(cycle, index, "delta", parent.id, draft, attempts, outcome, trainings)


def view_of(candidates: list[Candidate], finals: tuple[Final, ...] = (), finished: bool = True) -> RunView:
    programs = {c.program.id: c.program for c in candidates if c.program}
    return RunView("a run", finished, MANIFEST, tuple(candidates), programs, finals)


@pytest.fixture(scope="session")
def story() -> RunView:
    """Two baselines; a grandchild of the first that is the best; one slot for each other way to end.

    resnet 80.0 % -> 1.0 84.0 % -> 2.0 86.0 %; vgg 82.0 % -> 1.1 81.0 %; 1.2 refused after two attempts, 1.3 failed,
    1.4 trained at its second attempt, equal to its parent's score; 2.1 still open.
    """
    first, second = Program.of(baseline("resnet")), Program.of(baseline("vgg"))
    child = first.edited("net", first.net.replace("width = 16", "width = 24"))
    grandchild = child.edited("net", child.net.replace("nn.ReLU()", "nn.SiLU()", 1))
    others = [second.edited("net", second.net.replace("0.99", f"0.9{digit}")) for digit in range(4)]
    named = [
        Candidate(
            cycle=0,
            index=place,
            strategy="baseline",
            parent=None,
            draft=Draft(p, 1000, 2000, "t"),
            attempts=(Attempt("", None, "", None),),
            name=name,
            outcome=trained(s),
            trainings=(trained(s),),
        )
        for place, (p, name, s) in enumerate([(first, "resnet", 800), (second, "vgg", 820)])
    ]
    apply, build = Refused("apply", "block 1 is nowhere"), Refused("build", "shapes 2x48 and 32x10 do not match")
    failed = Failed("timeout", "60 s are over", seconds=60.0, cpu_seconds=50.0, tier="A")
    rows = [
        slot(1, 0, first, child, trained(840)),
        slot(1, 1, second, others[0], trained(810)),
        slot(1, 2, second, None, build, (tried(apply, rung=None), replace(tried(build), round=1))),
        slot(1, 3, second, others[1], failed),
        slot(
            1, 4, second, others[2], trained(820), (tried(apply, rung=None), replace(tried(rung="line ends"), round=1))
        ),
        slot(2, 0, child, grandchild, trained(860)),
        slot(2, 1, second, others[3], None),
    ]
    finals = (Final(first.id, trained(1580, 2000)), Final(grandchild.id, trained(1700, 2000)))
    return view_of([*named, *rows], finals, finished=False)


@pytest.fixture(scope="session")
def make_view() -> Callable[..., RunView]:
    return view_of


@pytest.fixture(scope="session")
def make_slot() -> Callable[..., Candidate]:
    return slot
