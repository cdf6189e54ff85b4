"""Repeats in text and in function are refused; the order decides which of two is the first."""

from __future__ import annotations

from deltanas.novelty import NoveltyGate
from deltanas.program import Program, Refused, prm_text
from deltanas.seams import Draft


def draft(source: str, trace: str, parent: str | None = None, prm: str = "{}") -> Draft:
    return Draft(Program(net=source, prm=prm, parent=parent), 1, 1, trace)


def test_the_first_passes_and_its_repeats_do_not() -> None:
    gate = NoveltyGate()
    first, renamed, other = gate.judge(
        [draft("width(1)\n", "t1"), draft("width( 1 )  # comment\n", "t1"), draft("width(2)\n", "t2")]
    )
    assert isinstance(first, Draft)
    assert isinstance(renamed, Refused)
    assert "known already" in renamed.reason
    assert isinstance(other, Draft)


def test_a_change_that_computes_the_same_as_the_parent_is_refused() -> None:
    gate = NoveltyGate()
    parent = draft("a(1)\n", "t1")
    gate.remember([parent])
    (same,) = gate.judge([draft("a(1)\nb()\n", "t1", parent.program.id)])
    assert same == Refused("novelty", "the network computes the same as its parent; change what it computes")
    (cousin,) = gate.judge([draft("a(1)\nc()\n", "t1", "somebody")])
    assert isinstance(cousin, Refused)
    assert parent.program.id in cousin.reason


def test_a_refused_program_is_not_remembered() -> None:
    gate = NoveltyGate()
    gate.judge([draft("a(1)\n", "t1"), draft("b(1)\n", "t1")])
    (again,) = gate.judge([draft("b(1)\n", "t2")])
    assert isinstance(again, Draft)


def test_another_recipe_is_another_candidate() -> None:
    gate = NoveltyGate()
    slow, fast = gate.judge(
        [draft("a(1)\n", "t1", prm=prm_text({"lr": 0.01})), draft("a(1)\n", "t1", prm=prm_text({"lr": 0.1}))]
    )
    assert isinstance(slow, Draft)
    assert isinstance(fast, Draft)
