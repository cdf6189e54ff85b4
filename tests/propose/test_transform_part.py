"""Strategies on the transform part: what a model is asked, what it may answer, and what it is taught."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deltanas.llm import Lesson, Model, Ranker, Reply
from deltanas.program import SPACES, Part, Program, Refused, SpaceEdit, apply_edit
from deltanas.program.probe import TRACE
from deltanas.program.transforms import MENU, read_transform
from deltanas.program.transforms.space import MOST_OPERATIONS, STARTS
from deltanas.propose import Asking, BanditProposer, DeltaProposer, FullProposer, RandomProposer, Space
from deltanas.propose.asking import Question
from deltanas.propose.bandit import ThompsonKinds
from deltanas.propose.delta import parted
from deltanas.propose.feedback import Trial
from deltanas.propose.goals import any_goal, general_goal, goals
from deltanas.propose.grammar import REASON, anchored_grammar, reasoned, typed_grammar, written
from deltanas.propose.prompt import render
from deltanas.propose.taught import said_reason
from deltanas.records import Draft
from deltanas.seams import Ask, Built

pytest_plugins = ["tiny_model"]

GOLDENS = Path(__file__).parents[1] / "goldens"
MENU_TOLD = [operation.call for operation in MENU.values()]


@pytest.fixture(params=list(STARTS))
def parent(request: pytest.FixtureRequest, small: Program) -> Program:
    return Program({**small.parts, "transform": STARTS[request.param]})


def asks(parent: Program, n: int) -> list[Ask]:
    return [Ask(1, index, 0, f"0:1:{index}:0", parent, parts=("transform",)) for index in range(n)]


def delta(model: Model, **settings: Any) -> DeltaProposer:
    return DeltaProposer(model, Space(None), Asking(max_prompt=9000, **settings))  # the tiny model reads bytes


@pytest.mark.parametrize("reason", [False, True], ids=["direct", "reason"])
@pytest.mark.parametrize("name", ["typed", "blocks", "full"])
def test_the_prompt_is_as_kept(name: str, reason: bool) -> None:
    if name == "full" and reason:
        return
    source, place = STARTS["crop+flip"].rstrip("\n"), "        transforms.RandomHorizontalFlip(p=0.5),"
    said = {"source": source, "goal": general_goal("transform"), "place": place, "earlier": "", "facts": ["It scores."]}
    told = render(name, "transform", **said, reason=reason, menu=MENU_TOLD, most=MOST_OPERATIONS)
    text = "".join(f"[{message.role}]\n{message.content}\n\n" for message in told)
    file = GOLDENS / f"prompt-transform-{name}{'-reason' if reason else ''}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8"), f"{file} differs; UPDATE_GOLDENS=1 writes it anew"
    assert "network by editing" not in text.replace("a small network by editing", "")


LINKING = "after added another asks does for goes has in it its last layer neither one place so takes that value"
"""Words of a reason that tell nothing of images or networks."""


@pytest.mark.parametrize("part", ["transform", "net"])
@pytest.mark.parametrize("name", ["typed", "blocks"])
def test_a_reason_in_an_example_tells_nothing_that_the_direct_prompt_lacks(name: str, part: Part) -> None:
    said = {"source": "", "goal": "", "place": "", "earlier": "", "facts": [], "menu": MENU_TOLD, "most": 3}
    direct, reasoned = (render(name, part, **said, reason=reason) for reason in (False, True))
    stripped = [re.sub(r"^Reason:.*\n", "", message.content) for message in reasoned[1:]]
    assert stripped == [message.content for message in direct[1:]]
    told = set(re.findall(r"[a-z]+", " ".join(message.content for message in direct).lower()))
    reasons = " ".join(re.findall(r"(?m)^Reason:(.*)$", "\n".join(message.content for message in reasoned)))
    linking = set(re.findall("[a-z]+", LINKING))
    assert set(re.findall(r"[a-z]+", reasons.lower())) - told - linking == set()
    assert reasons


def test_the_examples_in_the_prompts_are_edits_that_apply() -> None:
    said = {"source": "", "goal": "", "place": "", "earlier": "", "facts": [], "menu": MENU_TOLD, "most": 3}
    messages = render("blocks", "transform", **said, reason=False)
    shown = messages[1].content.split("```python\n")[1].split("\n```")[0]
    text = f"def transform(norm):\n{shown}\n"
    for message in messages:
        if "SEARCH" in message.content and message.role == "assistant":
            assert read_transform(apply_edit(text, message.content).source)
    chosen = render("typed", "transform", **said, reason=False)[4].content
    assert chosen in [written(edit) for edit in SPACES["transform"].edits(Program({"transform": text}))]


def test_every_edit_fits_a_goal_of_its_kind(parent: Program) -> None:
    for edit in SPACES["transform"].edits(parent):
        assert any(goal.fits(edit) for goal in goals("transform")[edit.kind]), edit.text
    assert not goals("transform").keys() & goals().keys(), "a bandit tells kinds of two parts apart by their names"
    assert any_goal(asks(parent, 1)[0]) in {one.text for some in goals("transform").values() for one in some}


def test_every_goal_is_met_by_some_edit() -> None:
    texts = STARTS.values()
    edits = [edit for text in texts for edit in SPACES["transform"].edits(Program({"transform": text}))]
    for kind, some in goals("transform").items():
        for goal in some:
            assert any(goal.fits(edit) for edit in edits if edit.kind == kind), goal


@pytest.mark.parametrize("choice", ["goal", "any"])
def test_typed_proposals_are_edits_of_the_space(tiny: Model, small: Program, choice: str) -> None:
    parent = Program({**small.parts, "transform": STARTS["crop+flip"]})
    space = {edit.text: edit for edit in SPACES["transform"].edits(parent)}
    for proposal in delta(tiny, choice=choice).propose(asks(parent, 3)):
        assert proposal.program is not None, proposal.refusal
        assert (proposal.part, proposal.kind) == ("transform", space[proposal.edit].kind)
        assert read_transform(proposal.program.transform) != read_transform(parent.transform)
        assert "RandomPerspective(distortion" not in proposal.calls[0].prompt, "the grammar holds what may be written"


@pytest.mark.parametrize("decoding", ["typed", "anchored", "free"])
def test_the_reason_is_kept_apart_from_the_edit(tiny: Model, parent: Program, decoding: str) -> None:
    strategy = delta(tiny, decoding=decoding, reason=True)
    for asked in strategy.questions(asks(parent, 3)):
        assert isinstance(asked, Question)
        edit = asked.offered[0] if asked.offered else SPACES["transform"].edits(parent)[0]
        answer = written(edit) if asked.offered else edit.text.rstrip("\n")
        said = f"Reason: Images are seen from many sides.\n{answer}"
        if decoding == "typed":
            assert accepts(asked.grammar or "", said)
            assert not accepts(asked.grammar or "", answer)
        proposal = strategy.answer(asked, Reply("", said, True, 0, 0, 0.0), ())
        assert proposal.program == edit.apply(parent), proposal.refusal
        assert proposal.note == "Images are seen from many sides."
        assert "Reason" not in proposal.edit
        assert strategy.answer(asked, Reply("", answer, True, 0, 0, 0.0), ()).program == proposal.program


def test_controls_draw_the_same_space(parent: Program) -> None:
    space = {edit.text for edit in SPACES["transform"].edits(parent)}
    for one in (RandomProposer(Space(None)), BanditProposer(Space(None, ThompsonKinds()))):
        drawn = one.propose(asks(parent, 6))
        assert {proposal.edit for proposal in drawn} <= space
        assert len({proposal.edit for proposal in drawn}) == 6


def test_what_does_nothing_is_not_offered(small: Program) -> None:
    """Grey on images of one channel, in place of an operation that does something."""

    class GreyImages:
        def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
            done = [[step for step in read_transform(one.transform) if MENU[step.name].singles] for one in programs]
            return [Built(1, 1, "0" * TRACE + "".join(map(repr, steps)), ()) for steps in done]

    parent = Program({**small.parts, "transform": STARTS["flip"]})
    (offered,) = Space(GreyImages()).mixed(asks(parent, 1), 99)
    made = [edit.apply(parent).transform for edit in offered]
    assert not any("Grayscale" in transform for transform in made)
    assert any("RandAugment" in transform for transform in made)
    assert "" in made


def test_ranked_the_likeliest_of_the_draws_is_taken(tiny: Ranker, small: Program) -> None:
    parent = Program({**small.parts, "transform": STARTS["flip"]})
    ranking = delta(tiny, choice="ranked")
    (ask,) = asks(parent, 1)
    proposals = ranking.propose(ask.several(3))
    choice = ranking.choose(ask, [(one, Draft(one.program)) for one in proposals if one.program])
    assert choice.place in range(3)
    assert len(choice.calls) == 1


@pytest.mark.parametrize("decoding", ["typed", "anchored", "free"])
@pytest.mark.parametrize("reason", [False, True], ids=["direct", "reason"])
def test_a_lesson_has_the_form_of_what_is_asked(tiny: Model, parent: Program, decoding: str, reason: bool) -> None:
    strategy = delta(tiny, decoding=decoding, reason=reason)
    (ask,) = asks(parent, 1)
    edits = SPACES["transform"].edits(parent)
    for edit in edits[:: len(edits) // 3]:
        lesson = strategy.lesson(ask, edit.text, "", "resnet")
        assert isinstance(lesson, Lesson)
        assert lesson.completion.startswith(REASON) is reason
        asked = strategy.requests([ask])[0].messages
        assert [one.content for one in lesson.messages[:3]] == [one.content for one in asked[:3]]
        found = strategy.taught(ask, edit.text, "")
        assert isinstance(found, tuple)
        question, answer = found
        made = strategy.answer(question, Reply("", answer, True, 0, 0, 0.0), ()).program
        assert made == edit.apply(parent)


def test_the_whole_transform_is_written_by_full(tiny: Model, small: Program) -> None:
    parent = Program({**small.parts, "transform": STARTS["TrivialAugment"]})
    strategy = FullProposer(tiny, Space(None), Asking(max_prompt=9000))
    (ask,) = asks(parent, 1)
    text = STARTS["RandAugment"].replace("num_ops=2", "num_ops=1")
    reply = Reply("", f"```python\n{text}```", True, 0, 0, 0.0)
    proposal = strategy.answer(Question(ask, "goal", "full"), reply, ())
    assert proposal.program is not None
    assert proposal.program.transform == text
    assert proposal.program.net == parent.net
    assert all(call in strategy.requests([ask])[0].messages[0].content for call in MENU_TOLD)


def accepts(grammar: str, text: str) -> bool:
    from deltanas.llm.held import fault

    return not fault(grammar, text)


def test_a_reason_is_one_line_before_the_edit_and_no_part_of_it(small: Program) -> None:
    edit = SpaceEdit("step parameter", "transform", "a = 1", "a = 2")
    grammar = reasoned(typed_grammar([edit]))
    assert accepts(grammar, f"Reason: It is too weak for such images.\n{written(edit)}")
    assert not accepts(grammar, written(edit))
    assert not accepts(grammar, f"Reason: short.\n{written(edit)}")
    assert not accepts(grammar, f"Reason: {'It is long. ' * 50}.\n{written(edit)}")
    block = "<<<<<<< SEARCH\n        x = self.pool(x).flatten(1)\n=======\n        x = self.pool(x)\n>>>>>>> REPLACE"
    assert accepts(reasoned(anchored_grammar(small.net)), f"Reason: A line of it may not be needed.\n{block}")
    assert parted(f"Reason: Why not?\n{block}") == ("Why not?", block)
    assert parted(block) == ("", block)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  a = 1", "  a = 2", "`a = 1` becomes `a = 2`."),
        ("  a,", "  b,\n  a,", "`b` comes."),
        ("  a,\n  b,", "  a,", "`b` goes."),
        ("  a,\n  b,", "  b,\n  a,", "Two lines swap places."),
        ("  é,", "  è,", "`?` becomes `?`."),
    ],
)
def test_what_is_taught_as_a_reason_says_what_changes(old: str, new: str, said: str) -> None:
    assert said_reason("try it.", old, new) == f"Try it. {said}"
    edit = SpaceEdit("kind", "transform", old, new)
    assert accepts(reasoned(typed_grammar([edit])), f"{REASON}{said_reason('Try it out.', old, new)}\n{written(edit)}")


def test_advice_is_about_augmentation() -> None:
    trials = [Trial("It is dark.", "Invert less.", "61.0 % accuracy")]
    told = render("advice", "transform", source="x", trials=trials, facts=[], kinds=["insert operation"])
    assert "augmentation" in told[0].content
    assert "What may be changed: insert operation." in told[-1].content
