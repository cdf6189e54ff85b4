"""Edits by a language model. How much it may write freely is set by the level of decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from deltanas.llm import Model, Ranker, Reply
from deltanas.program import Refused, SpaceEdit, edits_in
from deltanas.propose.asking import LONGEST_REPLY, Asking, Decoding, Question, Taught, TaughtProposer, with_reason
from deltanas.propose.edits import drawn_proposal, exhausted, proposal_of
from deltanas.propose.goals import any_goal, drawn_goal, general_goal
from deltanas.propose.grammar import REASON, anchored_grammar, typed_grammar, written
from deltanas.propose.space import Space
from deltanas.propose.strategy import Context, Strategy
from deltanas.propose.taught import as_read, taught_block, taught_choice
from deltanas.records import Call, Draft
from deltanas.seams import Ask, Choice, Proposal


class DeltaProposer(TaughtProposer):
    """Asks a language model for one edit of the parent, with a goal drawn from the kinds of edits that it has.

    At level `typed` it chooses among edits of the space that fit the goal, none that was tried for the slot before:
    over the whole space a small model forgets its goal and comes back to the same few edits. Kinds come as often as
    they do to `RandomProposer`: the two differ by goals and by the model's choices. With choice "any" they differ by
    the choices alone: some draws of the control are offered, and the one that trains best is asked for. With "ranked"
    the proposals are those of the control, and `choose` takes the one that the model finds likeliest. At the other
    levels the space sets the goal and names lines that could be changed; what is written is the model's own.
    """

    strategy = "delta"

    def __init__(self, model: Model, space: Space, asking: Asking | None = None) -> None:
        """With choice "ranked" the model is a `Ranker`, with or without an adapter.

        What `space` draws in several steps has no goal of its own: with choice "goal" it is then asked for as with
        "any".
        """
        self.longest_reply = _longest(space.steps)
        super().__init__(model, asking)
        self._space = space
        self._decoding, self._offers = self.asking.decoding, self.asking.offers
        self._free_kind = self._decoding == "typed" and (self.asking.choice != "goal" or space.steps > 1)
        self._ranks = self._free_kind and self.asking.choice == "ranked"

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        if not self._ranks:
            return super().propose(asks)
        drawn = zip(asks, self._space.draw(asks), strict=True)
        return [drawn_proposal(ask, edit, general_goal(ask.part)) for ask, edit in drawn]

    def choose(self, ask: Ask, passing: Sequence[tuple[Proposal, Draft]]) -> Choice:
        """The proposal whose likelihood the adapter raised most; without an adapter the likeliest a token.

        Where the prompt is too long for the model the first is taken, and the reasons say so.
        """
        space = {edit.text: edit for edit in edits_in(ask.parent, ask.parts)}
        offered = tuple(space.get(one.edit) or as_read(ask, one.edit, one.kind) for one, _ in passing)
        question = Question(ask, general_goal(ask.part), "typed", offered=offered, grammar=typed_grammar(offered))
        prepared = self._prepared(question)
        if isinstance(prepared, Proposal):
            why = f"not ranked: {prepared.refusal.reason if prepared.refusal else ''}"
            return Choice(0, ("", *[why] * (len(passing) - 1)))
        answers = [written(edit) for edit in offered]
        (reply,) = cast("Ranker", self._model).choose([prepared[1]], [answers])
        place = answers.index(reply.text)
        why = f"the model finds another edit likelier: {reply.text}"
        reasons = tuple("" if number == place else why for number in range(len(passing)))
        return Choice(place, reasons, (self._on_record(reply),))

    def questions(self, asks: Sequence[Ask]) -> list[Question | Proposal]:
        if self._free_kind:
            mixed = self._space.mixed(asks, self._offers)
            return [self._question(ask, general_goal(ask.part), edits) for ask, edits in zip(asks, mixed, strict=True)]
        aimed = self._space.aimed(asks, self._offers, drawn_goal)
        return [self._question(ask, goal, edits) for ask, (goal, edits) in zip(asks, aimed, strict=True)]

    def _question(self, ask: Ask, goal: str, edits: Sequence[SpaceEdit]) -> Question | Proposal:
        if not edits and self._decoding == "typed":
            return exhausted(part=ask.part)
        asked = edit_question(ask, goal or any_goal(ask), edits, self._decoding, self._offers)
        return with_reason(asked) if self.asking.reason else asked

    def answer(self, question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
        if not question.reasoned:
            return written_edit(question, reply, calls)
        why, edit = parted(reply.text)
        return replace(written_edit(question, replace(reply, text=edit), calls), note=why)

    def taught(self, ask: Ask, edit: str, goal: str) -> Taught | Refused:
        reason = self.asking.reason
        if self._decoding == "typed":
            several = self._space.steps > 1
            return taught_choice(ask, edit, goal, general=self._free_kind, reason=reason, several=several)
        return taught_block(ask, edit, goal, anchored=self._decoding == "anchored", reason=reason)


def edit_question(ask: Ask, goal: str, edits: Sequence[SpaceEdit], decoding: Decoding, offers: int) -> Question:
    """Asks for an edit that meets `goal`: at level `typed` for one of `edits`, else where one of them is."""
    if decoding == "typed":
        offered = sampled(ask, edits, offers)
        return Question(ask, goal, "typed", offered=offered, grammar=typed_grammar(offered))
    places = sorted({edit.old for edit in edits if edit.old in ask.text})
    place = ask.rng("place").choice(places) if places else ""
    grammar = anchored_grammar(ask.text, place) if decoding == "anchored" else None
    return Question(ask, goal, "blocks", place, grammar=grammar)


def written_edit(question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
    """The edit that a reply holds: the offered one that it names, or what it says itself."""
    chosen = next((offer for offer in question.offered if written(offer) == reply.text), None)
    if chosen is None:
        return proposal_of(question.ask, reply.text, question.goal, calls)
    return drawn_proposal(question.ask, chosen, question.goal, calls)


def parted(reply: str) -> tuple[str, str]:
    """The line of a reply that says why, without its mark, and what comes after it; ("", reply) where it has none."""
    first, _, rest = reply.lstrip().partition("\n")
    return (first.removeprefix(REASON).strip(), rest) if first.startswith(REASON) else ("", reply)


def sampled(ask: Ask, edits: Sequence[SpaceEdit], most: int) -> tuple[SpaceEdit, ...]:
    """A draw of at most `most` of the edits, in their order."""
    places = ask.rng("offer").sample(range(len(edits)), min(most, len(edits)))
    return tuple(edits[place] for place in sorted(places))


def _longest(steps: int) -> int:
    return LONGEST_REPLY * min(steps, 3)


def _ranks(context: Context) -> bool:
    return context.asking.decoding == "typed" and context.asking.choice == "ranked"


def _built(context: Context) -> DeltaProposer:
    verified = context if context.asking.decoding == "typed" else replace(context, builds=None)
    return DeltaProposer(context.asked, verified.space(), context.asking)


DELTA = Strategy(
    name="delta",
    about="an edit of the parent, at one of three levels of decoding",
    build=_built,
    calls=1,
    held=lambda context: context.asking.decoding != "free",
    longest_reply=lambda context: _longest(context.steps),
    taught=True,
    ranks=_ranks,
    weighs=True,
    composes=lambda context: context.asking.decoding == "typed",
    screens=lambda context: context.asking.decoding != "free",
    draws=lambda context: context.asking.offers if _ranks(context) else 1,
    choose=lambda context, proposer: cast("DeltaProposer", proposer).choose if _ranks(context) else None,
)
