"""Does a text hold one edit, or several to choose from? Told by the words that stand between its blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deltanas.errors import EditError

_WHAT = (
    r"(?:option|alternative|variant|variation|approach|version|choice|proposal|suggestion|solution|candidate|possibility"
    r"|idea|attempt|draft|take|try|way|method|plan)"
)
_AGAIN = "option|alternative|variant|version|proposal|suggestion|solution|attempt|draft|answer|edit"
_LABEL = re.compile(
    rf"\W*(?:the )?(?:(?P<which>first|second|third|fourth|1st|2nd|3rd) {_WHAT}"
    rf"|(?P<what>variante|{_WHAT}|v(?=\d)|方案|选项|版本)\W*"
    r"(?P<number>\d+|[a-h]|one|two|three|four|i{1,3}|iv|[一二三四])(?=\W|$))",
    re.IGNORECASE,
)
_OFFER = re.compile(
    r"\W*(?:here|below|these|the following) (?:are|is)\b.{0,30}\b(?:options|alternatives|possibilities|choices)\b"
    r"|(?:.*[,.;:] )?\W*(?:please )?(?:pick|choose|select) (?:either|one|any|whichever)"
    r"(?:\W*$| (?:of (?:these|them|the (?:following|two|three|options))|below|you)\b)",
    re.IGNORECASE,
)
"""Said before all of them."""
_OTHERWISE = re.compile(
    r"\W*(?:or,? )?alternatively\b|.*[.!?:;] alternatively\b|\W*or\b[ ,:]*(?:else|instead|perhaps|maybe|rather|:|$)"
    rf"|\W*(?:or,? )?(?:as )?(?:another|an|one more|the other|a different|a second) (?:possible )?{_WHAT}\b"
    r"|\W*(?:or,? )?if you (?:would |'d )?(?:prefer|rather)\b"
    r"|\W*(?:or,? )?you (?:could|can|may|might) (?:instead|otherwise)\b|\W*instead of (?:that|this|the above)\b",
    re.IGNORECASE,
)
_REVISED = re.compile(
    r"\W*(?:no[,.!]? )?(?:wait\b|actually[,.]|hmm+\b|on second thoughts?\b|on reflection\b|scratch that|never ?mind"
    r"|(?:forget|discard|disregard|ignore) (?:that|this|the)\b|let me (?:re\w+|correct|fix|try)\b"
    r"|i made (?:a|an) (?:mistake|error)|sorry[,.!]|correction\b|(?:here(?: is|'s) )?(?:a |the |my )?"
    rf"(?:corrected|revised|improved|better|fixed|updated|final|refined|simpler) (?:{_AGAIN})\b(?! (?:for|of|to)\b)"
    r"|(?:my |the )?(?:answer|final(?: (?:edit|code|change|output|result|patch|diff))?)\W*$)",
    re.IGNORECASE,
)


def refuse_alternatives(before: Sequence[Sequence[str]]) -> None:
    """Raise EditError where the blocks are not one edit.

    Args:
        before: for each block the lines of prose between it and the one before.
    """
    labels: set[str] = set()
    for number, lines in enumerate(before, start=1):
        said = [line.strip() for line in lines]
        labelled = [line for line in said if _label(line)][-1:]
        labels |= {_label(line) for line in labelled}
        if len(labels) > 1:
            raise _error("offers alternatives", labelled[0], number)
        for line in said:
            if _OFFER.match(line):
                raise _error("offers alternatives", line, max(number, 2))
        for line in said if number > 1 else ():
            if _OTHERWISE.match(line):
                raise _error("offers alternatives", line, number)
            if _REVISED.match(line):
                raise _error("revises itself", line, number)


def _label(line: str) -> str:
    """What an alternative is called at the beginning of a line, as "option 2"; "" where none is."""
    found = _LABEL.match(line)
    return (found["which"] or f"{found['what']} {found['number']}").lower() if found else ""


def _error(what: str, said: str, number: int) -> EditError:
    return EditError(
        f"The text {what}: {said[:80]!r} stands before edit {number}. It is not known which edit is meant.",
        "Give one edit: all of its blocks, and no other ones.",
        edit=number,
    )
