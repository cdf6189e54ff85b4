"""A language model behind an OpenAI-compatible server: requests side by side, with deadlines, retried with backoff.

A fault of the server is never a reply. One that passes is waited for; what the server does not take and can be done
without is left out, and said once; any other fault is a `ModelError`, which ends a run that the same command takes up
again. Only a prompt that the server does not take, while it takes others, comes back as such (`Reply.unread`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Self, TypeVar

from httpx2 import AsyncClient
from pydantic import BaseModel, ValidationError

from deltanas.errors import ModelError
from deltanas.llm.answers import LENGTHS, AnswerError, Completion, completion
from deltanas.llm.gbnf import gbnf
from deltanas.llm.held import fault
from deltanas.llm.line import KEY, Line
from deltanas.llm.model import Message, Reply, Request, plain_turns
from deltanas.llm.spec import Spec

CHARACTERS_A_TOKEN = 3
"""Of code; few, so that an estimated prompt is rather too long than too short."""
PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before the second try, twice as many before each further one, and the longest that is not asked for."""
GRAMMARS: dict[str, Callable[[str], dict[str, Any]]] = {
    "vllm": lambda grammar: {"structured_outputs": {"grammar": gbnf(grammar) or grammar}},
    "llamacpp": lambda grammar: {"grammar": gbnf(grammar) or f"%llguidance {{}}\n{grammar}"},
    "sglang": lambda grammar: {"ebnf": gbnf(grammar) or grammar},
}
"""How servers take a grammar, by what they call themselves in `owned_by`. What one can't read, it refuses (400)."""
FIRST = Request((Message("system", "You answer in one word."), Message("user", "Say yes.")), "first", max_tokens=16)
"""What a server is asked first, where nobody says what it will be asked."""
_GRAMMAR_KEYS = ("structured_outputs", "grammar", "ebnf")
_OPTIONAL = {
    "seed": ("seed",),
    "top_k": ("top_k",),
    "top_p": ("top_p",),
    "temperature": ("temperature",),
    "max_tokens": LENGTHS,
    "max_completion_tokens": ("max_completion_tokens",),
}
"""What a request can do without, by how servers call it. The first that a server refuses is left out first."""
_FILTERED = "content_filter"
_CUT_OFF = ("length", "max_tokens", "model_length", _FILTERED)
"""Reasons for which a reply ends before its own end."""
T = TypeVar("T")
_log = logging.getLogger("deltanas")


class _Meta(BaseModel):
    n_ctx: int | None = None


