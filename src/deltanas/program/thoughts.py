"""What a model thinks before it answers, told from what it answers: a thought is kept on record and never applied."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache

from deltanas.program.canonical import parsed
from deltanas.program.edit_formats import DIVIDER, FENCE, REPLACE, SEARCH

_WORD = (
    r"(?:[a-z]+[_:.-]|ant)?"
    r"(?:think(?:ing)?|thoughts?|reason(?:ing|s)?|reflect(?:ion)?|analysis|scratch_?pad|(?:inner_|internal_)?monologue"
    r"|chain_of_thought|cot|plan(?:ning)?|brainstorm(?:ing)?|deliberation|drafts?)(?:_process)?"
)
_OPEN = re.compile(
    rf"<\|?(?P<name>{_WORD})(?:\s[^<>\n]*)?\|?>|\[(?P<bare>{_WORD})\]|◁think▷|<\|(?:begin_of_thought|start_thinking)\|>"
    r"|<\|channel>thought\b|<unused94>thought\b|^Thinking\.\.\.[ \t]*\r?$"
    r"|<details[^<>\n]*(?:type=\"reasoning\"|>\s*<summary>(?:thought|thinking|reasoning)\b)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSE = re.compile(
    rf"<(?:/|\|/|/\|)(?P<name>{_WORD})\|?>|\[/(?P<bare>{_WORD})\]|◁/think▷|<\|end_(?:of_thought|thinking)\|>"
    r"|<channel\|>|<unused95>|^\.\.\.done thinking\.[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)
_DETAILS = re.compile(r"</details>", re.IGNORECASE)
_CHANNEL = re.compile(
    r"(?:<\|start\|>\s*\w*\s*)?<\|channel\|>\s*(\w+)[^\n]*?<\|message\|>|\A\s*(analysis|commentary|final)<\|message\|>"
)
_END_OF_MESSAGE = re.compile(r"<\|(?:end|return|call|start)\|>.*", re.DOTALL)
_UNMARKED, _FINAL = re.compile(r"\s*analysis(?=[A-Z])"), "assistantfinal"
"""Channels whose marks a decoder dropped: the names alone are left, run into the text."""
PROGRAM = re.compile(r"^(?:import |from \S+ import |class \w|def \w|\"\"\")", re.MULTILINE)
"""A line that begins a program."""
MOST_MARKS = 200
"""Marks of a reply that is read; one with more goes round in circles, and nothing of it is an answer."""
_EMPTY_LINES = re.compile(r"\A(?:[ \t]*\r?\n)+")


@dataclass(frozen=True)
class Spoken:
    """A reply in its parts.

    Attributes:
        answer: what stands outside of thoughts, verbatim. thinks: whether there is a thought.
        unfinished: a thought begins that never ends, so the answer may be missing.
    """

    answer: str
    thinks: bool = False
    unfinished: bool = False


def spoken(reply: str) -> Spoken:
    """Tell a reply's answer from its thoughts.

    A thought stands between marks (`<think>`, `<reasoning>`, `[THINK]`, channels, ...), or before a closing mark whose
    opening one the prompt held. A mark that the answer quotes is none: in a SEARCH/REPLACE block, a hunk or a code
    block, in a program, or in quotation marks.
    """
    if _UNMARKED.match(reply):
        _, found, answer = reply.rpartition(_FINAL)
        return Spoken(answer if found else "", True, unfinished=not found)
    first = _CHANNEL.search(reply)
    if first and not _is_quoted(reply, first):
        return _final_channel(reply)
    marks = sum(1 for pattern in (_OPEN, _CLOSE) for _ in pattern.finditer(reply))
    if not marks or marks > MOST_MARKS:
        return Spoken("", True, unfinished=True) if marks else Spoken(reply)
    text, thinks, unfinished = _without_pairs(reply)
    for close in reversed(list(_CLOSE.finditer(text))):
        if not _is_quoted(text, close, ahead=True) and _ends_a_thought(text, close):
            text, thinks = text[close.end() :], True
            break
    return Spoken(_EMPTY_LINES.sub("", text), True, unfinished) if thinks else Spoken(reply)


def answer_mark(prompt: str) -> str:
    """What a prompt lacks for the answer to come next: the end of a thought that it opens, or the answer's channel."""
    if prompt.endswith("<|start|>assistant"):
        return "<|channel|>final<|message|>"
    *_, last = (None, *_OPEN.finditer(prompt))
    if last is None or prompt[last.end() :].strip():
        return ""
    closing = last[0].replace("START_", "END_").replace("begin_of", "end_of")
    if closing == last[0]:
        closing = re.sub(r"^(<\|?|\[|◁)", r"\1/", closing)
    return f"\n{closing}\n\n"


