"""Repeats in text and in function are refused; the order decides which of two is the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deltanas import nets
from deltanas.novelty import NoveltyGate
from deltanas.program import Program, Refused, edits_in, prm_text
from deltanas.records import Draft
from deltanas.train.build import check_build
from support import build_job, draft

MLP = Program.of(nets.baseline("mlp"), prm=prm_text(nets.DEFAULT_PRM))


def judged_in_turn(gate: NoveltyGate, drafts: Sequence[Draft]) -> list[Draft | Refused]:
    """As the loop does it: what passes is kept."""
    verdicts: list[Draft | Refused] = []
    for each in drafts:
        verdicts += gate.judge([each])
        gate.remember([verdict for verdict in verdicts[-1:] if isinstance(verdict, Draft)])
    return verdicts


def test_judging_alone_remembers_nothing() -> None:
    gate = NoveltyGate()
    for _ in range(2):
        assert isinstance(gate.judge([draft("a(1)\n", "t1")])[0], Draft)


def test_an_edit_without_effect_is_refused_with_its_reason() -> None:
    gate = NoveltyGate()
    (refused,) = gate.judge([replace(draft("a(1)\n", "t1", "parent"), effective=False)])
    assert isinstance(refused, Refused)
    assert "the edit has no effect" in refused.reason


def test_the_first_passes_and_its_repeats_do_not() -> None:
    gate = NoveltyGate()
    first, renamed, other = judged_in_turn(
        gate, [draft("width(1)\n", "t1"), draft("width( 1 )  # comment\n", "t1"), draft("width(2)\n", "t2")]
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
    judged_in_turn(gate, [draft("a(1)\n", "t1"), draft("b(1)\n", "t1")])
    (again,) = gate.judge([draft("b(1)\n", "t2")])
    assert isinstance(again, Draft)


def test_another_batch_is_another_candidate_and_a_rate_that_acts_alike_is_not() -> None:
    gate = NoveltyGate()
    first, other, same = judged_in_turn(
        gate,
        [
            draft("a(1)\n", "t1", prm=prm_text({"batch": 32, "lr": 0.02})),
            draft("a(1)\n", "t1", prm=prm_text({"batch": 64, "lr": 0.02})),
            draft("a(2)\n", "t1", prm=prm_text({"batch": 32, "lr": 0.01})),
        ],
    )
    assert isinstance(first, Draft)
    assert isinstance(other, Draft)
    assert "computes the same as program" in reason(same)


def test_a_rate_that_the_text_doubles_is_the_doubled_hyperparameter() -> None:
    """Of a real network: `lr=prm["lr"] * 2` trains as twice the `lr` does, and another `lr` otherwise."""
    made = [
        edit.apply(MLP)
        for part in ("prm", "recipe")
        for edit in edits_in(MLP, (part,))
        if edit.kind == "rate" and ('"lr": 0.004' in edit.new or '"lr": 0.006' in edit.new or "* 2" in edit.new)
    ]
    built = [check_build(build_job(program.net, program.prm, (1, 1, 8, 8), 10)) for program in made]
    drafts = [Draft(program, trace=str(found["trace"])) for program, found in zip(made, built, strict=True)]
    verdicts = judged_in_turn(NoveltyGate(), drafts)
    assert [isinstance(verdict, Draft) for verdict in verdicts] == [True, True, False]


def policy(*calls: str, acts: str = "", parent: str | None = None) -> Draft:
    """A program of one network with a transform. acts: what the build check showed of it."""
    listed = ", ".join(f"transforms.{call}" for call in calls)
    text = f"def transform(norm):\n    return transforms.Compose([{listed}])\n"
    program = Program.of("a(1)\n", text, parents=(parent,) if parent else ())
    return Draft(program, 1, 1, f"{'0' * 16}{acts}", effective=None)


def reason(verdict: Draft | Refused) -> str:
    assert isinstance(verdict, Refused)
    return verdict.reason


def test_a_transform_whose_operations_do_nothing_is_refused_and_one_that_lists_none_is_not() -> None:
    gate = NoveltyGate()
    none, idle = judged_in_turn(gate, [policy(), policy("RandomCrop(padding=0)", parent=policy().program.id)])
    assert isinstance(none, Draft)
    assert reason(idle).startswith("the transform does nothing to images of this data set")
    assert "does nothing" in reason(NoveltyGate().judge([policy("RandomCrop(padding=0)")])[0])


def test_two_spellings_of_one_transform_are_one_program() -> None:
    gate = NoveltyGate()
    first = policy("RandomHorizontalFlip(p=0.5)", acts="f" * 16)
    parent = first.program.id
    gate.remember([first])
    again, cousin, other, network = (
        gate.judge([one])[0]
        for one in (
            policy("RandomHorizontalFlip()", acts="f" * 16, parent=parent),
            policy("RandomHorizontalFlip()", acts="f" * 16),
            policy("RandomHorizontalFlip(p=0.6)", acts="e" * 16, parent=parent),
            replace(first, program=first.program.edited("net", "a(1)\nb()\n")),
        )
    )
    assert reason(again) == "the transform does to images what that of its parent does; change what it does"
    assert reason(cousin) == f"the transform does to images what that of program {parent} does; change what it does"
    assert isinstance(other, Draft)
    assert reason(network) == "the network computes the same as its parent; change what it computes"


def test_a_program_without_a_transform_and_one_that_lists_no_operation_are_one_program() -> None:
    gate = NoveltyGate()
    plain, listed = judged_in_turn(gate, [draft("a(1)\n", "0" * 16), policy()])
    assert isinstance(plain, Draft)
    assert "does to images what that of program" in reason(listed)
