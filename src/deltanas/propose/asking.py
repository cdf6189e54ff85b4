"""What every strategy with a language model does alike: questions in batches, prompts that fit, calls on record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from deltanas.errors import EditError
from deltanas.journal import Attempt, Call
from deltanas.llm import Lesson, Message, Model, Reply, Request
from deltanas.program import Refused, SpaceEdit, apply_edit
from deltanas.propose.goals import facts
from deltanas.propose.prompt import render
from deltanas.seams import Ask, Proposal

MOST_EARLIER = 1500
"""Characters of the earlier attempts that go back to the model, the last ones."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn. batch: so many at a time. max_prompt, max_tokens: of a prompt and a reply, in tokens."""

    batch: int = 8
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    max_prompt: int = 4096
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Question:
    """One ask as the model will get it.

    Attributes:
        goal: what is asked for. prompt: name of the file that puts it into words. place: the lines to change, if known.
        offered: the edits that the grammar holds the reply to, if any.
        grammar, stop: of the `Request`.
        calls: of the model, made to arrive at the question. note: as in `Attempt`.
    """

    ask: Ask
    goal: str
    prompt: str
    place: str = ""
    offered: tuple[SpaceEdit, ...] = ()
    grammar: str | None = None
    stop: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    note: str = ""


Prepared = tuple[Question, Request]
"""A question in the words that the model gets."""
Taught = tuple[Question, str]
"""A question and the answer that makes the edit."""


class ModelProposer(ABC):
    """Puts asks to a language model; a subclass says what is asked, and what is made of a reply."""

    strategy: str

    def __init__(self, model: Model, sampling: Sampling | None = None) -> None:
        self.sampling = sampling or Sampling()
        self._model = model
        self._max_prompt = min(self.sampling.max_prompt, model.context - self.sampling.max_tokens)

    @property
    def batch(self) -> int:
        return self.sampling.batch

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
        return replies

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
            source = ask.parent.net.removesuffix("\n")
            messages = render(
                question.prompt,
                source=source,
                goal=question.goal,
                place=question.place,
                earlier=earlier,
                facts=known,
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
            stop=question.stop,
            max_tokens=self.sampling.max_tokens,
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            top_k=self.sampling.top_k,
        )

    def _answered(self, waiting: Prepared, reply: Reply) -> Proposal:
        calls = (*waiting[0].calls, self._on_record(reply))
        if reply.error:
            refusal = Refused("parse", reply.error)
            return Proposal(None, reply.text, None, waiting[0].goal, refusal, calls, note=waiting[0].note)
        answered = self.answer(waiting[0], reply, calls)
        return replace(answered, note=answered.note or waiting[0].note)

    def _on_record(self, reply: Reply) -> Call:
        tokens = (reply.prompt_tokens, reply.reply_tokens)
        return Call(self._model.name, reply.prompt, reply.text, *tokens, reply.seconds, reply.estimated)


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
            wanted = ask.parent.edited("net", apply_edit(ask.parent.net, edit).source)
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


def recalled(earlier: Sequence[Attempt]) -> str:
    """What the model said before and why it was refused, verbatim; where that is too long, its end."""
    refused = [
        (attempt.calls[-1].reply if attempt.calls else attempt.edit, attempt.refusal.reason)
        for attempt in earlier
        if attempt.refusal
    ]
    return "\n\n".join(f"{said}\nRefused: {reason}" for said, reason in refused if said)[-MOST_EARLIER:]
