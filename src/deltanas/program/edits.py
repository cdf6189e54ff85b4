"""Edits: an edit applies exactly or not at all. There is no fuzzy matching; a miss says what came nearest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches, unified_diff
from itertools import product
from operator import eq
from typing import Literal

from deltanas.errors import EditError
from deltanas.program.edit_formats import EXPECTED, Hunk, Reading, hunks_of
from deltanas.program.mails import patches
from deltanas.program.thoughts import spoken

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
MOST_CHARACTERS = 250_000
"""Longest edit that is read. No network is as long."""
MOST_QUOTED = 40
"""Lines of a hunk that are compared with the file to say what came nearest."""
_ELISION = re.compile(r"#\s*(?:\.\.\.|…)|#.*\b(?:existing|remaining|unchanged|rest of(?: the)?) code\b", re.IGNORECASE)
"""What stands for lines that a lazy model left out."""


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

    @property
    def changes(self) -> tuple[int, int]:
        """The first place that changes and the last: 2 i + 1 is line i, 2 i the gap before it."""
        places, cursor = [], self.start
        for tag, _ in self.reading.lines:
            if tag != " ":
                places.append(2 * cursor + (tag == "-"))
            cursor += tag != "+"
        return (places[0], places[-1]) if places else (2 * self.start, 2 * self.start)


def apply_edit(base: str, edit: str) -> AppliedEdit:
    """`base` with `edit` applied: a unified diff or SEARCH/REPLACE blocks, prose and code fences around them ignored.

    What a model thought before its answer is no part of it (`thoughts.spoken`). All hunks and blocks are one edit; a
    text that offers several to choose from is refused. Mailed patches of a series apply one after another.

    Line numbers and counts in `@@` are hints: they choose among several exact places, and nothing else. Hunks are
    looked up in `base` as it was given and apply all or none. Neighbours may quote some of the same lines; a hunk that
    is said twice counts once. Kept lines stay as they are in `base`, down to their line endings; whether the text ends
    in a newline changes only where a diff says so.

    Raises EditError if the text holds no edit, a hunk has no place or several, hunks contradict one another, new
    text is left out (`# ... existing code ...`), or nothing changes.
    """
    if len(edit) > MOST_CHARACTERS:
        raise EditError(f"The edit has {len(edit):,} characters.", f"At most {MOST_CHARACTERS:,} are read.")
    said = spoken(edit)
    if said.thinks and not said.answer.strip():
        raise EditError("The text holds a thought and no edit behind it.", EXPECTED, edit=0)
    series = _series(said.answer)
    source, rungs = base, []
    for number, hunks in enumerate(series, start=1):
        try:
            source, rung = _applied(source, hunks)
        except EditError as error:
            if len(series) > 1:
                error.message = f"Patch {number} of {len(series)}: {error.message}"
            raise
        rungs += rung
    if source == base:
        raise EditError("The edit changes nothing.", "Change at least one line.", edit=1)
    return AppliedEdit(source, max(rungs, key=RUNGS.index))


def _series(text: str) -> list[list[Hunk]]:
    """The hunks of each patch; of a text that is no mail, of the one that it is."""
    found = []
    for patch in patches(text):
        try:
            found.append(hunks_of(patch))
        except EditError as error:
            if error.edit:
                raise
    return found or [hunks_of(text)]


def _applied(base: str, hunks: Sequence[Hunk]) -> tuple[str, list[Rung]]:
    """`base` with all hunks, which are looked up in it as it was given; and the rung of each that changes something."""
    lines, endings = split_lines(base)
    placed: list[_Placed] = []
    for number, hunk in enumerate(hunks, start=1):
        if hunk.final_newline is None and _is_idle(hunk.readings[0], lines):
            continue
        place = _place(number, hunk, lines)
        if place is None:
            raise _miss(number, hunk, lines, _joined(lines, endings, placed))
        _refuse_elision(number, place.reading, lines)
        placed.append(place)
    return _joined(lines, endings, placed), [one.rung for one in placed]


def _joined(lines: list[str], endings: list[str], placed: Sequence[_Placed]) -> str:
    said = {(one.start, one.reading): one for one in reversed(placed)}
    return _rendered(lines, endings, sorted(said.values(), key=lambda one: (one.start, one.end)))


def _miss(number: int, hunk: Hunk, lines: list[str], made: str) -> EditError:
    """The reason of a hunk without a place in the text. made: the text with the hunks before it."""
    written, _ = split_lines(made)
    if any(reading.old and places_of(reading.old, written, rung) for reading in hunk.readings for rung in RUNGS):
        return EditError(
            f"Edit {number} quotes lines that an edit before it writes; each is looked up in the file as it was given.",
            "Keep the one that is meant; or join them into one edit, which quotes lines of the file.",
            edit=number,
        )
    return EditError(
        f"Edit {number} quotes lines that the file does not have.",
        "Copy the lines to replace exactly as they stand in the file.",
        edit=number,
        nearest=_nearest(hunk.readings[0].old, lines),
    )


def split_lines(text: str) -> tuple[list[str], list[str]]:
    """Lines without their endings, and the endings ("" only for a last line that has none)."""
    parts = re.split(r"(\r?\n)", text)
    lines, endings = parts[0::2], [*parts[1::2], ""]
    if lines[-1] == "":
        return lines[:-1], endings[:-1]
    return lines, endings


def _is_idle(reading: Reading, lines: Sequence[str]) -> bool:
    """Whether a hunk changes nothing, wherever it stands: small models wrap their edit in such hunks."""
    return reading.old == reading.new and bool(reading.old) and bool(places_of(reading.old, lines, "exact"))


def _refuse_elision(number: int, reading: Reading, lines: Sequence[str]) -> None:
    there = {line.strip() for line in lines}
    before = ""
    for tag, text in reading.lines:
        if tag == "-":
            continue
        bare = text.strip()
        left_out = _ELISION.match(bare) or (bare in ("...", "…") and not before.endswith(":"))
        if tag == "+" and left_out and bare not in there:
            raise EditError(
                f"Edit {number} leaves lines out ({bare!r}).",
                "Write out every new line; quote fewer of the lines that stay.",
                edit=number,
            )
        before = bare


def _place(number: int, hunk: Hunk, lines: list[str]) -> _Placed | None:
    """The one place of a hunk, if it has one. A rung is tried only if the rungs above it found no place at all."""
    if lines and not all(reading.old for reading in hunk.readings):
        raise EditError(
            f"Edit {number} adds lines without saying where.",
            "Quote at least one line of the file, unchanged, next to the new ones.",
            edit=number,
        )
    for readings, rung in product((hunk.readings, hunk.looser), RUNGS):
        for reading in readings:
            if (lines and not reading.old) or (reading.lost and not _is_indented_like(lines, reading)):
                continue
            places = places_of(reading.old, lines, rung)
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
    return None


def _is_indented_like(lines: Sequence[str], reading: Reading) -> bool:
    """Whether new lines stand as far in as lines of the file do.

    A hunk that only adds can be read as having lost the marks of its kept lines, or as moved by one blank.
    """
    known = {_indent(line) for line in lines}
    added = [text for tag, text in reading.lines if tag == "+" and text.strip()]
    return any(tag == "-" for tag, _ in reading.lines) or all(_indent(text) in known for text in added)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def places_of(old: Sequence[str], lines: Sequence[str], rung: Rung) -> list[tuple[int, Shift]]:
    """Every start in `lines` where `old` stands, with the shift of indentation from `old` to what stands there."""
    if rung == "exact":
        old, lines = list(old), list(lines)
    else:
        old, lines = [line.rstrip(" \t") for line in old], [line.rstrip(" \t") for line in lines]
    found = []
    for start in range(len(lines) - len(old) + 1):
        shift: Shift | None = NO_SHIFT
        if rung == "indentation":
            shift = _shift(old, lines[start : start + len(old)])
        elif lines[start : start + len(old)] != old:
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
    return Reading.of(shifted)


def _rendered(lines: list[str], endings: list[str], ordered: list[_Placed]) -> str:
    """The text with the hunks applied, which are ordered by place. Raises EditError if two of them clash."""
    _refuse_clashes(ordered)
    default = next((ending for ending in endings if ending), "\n")
    removed: set[int] = set()
    added: dict[int, list[str]] = {}
    for one in ordered:
        cursor = one.start
        for tag, text in one.reading.lines:
            if tag == "+":
                added.setdefault(cursor, []).append(text)
                continue
            if tag == "-":
                removed.add(cursor)
            cursor += 1
    out: list[tuple[str, str]] = []
    for place in range(len(lines) + 1):
        out += [(text, default) for text in added.get(place, ())]
        if place < len(lines) and place not in removed:
            out.append((lines[place], endings[place] or default))
    ends = not endings or endings[-1] != ""
    for one in ordered:
        if one.end == len(lines) and one.final_newline is not None:
            ends = one.final_newline
    if out and not ends:
        out[-1] = (out[-1][0], "")
    return "".join(line + ending for line, ending in out)


def _refuse_clashes(ordered: list[_Placed]) -> None:
    """Hunks may overlap in what they quote, where one comes before the other; but not where both quote the same.

    Two that quote the same lines are most often two proposals, and one was to be chosen.
    """
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            if other.start >= one.end and other.start > one.start:
                break
            same = (one.start, one.end) == (other.start, other.end)
            if same or other.end < one.end or one.changes[1] >= other.changes[0]:
                low, high = sorted((one.number, other.number))
                raise EditError(
                    f"Edits {low} and {high} overlap at line {other.start + 1}: each says what becomes of it.",
                    "Keep the one that is meant, or join them into one edit.",
                    edit=high,
                )


def _nearest(old: Sequence[str], lines: Sequence[str]) -> str:
    """The lines of the file that share most with `old`, as a diff from the quoted lines to them; "" if none is near."""
    old = old[:MOST_QUOTED]
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
    near = lines[start : start + size]
    compared = list(unified_diff(old, near, n=3, lineterm=""))[2:]
    shown = compared or ["@@ +1 @@", *(f" {line}" for line in near)]
    first = int(shown[0].partition("+")[2].split(",")[0].split(" ")[0])
    rest = ["..." if line.startswith("@@") else line for line in shown[1:]]
    return "\n".join([f"Nearest, at line {start + first} (- quoted, + in the file):", *rest])
