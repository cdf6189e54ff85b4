"""What a server answered, read in all usual forms: a completion, or a fault, and what can be done about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self

Kind = Literal["passes", "stays", "prompt"]
"""Of a fault: another try may help | it stays until somebody mends it | the server does not take this one prompt."""
Cause = Literal["key", "quota", "busy", "page", "elsewhere", "slow", "gone", "other"]

_AGAIN = (408, 409, 425, 429)
_FOR_GOOD = (501, 505)
_LOOSE = (0, 400, 422, 500)
"""Of these a server's words say what is wrong, if anything does."""
_BUSY = re.compile(
    r"rate[ _-]?limit|\bper[ -](second|sec|minute|min|hour)\b|too many (\w+ )?(requests|connections|calls)"
    r"|slow down|in flight|concurren|open files|unavailable|overload|\bbusy\b"
)
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size|limit)|maximum context|exceed_context|tokens? \+ .{0,20}max_new_tokens"
    r"|(prompt|inputs?|messages?|requests?|payload|entity|string)\b[^.]{0,60}\b(too (long|large|big)|longer than)"
    r"|^too long|too (many|long)\b.{0,20}\b(tokens|prompt(?!s)|inputs?)"
    r"|(?<![a-z_])(tokens?|prompt|inputs?)\b[^.]{0,60}\bexceed|reduce the length"
)
_FILTERED = re.compile(
    r"content[ _-]?(filter|management|policy)|responsibleai|flagged|moderation|safety (filter|system)"
)
_QUOTA = re.compile(
    r"insufficient[ _](quota|funds|balance|credit)|exceeded your [^.]{0,30}quota|quota (is |has been )?exceeded|billing"
    r"|\bcredits?\b|\bbalance\b|payment|spend(ing)? limit|usage limit|arrears|overdue|per[ -]day|daily|monthly"
)
_KEY = re.compile(
    r"api[ _-]?key|unauthori[sz]ed|authenticat|credential|access denied"
    r"|(key|token|session)\b.{0,30}\b(expired|revoked|not valid)|(expired|revoked)\b.{0,30}\b(key|token)"
)
_TURNS = re.compile(
    r"system[ _-]?(role|prompt|message|instruction)|developer (instruction|role|message)|\broles?\b.{0,40}\bsystem\b"
    r"|\bsystem\b.{0,40}\brole|\b(roles?|turns?|messages?)\b.{0,60}\balternat(e|es|ing)\b|only (supports? )?[`'\"]?user"
    r"|\balternat(e|es|ing)\b.{0,40}\b(roles?|turns?|user|assistant)\b|roles must"
    r"|(unexpected|invalid|unknown|unsupported) role"
)
_GRAMMAR = re.compile(r"grammar|structured|guided|[eg]bnf|lark|schema")
_REFUSES = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|extra|invalid|permitted|allowed|forbidden|remove|only|deprecated"
    r"|not (accept|recogni|implement|available)|cannot|can't|must"
)
LENGTHS = ("max_tokens", "max_new_tokens", "max_output_tokens", "max_completion_tokens")
"""What servers call the largest number of tokens of a reply."""
_THOUGHT = ("reasoning_content", "reasoning", "thinking", "thought")
"""Fields of a message in which servers put what the model thought."""
_LIMIT = re.compile(
    r"too (large|big|high|long|many)|at most|\brange\b|(larger|greater|less|more) than|exceed|maximum|<="
)
_SPAN = r"(\d{1,6}(?:\.\d*)?)\s*(ms|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?)(?![a-z])"
_WAIT = re.compile(rf"(?:try again in|retry[ _-]?(?:after|delay|in)\W{{0,6}})\s*((?:{_SPAN}\W{{0,2}})+)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SIZES = tuple(
    re.compile(rf"(?:{before})\D{{0,60}}?(\d[\d,]{{2,8}})") for before in ("n_ctx", "context|maximum|limit|<=|at most")
)
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
LONGEST = 240
"""Characters of a reason that are told."""
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)


