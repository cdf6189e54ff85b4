"""Edits by a language model. How much it may write freely is set by the level of decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from deltanas.journal import Call
from deltanas.llm import Model, Ranker, Reply
from deltanas.program import Refused, SpaceEdit
from deltanas.propose.asking import Prepared, Question, Sampling, Taught, TaughtProposer
from deltanas.propose.edits import exhausted, proposal_of
from deltanas.propose.goals import any_goal, drawn_goal
from deltanas.propose.grammar import END_OF_BLOCK, anchored_grammar, typed_grammar, written
from deltanas.propose.space import Space
from deltanas.propose.taught import GENERAL, taught_block, taught_choice
from deltanas.seams import Ask, Proposal

Choice = Literal["goal", "any", "ranked"]
"""At level typed the model chooses among goal: edits of one kind that meet a drawn goal; any: of any kinds, as the
control draws them; ranked: the same, but it writes nothing: it reads them all, and `Ranker.choose` says which."""
Decoding = Literal["typed", "anchored", "free"]
"""typed: one of the program's simple edits. anchored: the lines to replace are the program's own and drawn with the
goal, the new ones free. free: any text."""


class DeltaProposer(TaughtProposer):
    """Asks a language model for one edit of the parent, with a goal drawn from the kinds of edits that it has.

    At level `typed` it chooses among edits of the space that fit the goal, none that was tried for the slot before:
    over the whole space a small model forgets its goal and comes back to the same few edits. Kinds come as often as
    they do to `RandomProposer`: the two differ by goals and by the model's choices. With choice "any" they differ by
    the choices alone: some draws of the control are offered, and the one that trains best is asked for; with "ranked"
    too, but the model does not write it: how likely it finds each says which. At the other levels the space sets the
    goal and names lines that could be changed; what is written is the model's own.
    """

    strategy = "delta"

    def __init__(
        self,
        model: Model,
        space: Space,
        *,
        decoding: Decoding = "typed",
        choice: Choice = "goal",
        offers: int = 6,
        sampling: Sampling | None = None,
    ) -> None:
        """offers: so many edits are offered at level `typed`, at most; 1 would leave the model none.

        With choice "ranked" the model is a `Ranker`, with or without an adapter.
        """
        super().__init__(model, sampling)
        self._space = space
        self._decoding = decoding
        self._offers = offers
        self._free_kind = decoding == "typed" and choice != "goal"
        self._ranks = self._free_kind and choice == "ranked"

    def questions(self, asks: Sequence[Ask]) -> list[Question | Proposal]:
        if self._free_kind:
            mixed = self._space.mixed(asks, self._offers)
            return [self._question(ask, GENERAL, edits) for ask, edits in zip(asks, mixed, strict=True)]
        aimed = self._space.aimed(asks, self._offers, drawn_goal)
        return [self._question(ask, goal, edits) for ask, (goal, edits) in zip(asks, aimed, strict=True)]

    def _question(self, ask: Ask, goal: str, edits: Sequence[SpaceEdit]) -> Question | Proposal:
        if not edits and self._decoding == "typed":
            return exhausted()
        return edit_question(ask, goal or any_goal(ask), edits, self._decoding, self._offers)

    def replies(self, waiting: Sequence[Prepared]) -> list[Reply]:
        if not self._ranks:
            return super().replies(waiting)
        answers = [[written(offer) for offer in question.offered] for question, _ in waiting]
        return cast("Ranker", self._model).choose([request for _, request in waiting], answers)

    def answer(self, question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
        return written_edit(question, reply, calls)

    def taught(self, ask: Ask, edit: str, goal: str) -> Taught | Refused:
        if self._decoding == "typed":
            return taught_choice(ask, edit, goal, general=self._free_kind)
        return taught_block(ask, edit, goal, anchored=self._decoding == "anchored")


def edit_question(ask: Ask, goal: str, edits: Sequence[SpaceEdit], decoding: Decoding, offers: int) -> Question:
    """Asks for an edit that meets `goal`: at level `typed` for one of `edits`, else where one of them is."""
    if decoding == "typed":
        offered = sampled(ask, edits, offers)
        return Question(ask, goal, "typed", offered=offered, grammar=typed_grammar(offered))
    places = sorted({edit.old for edit in edits if edit.old in ask.parent.net})
    place = ask.rng("place").choice(places) if places else ""
    grammar = anchored_grammar(ask.parent.net, place) if decoding == "anchored" else None
    return Question(ask, goal, "blocks", place, grammar=grammar, stop=(END_OF_BLOCK,))


def written_edit(question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
    """The edit that a reply holds: the offered one that it names, or what it says itself."""
    chosen = next((offer for offer in question.offered if written(offer) == reply.text), None)
    if chosen is None:
        return proposal_of(question.ask, reply.text, question.goal, calls)
    return proposal_of(question.ask, chosen.text, question.goal, calls, chosen.kind)


def sampled(ask: Ask, edits: Sequence[SpaceEdit], most: int) -> tuple[SpaceEdit, ...]:
    """At most so many of the edits, in their order."""
    places = ask.rng("offer").sample(range(len(edits)), min(most, len(edits)))
    return tuple(edits[place] for place in sorted(places))
