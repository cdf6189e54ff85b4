"""Grammars as llama.cpp reads them (GBNF), made from ours (llguidance's dialect of Lark) as far as can be.

GBNF can't say that a text is not another, nor that it is of two forms at once: there it allows more, and the reply has
to be checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_RULE = re.compile(r"(\w+):\s*(.*)")
_PIECE = re.compile(r'\s+|"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)+/|\w+|\{\d*,?\d*\}|[()|*+?]')
_REGEX_PIECE = re.compile(r"\[(?:[^\]\\]|\\.)+\]|\((?!\?)|[)|*+?]|\{\d*,?\d*\}|\\[nrt]|\\[^\w\s]|[^\\.^$(\[{}]")
_CHUNKS = re.compile(r"%regex\s+(\{.*\})")
_ANY_TEXT = re.compile(r"(\w+)\s*&\s*/\(\?s:\.\+\)/")
"""A rule that is another, but not empty."""
_AND = re.compile(r"(?<=/)\s*&\s*/(?:[^/\\]|\\.)+/|\s*&\s*~\s*\w+$")
"""What a text of a rule must be beside a first form, or must not be."""


def gbnf(grammar: str) -> str | None:
    """The grammar in GBNF, with the same texts and those that `&` rules out; None where it can't be said."""
    try:
        return "\n".join(rule for line in grammar.splitlines() if line.strip() for rule in _rules(line)) + "\n"
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """Something that is not translated."""


def _rules(line: str) -> Iterator[str]:
    rule = _RULE.fullmatch(line)
    if not rule:
        raise _UnknownError
    name, text = _name(rule[1]), rule[2].strip()
    same, body = _ANY_TEXT.fullmatch(text), _AND.sub("", text)
    chunks = _CHUNKS.fullmatch(body)
    if chunks:
        yield from _substrings(name, json.loads(chunks[1]))
    elif same:
        yield f"{name} ::= {_name(same[1])}"
    else:
        yield f"{name} ::= {' '.join(_body(body))}"


def _name(name: str) -> str:
    return "root" if name == "start" else name.replace("_", "-")


def _substrings(name: str, regex: dict[str, list[str]]) -> Iterator[str]:
    """One or more chunks in a row, from any of them on. (llguidance also allows none; no grammar of ours does.)"""
    if regex.keys() != {"substring_chunks"}:
        raise _UnknownError
    chunks = regex["substring_chunks"]
    yield f"{name} ::= {' | '.join(f'{name}-{place}' for place in range(len(chunks)))}"
    for place, chunk in enumerate(chunks):
        more = f" {name}-{place + 1}?" if place + 1 < len(chunks) else ""
        yield f"{name}-{place} ::= {_literal(chunk)}{more}"


def _body(body: str) -> Iterator[str]:
    for piece in _pieces(_PIECE, body):
        if piece.startswith('"'):
            yield _literal(json.loads(piece))
        elif piece.startswith("/"):
            yield f"({' '.join(_regex(piece[1:-1]))})"
        elif piece.strip():
            yield _name(piece) if piece[0].isalpha() else piece


def _regex(regex: str) -> Iterator[str]:
    for piece in _pieces(_REGEX_PIECE, regex):
        if piece[0] in "[{" or piece in ("(", ")", "|", "*", "+", "?"):
            yield piece
        elif piece in (r"\n", r"\r", r"\t"):
            yield f'"{piece}"'
        else:
            yield _literal(piece[-1])


def _pieces(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = pattern.match(text, place)
        if not found:
            raise _UnknownError
        yield found[0]
        place = found.end()


def _literal(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c) or (f"\\x{ord(c):02X}" if ord(c) < 32 else c) for c in text) + '"'
