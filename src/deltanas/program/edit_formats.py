"""The two forms in which an edit is written, read as models really write them: unified diffs and SEARCH/REPLACE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cached_property
from itertools import takewhile
from typing import Literal, Self

from deltanas.errors import EditError
from deltanas.program.alternatives import refuse_alternatives

EXPECTED = """Expected one or more blocks of this form, or a unified diff:
<<<<<<< SEARCH
lines of the file, copied exactly
=======
the lines to put in their place
>>>>>>> REPLACE"""

SEARCH, DIVIDER, REPLACE = (
    re.compile(rf"([ \t]*){pattern}")
    for pattern in (r"(?:<{5,9}|-{5,9}) ?SEARCH\b", r"={5,9}\s*$", r"(?:>{5,9}|\+{5,9}) ?REPLACE\b")
)
FENCE = re.compile(r"([ \t]*)(?:```|~~~)\s*(\w*)")
_TAG = re.compile(r"</?([A-Za-z][\w-]*)>\s*$")
_DIFF_NAMES = ("diff", "patch", "udiff", "delta")
_OTHER_HEADER = re.compile(
    r"diff --git |Index: |index [0-9a-f]+\.\.|(new|deleted) file mode |similarity index |\*\*\* "
)
_RULE = re.compile(r"-- ?|-{3,}|\*{3,}|_{3,}")
"""What stands before a mail's signature, and rules between a diff and prose. No line of Python is marked so."""
_BULLET = re.compile(r"[-+] \S")
_STATED = re.compile(r"@@ *-(\d+)(?:,(\d+))?(?: +\+\d+(?:,(\d+))?)?")

MOST_COMPARED = 250_000
"""Old lines times new lines of a block up to which they are compared; beyond, all old ones go and all new ones come."""
MOST_PEELED = 2
"""Empty lines inside each mark of a block that are taken for decoration."""


Column = Literal["own", "lost", "overwritten"]
"""How a diff's lines bear their mark: in a column of its own; kept lines without the blank that marks them; so, and the
marks of the others over their first blank."""


@dataclass(frozen=True)
class Reading:
    """One way to read a hunk.

    Attributes:
        old: the consecutive lines of the baseline that it speaks of. new: what it puts in their place.
        marked: its lines as a diff marks them; None for a block, which marks none.
        lost: its kept lines are taken to have lost their mark.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    marked: tuple[tuple[str, str], ...] | None = None
    lost: bool = False

    @classmethod
    def of(cls, marked: Iterable[tuple[str, str]], *, lost: bool = False) -> Self:
        lines = tuple(marked)
        old, new = (tuple(text for tag, text in lines if tag != other) for other in "+-")
        return cls(old, new, lines, lost)

    @cached_property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Lines tagged " " (kept), "-" (removed) or "+" (added), in the order of the file."""
        return _compared(self.old, self.new) if self.marked is None else self.marked


@dataclass(frozen=True)
class Hunk:
    """One hunk or block.

    Attributes:
        readings: the ways to read it, most literal first.
        looser: further ways, for where none of `readings` has a place.
        line: the 1-based line that a diff states for its first old line; a hint.
        final_newline: whether the new text ends in a newline, where a diff says so and reaches the end of the file.
        before: the lines of prose between the hunk before and this one.
    """

    readings: tuple[Reading, ...]
    looser: tuple[Reading, ...] = ()
    line: int | None = None
    final_newline: bool | None = None
    before: tuple[str, ...] = field(default=(), compare=False)


def hunks_of(edit: str) -> list[Hunk]:
    """The hunks or blocks of an edit, in the order of the text, at least one.

    Raises EditError: with edit 0 where the text holds none; with the number of the block that is cut short, or that is
    an alternative to the ones before.
    """
    lines = [line.removesuffix("\r") for line in edit.removeprefix("\ufeff").split("\n")]
    if lines[-1] == "":
        lines.pop()
    marked = any(SEARCH.match(line) or REPLACE.match(line) for line in lines)
    hunks = _blocks(lines) if marked else _diff_hunks(lines)
    if not hunks:
        raise EditError("The text holds no edit.", EXPECTED, edit=0)
    if len(set(hunks)) > 1:
        refuse_alternatives([hunk.before for hunk in hunks])
    return hunks