def _without_pairs(text: str) -> tuple[str, bool, bool]:
    """The text without thoughts that begin with a mark; whether there are any, and whether the last one never ends."""
    start, thinks = 0, False
    while opened := _OPEN.search(text, start):
        start = opened.end()
        if _is_quoted(text, opened):
            continue
        close = _closing(text, opened)
        if _is_heading(opened, close):
            continue
        if close:
            start, thinks = opened.start(), True
            text = text[: opened.start()] + text[close.end() :]
        elif not text[: opened.start()].rpartition("\n")[2].strip():
            return text[: opened.start()], True, True
    return text, thinks, False


def _closing(text: str, opened: re.Match[str]) -> re.Match[str] | None:
    """Where a thought ends: at its own closing mark, or where it has none, at any."""
    if opened[0].lower().startswith("<details"):
        return _DETAILS.search(text, opened.end())
    found = [close for close in _CLOSE.finditer(text, opened.end()) if not _is_mentioned(text, close)]
    names = [(close["name"] or close["bare"] or "").lower() for close in found]
    name = (opened["name"] or opened["bare"] or "").lower()
    return found[names.index(name) if name in names else 0] if found else None


def _is_heading(opened: re.Match[str], close: re.Match[str] | None) -> bool:
    """Whether a word in brackets, as "[Plan]", stands over lines of the answer: no mark of its own closes it."""
    word = (opened["bare"] or "think").lower()
    return word != "think" and (close is None or (close["bare"] or "").lower() != word)


def _final_channel(reply: str) -> Spoken:
    """What was said in the channel `final`, of messages that each begin with their channel's name."""
    messages = list(_CHANNEL.finditer(reply))
    ends = [*(message.start() for message in messages[1:]), len(reply)]
    said = [
        _END_OF_MESSAGE.sub("", reply[message.end() : end])
        for message, end in zip(messages, ends, strict=True)
        if (message[1] or message[2]) == "final"
    ]
    return Spoken("\n".join(said), True, unfinished=not said)


def _ends_a_thought(text: str, close: re.Match[str]) -> bool:
    """Whether a lone closing mark stands at an edge of its line, as marks do; in mid-sentence it is spoken of."""
    before = text[: close.start()].rpartition("\n")[2]
    behind = text[close.end() :].partition("\n")[0]
    return not before.strip() or not behind.strip() or not behind[:1].isspace()


def _is_quoted(text: str, mark: re.Match[str], *, ahead: bool = False) -> bool:
    """Whether a mark belongs to what the answer quotes. ahead: what is open before the mark may never end."""
    at = mark.start()
    return (
        _is_mentioned(text, mark)
        or _in_block(text, at, ahead=ahead)
        or _in_fence(text, at, ahead=ahead)
        or _in_hunk(text, at)
        or _in_program(text, at)
    )


def _is_mentioned(text: str, mark: re.Match[str]) -> bool:
    before, behind = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
    return before == behind and before in ('"', "'", "`") and before != ""


def _in_block(text: str, at: int, *, ahead: bool) -> bool:
    behind = [line for line in text[:at].split("\n") if SEARCH.match(line) or REPLACE.match(line)]
    if not behind or REPLACE.match(behind[-1]):
        return False
    lines = text[at:].split("\n")[1:]
    following = next((line for line in lines if any(p.match(line) for p in (SEARCH, DIVIDER, REPLACE))), "")
    return not ahead or (following != "" and not SEARCH.match(following))


def _in_fence(text: str, at: int, *, ahead: bool) -> bool:
    lines = text.split("\n")
    own = text.count("\n", 0, at)
    fences = [number for number, line in enumerate(lines) if FENCE.match(line)]
    before, behind = [one for one in fences if one < own], [one for one in fences if one > own]
    if not ahead or not len(before) % 2 == len(behind) % 2 == 1:
        return len(before) % 2 == 1 and not ahead
    code = "\n".join(lines[before[-1] + 1 : behind[0]])
    return not _CLOSE.fullmatch(lines[own].strip()) or _parses(textwrap.dedent(code))


def _in_hunk(text: str, at: int) -> bool:
    *above, own = text[:at].split("\n")
    if not own.startswith((" ", "+", "-")):
        return False
    for line in reversed(above):
        if line.startswith(("@@", "+++ ")):
            return True
        if line and not line.startswith((" ", "+", "-", "\\")):
            return False
    return False


def _in_program(text: str, at: int) -> bool:
    """Whether the text is a program from before the mark to its end: thoughts in words don't parse."""
    begins = PROGRAM.search(text)
    if not begins or begins.start() > at:
        return False
    return _parses(text[begins.start() :])


@lru_cache(maxsize=8)  # every mark of a text asks about the same program
def _parses(code: str) -> bool:
    return parsed(code) is not None
