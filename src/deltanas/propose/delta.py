"""Edits by a language model. How much it may write freely is set by the level of decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deltanas.llm import Message, Model, Reply, Request
from deltanas.program import Refused, SpaceEdit
from deltanas.propose.edits import Edits, exhausted, open_edits, proposal_of
from deltanas.propose.grammar import END_OF_BLOCK, anchored_grammar, typed_grammar, written
from deltanas.propose.prompt import goals, render
from deltanas.seams import Ask, Attempt, Call, Proposal

Decoding = Literal["typed", "anchored", "free"]
"""typed: one of the program's simple edits. anchored: the lines to replace are the program's own, the new ones free.
free: any text."""

MOST_EARLIER = 1500
"""Characters of the earlier attempts that go back to the model, the last ones."""


@dataclass(frozen=True, slots=True)
class _Question:
    """One ask, ready for the model."""

    ask: Ask
    goal: str
    messages: tuple[Message, ...]
    offered: tuple[SpaceEdit, ...]


class DeltaProposer:
    """Asks a language model for one edit of the parent, with a goal drawn from the kinds of edits that it has.

    At level `typed` it chooses among simple edits of the goal's kind: a few of those from which `RandomProposer` draws,
    none that was tried for the slot before. Over the whole space a small model forgets its goal and comes back to the
    same few edits. Kinds come as often as they do to `RandomProposer`: the two differ by the model's choices alone.
    At the other levels `edits` sets the goals alone.
    """

    strategy = "delta"

    def __init__(
        self,
        model: Model,
        *,
        edits: Edits = "architecture",
        decoding: Decoding = "typed",
        choices: int = 6,
        batch: int = 8,
        temperature: float = 0.7,
        top_p: float = 0.9,
        max_prompt: int = 4096,
        max_tokens: int = 512,
    ) -> None:
        """choices: so many edits are offered at level `typed`; 1 would leave the model none.
        max_prompt, max_tokens: length of a prompt and of a reply, in tokens.
        """
        self.batch = batch
        self._model = model
        self._edits = edits
        self._decoding = decoding
        self._choices = choices
        self._temperature = temperature
        self._top_p = top_p
        self._max_prompt = min(max_prompt, model.context - max_tokens)
        self._max_tokens = max_tokens

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        prepared = [self._prepared(ask) for ask in asks]
        questions = [one for one in prepared if isinstance(one, _Question)]
        replies: list[Reply] = []
        for start in range(0, len(questions), self.batch):
            replies += self._model.generate([self._request(one) for one in questions[start : start + self.batch]])
        answered = iter(zip(questions, replies, strict=True))
        return [one if isinstance(one, Proposal) else self._proposal(*next(answered)) for one in prepared]

    def _prepared(self, ask: Ask) -> _Question | Proposal:
        space = open_edits(ask, self._edits)
        if not space and self._decoding == "typed":
            return exhausted()
        kind = drawn_kind(ask, space)
        goal = ask.rng("goal").choice(goals().get(kind, (f"Change the {kind}.",)))
        offered = sampled(ask, [edit for edit in space if edit.kind == kind], self._choices)
        for earlier in dict.fromkeys((recalled(ask.earlier), "")):
            messages = self._messages(ask, goal, earlier)
            length = self._model.count(messages)
            if length <= self._max_prompt:
                return _Question(ask, goal, messages, tuple(offered))
        reason = f"the prompt has {length} tokens, {self._max_prompt} are allowed"
        return Proposal(None, "", None, goal, Refused("apply", reason))

    def _messages(self, ask: Ask, goal: str, earlier: str) -> tuple[Message, ...]:
        name = "typed" if self._decoding == "typed" else "blocks"
        source = ask.parent.net.removesuffix("\n")
        return render(name, source=source, goal=goal, earlier=earlier)

    def _request(self, question: _Question) -> Request:
        grammar: str | None = None
        match self._decoding:
            case "typed":
                grammar = typed_grammar(question.offered)
            case "anchored":
                grammar = anchored_grammar(question.ask.parent.net)
            case "free":
                pass
        return Request(
            question.messages,
            key=f"{question.ask.key}:reply",
            grammar=grammar,
            stop=(END_OF_BLOCK,),
            max_tokens=self._max_tokens,
            temperature=self._temperature,
            top_p=self._top_p,
        )

    def _proposal(self, question: _Question, reply: Reply) -> Proposal:
        call = Call(self._model.name, reply.prompt, reply.text, reply.prompt_tokens, reply.reply_tokens, reply.seconds)
        edit = reply.text
        if self._decoding == "typed" and reply.complete:
            edit = next(offer.text for offer in question.offered if written(offer) == reply.text)
        return proposal_of(question.ask, edit, question.goal, (call,))


def drawn_kind(ask: Ask, space: Sequence[SpaceEdit]) -> str:
    """The kind of an edit drawn uniformly; of all kinds there are, where the program has no simple edit."""
    return ask.rng("kind").choice([edit.kind for edit in space] or sorted(goals()))


def sampled(ask: Ask, edits: Sequence[SpaceEdit], most: int) -> list[SpaceEdit]:
    """At most so many of the edits, in their order."""
    places = ask.rng("offer").sample(range(len(edits)), min(most, len(edits)))
    return [edits[place] for place in sorted(places)]


def recalled(earlier: Sequence[Attempt]) -> str:
    """What the model said before and why it was refused, verbatim; where that is too long, its end."""
    said = [
        f"{attempt.calls[-1].reply if attempt.calls else attempt.edit}\nRefused: {attempt.refusal.reason}"
        for attempt in earlier
        if attempt.refusal
    ]
    return "\n\n".join(said)[-MOST_EARLIER:]