def _blocks(lines: list[str]) -> list[Hunk]:
    hunks: list[Hunk] = []
    old: list[str] | None = None
    new: list[str] | None = None
    prose: list[str] = []
    margin = ""
    for line in lines:
        number = len(hunks) + 1
        if opening := _mark(SEARCH, line, margin if old is not None else None):
            if old is not None:
                raise _malformed(number, "a second SEARCH line before its REPLACE line")
            old, margin = [], opening[1]
        elif _mark(REPLACE, line, margin if old is not None else None):
            if old is None or new is None:
                raise _malformed(number, "a REPLACE line with no SEARCH and ======= lines before it")
            hunks.append(replace(_block(old, new), before=tuple(prose)))
            old, new, prose = None, None, []
        elif old is None:
            prose.append(line)
        elif _mark(DIVIDER, line, margin):
            if new is not None:
                raise _malformed(number, "two ======= lines")
            new = []
        elif new is None:
            old.append(line)
        else:
            new.append(line)
    if old is not None:
        raise _malformed(len(hunks) + 1, "no REPLACE line at its end")
    for number, said in enumerate([*(hunk.before for hunk in hunks), prose], start=1):
        _refuse_diffs(number, said)
    return hunks


def _refuse_diffs(number: int, prose: Iterable[str]) -> None:
    in_diff = False
    for line in prose:
        if fence := FENCE.match(line):
            in_diff = fence[2].lower() in _DIFF_NAMES
        if line.startswith("@@") or (in_diff and line.startswith(("+", "-"))):
            raise _malformed(number, "a hunk of a diff among SEARCH/REPLACE blocks")


def _mark(pattern: re.Pattern[str], line: str, margin: str | None) -> re.Match[str] | None:
    """`line` as a mark. Inside a block it stands as far in as the block's first mark, or not at all."""
    found = pattern.match(line)
    return found if found and (margin is None or found[1] in ("", margin)) else None


def _block(old: list[str], new: list[str]) -> Hunk:
    """Small models put fences inside the marks, and empty lines between the marks and the code."""
    ways = [(old, new), (_without_fence(old), _without_fence(new))]
    ways += [peeled for sides in ways for peeled in _peeled(*sides)]
    first, *looser = dict.fromkeys(Reading(tuple(old), tuple(new)) for old, new in ways)
    return Hunk((first,), tuple(looser))


def _without_fence(lines: list[str]) -> list[str]:
    fenced = len(lines) > 1 and FENCE.match(lines[0]) and FENCE.match(lines[-1])
    return lines[1:-1] if fenced else lines


def _peeled(old: list[str], new: list[str]) -> list[tuple[list[str], list[str]]]:
    """Both sides without empty lines that both begin or both end with, fewest of them first."""
    most = [0, 0]
    for side, (a, b) in enumerate(((old, new), (old[::-1], new[::-1]))):
        most[side] = sum(1 for _ in takewhile(lambda pair: not (pair[0] + pair[1]).strip(), zip(a, b, strict=False)))
    if not any(line.strip() for line in old):
        return []
    cuts = [(i, j) for i in range(min(most[0], MOST_PEELED) + 1) for j in range(min(most[1], MOST_PEELED) + 1)]
    cuts = sorted((cut for cut in cuts if 0 < sum(cut) <= len(new)), key=sum)
    return [(old[i : len(old) - j], new[i : len(new) - j]) for i, j in cuts]


def _malformed(number: int, what: str) -> EditError:
    return EditError(f"Edit {number} has {what}.", EXPECTED, edit=number)


