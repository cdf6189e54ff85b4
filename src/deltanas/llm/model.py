"""What a language model is asked and what it answers; importing this costs nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

from deltanas.program.thoughts import spoken

Role = Literal["system", "user", "assistant"]
Dtype = Literal["float32", "bfloat16"]
"""What a model on this machine computes in."""


class Message(NamedTuple):
    """One turn of a chat."""

    role: Role
    content: str


def plain_turns(messages: Sequence[Message]) -> list[Message]:
    """The same chat for a model that knows no system role: user and assistant take turns, and the user begins.

    What the system says goes before the first question; what one says twice in a row is one turn.
    """
    said = [message._replace(role="user") if message.role == "system" else message for message in messages]
    turns: list[Message] = []
    for message in said:
        if turns and turns[-1].role == message.role:
            turns[-1] = Message(message.role, f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(message)
    return turns


@dataclass(frozen=True, slots=True)
class Request:
    """One reply to sample.

    Attributes:
        messages: the chat so far. What stands before the last message is worked out once for all requests of a
            batch that share it: put what differs last.
        key: the seed of the row's draws; they do not depend on the row's neighbours in the batch.
        grammar: in llguidance's dialect of Lark; the reply ends where it ends. None: any text.
        max_tokens: the reply is cut off there. temperature: 0 takes the likeliest token.
        top_k: number of likeliest tokens to draw from; 0: all.
        top_p: of these, from the likeliest that together have this probability.
    """

    messages: tuple[Message, ...]
    key: str
    grammar: str | None = None
    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request.

    Attributes:
        prompt: the whole text that the model read, with the marks of its chat template.
        text: the reply; of a reply that was `heard` the answer alone. complete: it ended by itself and was not cut off
            at `max_tokens`.
        seconds: wall clock of the whole batch divided by its rows: the rows are decoded together.
        error: why there is no reply, or none that may be used; "" if all is well. unread: the server did not take the
            prompt, as it is too long for the model or filtered; no model said anything.
        forced: number of the reply's tokens for which the grammar left no choice.
        estimated: the numbers of tokens are estimates, as a server did not say.
        said: all that the model wrote, verbatim, where `text` is not all of it.
    """

    prompt: str
    text: str
    complete: bool
    prompt_tokens: int
    reply_tokens: int
    seconds: float
    error: str = ""
    estimated: bool = False
    forced: int = 0
    unread: bool = False
    said: str = ""

    def heard(self) -> Self:
        """The reply without what the model thought before it answered; `said` keeps the whole."""
        parts = spoken(self.text)
        if self.error or not (parts.thinks or self.said):
            return self
        said, error = self.said or self.text, ""
        if not parts.answer.strip():
            error = f"the reply is a thought with no answer behind it ({self.reply_tokens} tokens)"
            if parts.unfinished or not self.complete:
                error = (
                    f"the reply ends within its thought, after {self.reply_tokens} tokens; model.max_tokens is its room"
                )
        return replace(self, text=parts.answer, said=said, error=error)


@dataclass
class Spent:
    """What decoding took since the model was opened.

    Attributes:
        prompt: seconds of wall clock in the network, up to the scores of each reply's first token.
        network: the same for all later tokens; `drawn` of them were drawn.
        grammar: seconds of compiling grammars, of masks and of following what was drawn. draw: of drawing.
    """

    prompt: float = 0.0
    network: float = 0.0
    grammar: float = 0.0
    draw: float = 0.0
    drawn: int = 0

    @contextmanager
    def on(self, what: Literal["prompt", "network", "grammar", "draw"]) -> Iterator[None]:
        start = time.perf_counter()
        yield
        setattr(self, what, getattr(self, what) + time.perf_counter() - start)


class Model(Protocol):
    """Samples replies. `context`: number of tokens that a prompt and its reply may have together; None: not known."""

    @property
    def name(self) -> str: ...
    @property
    def context(self) -> int | None: ...
    def count(self, messages: Sequence[Message]) -> int:
        """Number of tokens of the prompt that `messages` make."""

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in their order. Raises ModelError for a grammar that does not compile."""


@runtime_checkable
class HeldModel(Protocol):
    """A model whose weights are on this machine. `digest`: hash of the base model, wherever its files lie."""

    @property
    def digest(self) -> str: ...