class AnswerError(Exception):
    """Why there is no reply.

    Attributes:
        kind, cause: what can be done, and about what. status: of HTTP, or as an error inside a 200 says; 0: none.
        pause: seconds that the server asks to wait; 0: it does not say.
        words: all that it says, in lower case. fields: names of the request's fields that it marks as wrong.
    """

    def __init__(
        self,
        reason: str,
        kind: Kind = "passes",
        cause: Cause = "other",
        *,
        status: int = 0,
        pause: float = 0.0,
        words: str = "",
        fields: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason)
        self.kind, self.cause = kind, cause
        self.status, self.pause, self.words, self.fields = status, pause, words, fields

    def told(self, key: str) -> Self:
        """The same without the key, should the server repeat it, and cut to a length that can be told."""
        reason = str(self)
        self.args = ((reason.replace(key, "***") if key else reason)[:LONGEST],)
        return self

    @property
    def about_request(self) -> bool:
        """The request itself may be at fault, and another form of it may do."""
        if self.cause == "busy":
            return False
        said = self.status in (400, 422)
        return said or (self.status in (0, 404, 415, 500, 501) and bool(_REFUSES.search(self.words)))

    @property
    def about_turns(self) -> bool:
        """The server takes no system role, or wants the turns of user and assistant to alternate."""
        return self.about_request and self.cause not in ("key", "quota") and bool(_TURNS.search(self.words))

    @property
    def about_grammar(self) -> bool:
        return _GRAMMAR.search(self.words) is not None

    @property
    def about_length(self) -> bool:
        """The number of tokens that a reply may have is too large for the server."""
        return any(map(self.names, LENGTHS)) and _LIMIT.search(self.words) is not None

    @property
    def size(self) -> int:
        """Number of tokens that prompt and reply may have together, if it says so; else 0."""
        found = [match for size in _SIZES if (match := size.search(self.words))] if self.kind == "prompt" else []
        return int(found[0][1].replace(",", "")) if found else 0

    def names(self, field: str) -> bool:
        """It says something of this field, in whatever spelling: top_p, `top-p`, topP."""
        name = field.replace("_", "[ _-]?")
        return field in self.fields or re.search(rf"(?<![a-z_]){name}(?![a-z_])", self.words) is not None


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply as it came. finish: why it ended. Where the server does not say, "" and None stand.

    thought: what the server tells apart as thought before the reply.
    """

    text: str
    finish: str
    prompt_tokens: int | None
    reply_tokens: int | None
    thought: str = ""


def completion(status: int, headers: Mapping[str, str], content: bytes) -> Completion:
    """What the body holds. Raises AnswerError where that is no reply."""
    text = content.decode("utf-8-sig", "replace")
    kind = headers.get("content-type", "")
    value = _streamed(text) if "event-stream" in kind or text.lstrip().startswith("data:") else _parsed(text)
    page = ("html" in kind or text.lstrip()[:1] == "<") and value is None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # as Gemini wraps an error
    if not 200 <= status < 300:
        raise _fault(status, headers, text, value)
    if page:
        raise AnswerError(f"an HTML page and no chat completion: {gist(text)}", "stays", "page", status=status)
    if not isinstance(value, dict):
        raise AnswerError(f"the answer is no chat completion: {gist(text) or 'nothing'}")
    if value.get("error") or value.get("object") == "error":
        raise _fault(_inner_status(value), headers, text, value)
    choices = value.get("choices")
    if not isinstance(choices, list):
        raise _fault(0, headers, text, value, "the answer is no chat completion")
    if not choices or not isinstance(choices[0], dict):
        raise AnswerError("the answer holds no choice")
    return _chosen(choices[0], value.get("usage"), headers, text)


def gist(text: str, value: object = None) -> str:
    """The message of an error in JSON, the title of a page, else the text. value: the error, if read."""
    told = _parsed(text) if value is None else value
    if told is None:
        title = _TITLE.search(text)
        told = title[1] if title else (_TAG.sub(" ", text) if text.lstrip()[:1] == "<" else text)
    while isinstance(told, list) and len(told) == 1:
        told = told[0]
    while isinstance(told, dict):
        error = told.get("error")
        inner = error if isinstance(error, dict | list) else None
        found = inner or told.get("message") or told.get("detail") or error
        if not found:
            break
        told = found
    return " ".join(str(told).split())


def _chosen(choice: dict[str, Any], usage: object, headers: Mapping[str, str], text: str) -> Completion:
    finish = str(choice.get("finish_reason") or "")
    if choice.get("error"):
        raise _fault(_inner_status(choice), headers, text, choice)
    if finish in ("error", "abort"):
        raise AnswerError(f"the server broke the reply off (finish_reason {finish})")
    message = choice.get("message")
    message = message if isinstance(message, dict) else {"content": choice.get("text")}
    content = message.get("content")
    said = _text(content) or _text(message.get("refusal"))
    thought = next(filter(None, (_text(message.get(name)) for name in _THOUGHT)), "") or _text(content, thought=True)
    counts = usage if isinstance(usage, dict) else {}
    tokens = (_number(counts.get("prompt_tokens")), _number(counts.get("completion_tokens")))
    return Completion(said, finish, *tokens, thought)


def _text(content: object, *, thought: bool = False) -> str:
    """The text of a message: as it stands, or in parts. Halves of characters, which no archive holds, are replaced.

    thought: of the parts that are thoughts, in place of the others.
    """
    if isinstance(content, list):
        parts = [part if isinstance(part, dict) else {"text": part} for part in content]
        chosen = [part for part in parts if thought == (part.get("type") in ("thinking", "reasoning"))]
        content = "".join(_text(part.get("text") or (part.get("thinking") if thought else "")) for part in chosen)
    elif thought:
        content = ""
    said = content if isinstance(content, str) else ""
    return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(value: object) -> int | None:
    counted = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return int(value) if counted and isinstance(value, int | float) and value == value and value < 2**31 else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _streamed(text: str) -> Any:
    """A stream of events, which nobody asked for, as the one completion that it makes up."""
    message: dict[str, str] = {}
    finish, usage, ended = None, None, False
    for event in (line[5:].strip() for line in re.split(r"[\r\n]+", text) if line.startswith("data:")):
        ended |= event == "[DONE]"
        chunk = _parsed(event)
        if not isinstance(chunk, dict):
            if event not in ("", "[DONE]"):
                raise AnswerError("a piece of the reply's stream can't be read")
            continue
        if chunk.get("error"):
            return chunk
        usage = chunk.get("usage") or usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                finish = choice.get("finish_reason") or finish
                pieces = choice.get("delta") or choice.get("message")
                for name, piece in pieces.items() if isinstance(pieces, dict) else ():
                    message[name] = message.get(name, "") + (piece if isinstance(piece, str) else _text(piece))
    if not (ended or finish):
        raise AnswerError("the stream of the reply breaks off")
    said = [{"message": message, "finish_reason": finish}] if message or finish else []
    return {"choices": said, "usage": usage}


def _inner_status(value: dict[str, Any]) -> int:
    """The status that an error inside a 200 gives itself, as OpenRouter's do; 0 if none."""
    error = value.get("error")
    told = error if isinstance(error, dict) else value
    codes = [str(told.get(name)) for name in ("code", "status", "status_code")]
    return next((int(code) for code in codes if re.fullmatch(r"[45]\d\d", code)), 0)


