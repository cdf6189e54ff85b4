"""Grammars that hold a model's reply to edits, in llguidance's dialect of Lark."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from deltanas.program import SpaceEdit

END_OF_BLOCK = ">>>>>>> REPLACE"
MOST_NEW_LINES = 24
DEEPEST = 6
"""Of new lines: parentheses in parentheses."""
REASON = "Reason: "
LEAST_REASON, MOST_REASON = 20, 400
"""Characters of what a model says before its edit."""
_FREE_LINE = r"(([^<=>\n][^\n]*)?\n)"


def written(edit: SpaceEdit) -> str:
    """A simple edit as the model writes it."""
    return f"{edit.old}\n=>\n{edit.new}"


def typed_grammar(edits: Sequence[SpaceEdit]) -> str:
    """Exactly the texts `written(edit)`, grouped by old lines: the model chooses a place, then what to put there."""
    places: dict[str, list[str]] = {}
    for edit in edits:
        places.setdefault(edit.old, []).append(edit.new)
    rules = [
        f"p{number}: {_quoted(f'{old}{chr(10)}=>{chr(10)}')} ({' | '.join(map(_quoted, news))})"
        for number, (old, news) in enumerate(places.items())
    ]
    return "\n".join([f"start: {' | '.join(f'p{number}' for number in range(len(places)))}", *rules, ""])


def reasoned(grammar: str) -> str:
    """The grammar with one line before its texts that says why."""
    start = f'start: "{REASON}" WHY "\\n" answer\nWHY: /[A-Z][ -~]{{{LEAST_REASON - 2},{MOST_REASON - 2}}}[.!?]/\n'
    return f"{start}{grammar.replace('start:', 'answer:', 1)}"


def anchored_grammar(source: str, place: str = "") -> str:
    """A SEARCH/REPLACE block whose SEARCH side is whole consecutive lines of `source`, the other side free lines.

    With a `place`, lines of `source`, the SEARCH side is these, and the other side is another text that can stand there
    (`_fitting`). A free line does not begin with "<", "=" or ">", as no line of Python does: a block has its own marks
    alone.
    """
    if place:
        parts = " & ".join([f"/{_FREE_LINE}{{0,{MOST_NEW_LINES}}}/", *_fitting(place), "~OLD"])
        rules = [f"OLD: {_quoted(f'{place}{chr(10)}')}", f"NEW: {parts}"]
    else:
        lines = [f"{line}\n" for line in source.removesuffix("\n").split("\n")]
        rules = ["OLD: LINES & /(?s:.+)/", f"LINES: %regex {json.dumps({'substring_chunks': lines})}"]
        rules += [f"NEW: /{_FREE_LINE}{{0,{MOST_NEW_LINES}}}/"]
    start = f'start: "<<<<<<< SEARCH\\n" OLD "=======\\n" NEW {_quoted(END_OF_BLOCK)}'
    return "\n".join([start, *rules, ""])


def _fitting(place: str) -> list[str]:
    """What new lines must be like to stand where `place` stands: nothing, or indented alike at their beginning; a comma
    at the end where it has one; and as many parentheses left open, or closed that they did not open.
    """
    first, last = place.split("\n")[0], place.split("\n")[-1]
    indent = first[: len(first) - len(first.lstrip())]
    rules = [rf"/({indent}[^ \t\n](?s:.*))?/"]
    if last.rstrip().endswith(","):
        rules.append(r"/((?s:.*),\n)?/")
    left, closed = 0, 0
    for mark in re.findall(r"[()]", place):
        left += 1 if mark == "(" else -1
        if left < 0:
            left, closed = 0, closed + 1
    text = r"[^()]*"
    for _ in range(DEEPEST):
        text = rf"([^()]|\({text}\))*"
    before = rf"({text}\)){{{closed}}}" if closed else ""
    behind = rf"(\({text}){{{left}}}" if left else ""
    rules.append(f"/{before}{text}{behind}/")
    return rules


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