class _Listed(BaseModel):
    """`max_model_len` is vLLM's name for how much the model reads, `meta.n_ctx` llama.cpp's."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    meta: _Meta | None = None


class _Listing(BaseModel):
    data: list[_Listed]


class ServerModel:
    """A model that a server runs; see `Model` for what it promises. It estimates a prompt's tokens."""

    def __init__(self, spec: Spec, *, timeout: float, retries: int) -> None:
        """timeout: seconds for one reply, all tries together. retries: further tries after a fault that may pass."""
        self.name = str(spec)
        self.context: int | None = None
        self._url, _, self._model = spec.where.rpartition("#")
        self._url = self._url.rstrip("/")
        self._line = Line(self._url, timeout)
        self._timeout = timeout
        self._retries = retries
        self._kind = ""
        self._met = self._reads = False
        self._takes_grammar, self._took_grammar = True, False
        self._plain_turns = False
        self._limit_name = "max_tokens"
        self._without: set[str] = set()

    @classmethod
    def open(cls, spec: Spec, *, timeout: float, retries: int, first: Request = FIRST) -> Self:
        """Meet the server: it is asked `first`, which holds all that later requests hold.

        Raises ModelError where the server can't be reached or worked with.
        """
        model = cls(spec, timeout=timeout, retries=retries)
        _run(model._greet(first))
        return model

    def count(self, messages: Sequence[Message]) -> int:
        """An estimate: the server's tokenizer is not at hand."""
        return sum(_estimated(message.content) + 4 for message in messages)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        start = time.perf_counter()
        try:
            answers = _run(self._all(requests))
            refused = [answer for answer in answers if isinstance(answer, AnswerError)]
            self._reads |= len(refused) < len(answers)
            if not self._reads:
                raise refused[0]
        except AnswerError as error:
            hint = f"{self._hint(error)} The run is kept; the same command resumes it."
            said = "is gone" if error.cause == "gone" else "no longer answers as it should"
            raise ModelError(f"The server at {self._url} {said}: {error}", hint) from error
        seconds = (time.perf_counter() - start) / len(requests)
        return [self._reply(request, answer, seconds) for request, answer in zip(requests, answers, strict=True)]

    async def _greet(self, first: Request) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._look_up()
        except TimeoutError:
            pass  # the request that follows says what is wrong
        try:
            (answer,) = await self._all([first])
            if isinstance(answer, AnswerError):
                self._shrink(answer)
                short = tuple(message._replace(content=message.content[:200]) for message in first.messages)
                (answer,) = await self._all([replace(first, messages=short)])
            if isinstance(answer, AnswerError):
                raise answer
        except AnswerError as error:
            told = f"The server at {self._url} does not answer as it should: {error}"
            raise ModelError(told, self._hint(error)) from error
        self._met = True
        if first.grammar and not (self._kind and self._takes_grammar):
            _log.warning(
                "%s holds no reply to a grammar: replies are only checked against it, and nearly all are refused;"
                " strategy delta needs none at level `free` (model.decoding)",
                self._url,
            )

    def _shrink(self, error: AnswerError) -> None:
        """It refuses the first prompt, which is as long as any baseline makes one."""
        if error.size:
            self.context = min(self.context or error.size, error.size)
        _log.warning("%s takes no prompt as long as those of the longest baseline: %s", self._url, error)

    def _hint(self, error: AnswerError) -> str:
        url = "Does the URL end as it should (most end in /v1)?"
        hints = {
            "key": f"Put a key that is valid there into {KEY}.",
            "quota": f"The account behind {KEY} has nothing left to spend: add to it, or wait.",
            "page": f"{url} Does a proxy or a login stand before it?",
            "elsewhere": "If that address is the right one, name it in place of this one.",
            "slow": "Give it more time: model.timeout.",
            "gone": f"Is it running? {url}",
        }
        if error.kind == "prompt":
            return "Give the model a longer context there, or begin another run with a lower model.max_tokens."
        if error.about_length:
            return "The server writes no reply as long as that: begin a run with a lower model.max_tokens."
        asked = f"Is {self._model!r} the model's name there?"
        return hints.get(error.cause) or (asked if error.kind == "stays" else "Is it overloaded? Try again later.")

    async def _look_up(self) -> None:
        """Learn what the server tells of itself: its kind, and how much the model reads. Many tell nothing."""
        async with self._line.client() as client:
            try:
                status, _, content = await self._line.read(client, "GET", "models")
                listing = _Listing.model_validate_json(content if status == 200 else b"")
            except (AnswerError, ValidationError):
                return
        # llama.cpp serves one model, under whatever name it is asked for.
        only = listing.data[0] if len(listing.data) == 1 else None
        mine = next((one for one in listing.data if one.id == self._model), only)
        self._kind = next((one.owned_by for one in listing.data if one.owned_by in GRAMMARS), "") or ""
        if mine:
            size = mine.max_model_len or (mine.meta and mine.meta.n_ctx) or 0
            self.context = size if size > 0 else None

    async def _all(self, requests: Sequence[Request]) -> list[Completion | AnswerError]:
        """What came of each request: an AnswerError for a prompt or grammar that is not taken; others are raised."""
        async with self._line.client() as client:
            tasks = [asyncio.create_task(self._ask(client, request)) for request in requests]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, client: AsyncClient, request: Request) -> Completion | AnswerError:
        """One reply, asked for again where that may help, until the deadline."""
        last, tries, plain = AnswerError("no answer"), 0, not self._takes_grammar
        key = self._line.key
        doubted = False
        deadline = time.monotonic() + self._timeout
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    body = self._body(request, plain=plain)
                    try:
                        found = completion(*await self._line.read(client, "POST", "chat/completions", body))
                        self._took_grammar |= bool(body.keys() & _GRAMMAR_KEYS)
                        self._takes_grammar &= self._took_grammar or not plain
                        return found
                    except AnswerError as error:
                        last = error.told(key)
                    if self._does_without(last, body):
                        continue
                    if last.kind == "prompt":
                        if doubted:
                            return last
                        doubted = True  # it is taken for true once it is said twice
                        await asyncio.sleep(PAUSE)
                        continue
                    refused = not plain and bool(body.keys() & _GRAMMAR_KEYS) and self._may_be_grammar(last)
                    if refused and not self._took_grammar:
                        plain = True
                        continue
                    if refused and tries == self._retries:  # it took others: it is this one that it does not take
                        return last
                    if (last.kind != "passes" and not refused) or tries == self._retries:
                        raise last
                    if time.monotonic() + last.pause > deadline:
                        raise AnswerError(f"{last} (it asks to wait {last.pause:,.0f} s)", cause="slow")
                    pause = min(LONGEST_PAUSE, PAUSE * 2**tries) * random.uniform(0.5, 1)
                    tries += 1
                    await asyncio.sleep(max(last.pause, pause))
        except TimeoutError:
            raise AnswerError(f"no reply within {self._timeout:g} s; last: {last}", cause="slow") from None

    def _may_be_grammar(self, error: AnswerError) -> bool:
        """Whether the grammar may be what it refuses: it says so, or refuses the first request of all."""
        return error.about_request and (error.about_grammar or not self._met)

    def _does_without(self, error: AnswerError, body: dict[str, Any]) -> bool:
        """Whether the request can be put in another form: without what the server does not take, said once."""
        messages = [Message(**message) for message in body["messages"]]
        if error.about_turns and error.status not in (401, 402, 403, 429) and plain_turns(messages) != messages:
            if not self._plain_turns:
                self._plain_turns = True
                _log.warning("%s takes no system role: its text goes before the first question", self._url)
            return True
        if error.kind == "prompt" or not error.about_request or error.cause in ("key", "quota"):
            return False
        for field, names in _OPTIONAL.items():
            if field not in body or not any(error.names(name) for name in names):
                continue
            if names[0] in LENGTHS and error.about_length:
                continue
            if field == "max_tokens" and self._limit_name == field:
                self._limit_name = "max_completion_tokens"
            elif field not in self._without:
                self._without.add(field)
                _log.warning("%s does not take the field %r: it is left out (%s)", self._url, field, error)
            return True
        return False

    def _body(self, request: Request, *, plain: bool) -> dict[str, Any]:
        """plain: without the grammar."""
        messages = plain_turns(request.messages) if self._plain_turns else request.messages
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [message._asdict() for message in messages],
            self._limit_name: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": int.from_bytes(hashlib.sha256(request.key.encode()).digest()[:4]) // 2,
        }
        if request.top_k:
            body["top_k"] = request.top_k  # no part of OpenAI's own interface: a server that has none refuses it
        if request.grammar and self._kind and not plain:
            body |= GRAMMARS[self._kind](request.grammar)
        return {name: value for name, value in body.items() if name not in self._without}

    def _reply(self, request: Request, answer: Completion | AnswerError, seconds: float) -> Reply:
        prompt = "".join(f"[{role}]\n{content}\n\n" for role, content in request.messages)
        count = self.count(request.messages)
        if isinstance(answer, AnswerError):
            what = "prompt" if answer.kind == "prompt" else "grammar"
            told = f"the server does not take the {what}: {answer}"
            return Reply(prompt, "", False, count, 0, seconds, error=told, estimated=True, unread=True)
        said = f"<think>\n{answer.thought}\n</think>\n\n{answer.text}" if answer.thought else ""
        estimated = answer.prompt_tokens is None or answer.reply_tokens is None
        tokens = (
            count if answer.prompt_tokens is None else answer.prompt_tokens,
            _estimated(said or answer.text) if answer.reply_tokens is None else answer.reply_tokens,
        )
        complete = answer.finish.lower() not in _CUT_OFF
        reply = Reply(prompt, answer.text, complete, *tokens, seconds, estimated=estimated, said=said)
        if not request.grammar or _held(request.grammar, answer.text)[1]:
            reply = reply.heard()
        error = reply.error
        if not (error or reply.text.strip()):
            error = f"the reply is empty{'' if answer.finish in ('', 'stop') else f' (it ended by {answer.finish})'}"
        if not error and answer.finish.lower() == _FILTERED:
            error = f"the server filtered the reply (it ended by {answer.finish})"
        if request.grammar and not error:
            text, error = _held(request.grammar, reply.text)
            reply = reply if text == reply.text else replace(reply, text=text, said=reply.said or answer.text)
            if error and not (self._kind and self._takes_grammar):
                error += " (the server takes no grammar; strategy delta needs none at level `free`)"
        return replace(reply, error=error, complete=complete and not error)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; in a thread where this one runs a loop already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _held(grammar: str, text: str) -> tuple[str, str]:
    """The reply and "", or, where the grammar does not allow it, the reason. Empty lines around it do not count."""
    reason = ""
    for one in dict.fromkeys((text, text.strip("\r\n"))):
        reason = fault(grammar, one)
        if not reason:
            return one, ""
    return text, f"the reply does not follow the grammar: {reason}"


def _estimated(text: str) -> int:
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)