def _fault(status: int, headers: Mapping[str, str], text: str, value: object, what: str = "") -> AnswerError:
    words = " ".join([*_strings(value)] if isinstance(value, dict) else [text]).lower()
    pause = _pause(headers, words)
    told = what or (f"status {status}" if status else "the server tells of an error")
    kind, cause = _judged(status, words, waits=pause > 0)
    if cause == "other" and value is None and text.lstrip()[:1] == "<" and kind == "stays":
        cause = "page"
    return AnswerError(
        f"{told}: {gist(text, value)}",
        kind,
        cause,
        status=status,
        pause=pause,
        words=words,
        fields=tuple(_marked(value)),
    )


def _judged(status: int, words: str, *, waits: bool) -> tuple[Kind, Cause]:
    spent = not waits and _QUOTA.search(words)
    if status in _LOOSE and not spent and _BUSY.search(words):
        return "passes", "busy"
    filtered = status != 500 and _FILTERED.search(words)
    if status == 413 or (status in _LOOSE and (filtered or _TOO_LONG.search(words))):
        return "prompt", "other"
    if status == 402 or (status in (0, 400, 403, 429) and spent):
        return "stays", "quota"
    if status in (401, 403) or (status in (0, 400) and _KEY.search(words)):
        return "stays", "key"
    if status in _AGAIN or status == 0 or (status >= 500 and status not in _FOR_GOOD):
        return "passes", "other"
    return "stays", "other"


def _strings(value: object) -> Iterator[str]:
    """All that an error says, without what it repeats of the request."""
    if isinstance(value, str):
        yield value
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, str | dict | list) and key not in ("input", "body", "request", "messages"):
            yield from _strings(inner)
        elif key == "n_ctx":
            yield f"{key} {inner}"
    for inner in value if isinstance(value, list) else ():
        yield from _strings(inner)


def _marked(value: object) -> Iterator[str]:
    """Names of fields in `param` (OpenAI) and in `loc` (FastAPI)."""
    for inner in value if isinstance(value, list) else ():
        yield from _marked(inner)
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key in ("param", "loc", "field"):
            yield from (str(part) for part in (inner if isinstance(inner, list) else [inner]))
        else:
            yield from _marked(inner)


def _pause(headers: Mapping[str, str], words: str) -> float:
    """Seconds to wait, as Retry-After says (a number or a date), or the message."""
    told = headers.get("retry-after", "").strip()
    if told.replace(".", "", 1).isdecimal():
        return float(told)
    if told:
        try:
            date = parsedate_to_datetime(told)
        except ValueError:
            return 0.0
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    found = _WAIT.search(words)
    spans = re.findall(_SPAN, found[1]) if found else []
    return sum(float(number) * (0.001 if unit == "ms" else _SECONDS[unit[0]]) for number, unit in spans)
