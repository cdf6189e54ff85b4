"""Lessons: the question that a measured edit answers, and the answer that makes it, as the strategy would have them."""

from __future__ import annotations

import pytest

from deltanas.llm import Lesson, Model, Reply
from deltanas.nets import baselines
from deltanas.program import Program, Refused, apply_edit, diff, edits_of
from deltanas.propose import Asking, DeltaProposer, FullProposer, Space
from deltanas.propose.asking import Decoding, Question, TaughtProposer
from deltanas.propose.goals import general_goal, goals
from deltanas.records import Telemetry
from deltanas.seams import Ask
from support import but

pytest_plugins = ["tiny_model"]


def ask(program: Program, telemetry: Telemetry | None = None) -> Ask:
    return Ask(0, 0, 0, "lesson:0", program, parts=("net", "recipe"), telemetry=telemetry or Telemetry())


def proposer(model: Model, decoding: Decoding) -> DeltaProposer:
    return DeltaProposer(model, Space(None), Asking(decoding=decoding))


@pytest.fixture(params=["typed", "anchored", "free", "full"])
def strategy(request: pytest.FixtureRequest, tiny: Model) -> TaughtProposer:
    roomy = Asking(max_prompt=7000)  # the tiny model reads bytes
    if request.param == "full":
        return FullProposer(tiny, Space(None), roomy)
    return DeltaProposer(tiny, Space(None), but(roomy, decoding=request.param))


def test_every_simple_edit_has_a_lesson_that_makes_it(strategy: TaughtProposer) -> None:
    name, taught = "vit", 0
    parent = Program.of(baselines()[name])
    for edit in edits_of(parent.net)[::12]:
        lesson = strategy.lesson(ask(parent), edit.text, "", name)
        if isinstance(lesson, Refused):
            assert "...\n" in edit.text or edit.text.count("SEARCH") > 1, lesson.reason
            continue
        taught += 1
        assert lesson.family == name
        made = strategy.answer(*asked(strategy, parent, edit.text), ()).program
        assert made is not None
        assert made.id == parent.edited("net", apply_edit(parent.net, edit.text).source).id
        goal = lesson.messages[-1].content.partition("Goal: ")[2].splitlines()[0]
        assert goal in {one.text for one in goals()[edit.kind]}
    assert taught >= 8


def asked(strategy: TaughtProposer, parent: Program, edit: str) -> tuple[Question, Reply]:
    found = strategy.taught(ask(parent), edit, "")
    assert not isinstance(found, Refused)
    return found[0], Reply("", found[1], True, 0, 0, 0.0)


def test_the_prompt_is_the_one_that_the_search_asks(tiny: Model, small: Program) -> None:
    """What the model was asked when it made an edit is what it is taught for that edit."""
    strategy = proposer(tiny, "typed")
    known = Telemetry(0.5, 321, {goal.text: 0.01 for some in goals().values() for goal in some})
    (proposal,) = strategy.propose([ask(small, known)])
    lesson = strategy.lesson(ask(small, known), proposal.edit, proposal.goal, "small")
    assert isinstance(lesson, Lesson)
    assert lesson.completion == proposal.calls[0].reply
    (request,) = strategy.requests([ask(small, known)])
    assert lesson.messages == request.messages


def test_with_any_choice_all_edits_of_a_program_answer_one_question(tiny: Model, small: Program) -> None:
    strategy = DeltaProposer(tiny, Space(None), Asking(choice="any"))
    (proposal,) = strategy.propose([ask(small)])
    assert proposal.program is not None
    assert proposal.goal == general_goal()
    lessons = [strategy.lesson(ask(small), edit.text, "a goal", "small") for edit in edits_of(small.net)[::20]]
    messages = {lesson.messages for lesson in lessons if isinstance(lesson, Lesson)}
    assert messages == {request.messages for request in strategy.requests([ask(small)])}
    assert general_goal() in next(iter(messages))[-1].content


def test_an_edit_outside_the_space_is_taught_where_the_text_is_free(tiny: Model, small: Program) -> None:
    child = small.net.replace("        self.act = nn.ReLU()", "        self.scale = 3\n        self.act = nn.ReLU()")
    edit = diff(small.net, child)
    refused = proposer(tiny, "typed").lesson(ask(small), edit, "", "small")
    assert isinstance(refused, Refused)
    assert "no simple edit" in refused.reason
    lesson = proposer(tiny, "anchored").lesson(ask(small), edit, "", "small")
    assert isinstance(lesson, Lesson)
    assert f"Goal: {general_goal()}" in lesson.messages[-1].content
    assert apply_edit(small.net, lesson.completion).source == child


def test_what_can_not_be_taught_says_why(tiny: Model, small: Program) -> None:
    many = small.net.replace("    def forward", "\n".join(f"    a{n} = {n}" for n in range(40)) + "\n\n    def forward")
    refused = proposer(tiny, "anchored").lesson(ask(small), diff(small.net, many), "", "small")
    assert isinstance(refused, Refused)
    assert "does not follow the grammar" in refused.reason
    missing = proposer(tiny, "free").lesson(ask(small), "<<<<<<< SEARCH\nnone\n=======\n>>>>>>> REPLACE\n", "", "s")
    assert isinstance(missing, Refused)
    assert missing.stage == "apply"
    long = Program.of(small.net + "\n".join(f"x{n} = {n}" for n in range(2000)) + "\n")
    too_long = proposer(tiny, "free").lesson(ask(long), edits_of(small.net)[0].text, "", "small")
    assert isinstance(too_long, Refused)
    assert "tokens" in too_long.reason
