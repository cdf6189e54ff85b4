"""The spaces of edits by the names of their parts. A further space is a class and an entry in `SPACES`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deltanas.errors import UsageError
from deltanas.program.prm_space import PrmSpace
from deltanas.program.program import Part, Program
from deltanas.program.space import SpaceEdit, edits_of
from deltanas.program.transforms.space import TransformSpace

_FORMER: Mapping[str, tuple[Part, ...]] = {
    "architecture": ("net",),
    "recipe": ("recipe",),
    "both": ("net", "recipe"),
}
"""What 0.1.0 called them."""


class EditSpace(Protocol):
    """The simple edits that one part of a program admits.

    part: its name, as in the settings. of: the part of the program whose text the edits change.
    """

    @property
    def part(self) -> Part: ...
    @property
    def of(self) -> Part: ...
    def edits(self, program: Program) -> Sequence[SpaceEdit]:
        """All of them, each with `part` and `of` as here, in an order of their own."""


@dataclass(frozen=True, slots=True)
class SourceSpace:
    """Edits of the network's source: of what it computes ("net"), or of how it is trained ("recipe")."""

    part: Part
    of: Part = "net"

    def edits(self, program: Program) -> tuple[SpaceEdit, ...]:
        return tuple(edit for edit in edits_of(program.net) if edit.part == self.part)


_BUILT_IN: tuple[EditSpace, ...] = (SourceSpace("net"), SourceSpace("recipe"), TransformSpace(), PrmSpace())
SPACES: dict[Part, EditSpace] = {space.part: space for space in _BUILT_IN}


def parts_named(names: object) -> tuple[Part, ...]:
    """The parts that a setting names, as "net,recipe" or a list of such texts, in the order of `SPACES`.

    Raises UsageError where it names none, or one without a space of edits.
    """
    given: list[object] = []
    for name in list(names) if isinstance(names, list | tuple) else [names]:
        given += _FORMER.get(name, tuple(map(str.strip, name.split(",")))) if isinstance(name, str) else [name]
    for name in given or [""]:
        if not isinstance(name, str) or name not in SPACES:
            raise UsageError(f"no space of edits for the part {name!r}", f"known parts: {', '.join(SPACES)}")
    return tuple(part for part in SPACES if part in given)


def edits_in(program: Program, parts: Sequence[Part]) -> list[SpaceEdit]:
    """The simple edits of these parts, by line, kind and text."""
    found = [edit for part in parts for edit in SPACES[part].edits(program)]
    return sorted(found, key=lambda edit: (edit.of, edit.line, edit.kind, edit.new))


def text_of(part: Part) -> Part:
    """The part of a program whose text the edits of a space change; a part without a space is its own."""
    return SPACES[part].of if part in SPACES else part
