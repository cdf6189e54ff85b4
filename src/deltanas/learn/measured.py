"""A measured edit: what one edit of a program brought. The rows of a corpus, and their file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import count
from pathlib import Path
from shlex import quote

from deltanas.errors import DataError, UsageError, unused
from deltanas.program import SPACES, Part, Program, apply_edit
from deltanas.records import Telemetry
from deltanas.seams import Ask
from deltanas.whole import write_whole


@dataclass(frozen=True)
class MeasuredEdit:
    """One edit of a program, with what it was measured to bring.

    Attributes:
        family: what the parent descends from. Splits keep families whole.
        source: the parent's network. transform, prm: its other parts.
        edit: text that `apply_edit` takes. part: the part of the parent that it edits.
        gain: accuracy of the edited program less its parent's. noise: standard error of the gain, None if not known.
        accuracy: of the edited program, in [0, 1].
        goal: what the edit was asked to do, "" if it was not asked or is not known.
        before: accuracy of the parent. params: its trainable parameters. moved: what the edits for this goal had
            gained on average by then. As the question told them; None: it did not.
        origin: where it was measured.
        space, kind: name of the space of edits that it is of, and its kind there; "" if they are not known.
    """

    family: str
    source: str
    edit: str
    gain: float
    accuracy: float
    noise: float | None = None
    goal: str = ""
    before: float | None = None
    params: int | None = None
    moved: float | None = None
    origin: str = ""
    part: Part = "net"
    transform: str = ""
    prm: str = "{}"
    kind: str = ""
    space: Part = ""

    @cached_property
    def parent(self) -> Program:
        return Program.of(self.source, self.transform, self.prm)

    @cached_property
    def child(self) -> Program:
        """Raises EditError where the edit does not apply."""
        return self.parent.edited(self.part, apply_edit(self.parent.editable(self.part), self.edit).source)

    @property
    def pair(self) -> tuple[str, str]:
        """Identities of the two, whatever hyperparameters they were trained with, unless these are what is edited."""
        left_out = "" if self.part == "prm" else "prm"
        bare = [
            {part: text for part, text in one.parts.items() if part != left_out} for one in (self.parent, self.child)
        ]
        return Program(bare[0]).id, Program(bare[1]).id

    @property
    def ask(self) -> Ask:
        """The slot that the edit could have filled."""
        gains = {} if self.moved is None else {self.goal: self.moved}
        key = f"lesson:{Program({self.part: self.parent.part(self.part)}).id}:{self.edit}"
        parts = tuple(name for name, space in SPACES.items() if space.of == self.part)
        return Ask(0, 0, 0, key, self.parent, parts=parts, telemetry=Telemetry(self.before, self.params, gains))


_NUMBERS = ("gain", "accuracy", "noise", "before", "moved")
_NEEDED = ("family", "edit", "gain", "accuracy")
_PARENT = ("source", "transform", "prm")
_KNOWN = tuple(field.name for field in fields(MeasuredEdit))
_DEFAULTS = {field.name: field.default for field in fields(MeasuredEdit)}


def write_measured(path: Path, edits: Iterable[MeasuredEdit]) -> int:
    """Write `measured_lines`, whole or not at all; how many."""
    lines = list(measured_lines(edits))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(lines), lasting=True)
    return len(lines)


def measured_lines(edits: Iterable[MeasuredEdit]) -> Iterator[str]:
    """An edit a line, as JSON. A parent's texts stand in the first row that names it."""
    told: dict[str, list[str]] = {}
    for edit in edits:
        row: dict[str, object] = {"parent": edit.parent.id}
        row |= {name: value for name in _KNOWN if (value := getattr(edit, name)) != _DEFAULTS[name]}
        texts = [getattr(edit, name) for name in _PARENT]
        if told.get(edit.parent.id) == texts:
            row = {name: value for name, value in row.items() if name not in _PARENT}
        told[edit.parent.id] = texts
        yield json.dumps(row, ensure_ascii=False) + "\n"


def read_measured(path: Path) -> list[MeasuredEdit]:
    """The measured edits of a file. `parent` is the identity of the parent.

    Raises:
        UsageError: no such file. DataError: a line that can't be read, or a parent whose text is nowhere.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UsageError(f"no corpus {path}", "`deltanas learn corpus RUN --out FILE.jsonl` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} can't be read: {error}") from None
    parents: dict[str, dict[str, str]] = {}
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(_edit(path, number, line, parents, last=number == len(lines)))
    return found


def _edit(path: Path, number: int, line: str, parents: dict[str, dict[str, str]], *, last: bool) -> MeasuredEdit:
    """parents: their texts so far, by identity; those of the row's own are added."""
    place = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        cut = "; the file seems cut short: it has no newline at its end" if last else ""
        new = unused(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in count(2))
        code = f"`sed {number}d {quote(str(path))} > {quote(str(new))}`"
        raise DataError(f"{place}: not JSON ({error}){cut}", f"name a file without the line, {new}: {code}") from None
    if not isinstance(row, dict):
        raise DataError(f"{place}: not a JSON object")
    missing = [name for name in _NEEDED if row.get(name) is None]
    if missing:
        raise DataError(f"{place}: it lacks {', '.join(missing)}", f"known fields: parent, {', '.join(_KNOWN)}")
    for name, value in row.items():
        wanted: tuple[type, ...] = (int, float) if name in (*_NUMBERS, "params") else (str,)
        wrong = not isinstance(value, wanted) or isinstance(value, bool) or not _is_sound(value)
        if name in _KNOWN and value is not None and wrong:
            raise DataError(f"{place}: `{name}` is no {'text' if wanted == (str,) else 'number'}")
    if not _is_object(row.get("prm") or "{}"):
        raise DataError(f"{place}: `prm` is no JSON object of names and numbers")
    if row.get("noise") is not None and row["noise"] < 0:
        raise DataError(f"{place}: `noise` is {row['noise']}, and a standard error is 0 or more")
    parts = sorted({space.of for space in SPACES.values()})
    if row.get("part") is not None and row["part"] not in parts:
        raise DataError(f"{place}: `part` is {row['part']!r}, no part that can be edited", f"known: {', '.join(parts)}")
    texts = {name: row[name] for name in _PARENT if row.get(name) is not None}
    parent = str(row.get("parent"))
    if "source" in texts:
        parents[Program.of(texts["source"], texts.get("transform", ""), texts.get("prm", "{}")).id] = texts
    elif parent in parents:
        texts = parents[parent]
    else:
        raise DataError(
            f"{place}: the text of its parent {parent} is not there", "give `source` in the first row of it"
        )
    values = {name: row[name] for name in _KNOWN if row.get(name) is not None}
    return MeasuredEdit(**{**values, **texts})


def _is_sound(value: object) -> bool:
    """No number that is none or infinite, and no text with halves of characters, which no file holds."""
    if isinstance(value, str):
        return value.encode(errors="ignore").decode() == value
    return not isinstance(value, int | float) or abs(value) <= sys.float_info.max


def _is_object(text: str) -> bool:
    try:
        found = json.loads(text)
        return isinstance(found, dict) and all(
            isinstance(value, int | float) and not isinstance(value, bool) and _is_sound(value)
            for value in found.values()
        )
    except (ValueError, RecursionError):
        return False
