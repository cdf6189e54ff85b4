"""Edits by a language model: what goes in, what comes out at each level of decoding, and what is recorded."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from deltanas.llm import Message, Model, Ranker, Reply, Request
from deltanas.nets import baselines
from deltanas.program import Part, Program, Refused, edits_of
from deltanas.propose import Asking, Decoding, DeltaProposer, RandomProposer, Space
from deltanas.propose.edits import proposal_of
from deltanas.propose.goals import goals
from deltanas.propose.grammar import written
from deltanas.records import Attempt, Draft
from deltanas.seams import Ask

pytest_plugins = ["tiny_model"]


def asks(parent: Program, n: int, earlier: tuple[Attempt, ...] = (), part: Part = "net") -> list[Ask]:
    return [Ask(1, index, len(earlier), f"0:1:{index}:{len(earlier)}", parent, earlier, (part,)) for index in range(n)]


def proposer(model: Model, decoding: Decoding = "typed", offers: int = 6, **sampling: Any) -> DeltaProposer:
    space = Space(None)
    return DeltaProposer(model, space, Asking.model_construct(decoding=decoding, offers=offers, **sampling))


class Watched:
    """A model, and what it was asked."""

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self.context = model.context
        self.batches: list[list[Request]] = []
        self._model = model

    def count(self, messages: Sequence[Message]) -> int:
        return self._model.count(messages)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        self.batches.append(list(requests))
        return self._model.generate(requests)


def test_typed_proposals_are_edits_of_the_goals_kind_with_their_call(tiny: Model, small: Program) -> None:
    kinds = {edit.text: edit.kind for edit in edits_of(small.net) if edit.part == "net"}
    proposals = proposer(tiny).propose(asks(small, 12))
    for proposal in proposals:
        assert proposal.program is not None
        assert proposal.program.parent == small.id != proposal.program.id
        assert (proposal.rung, proposal.refusal) == ("exact", None)
        assert proposal.goal in {goal.text for goal in goals()[kinds[proposal.edit]]}
        (call,) = proposal.calls
        assert call.model == tiny.name
        assert f"Goal: {proposal.goal}" in call.prompt
        assert small.net.rstrip("\n") in call.prompt
        old, new = call.reply.split("\n=>\n")
        assert proposal.edit == f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"
        assert call.reply_tokens > 0
        assert call.prompt_tokens > len(small.net)
        assert call.seconds > 0
    assert len({proposal.edit for proposal in proposals}) > 6


def test_recipe_edits_are_made_where_they_are_asked_for(tiny: Model, small: Program) -> None:
    scopes = {edit.text: edit.part for edit in edits_of(small.net)}
    proposals = proposer(tiny).propose(asks(small, 4, part="recipe"))
    assert {scopes[proposal.edit] for proposal in proposals} == {"recipe"}


def test_asks_beyond_the_batch_are_answered_in_their_order(tiny: Model, small: Program) -> None:
    watched = Watched(tiny)
    other = Program.of(baselines()["mlp"])
    mixed = [replace(ask, parent=other if ask.index % 2 else small) for ask in asks(small, 5)]
    proposals = proposer(watched, batch=2).propose(mixed)
    assert [len(batch) for batch in watched.batches] == [2, 2, 1]
    assert [p.program and p.program.parent for p in proposals] == [ask.parent.id for ask in mixed]


def test_refused_edits_go_back_verbatim_and_are_not_offered_again(tiny: Model, small: Program) -> None:
    asked = proposer(tiny, offers=99, max_tokens=1500)  # a token of the tiny model is a character
    (ask,) = asks(small, 1, part="recipe")
    space = {edit.text for edit in edits_of(small.net) if edit.part == "recipe"}
    tried: list[str] = []
    for _ in space:
        (proposal,) = asked.propose([ask])
        for attempt in ask.earlier[-1:]:
            assert f"{attempt.calls[-1].reply}\nRefused: no. {len(tried)}" in proposal.calls[0].prompt
        tried.append(proposal.edit)
        refusal = Refused("novelty", f"no. {len(tried)}")
        ask = ask.again((*ask.earlier, Attempt(proposal.edit, "exact", proposal.goal, refusal, proposal.calls)))
    assert sorted(tried) == sorted(space)
    (last,) = asked.propose([ask])
    assert last.program is None
    assert last.refusal is not None
    assert last.calls == ()


def test_ranked_the_model_reads_the_draws_of_the_control_and_writes_nothing(tiny: Ranker, small: Program) -> None:
    ranking = DeltaProposer(tiny, Space(None), Asking(choice="ranked"))
    (ask,) = asks(small, 1)
    proposals = ranking.propose(ask.several(4))
    assert [one.edit for one in proposals] == [one.edit for one in RandomProposer(Space(None)).propose(ask.several(4))]
    assert not any(one.calls for one in proposals)
    passing = [(one, Draft(one.program)) for one in proposals if one.program]
    choice = ranking.choose(ask, passing)
    (call,) = choice.calls
    kinds = {edit.text: edit for edit in edits_of(small.net)}
    assert written(kinds[proposals[choice.place].edit]) == call.reply
    assert (call.model, call.reply_tokens > 0, call.seconds > 0) == (tiny.name, True, True)
    assert small.net.rstrip("\n") in call.prompt
    assert [bool(reason) for reason in choice.reasons] == [place != choice.place for place in range(4)]
    turned = ranking.choose(ask, passing[::-1])
    assert turned.place == 3 - choice.place, "it goes by the edit, not by its place"
    short = DeltaProposer(tiny, Space(None), Asking(choice="ranked", max_prompt=64)).choose(ask, passing)
    assert (short.place, short.calls) == (0, ())
    assert all("64 are allowed" in reason for reason in short.reasons[1:])


def test_an_exhausted_slot_does_not_move_the_answers_of_the_others(tiny: Model, small: Program) -> None:
    empty = replace(asks(Program.of("x = 1\n"), 1)[0], index=7)
    first, second = asks(small, 2)
    answers = proposer(tiny).propose([first, empty, second])
    assert [a.program.parent if a.program else None for a in answers] == [small.id, None, small.id]
    assert proposer(tiny).propose([first, second])[1].edit == answers[2].edit


def test_a_prompt_that_is_too_long_loses_its_memory_first_and_is_refused_then(tiny: Model, small: Program) -> None:
    earlier = (Attempt("edit", "exact", "goal", Refused("build", "a reason" * 50)),)
    (plain,) = proposer(tiny).propose(asks(small, 1))
    length = plain.calls[0].prompt_tokens
    (ask,) = asks(small, 1, earlier)
    (short,) = proposer(tiny, max_prompt=length + 100).propose([ask])
    assert "a reason" not in short.calls[0].prompt
    (whole,) = proposer(tiny, max_prompt=length + 900).propose([ask])
    assert "a reason" in whole.calls[0].prompt
    (none,) = proposer(tiny, max_prompt=length - 100).propose([ask])
    assert none.refusal is not None
    assert f"{length - 100} are allowed" in none.refusal.reason


def test_slots_with_one_parent_choose_among_different_edits(tiny: Model, small: Program) -> None:
    space = {edit.text for edit in edits_of(small.net) if edit.part == "net"}
    n = len(space) // 6
    assert len({proposal.edit for proposal in proposer(tiny).propose(asks(small, n))}) == n


def test_an_edit_cut_short_is_refused_with_what_was_said(tiny: Model, small: Program) -> None:
    for proposal in proposer(tiny, max_tokens=3).propose(asks(small, 3)):
        assert proposal.program is None
        assert proposal.refusal is not None
        assert proposal.refusal.stage == "parse"
        assert proposal.edit == proposal.calls[0].reply


def test_anchored_edits_quote_the_program(tiny: Model, small: Program) -> None:
    proposals = proposer(tiny, decoding="anchored", max_tokens=900).propose(asks(small, 4))
    for proposal in proposals:
        reply = proposal.calls[0].reply
        old = reply.removeprefix("<<<<<<< SEARCH\n").partition("=======\n")[0]
        assert old
        assert old in small.net
        assert (proposal.program is None) == (proposal.refusal is not None)


@pytest.mark.parametrize(
    ("reply", "stage"),
    [
        ("I would rather not.", "parse"),
        ("<<<<<<< SEARCH\n        self.act = nn.ReLU()\n=======\n        self.act = nn", "parse"),
        ("<<<<<<< SEARCH\n        self.act = nn.ReLU()\n>>>>>>> REPLACE", "parse"),
        ("<<<<<<< SEARCH\n        self.act = nn.Quadratic()\n=======\n        pass\n>>>>>>> REPLACE", "apply"),
    ],
)
def test_what_is_cut_short_was_not_parsed(small: Program, reply: str, stage: str) -> None:
    (ask,) = asks(small, 1)
    refusal = proposal_of(ask, reply, "").refusal
    assert refusal is not None
    assert refusal.stage == stage


def test_free_text_without_an_edit_is_refused(tiny: Model, small: Program) -> None:
    (proposal,) = proposer(tiny, decoding="free", max_tokens=30).propose(asks(small, 1))
    assert proposal.refusal is not None
    assert "no edit" in proposal.refusal.reason


@pytest.mark.llm
def test_the_embedded_model_proposes_edits_that_apply_and_repeats_them(smollm2: Model) -> None:
    parent = Program.of(baselines()["mlp"])
    proposals = proposer(smollm2).propose(asks(parent, 8))
    for proposal in proposals:
        assert proposal.program is not None
        assert proposal.rung == "exact"
        ast.parse(proposal.program.net)
    again = proposer(smollm2).propose(asks(parent, 8))
    assert [proposal.edit for proposal in again] == [proposal.edit for proposal in proposals]


@pytest.mark.llm
def test_the_embedded_models_tokens_spell_every_edit(smollm2: Model, small: Program) -> None:
    edits = [edit for edit in edits_of(small.net) if edit.kind == "insert"]
    proposals = proposer(smollm2, offers=99).propose(asks(small, 4))
    assert len(edits) > 0
    assert all(proposal.refusal is None for proposal in proposals)
