"""What every strategy with a language model does alike: questions in batches, prompts that fit, calls on record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from deltanas.errors import EditError
from deltanas.llm import Lesson, Message, Model, Reply, Request
from deltanas.program import Part, Refused, SpaceEdit, apply_edit
from deltanas.program.thoughts import spoken
from deltanas.program.transforms import MENU
from deltanas.program.transforms.space import MOST_OPERATIONS
from deltanas.propose.goals import facts
from deltanas.propose.grammar import reasoned
from deltanas.propose.prompt import purpose, render
from deltanas.records import Attempt, Call
from deltanas.seams import Ask, Proposal
from deltanas.settings import Section

LONGEST_REPLY = 512
"""Tokens of a reply where the settings give no number."""
MOST_EARLIER = 1500
"""Characters of the earlier attempts that go back to the model, the last ones."""


MENU_TOLD: Mapping[Part, tuple[str, ...]] = {"transform": tuple(operation.call for operation in MENU.values())}
"""What a part may hold, where it holds nothing else."""

Choice = Literal["goal", "any", "ranked"]
Decoding = Literal["typed", "anchored", "free"]


class Asking(Section):
    """What a model is asked for, and how its replies are drawn."""

    decoding: Decoding = Field(
        "typed",
        description="what an edit must be: typed (a simple edit) | anchored (on given lines of the program) | free",
    )
    choice: Choice = Field(
        "goal",
        description="with delta at level typed, what the model chooses among: goal (edits of one kind that meet a drawn"
        " goal) | any (edits of any kinds, as the control draws them) | ranked (as any, but the model writes nothing:"
        " the edit that the adapter made likeliest is taken; needs a local model)",
    )
    offers: int = Field(6, ge=2, description="with delta at level typed: largest number of edits to offer")
    reason: bool = Field(
        False,
        description="with delta: the model says in one to three sentences what may help before it writes the edit"
        " (not with ranked, where it writes nothing)",
    )
    temperature: float = Field(0.7, gt=0, le=5, description="sampling temperature")
    top_p: float = Field(0.9, gt=0, le=1, description="nucleus sampling: probability mass to draw from")
    top_k: int = Field(0, ge=0, description="number of likeliest tokens to draw from; 0: all")
    max_prompt: int = Field(
        4096, ge=64, description="longest prompt, tokens; a slot that needs a longer one is refused"
    )
    max_tokens: Annotated[int, Field(ge=16)] | None = Field(
        None,
        description="longest reply, a thought included, tokens; default: 512, for a whole program 1536, for an edit of"
        " several steps 512 each and 1536 at most",
    )
    batch: int = Field(
        8, ge=1, description="number of replies decoded at a time; with a server, number of requests at a time"
    )


@dataclass(frozen=True, slots=True)
class Question:
    """One ask as the model will get it.

    Attributes:
        goal: what is asked for. prompt: name of the file that puts it into words. place: the lines to change, if known.
        offered: the edits that the grammar holds the reply to, if any.
        grammar: of the `Request`. reasoned: whether the answer begins with a line that says why.
        calls: of the model, made to arrive at the question. note: as in `Attempt`.
    """

    ask: Ask
    goal: str
    prompt: str
    place: str = ""
    offered: tuple[SpaceEdit, ...] = ()
    grammar: str | None = None
    reasoned: bool = False
    calls: tuple[Call, ...] = ()
    note: str = ""


def with_reason(question: Question) -> Question:
    """The question whose answer begins with a line that says why."""
    return replace(question, reasoned=True, grammar=question.grammar and reasoned(question.grammar))


Prepared = tuple[Question, Request]
"""A question in the words that the model gets."""
Taught = tuple[Question, str]
"""A question and the answer that makes the edit."""


class ModelProposer(ABC):
    """Puts asks to a language model; a subclass says what is asked, and what is made of a reply."""

    strategy: str
    longest_reply = LONGEST_REPLY

    def __init__(self, model: Model, asking: Asking | None = None) -> None:
        self.asking = asking or Asking()
        self._model = model
        self._max_tokens = self.asking.max_tokens or self.longest_reply
        room = self.asking.max_prompt if model.context is None else model.context - self._max_tokens
        self._max_prompt = min(self.asking.max_prompt, room)

    @property
    def batch(self) -> int:
        return self.asking.batch

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        prepared = [one if isinstance(one, Proposal) else self._prepared(one) for one in self.questions(asks)]
        waiting = [one for one in prepared if not isinstance(one, Proposal)]
        answered = iter(zip(waiting, self.replies(waiting), strict=True))
        return [one if isinstance(one, Proposal) else self._answered(*next(answered)) for one in prepared]

    def replies(self, waiting: Sequence[Prepared]) -> list[Reply]:
        """The model's replies to the questions."""
        return self._replies([request for _, request in waiting])

    def _replies(self, requests: Sequence[Request]) -> list[Reply]:
        replies: list[Reply] = []
        for start in range(0, len(requests), self.batch):
            replies += self._model.generate(requests[start : start + self.batch])
        return [_heard(request, reply) for request, reply in zip(requests, replies, strict=True)]

    def requests(self, asks: Sequence[Ask]) -> list[Request]:
        """What the model would be asked, without asking it; a slot that needs no model has none."""
        prepared = [self._prepared(one) for one in self.questions(asks) if isinstance(one, Question)]
        return [one[1] for one in prepared if not isinstance(one, Proposal)]

    @abstractmethod
    def questions(self, asks: Sequence[Ask]) -> list[Question | Proposal]:
        """What to ask the model for each slot, or the answer where there is nothing to ask."""

    @abstractmethod
    def answer(self, question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
        """What the reply proposes."""

    def _prepared(self, question: Question) -> Prepared | Proposal:
        """The question with its prompt; without what was said before, where the prompt is too long with it."""
        ask, length = question.ask, 0
        known = facts(question.goal, ask.telemetry)
        for earlier in dict.fromkeys((recalled(ask.earlier), "")):
            source = ask.text.removesuffix("\n")
            messages = render(
                question.prompt,
                ask.part,
                source=source,
                goal=question.goal,
                place=question.place,
                earlier=earlier,
                facts=known,
                reason=question.reasoned,
                purpose=purpose(ask.telemetry.metric),
                menu=MENU_TOLD.get(ask.part, ()),
                most=MOST_OPERATIONS,
            )
            length = self._model.count(messages)
            if length <= self._max_prompt:
                return question, self._request(question, messages)
        reason = f"the prompt has {length} tokens, {self._max_prompt} are allowed"
        return Proposal(None, "", None, question.goal, Refused("apply", reason))

    def _request(self, question: Question, messages: tuple[Message, ...]) -> Request:
        return Request(
            messages,
            key=f"{question.ask.key}:reply",
            grammar=question.grammar,
            max_tokens=self._max_tokens,
            temperature=self.asking.temperature,
            top_p=self.asking.top_p,
            top_k=self.asking.top_k,
        )

    def _answered(self, waiting: Prepared, reply: Reply) -> Proposal:
        calls = (*waiting[0].calls, self._on_record(reply))
        if refusal := unusable(reply):
            return Proposal(None, reply.text, None, waiting[0].goal, refusal, calls, note=waiting[0].note)
        answered = self.answer(waiting[0], reply, calls)
        if not reply.complete:
            answered = _cut_off(answered, reply)
        return replace(answered, note=answered.note or waiting[0].note)

    def _on_record(self, reply: Reply) -> Call:
        tokens = (reply.prompt_tokens, reply.reply_tokens)
        said = reply.said or reply.text
        return Call(self._model.name, reply.prompt, said, *tokens, reply.seconds, reply.estimated)


class TaughtProposer(ModelProposer):
    """A strategy whose model can be taught: what it would be asked for an edit that was made, and the answer."""

    @abstractmethod
    def taught(self, ask: Ask, edit: str, goal: str) -> Taught | Refused:
        """The question that `edit` of the parent answers, and the answer. EditError where it does not apply."""

    def lesson(self, ask: Ask, edit: str, goal: str, family: str) -> Lesson | Refused:
        """What the model would be asked for `edit` of the parent, and the answer that makes it; or why there is none.

        The answer is given to this proposer's own grammar and reader: it makes the very program that `edit` makes.

        Args:
            goal: what the edit was asked to do; where it does not fit, or is not known, one that it fits is drawn.
        """
        try:
            wanted = ask.parent.edited(ask.part, apply_edit(ask.text, edit).source)
            found = self.taught(ask, edit, goal)
        except EditError as error:
            return Refused("apply", str(error))
        if isinstance(found, Refused):
            return found
        question, answer = found
        prepared = self._prepared(question)
        if isinstance(prepared, Proposal):
            return prepared.refusal or Refused("apply", "the prompt is too long")
        if question.grammar:
            from deltanas.llm.held import fault

            if left := fault(question.grammar, answer):
                return Refused("parse", f"the answer does not follow the grammar\n{left}")
        made = self.answer(question, Reply("", answer, True, 0, 0, 0.0), ())
        if made.program is None or made.program.id != wanted.id:
            return made.refusal or Refused("apply", "the answer makes another program")
        return Lesson(prepared[1].messages, answer, family)


def _heard(request: Request, reply: Reply) -> Reply:
    """The reply without thoughts. One that follows the request's grammar holds none, whatever it quotes."""
    heard = reply.heard()
    if heard is reply or request.grammar is None:
        return heard
    from deltanas.llm.held import fault

    return heard if fault(request.grammar, reply.text) else reply


def unusable(reply: Reply) -> Refused | None:
    """Why nothing can be made of a reply; None if something can. A prompt that was not read was never answered."""
    return Refused("apply" if reply.unread else "parse", reply.error) if reply.error else None


def _cut_off(answered: Proposal, reply: Reply) -> Proposal:
    """What a reply that was cut off proposes: nothing, as more of its edit may have been to come."""
    cut = f"the reply was cut off after {reply.reply_tokens} tokens (model.max_tokens)"
    reason = f"{answered.refusal.reason}\n{cut}" if answered.refusal else cut
    return replace(answered, program=None, rung=None, refusal=Refused("parse", reason))


def recalled(earlier: Sequence[Attempt]) -> str:
    """What the model answered before and why it was refused, verbatim; where that is too long, its end."""
    refused = [
        (spoken(attempt.calls[-1].reply).answer if attempt.calls else attempt.edit, attempt.refusal.reason)
        for attempt in earlier
        if attempt.refusal
    ]
    return "\n\n".join(f"{said}\nRefused: {reason}" for said, reason in refused if said)[-MOST_EARLIER:]
