"""Edits: an edit applies exactly or not at all. There is no fuzzy matching; a miss says what came nearest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches, unified_diff
from itertools import pairwise
from operator import eq
from typing import Literal

from deltanas.errors import EditError
from deltanas.program.edit_formats import Hunk, Reading, hunks_of

Rung = Literal["exact", "line-end", "indentation"]
RUNGS: tuple[Rung, ...] = ("exact", "line-end", "indentation")
"""How an edit applied, best first: verbatim, but for blanks at line ends, but for one shift of indentation."""

Shift = tuple[str, str]
"""Indentation to take from each new line, then to put before it."""


@dataclass(frozen=True)
class AppliedEdit:
    """An edited source, and the worst rung that a hunk of the edit needed."""

    source: str
    rung: Rung


NO_SHIFT: Shift = ("", "")


@dataclass(frozen=True)
class _Placed:
    number: int
    reading: Reading
    start: int
    rung: Rung
    final_newline: bool | None

    @property
    def end(self) -> int:
        return self.start + len(self.reading.old)


def apply_edit(base: str, edit: str) -> AppliedEdit:
    """`base` with `edit` applied: a unified diff or SEARCH/REPLACE blocks, prose and code fences around them ignored.

    Line numbers and counts in `@@` are hints: they choose among several exact places, and nothing else. Hunks are
    looked up in `base` as it was given, may not overlap, and apply all or none. Kept lines stay as they are in `base`,
    down to their line endings; whether the text ends in a newline changes only where a diff says so.

    Raises EditError where the text holds no edit, a hunk has no place or several, hunks overlap, or nothing changes.
    """
    lines, endings = _split(base)
    hunks = hunks_of(edit)
    placed = [_place(number, hunk, lines) for number, hunk in enumerate(hunks, start=1)]
    ordered = sorted(placed, key=lambda one: (one.start, one.end))
    for before, after in pairwise(ordered):
        if after.start < before.end or after.start == before.start:
            raise EditError(
                f"Edits {before.number} and {after.number} overlap at line {after.start + 1}.",
                "Join them into one edit.",
                edit=max(before.number, after.number),
            )
    source = _rendered(lines, endings, ordered)
    if source == base:
        raise EditError("The edit changes nothing.", "Change at least one line.", edit=1)
    return AppliedEdit(source, max((one.rung for one in placed), key=RUNGS.index))


def diff(base: str, edited: str, name: str = "net.py") -> str:
    """The unified diff from `base` to `edited`, "" where they have the same lines.

    Three lines of context, more where a hunk would otherwise have several places in `base`, so that the numbers in
    `@@` are never needed. `edited` is taken to have the line endings of `base`.
    """
    old, new = _with_newlines(base), _with_newlines(edited)
    if old == new:
        return ""
    plain = [line.removesuffix("\n") for line in old]
    context = 3
    groups = _groups(old, new, context)
    while context < len(old) and any(len(_places(plain[g[0][1] : g[-1][2]], plain, "exact")) != 1 for g in groups):
        context += 1
        groups = _groups(old, new, context)
    text = [f"--- a/{name}\n", f"+++ b/{name}\n"]
    for group in groups:
        text.append(f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@\n")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                text += [" " + line for line in old[i1:i2]]
            else:
                text += ["-" + line for line in old[i1:i2]]
                text += ["+" + line for line in new[j1:j2]]
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in text)


def _groups(old: list[str], new: list[str], context: int) -> list[list[tuple[str, int, int, int, int]]]:
    # A fresh matcher each time: get_grouped_opcodes cuts the opcodes that its matcher keeps.
    return list(SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context))


def _range(start: int, end: int) -> str:
    return f"{start + 1 if end > start else start},{end - start}"


def _split(text: str) -> tuple[list[str], list[str]]:
    """Lines without their endings, and the endings ("" only for a last line that has none)."""
    parts = re.split(r"(\r?\n)", text)
    lines, endings = parts[0::2], [*parts[1::2], ""]
    if lines[-1] == "":
        return lines[:-1], endings[:-1]
    return lines, endings


def _with_newlines(text: str) -> list[str]:
    lines, endings = _split(text)
    return [line + ("\n" if ending else "") for line, ending in zip(lines, endings, strict=True)]


def _place(number: int, hunk: Hunk, lines: list[str]) -> _Placed:
    """The one place of a hunk. A rung is tried only where the rungs above it found no place at all."""
    if lines and not all(reading.old for reading in hunk.readings):
        raise EditError(
            f"Edit {number} adds lines without saying where.",
            "Quote at least one line of the file, unchanged, next to the new ones.",
            edit=number,
        )
    for rung in RUNGS:
        for reading in hunk.readings:
            places = _places(reading.old, lines, rung)
            if len(places) > 1 and rung == "exact" and hunk.line is not None:
                places = [place for place in places if place[0] == hunk.line - 1] or places
            if len(places) > 1:
                found = ", ".join(str(start + 1) for start, _ in places[:8])
                raise EditError(
                    f"Edit {number} fits {len(places)} places, at lines {found}.",
                    "Quote more of the lines around the change, until only one place fits.",
                    edit=number,
                )
            if places:
                start, shift = places[0]
                return _Placed(number, _shifted(number, reading, shift), start, rung, hunk.final_newline)
    raise EditError(
        f"Edit {number} quotes lines that the file does not have.",
        "Copy the lines to replace exactly as they stand in the file.",
        edit=number,
        nearest=_nearest(hunk.readings[0].old, lines),
    )


def _places(old: Sequence[str], lines: Sequence[str], rung: Rung) -> list[tuple[int, Shift]]:
    """Every start in `lines` where `old` stands, with the shift of indentation from `old` to what stands there."""
    if rung != "exact":
        old, lines = [line.rstrip(" \t") for line in old], [line.rstrip(" \t") for line in lines]
    found = []
    for start in range(len(lines) - len(old) + 1):
        shift: Shift | None = NO_SHIFT
        if rung == "indentation":
            shift = _shift(old, lines[start : start + len(old)])
        elif any(line != lines[start + i] for i, line in enumerate(old)):
            shift = None
        if shift is not None:
            found.append((start, shift))
    return found


def _shift(old: Sequence[str], there: Sequence[str]) -> Shift | None:
    """The one shift that turns every line of `old` into its line of `there`; blank lines stand for blank lines."""
    shift: Shift | None = None
    for wanted, line in zip(old, there, strict=True):
        if not wanted and not line:
            continue
        if line and wanted and line.endswith(wanted) and not line.removesuffix(wanted).strip(" \t"):
            this = ("", line.removesuffix(wanted))
        elif line and wanted.endswith(line) and not wanted.removesuffix(line).strip(" \t"):
            this = (wanted.removesuffix(line), "")
        else:
            return None
        if shift not in (None, this):
            return None
        shift = this
    return shift


def _shifted(number: int, reading: Reading, shift: Shift) -> Reading:
    """The reading with its new lines moved as its old lines were."""
    if shift == NO_SHIFT:
        return reading
    taken, given = shift
    shifted = []
    for tag, text in reading.lines:
        if tag == "+" and text.strip(" \t"):
            if not text.startswith(taken):
                raise EditError(
                    f"Edit {number} fits with {len(taken)} blanks less of indentation, which its new lines don't have.",
                    "Copy the lines to replace with their indentation, and indent the new lines to match.",
                    edit=number,
                )
            text = given + text.removeprefix(taken)
        shifted.append((tag, text))
    return Reading(tuple(shifted))


def _rendered(lines: list[str], endings: list[str], ordered: list[_Placed]) -> str:
    default = next((ending for ending in endings if ending), "\n")
    out: list[tuple[str, str]] = []
    ends = not endings or endings[-1] != ""
    cursor = 0
    for one in ordered:
        out += zip(lines[cursor : one.start], endings[cursor : one.start], strict=True)
        cursor = one.start
        for tag, text in one.reading.lines:
            if tag == "+":
                out.append((text, default))
                continue
            if tag == " ":
                out.append((lines[cursor], endings[cursor] or default))
            cursor += 1
        if one.end == len(lines) and one.final_newline is not None:
            ends = one.final_newline
    out += zip(lines[cursor:], endings[cursor:], strict=True)
    if out:
        out[-1] = (out[-1][0], (out[-1][1] or default) if ends else "")
    return "".join(line + ending for line, ending in out)


def _nearest(old: Sequence[str], lines: Sequence[str]) -> str:
    """The lines of the file that share most with `old`, as a diff from the quoted lines to them; "" if none is near."""
    if not lines or not any(line.strip() for line in old):
        return ""
    quoted, there = [line.strip() for line in old], [line.strip() for line in lines]
    size = min(len(old), len(lines))
    wanted = Counter(filter(None, quoted))
    best, start = (0, 0), 0
    for at in range(len(lines) - size + 1):
        window = there[at : at + size]
        shared = (Counter(window) & wanted).total(), sum(map(eq, quoted, window))
        if shared > best:
            best, start = shared, at
    if not best[0]:
        close = get_close_matches(next(filter(None, quoted)), there, n=1)
        if not close:
            return ""
        start = min(there.index(close[0]), len(lines) - size)
    compared = unified_diff(old, lines[start : start + size], n=len(old), lineterm="")
    shown = list(compared)[3:] or [f" {line}" for line in lines[start : start + size]]
    return "\n".join([f"Nearest, at line {start + 1} (- quoted, + in the file):", *shown])
