"""A language model behind an OpenAI-compatible server: requests side by side, with deadlines, retried with backoff.

What a server does wrong costs the one reply, which comes back with the reason (`Reply.error`). A server that can't be
worked with at the start, or that is gone for a whole batch, is a `ModelError`.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import math
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx2 as httpx
from pydantic import BaseModel, ValidationError

from deltanas.errors import ModelError
from deltanas.llm.gbnf import gbnf
from deltanas.llm.held import fault
from deltanas.llm.model import Message, Reply, Request
from deltanas.llm.spec import Spec

KEY = "DELTANAS_API_KEY"
"""The environment variable that holds the server's key. Not OPENAI_API_KEY: only the server meant is to see a key."""
MOST_BYTES = 2**20
"""Longest answer of a server that is read. 512 tokens take a few kilobytes."""
CONTEXT = 8192
"""Tokens of prompt and reply together, where the server does not say."""
CHARACTERS_A_TOKEN = 3
"""Of code; few, so that an estimated prompt is rather too long than too short."""
GRAMMARS: dict[str, Callable[[str], dict[str, Any]]] = {
    "vllm": lambda grammar: {"structured_outputs": {"grammar": gbnf(grammar) or grammar}},
    "llamacpp": lambda grammar: {"grammar": gbnf(grammar) or f"%llguidance {{}}\n{grammar}"},
    "sglang": lambda grammar: {"ebnf": gbnf(grammar) or grammar},
}
"""How servers take a grammar, by what they call themselves in `owned_by`. What one can't read, it refuses (400)."""
_GRAMMAR_KEYS = ("structured_outputs", "grammar", "ebnf")
_AGAIN = (408, 409, 425, 429)
_LONGEST_PAUSE = 30.0
T = TypeVar("T")


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


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


