"""Several simple edits of a program as one: each is an edit of what the ones before it made of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deltanas.errors import EditError
from deltanas.program.diffs import changed_runs, diff
from deltanas.program.edit_formats import hunks_of, is_marker
from deltanas.program.edits import split_lines
from deltanas.program.program import Part, Program
from deltanas.program.space import SpaceEdit
from deltanas.program.space.source import APART

JOINT = "+"
"""Joins the kinds of the steps."""


@dataclass(frozen=True)
class Composite(SpaceEdit):
    """One edit that does what several do, one after the other.

    Attributes:
        kind: the kinds of the steps, sorted and joined by `JOINT`. part: of the first step.
        diff: the edit's text, the least unified diff.
        steps: the edits, each of what the ones before it made; () where only the diff is known.
    """

    diff: str = ""
    steps: tuple[SpaceEdit, ...] = ()

    @property
    def text(self) -> str:
        return self.diff

    @classmethod
    def read(cls, text: str, kind: str, part: Part, of: Part, steps: tuple[SpaceEdit, ...] = ()) -> Composite:
        """Of a unified diff. Raises EditError where a line of it can't be told from a mark."""
        readings = [hunk.readings[0] for hunk in hunks_of(text)]
        if any(line == "..." or is_marker(line) for one in readings for line in (*one.old, *one.new)):
            raise EditError("A line of the diff looks like a mark of an edit.", "Rewrite the line.")
        old, new = (APART.join("\n".join(getattr(one, side)) for one in readings) for side in ("old", "new"))
        return cls(kind, part, old, new, of, diff=text, steps=steps)


def kinds_of(kind: str) -> list[str]:
    """The kinds of the steps of an edit of this kind."""
    return kind.split(JOINT)


class Chain:
    """A program on its way from step to step. Steps are spread: none changes what another one brought."""

    def __init__(self, program: Program, of: Part) -> None:
        self._base = program
        self._of = of
        self._fresh = [False] * len(split_lines(program.editable(of))[0])
        self.program = program
        self.steps: tuple[SpaceEdit, ...] = ()

    def apart(self, edits: Sequence[SpaceEdit]) -> list[SpaceEdit]:
        """Those of the program's edits that leave what the steps so far brought as it is."""
        if not self.steps:
            return list(edits)
        text = f"\n{self.program.editable(self._of)}\n"
        return [edit for edit in edits if not any(self._touches(text, *place) for place in edit.places)]

    def _touches(self, text: str, old: str, new: str) -> bool:
        """Whether some line that changes, or comes between two lines of which one did, is one that a step brought."""
        start = text.count("\n", 0, text.find(f"\n{old}\n"))
        before, after = old.split("\n"), new.split("\n")
        head = _alike(before, after)
        tail = _alike(before[head:][::-1], after[head:][::-1])
        first, last = start + head, start + len(before) - tail
        if first == last:
            first, last = max(0, first - 1), last + 1
        return any(self._fresh[first:last])

    def take(self, edit: SpaceEdit) -> None:
        """Make the step."""
        old = split_lines(self.program.editable(self._of))[0]
        self.program = edit.apply(self.program)
        new = split_lines(self.program.editable(self._of))[0]
        fresh = [True] * len(new)
        end, new_end = 0, 0
        for i1, i2, j1, j2 in [*changed_runs(old, new), (len(old), len(old), len(new), len(new))]:
            fresh[new_end:j1] = self._fresh[end:i1]
            end, new_end = i2, j2
        self._fresh = fresh
        self.steps = (*self.steps, edit)

    def whole(self) -> SpaceEdit | None:
        """What the steps come to as one edit; None where that is nothing, or no diff says it."""
        if len(self.steps) == 1:
            return self.steps[0]
        try:
            text = diff(self._base.editable(self._of), self.program.editable(self._of), context=1)
            kind = JOINT.join(sorted(step.kind for step in self.steps))
            return Composite.read(text, kind, self.steps[0].part, self._of, self.steps) if text else None
        except EditError:
            return None


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Number of lines at the beginning that are the same."""
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count
