"""Draws of several steps: one proposal, one check of the whole, and the same draws each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.llm import Model, Ranker
from deltanas.program import Composite, Part, Program, Refused, kinds_of
from deltanas.propose import Asking, BanditProposer, DeltaProposer, EvolutionProposer, RandomProposer, Space
from deltanas.propose.asking import Choice
from deltanas.propose.bandit import ThompsonKinds
from deltanas.propose.goals import general_goal
from deltanas.records import Attempt, Draft
from deltanas.seams import Ask, Built, Proposal
from deltanas.wiring.proposing import context_of

pytest_plugins = ["tiny_model"]


def asks(parent: Program, n: int, part: Part = "net") -> list[Ask]:
    return [Ask(1, index, 0, f"0:1:{index}:0", parent, parts=(part,)) for index in range(n)]


def apart(parent: Program, proposals: Sequence[Proposal], steps: int = 3) -> None:
    for proposal in proposals:
        assert proposal.program
        assert (proposal.rung, proposal.steps, len(kinds_of(proposal.kind))) == ("exact", steps, steps)
        assert proposal.edit.startswith("--- ")
        assert proposal.program.parent == parent.id


def test_strategies_without_a_model_take_several_steps(small: Program) -> None:
    makers = (
        RandomProposer(Space(None, steps=3)),
        EvolutionProposer(Space(None, steps=3)),
        BanditProposer(Space(None, ThompsonKinds(), steps=3)),
    )
    for maker in makers:
        proposals = maker.propose(asks(small, 6))
        apart(small, proposals)
        assert len({one.program.id for one in proposals if one.program}) == 6
        assert maker.propose(asks(small, 6)) == proposals
    attempt = proposals[0].judged(None, None, 0)
    assert (attempt.steps, attempt.kind) == (3, proposals[0].kind)


def test_kinds_of_a_slot_are_drawn_anew_for_each_step(small: Program) -> None:
    drawn = BanditProposer(Space(None, ThompsonKinds(), steps=3)).propose(asks(small, 8))
    assert any(len(set(kinds_of(one.kind))) > 1 for one in drawn)


class Whole:
    """Build checks of which each second one fails."""

    def __init__(self) -> None:
        self.asked: list[Program] = []

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        self.asked += programs
        return [
            Refused("build", "no")
            if program.parent and int(program.id, 16) % 2
            else Built(1, 1, program.id, tuple(map(float, program.id.encode()[:8])))
            for program in programs
        ]


def test_only_the_whole_is_verified(small: Program) -> None:
    builds = Whole()
    drawn = Space(builds, steps=3).draw(asks(small, 5))
    assert all(isinstance(one, Composite) and len(one.steps) == 3 for one in drawn)
    made = [one.apply(small).id for one in drawn if one]
    assert set(made) <= {program.id for program in builds.asked}
    assert {program.parent for program in builds.asked} == {None, small.id}, "no step alone"


def test_what_was_tried_is_not_drawn_again(small: Program) -> None:
    (ask,) = asks(small, 1)
    (first,) = Space(None, steps=2).draw([ask])
    assert first
    tried = Attempt(first.text, "exact", "", Refused("build", "no"), steps=2)
    (second,) = Space(None, steps=2).draw([replace(ask, earlier=(tried,))])
    assert second
    assert second.text != first.text


def test_a_program_with_few_edits_gets_fewer_steps_and_one_without_gets_none() -> None:
    few = Program.of("class Net:\n    def __init__(self):\n        self.drop = nn.Dropout(0.5)\n")
    (drawn,) = Space(None, steps=5).draw(asks(few, 1))
    assert drawn is None or len(drawn.steps) < 5
    (proposal,) = RandomProposer(Space(None, steps=5)).propose(asks(Program.of("a = 1\n"), 1))
    assert proposal.refusal is not None


@pytest.mark.parametrize("choice", ["goal", "any"])
def test_a_model_chooses_among_composites(tiny: Model, small: Program, choice: Choice) -> None:
    asking = Asking.model_construct(decoding="typed", choice=choice, offers=3, max_tokens=1500)
    proposals = DeltaProposer(tiny, Space(None, steps=3), asking).propose(asks(small, 2))
    apart(small, proposals)
    assert {one.goal for one in proposals} == {general_goal()}
    assert all(one.calls for one in proposals)


def test_a_model_ranks_composites(tiny: Ranker, small: Program) -> None:
    asking = Asking.model_construct(decoding="typed", choice="ranked", offers=3, max_tokens=1500)
    proposer = DeltaProposer(tiny, Space(None, steps=2), asking)
    (ask,) = asks(small, 1)
    proposals = proposer.propose(ask.several(3))
    apart(small, proposals, 2)
    passing = [(one, Draft(one.program)) for one in proposals if one.program]
    choice = proposer.choose(ask, passing)
    assert 0 <= choice.place < 3
    assert choice.calls[0].reply


def test_a_composite_is_a_lesson_where_the_model_is_offered_such(tiny: Model, small: Program) -> None:
    (made,) = RandomProposer(Space(None, steps=3)).propose(asks(small, 1))
    asking = Asking.model_construct(decoding="typed", choice="any", offers=3, max_tokens=1500)
    (ask,) = asks(small, 1)
    single, several = (DeltaProposer(tiny, Space(None, steps=steps), asking) for steps in (1, 3))
    assert isinstance(single.lesson(ask, made.edit, "", "small"), Refused)
    lesson = several.lesson(ask, made.edit, "", "small")
    assert not isinstance(lesson, Refused), lesson


@pytest.mark.parametrize(
    "given",
    [
        {"strategy": "full"},
        {"strategy": "channels"},
        {"strategy": "feedback"},
        {"strategy": "delta", "model": {"decoding": "free"}},
        {"strategy": "delta", "model": {"decoding": "anchored"}},
    ],
)
def test_where_a_model_writes_freely_there_are_no_steps(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="in no steps") as error:
        context_of(read_config({**given, "steps_per_edit": 3}))
    assert "random, evolution, bandit" in error.value.hint
    assert context_of(read_config(given)).steps == 1
    for named in ("random", "bandit", "evolution"):
        assert context_of(read_config({"strategy": named, "steps_per_edit": 3})).steps == 3
    assert context_of(read_config({"strategy": "delta", "steps_per_edit": 3})).steps == 3
