"""The two forms in which an edit is written, read as models really write them: unified diffs and SEARCH/REPLACE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from deltanas.errors import EditError

EXPECTED = """Expected one or more blocks of this form, or a unified diff:
<<<<<<< SEARCH
lines of the file, copied exactly
=======
the lines to put in their place
>>>>>>> REPLACE"""

_SEARCH, _DIVIDER, _REPLACE = (re.compile(p) for p in (r"<{5,9} ?SEARCH\b", r"={5,9}\s*$", r">{5,9} ?REPLACE\b"))
_FENCE = re.compile(r"(?:```|~~~)\s*(\w*)")
_OTHER_HEADER = re.compile(
    r"diff --git |Index: |index [0-9a-f]+\.\.|(new|deleted) file mode |similarity index |\*\*\* "
)
_STATED_LINE = re.compile(r"@@ *-(\d+)")


@dataclass(frozen=True)
class Reading:
    """One way to read a hunk: lines tagged " " (kept), "-" (removed) or "+" (added), in the order of the file."""

    lines: tuple[tuple[str, str], ...]

    @cached_property
    def old(self) -> list[str]:
        """The consecutive lines of the baseline that this reading speaks of."""
        return [text for tag, text in self.lines if tag != "+"]


@dataclass(frozen=True)
class Hunk:
    """One hunk or block.

    Attributes:
        readings: the ways to read it, most literal first.
        line: the 1-based line that a diff states for its first old line; a hint.
        final_newline: whether the new text ends in a newline, where a diff says so and reaches the end of the file.
    """

    readings: tuple[Reading, ...]
    line: int | None = None
    final_newline: bool | None = None


def hunks_of(edit: str) -> list[Hunk]:
    """The hunks or blocks of an edit, in the order of the text, at least one.

    Raises EditError: with edit 0 where the text holds none, else with the number of the block that is cut short.
    """
    lines = [line.removesuffix("\r") for line in edit.split("\n")]
    if lines[-1] == "":
        lines.pop()
    marked = any(_SEARCH.match(line) or _REPLACE.match(line) for line in lines)
    hunks = _blocks(lines) if marked else _diff_hunks(lines)
    if not hunks:
        raise EditError("The text holds no edit.", EXPECTED, edit=0)
    return hunks


def _blocks(lines: list[str]) -> list[Hunk]:
    hunks: list[Hunk] = []
    old: list[str] | None = None
    new: list[str] | None = None
    for line in lines:
        number = len(hunks) + 1
        if _SEARCH.match(line):
            if old is not None:
                raise _malformed(number, "a second SEARCH line before its REPLACE line")
            old = []
        elif _REPLACE.match(line):
            if old is None or new is None:
                raise _malformed(number, "a REPLACE line with no SEARCH and ======= lines before it")
            hunks.append(Hunk((_compared(old, new),)))
            old = new = None
        elif old is None:
            if line.startswith("@@"):
                raise _malformed(number, "a hunk of a diff among SEARCH/REPLACE blocks")
        elif _DIVIDER.match(line):
            if new is not None:
                raise _malformed(number, "two ======= lines")
            new = []
        elif new is None:
            old.append(line)
        else:
            new.append(line)
    if old is not None:
        raise _malformed(len(hunks) + 1, "no REPLACE line at its end")
    return hunks


def _malformed(number: int, what: str) -> EditError:
    return EditError(f"Edit {number} has {what}.", EXPECTED, edit=number)


def _compared(old: list[str], new: list[str]) -> Reading:
    """A block as tagged lines, so that lines on both sides stay as the baseline has them."""
    tagged: list[tuple[str, str]] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            tagged += [(" ", text) for text in old[i1:i2]]
        else:
            tagged += [("-", text) for text in old[i1:i2]] + [("+", text) for text in new[j1:j2]]
    return Reading(tuple(tagged))


@dataclass
class _Open:
    """A hunk while its lines are being collected."""

    line: int | None
    fenced: bool
    body: list[str]


def _diff_hunks(lines: list[str]) -> list[Hunk]:
    """Hunks begin at `@@`, or, where a diff has none, after its file header or at the start of its fence."""
    found: list[_Open] = []
    current: _Open | None = None
    fenced = awaiting = False
    skip = 0
    for i, line in enumerate(lines):
        fence = _FENCE.match(line)
        if skip:
            skip -= 1
        elif fence:
            fenced, current = not fenced, None
            awaiting = fenced and fence[1].lower() in ("diff", "patch", "udiff")
        elif _is_file_header(lines, i, inside=current is not None):
            current, awaiting, skip = None, True, 1
        elif _OTHER_HEADER.match(line):
            current = None
        elif line.startswith("@@") or (current is None and awaiting and line):
            stated = _STATED_LINE.match(line)
            current = _Open(int(stated[1]) if stated else None, fenced, [] if line.startswith("@@") else [line])
            found.append(current)
            awaiting = False
        elif current is not None:
            current.body.append(line)
    return [_hunk(one) for one in found if any(one.body)]


def _is_file_header(lines: list[str], i: int, *, inside: bool) -> bool:
    """`--- a` over `+++ b`; inside a hunk these may be a removed and an added line, unless a new hunk follows."""
    if not (lines[i].startswith("--- ") and lines[i + 1 : i + 2] and lines[i + 1].startswith("+++ ")):
        return False
    return not inside or any(line.startswith("@@") for line in lines[i + 2 : i + 3])


def _hunk(one: _Open) -> Hunk:
    body: list[str] = []
    ends: dict[str, bool] = {}
    for line in one.body:
        if line.startswith("\\"):
            ends["old" if body and body[-1].startswith("-") else "new"] = False
        else:
            body.append(line)
    final_newline = None if not ends else "new" not in ends
    bodies = [body, body[: _end_of_hunk(body, one.fenced)]]
    readings = (_tagged(lines, lost=lost) for lines in bodies for lost in (False, True))
    return Hunk(tuple(dict.fromkeys(readings)), one.line, final_newline)


def _end_of_hunk(body: list[str], fenced: bool) -> int:
    """Where the hunk may end early: at a blank line after its last change, with nothing or with prose behind it."""
    last_change = max((i for i, line in enumerate(body) if line.startswith(("+", "-"))), default=-1)
    for i in range(last_change + 1, len(body)):
        if body[i] == "":
            behind = [line for line in body[i:] if line]
            prose = not fenced and behind and not behind[0].startswith(" ")
            return i if prose or not behind else len(body)
    return len(body)


def _tagged(body: list[str], *, lost: bool) -> Reading:
    """`lost`: the kept lines were written without the space that marks them, so their first blank is their own."""
    tagged = []
    for line in body:
        if line.startswith(("+", "-")) or (line.startswith(" ") and not lost):
            tagged.append((line[0], line[1:]))
        else:
            tagged.append((" ", line))
    return Reading(tuple(tagged))


def is_marker(line: str) -> bool:
    """Whether a line, standing alone in a SEARCH/REPLACE block, would be taken for one of its marks."""
    return any(pattern.match(line) for pattern in (_SEARCH, _DIVIDER, _REPLACE))
