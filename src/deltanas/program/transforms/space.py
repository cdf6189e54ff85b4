"""The simple edits of a transform: insert, remove, swap, replace an operation, step a parameter.

A policy of up to `MOST_OPERATIONS` different operations is reached from any other by these, one after the other. Which
edits there are goes by the operations alone; how they are written goes by the text, whose other lines stay.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from deltanas.program.canonical import parsed
from deltanas.program.program import Part, Program
from deltanas.program.space import SpaceEdit
from deltanas.program.space.source import Change, Source
from deltanas.program.transforms import MENU, Parameter, Step, TransformError, Value, read_transform, transform_text

MOST_OPERATIONS = 3
"""Operations of a policy beyond which none is inserted: as many as the published policies have (arXiv 2601.03808)."""

INSERT, REMOVE, SWAP, REPLACE, STEP = (
    "insert operation",
    "remove operation",
    "swap operations",
    "replace operation",
    "step parameter",
)
"""The kinds of edits."""
_MIDDLE = 1
"""The strength of an operation that is new."""


def _policy(*names: str) -> str:
    return transform_text(Step(name, MENU[name].at(_MIDDLE)) for name in names)


STARTS: Mapping[str, str] = {
    "": "",
    "flip": _policy("RandomHorizontalFlip"),
    "crop+flip": _policy("RandomCrop", "RandomHorizontalFlip"),
    "TrivialAugment": _policy("TrivialAugmentWide"),
    "RandAugment": _policy("RandAugment"),
}
"""Transforms that a search of transforms begins with, by name; "" is none."""
START_NAMES = tuple(name or "none" for name in STARTS)

_Made = tuple[str, tuple[Step, ...], Change]


@dataclass(frozen=True, slots=True)
class TransformSpace:
    """Edits of the transform, in an order of their own; none where its text is none of the menu.

    Each one applies at the rung "exact" to `Program.editable("transform")`, and makes another list of operations; no
    two make the same. An operation comes once in a policy, at its middle strength, and steps to others.
    """

    most: int = MOST_OPERATIONS
    part: Part = "transform"
    of: Part = "transform"

    def edits(self, program: Program) -> tuple[SpaceEdit, ...]:
        return _edits(program.editable(self.of), self.most)


@lru_cache(maxsize=256)
def _edits(text: str, most: int) -> tuple[SpaceEdit, ...]:
    lines = text.replace("\r\n", "\n")
    try:
        steps = read_transform(lines)
    except TransformError:
        return ()
    tree = parsed(lines)
    if tree is None or "\r" in lines or not lines.strip():
        return ()
    policy = _Policy(Source(lines, tree), steps)
    made = {steps}
    found = []
    for _, result, change in policy.changes(most):
        if result not in made and policy.makes(change, result) and (place := policy.source.edit(change)):
            made.add(result)
            found.append(replace(place[1], of="transform"))
    return tuple(found)


class _Policy:
    """The operations of a transform, and where each stands in its text."""

    def __init__(self, source: Source, steps: tuple[Step, ...]) -> None:
        self.source = source
        self.steps = steps
        composed = next(node for node in ast.walk(source.tree) if isinstance(node, ast.Return)).value
        assert isinstance(composed, ast.Call)
        listed = composed.args[0]
        assert isinstance(listed, ast.List | ast.Tuple)
        self._listed = listed
        self._calls = listed.elts[: len(steps)]
        function = composed.func
        self._module = f"{ast.unparse(function.value)}." if isinstance(function, ast.Attribute) else "transforms."

    def makes(self, change: Change, result: tuple[Step, ...]) -> bool:
        """Whether the changed text reads so: of operations in parentheses it may not."""
        try:
            return read_transform(self.source.changed(change)) == result
        except TransformError:
            return False

    def changes(self, most: int) -> Iterator[_Made]:
        """(kind, operations, change of the text) of each edit; several may come to the same."""
        steps = self.steps
        fresh = [Step(one.name, one.at(_MIDDLE)) for one in MENU.values() if one.name not in {s.name for s in steps}]
        for place in range(len(steps) + 1 if len(steps) < most else 0):
            for step in fresh:
                yield INSERT, (*steps[:place], step, *steps[place:]), self._inserted(place, step)
        for place, (step, call) in enumerate(zip(steps, self._calls, strict=True)):
            before, after = steps[:place], steps[place + 1 :]
            yield REMOVE, (*before, *after), self._removed(place)
            if after:
                swapped = (*before, after[0], step, *after[1:])
                yield SWAP, swapped, self._swapped(call, self._calls[place + 1])
            for other in fresh:
                yield REPLACE, (*before, other, *after), self._replaced(REPLACE, call, other)
            for stepped in _stepped(step):
                yield STEP, (*before, stepped, *after), self._replaced(STEP, call, stepped)

    def _written(self, step: Step) -> str:
        return f"{self._module}{step.call.partition('.')[2]}"

    def _replaced(self, kind: str, call: ast.expr, step: Step) -> Change:
        return self.source.replaced(kind, call, self._written(step), "transform")

    def _swapped(self, one: ast.expr, other: ast.expr) -> Change:
        texts = self.source.of(other), self.source.of(one)
        spans = (*self.source.span(one), texts[0]), (*self.source.span(other), texts[1])
        return Change(SWAP, spans, "transform")

    def _inserted(self, place: int, step: Step) -> Change:
        source, elements, text = self.source, self._listed.elts, self._written(step)
        if not elements:
            indent = source.indentation(self._listed)
            return source.replaced(INSERT, self._listed, f"[\n{indent}    {text},\n{indent}]", "transform")
        like = elements[min(place, len(elements) - 1)]
        apart = f",\n{source.indentation(like)}" if source.starts_line(like) else ", "
        start, end = source.span(like)
        span = (start, start, f"{text}{apart}") if place < len(elements) else (end, end, f"{apart}{text}")
        return Change(INSERT, (span,), "transform")

    def _removed(self, place: int) -> Change:
        source, elements = self.source, self._listed.elts
        if len(elements) == 1:
            return source.replaced(REMOVE, self._listed, "[]", "transform")
        start, end = source.span(elements[place])
        if place + 1 < len(elements):
            end = source.span(elements[place + 1])[0]
        else:
            start = source.span(elements[place - 1])[1]
        return Change(REMOVE, ((start, end, ""),), "transform")


def _stepped(step: Step) -> Iterator[Step]:
    """With one parameter at a neighbouring value of its grid."""
    for place, parameter in enumerate(MENU[step.name].parameters):
        for value in _neighbours(parameter, step.values[place]):
            yield replace(step, values=(*step.values[:place], value, *step.values[place + 1 :]))


def _neighbours(parameter: Parameter, value: Value) -> tuple[Value, ...]:
    """The weaker one and the stronger one; of a value that is off the grid the nearest of it."""
    grid = parameter.grid
    if value in grid:
        place = grid.index(value)
        return grid[max(0, place - 1) : place] + grid[place + 1 : place + 2]
    return (min(grid, key=lambda one: _distance(one, value)),)


def _distance(one: Value, other: Value) -> float:
    pairs = zip(*(value if isinstance(value, tuple) else (value,) for value in (one, other)), strict=True)
    return sum(abs(float(a) - float(b)) for a, b in pairs)
