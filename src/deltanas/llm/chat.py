"""Chats as the text that a model reads: its tokenizer's chat template, put to a test before it is used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import TemplateError

from deltanas.errors import ModelError
from deltanas.llm.compat import line_of
from deltanas.llm.model import Message, plain_turns
from deltanas.program.thoughts import answer_mark

Turns = Callable[[Sequence[Message]], list[dict[str, Any]]]

FAULTS = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a chat template raises: it is a program that came with the model."""
SAMPLE = (Message("system", "S0"), Message("user", "U1"), Message("assistant", "A1"), Message("user", "U2"))


def _plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [message._asdict() for message in messages]


def _parts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in messages]


FORMS: dict[str, Turns] = {
    "": _plain,
    "the chat template of %s knows no system role: its text goes before the first question": lambda messages: _plain(
        plain_turns(messages)
    ),
    "the chat template of %s takes lists of parts alone": _parts,
    "the chat template of %s knows no system role, and takes lists of parts alone": lambda messages: _parts(
        plain_turns(messages)
    ),
}
"""How a chat is given to a template, and what is said of a template that needs it so. The first that works is used."""


class Chat:
    """Writes chats as a model reads them.

    Raises ModelError for a template that writes a chat in no form, or leaves out what is asked.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        """name: of the model."""
        self._tokenizer, self._name = tokenizer, name
        self._turns: Turns = _plain
        said = "%s has no chat template: it reads what is asked as plain text"
        if tokenizer.chat_template is not None:
            said, self._turns = self._fitting()
        if said:
            logging.getLogger("deltanas").warning(said, name)

    def text(self, messages: Sequence[Message], *, answer: bool = True) -> str:
        """answer: it ends where the answer begins."""
        if self._tokenizer.chat_template is None:
            return "".join(f"{message.content}\n\n" for message in messages)
        try:
            return self._written(self._turns, messages, answer=answer)
        except FAULTS as error:
            raise self._unusable(line_of(error)) from error

    def stem(self, messages: Sequence[Message], prompt: str) -> str:
        """The text that all requests with the same messages but the last share, "" where the template mixes them."""
        try:
            stem = self.text(messages[:-1], answer=False) if len(messages) > 1 else ""
        except ModelError:  # a chat without its last message is none to the template
            return ""
        return stem if prompt.startswith(stem) else ""

    def _fitting(self) -> tuple[str, Turns]:
        reasons = []
        for said, turns in FORMS.items():
            try:
                text = self._written(turns, SAMPLE)
            except FAULTS as error:
                reasons.append(line_of(error))
                continue
            lacking = [role for role, content in SAMPLE if role != "assistant" and content not in text]
            if not lacking:
                return said, turns
            reasons.append(f"it leaves out what the {lacking[0]} says")
        raise self._unusable(reasons[0])

    def _written(self, turns: Turns, messages: Sequence[Message], *, answer: bool = True) -> str:
        """A template that can be told not to think is told so; a thought that it opens all the same is closed."""
        text: str = self._tokenizer.apply_chat_template(
            turns(messages), tokenize=False, add_generation_prompt=answer, enable_thinking=False
        )
        return text + answer_mark(text) if answer else text

    def _unusable(self, reason: str) -> ModelError:
        hint = "Mend `chat_template` of its tokenizer (chat_template.jinja or tokenizer_config.json), or take another."
        return ModelError(f"The chat template of {self._name} writes no prompt: {reason}", hint)