class _ReplyError(Exception):
    """Why there is no reply. `again`: another try may help, after `pause` seconds if the server says how many."""

    def __init__(self, reason: str, *, status: int = 0, again: bool = False, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.status, self.again, self.pause = status, again, pause


class _NoConnectionError(_ReplyError):
    """No connection was made."""


@dataclass(frozen=True, slots=True)
class _Answer:
    completion: _Completion | None
    fault: _ReplyError | None


class ServerModel:
    """A model that a server runs; see `Model` for what it promises. It estimates a prompt's tokens."""

    def __init__(self, spec: Spec, *, timeout: float, retries: int) -> None:
        """timeout: seconds for one reply, all tries together. retries: further tries after a fault that may pass."""
        self.name = str(spec)
        self.context = CONTEXT
        self._url, _, self._model = spec.where.rpartition("#")
        self._url = self._url.rstrip("/")
        self._timeout = timeout
        self._retries = retries
        self._key = os.environ.get(KEY, "")
        self._kind = ""
        self._takes_grammar = True
        self._limit_name = "max_tokens"

    @classmethod
    def open(cls, spec: Spec, *, timeout: float, retries: int) -> Self:
        """Raises ModelError where the server can't be reached, refuses the key or does not answer a first request."""
        model = cls(spec, timeout=timeout, retries=retries)
        _run(model._greet())
        return model

    def count(self, messages: Sequence[Message]) -> int:
        """An estimate: the server's tokenizer is not at hand."""
        return sum(_estimated(message.content) + 4 for message in messages)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        start = time.perf_counter()
        answers = _run(self._all(requests))
        faults = [answer.fault for answer in answers]
        if all(isinstance(fault, _NoConnectionError) for fault in faults):
            raise ModelError(f"The server at {self._url} is gone: {faults[0]}", "Start it and resume the run.")
        seconds = (time.perf_counter() - start) / len(requests)
        return [self._reply(request, answer, seconds) for request, answer in zip(requests, answers, strict=True)]

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._look_up()
        except TimeoutError:
            pass  # the request that follows says what is wrong
        first = Request((Message("user", "Say yes."),), key="first", max_tokens=16)
        (answer,) = await self._all([first])
        fault = answer.fault
        if fault is None:
            return
        hints = {401: f"Put its key into {KEY}.", 403: f"Put its key into {KEY}."}
        reached = "Is it running, and does the URL end as it should (most end in /v1)?"
        hint = hints.get(fault.status, f"Is {self._model!r} the model's name there?" if fault.status else reached)
        raise ModelError(f"The server at {self._url} does not answer as it should: {fault}", hint)

    async def _look_up(self) -> None:
        """Learn what the server tells of itself: its kind, and how much the model reads. Many tell nothing."""
        async with self._client() as client:
            try:
                listing = _Listing.model_validate_json(await self._read(client, "GET", "models"))
            except (_ReplyError, ValidationError):
                return
        # llama.cpp serves one model, under whatever name it is asked for.
        only = listing.data[0] if len(listing.data) == 1 else None
        mine = next((one for one in listing.data if one.id == self._model), only)
        self._kind = next((one.owned_by for one in listing.data if one.owned_by in GRAMMARS), "") or ""
        if mine:
            self.context = mine.max_model_len or (mine.meta and mine.meta.n_ctx) or self.context

    def _client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx.Limits(max_connections=None)
        timeout = httpx.Timeout(None, connect=min(10.0, self._timeout))
        return httpx.AsyncClient(headers=headers, limits=limits, timeout=timeout, trust_env=not _is_loopback(self._url))

    async def _all(self, requests: Sequence[Request]) -> list[_Answer]:
        async with self._client() as client:
            return await asyncio.gather(*(self._ask(client, request) for request in requests))

    async def _ask(self, client: httpx.AsyncClient, request: Request) -> _Answer:
        """One reply, tried again where that may help, until the deadline."""
        fault = _ReplyError("no answer")
        tries, plain = 0, not self._takes_grammar
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    body = self._body(request, plain=plain)
                    try:
                        completion = _completion(await self._read(client, "POST", "chat/completions", body))
                        self._takes_grammar &= not plain
                        return _Answer(completion, None)
                    except _ReplyError as error:
                        fault = error
                    refused = fault.status in (400, 422)
                    if refused and "max_tokens" in body and "max_completion_tokens" in str(fault):
                        self._limit_name = "max_completion_tokens"
                    elif refused and body.keys() & _GRAMMAR_KEYS:
                        plain = True
                    elif fault.again and tries < self._retries:
                        await asyncio.sleep(max(fault.pause, 0.5 * 2**tries))
                        tries += 1
                    else:
                        return _Answer(None, fault)
        except TimeoutError:
            return _Answer(None, _ReplyError(f"no reply within {self._timeout:g} s; last: {fault}"))

    def _body(self, request: Request, *, plain: bool) -> dict[str, Any]:
        """plain: without the grammar. `stop` goes only to servers that leave it in the reply: else it looks cut off."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [message._asdict() for message in request.messages],
            self._limit_name: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": int.from_bytes(hashlib.sha256(request.key.encode()).digest()[:4]) // 2,
        }
        if request.top_k:
            body["top_k"] = request.top_k  # no part of OpenAI's own interface: a server that has none refuses it
        if request.stop and self._kind == "vllm":
            body |= {"stop": list(request.stop), "include_stop_str_in_output": True}
        if request.grammar and self._kind and not plain:
            body |= GRAMMARS[self._kind](request.grammar)
        return body

    async def _read(self, client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        """The body of the answer. Raises _ReplyError for any other status than 200, and where it is too long."""
        try:
            async with client.stream(method, f"{self._url}/{path}", json=body) as response:
                content = bytearray()
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise _ReplyError(f"the answer is longer than {MOST_BYTES:,} bytes")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _NoConnectionError(f"no connection: {_told(error)}", again=True) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _ReplyError(f"the connection failed: {_told(error)}", again=True) from error
        except httpx.InvalidURL as error:
            raise _ReplyError(f"the URL is malformed: {_told(error)}") from error
        text = content.decode("utf-8", "replace")
        if response.status_code != 200:
            status = response.status_code
            again = status in _AGAIN or status >= 500
            pause = _seconds(response.headers.get("Retry-After", ""))
            raise _ReplyError(f"status {status}: {self._clean(_gist(text))}", status=status, again=again, pause=pause)
        return text

    def _clean(self, text: str) -> str:
        """Without the key, should the server repeat it."""
        return text.replace(self._key, "***") if self._key else text

    def _reply(self, request: Request, answer: _Answer, seconds: float) -> Reply:
        prompt = "".join(f"[{role}]\n{content}\n\n" for role, content in request.messages)
        if answer.completion is None:
            told = f"server: {answer.fault}"
            count = self.count(request.messages)
            return Reply(prompt, "", False, count, 0, seconds, error=told, estimated=True)
        choice, usage = answer.completion.choices[0], answer.completion.usage
        text = self._clean(choice.message.content or "")
        tokens = (
            (usage.prompt_tokens, usage.completion_tokens)
            if usage
            else (self.count(request.messages), _estimated(text))
        )
        complete, error = choice.finish_reason in ("stop", "eos"), ""
        if not text.strip():
            error = "server: the reply is empty"
        elif request.grammar:
            text, error = _held(request.grammar, text)
            if error and not (self._kind and self._takes_grammar):
                error += " (the server takes no grammar; level `free` needs none)"
        else:
            ends = [text.index(stop) + len(stop) for stop in request.stop if stop in text]
            text, complete = (text[: min(ends)], True) if ends else (text, complete)
        done = complete and not error
        return Reply(prompt, text, done, *tokens, seconds, error=error, estimated=usage is None)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; in a thread where this one runs a loop already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _completion(text: str) -> _Completion:
    try:
        completion = _Completion.model_validate_json(text)
    except ValidationError as error:
        raise _ReplyError(f"the answer is no chat completion: {_gist(text)}") from error
    if not completion.choices:
        raise _ReplyError("the answer holds no choice")
    return completion


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


def _gist(text: str) -> str:
    """The message of an error in JSON, else the text; its beginning."""
    try:
        told = json.loads(text)
    except ValueError:
        told = text
    while isinstance(told, dict) and (found := told.get("error") or told.get("message") or told.get("detail")):
        told = found
    return " ".join(str(told).split())[:200]


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _seconds(text: str) -> float:
    return min(float(text), _LONGEST_PAUSE) if text.strip().isdecimal() else 0.0


def _is_loopback(url: str) -> bool:
    """Whether the server is on this machine, where no proxy is to be asked."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