def _compared(old: Sequence[str], new: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """A block as tagged lines, so that lines on both sides stay as the baseline has them."""
    if len(old) * len(new) > MOST_COMPARED:
        return *(("-", text) for text in old), *(("+", text) for text in new)
    tagged: list[tuple[str, str]] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            tagged += [(" ", text) for text in old[i1:i2]]
        else:
            tagged += [("-", text) for text in old[i1:i2]] + [("+", text) for text in new[j1:j2]]
    return tuple(tagged)


@dataclass
class _Open:
    """A hunk while its lines are being collected.

    stated: the match of its `@@` line with line and counts. before: the prose that stands before it.
    """

    stated: re.Match[str] | None
    fenced: bool
    body: list[str]
    before: tuple[str, ...] = ()


def _diff_hunks(lines: list[str]) -> list[Hunk]:
    """Hunks begin at `@@`, or, where a diff has none, after its file header or at the start of its fence or tag."""
    found: list[_Open] = []
    current: _Open | None = None
    fenced = awaiting = False
    skip = 0
    prose: list[str] = []
    for i in range(len(lines)):
        if not fenced and current is None:
            _dedent_fence(lines, i)
        line = lines[i]
        fence, tag = FENCE.match(line) if line.startswith(("```", "~~~")) else None, _TAG.match(line)
        if skip:
            skip -= 1
        elif fence:
            fenced, current = not fenced, None
            awaiting = fenced and fence[2].lower() in _DIFF_NAMES
        elif _is_file_header(lines, i, inside=current is not None):
            current, awaiting, skip = None, True, 1
        elif tag or _OTHER_HEADER.match(line):
            current, awaiting = None, tag is not None and tag[1].lower() in _DIFF_NAMES and "/" not in line
        elif line.startswith("@@") or (current is None and awaiting and line):
            current = _Open(_STATED.match(line), fenced, [] if line.startswith("@@") else [line], tuple(prose))
            found.append(current)
            awaiting, prose = False, []
        elif current is not None:
            current.body.append(line)
            prose += [line] if line[:1].isalnum() or line[:1] in "#*" else []
        else:
            prose.append(line)
    hunks = [_hunk(one) for one in found if any(one.body)]
    if fenced and current is not None and _is_short(current):
        raise _malformed(len(hunks), "fewer lines than it states, and its code fence never ends: it is cut short")
    return hunks


def _dedent_fence(lines: list[str], start: int) -> None:
    """Where an indented code fence begins (as in a list), take its indentation from all of its lines, in place."""
    fence = FENCE.match(lines[start])
    if not fence or not fence[1]:
        return
    for i in range(start, len(lines)):
        line = lines[i]
        lines[i] = line.removeprefix(fence[1]) if line.strip() else line[len(fence[1]) :]
        if i > start and lines[i].startswith(("```", "~~~")):
            return


def _is_short(one: _Open) -> bool:
    if one.stated is None:
        return False
    old = sum(not line.startswith(("+", "\\")) for line in one.body)
    new = sum(not line.startswith(("-", "\\")) for line in one.body)
    return old < int(one.stated[2] or 1) or new < int(one.stated[3] or 1)


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
    ends_at = dict.fromkeys((len(body), _end_of_hunk(body, one.fenced), _end_of_patch(body, one.stated)))
    bodies = [body[:end] for end in ends_at]
    readings, looser = (
        tuple(dict.fromkeys(_tagged(lines, column) for lines in bodies for column in columns))
        for columns in (("own", "lost"), ("overwritten",))
    )
    return Hunk(readings, looser, int(one.stated[1]) if one.stated else None, final_newline, one.before)


def _end_of_hunk(body: list[str], fenced: bool) -> int:
    """Where the hunk may end early: at a blank line after its last change, with nothing or with prose behind it."""
    last_change = max((i for i, line in enumerate(body) if line.startswith(("+", "-"))), default=-1)
    for i in range(last_change + 1, len(body)):
        if body[i] == "":
            behind = [line for line in body[i:] if line]
            prose = not fenced and behind and not behind[0].startswith(" ")
            return i if prose or not behind else len(body)
    return len(body)


def _end_of_patch(body: list[str], stated: re.Match[str] | None) -> int:
    """Where the hunk ends early: before a mail's signature or a rule, or where its counts are filled and prose follows.

    Counts alone end nothing: models state false ones, and a change behind them may not be lost.
    """
    changed, rule = False, len(body)
    left = (int(stated[2] or 1), int(stated[3] or 1)) if stated and "+" in stated[0] else None
    for i, line in enumerate(body):
        if left == (0, 0):
            over = changed and (_RULE.fullmatch(line) or not _holds_a_change(body[i:]))
            return i if over else len(body)
        if changed and _RULE.fullmatch(line):
            rule = min(rule, i)
        changed |= line.startswith(("+", "-"))
        left = left and (left[0] - (not line.startswith("+")), left[1] - (not line.startswith("-")))
    return len(body) if left == (0, 0) else rule


def _holds_a_change(rest: list[str]) -> bool:
    """Whether lines behind a hunk may belong to it: one that changes, up to a signature or a rule, and is no bullet."""
    changes = [line for line in takewhile(lambda line: not _RULE.fullmatch(line), rest) if line[:1] in ("+", "-")]
    return any(not _BULLET.match(line) for line in changes) or rest[0].startswith((" ", "+", "-", "@"))


def _tagged(body: list[str], column: Column) -> Reading:
    tagged = []
    for line in body:
        if line.startswith(("+", "-")):
            gone = line[1:2] if column == "overwritten" else ""
            tagged.append((line[0], (gone if not gone.strip() else "") + line[1:]))
        elif line.startswith(" ") and column == "own":
            tagged.append((" ", line[1:]))
        else:
            tagged.append((" ", line))
    return Reading.of(tagged, lost=column == "lost")


def is_marker(line: str) -> bool:
    """Whether a line, standing alone in a SEARCH/REPLACE block, would be taken for one of its marks."""
    return any(pattern.match(line) for pattern in (SEARCH, DIVIDER, REPLACE))
