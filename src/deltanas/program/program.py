"""The one noun that flows through the house: an immutable program, addressed by its content."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from sys import intern
from typing import NamedTuple

from deltanas.program.canonical import canonical_source
from deltanas.program.hyperparameters import assumed, prm_faults
from deltanas.program.transforms import TransformError, read_transform, transform_text

Part = str
"""Name of a part of a program, or of a space of edits: "net", "recipe", "transform", "prm", ..."""

EMPTY: Mapping[Part, str] = {"net": "", "transform": "", "prm": "{}"}
"""The parts that stand in the identity of every program, in this order, with the text of one that is absent."""

_BLANK: Mapping[Part, str] = {"transform": transform_text(())}
"""What edits of an absent part apply to, where that is more than no text."""

_CANONICAL: Mapping[Part, Callable[[str], str]] = {"net": canonical_source, "transform": canonical_source}
"""The parts that are Python; any other counts as it is written."""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class _Packed(NamedTuple):
    """A text as its difference from another one, its base."""

    data: bytes
    base: str

    def text(self) -> str:
        return zlib.decompressobj(zdict=_bytes(self.base)).decompress(self.data).decode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class Program:
    """A network program in named parts.

    Attributes:
        parents: identities of the programs that it was made from, the one that was edited first; no part of its own
            identity.
    """

    _names: tuple[Part, ...]
    _texts: tuple[str | _Packed, ...]
    parents: tuple[str, ...] = field(default=(), compare=False)
    _id: str = field(default="", compare=False)

    def __init__(self, parts: Mapping[Part, str], parents: tuple[str, ...] = (), *, identity: str = "") -> None:
        """A part whose text is empty is absent.

        parts: "net": Python source by the LEMUR contract (`class Net`, `supported_hyperparameters`); "transform":
            Python source of the training transform; "prm": hyperparameters as JSON text with sorted keys; and others.
        identity: the one that a run recorded for it; worked out if not given.
        """
        names = _shared(tuple(sorted(name for name, text in parts.items() if text != EMPTY.get(name, ""))))
        texts = tuple(parts[name] for name in names)
        for field_name, value in (("_names", names), ("_texts", texts), ("parents", parents), ("_id", identity)):
            object.__setattr__(self, field_name, value)

    def __repr__(self) -> str:
        return f"Program({self.parts!r}, {self.parents!r})"

    @classmethod
    def of(cls, net: str, transform: str = "", prm: str = "{}", parents: tuple[str, ...] = ()) -> Program:
        """A program of the usual parts."""
        return cls({"net": net, "transform": transform, "prm": prm}, parents)

    @property
    def parts(self) -> Mapping[Part, str]:
        """The texts of the parts that it has, by their names."""
        return {name: self.part(name) for name in self._names}

    def part(self, part: Part) -> str:
        """The text of a part; that of an empty one where the program has none."""
        if part not in self._names:
            return EMPTY.get(part, "")
        text = self._texts[self._names.index(part)]
        return text if isinstance(text, str) else text.text()

    def editable(self, part: Part) -> str:
        """The text that edits of a part apply to: of a transform that is absent one without operations."""
        return self.part(part) or _BLANK.get(part, "")

    def packed(self, parent: Program | None) -> Program:
        """An equal program in less memory, its `net` kept as the difference from that of the parent's baseline.

        Reading `net` then takes some 20 microseconds. A program without a parent stays as it is.
        """
        if parent is None or "net" not in self._names or "net" not in parent._names:
            return self
        place = self._names.index("net")
        near, own = parent._texts[parent._names.index("net")], self._texts[place]
        if not isinstance(own, str):
            return self
        base = near if isinstance(near, str) else near.base
        packer = zlib.compressobj(9, zdict=_bytes(base))
        data = packer.compress(_bytes(own)) + packer.flush()
        program = copy(self)
        object.__setattr__(program, "_texts", (*self._texts[:place], _Packed(data, base), *self._texts[place + 1 :]))
        return program

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """Identity, 16 hexadecimal digits: equal where only comments, formatting or names of locals differ."""
        if not self._id:
            object.__setattr__(self, "_id", self._identity())
        return self._id

    def _identity(self) -> str:
        forms: list[object] = [_form(part, self.part(part)) for part in EMPTY]
        forms += [[part, _form(part, text)] for part, text in self.parts.items() if part not in EMPTY]
        return hashlib.sha256(json.dumps(forms).encode()).hexdigest()[:16]

    @property
    def net(self) -> str:
        return self.part("net")

    @property
    def transform(self) -> str:
        return self.part("transform")

    @property
    def prm(self) -> str:
        return self.part("prm")

    @property
    def hyperparameters(self) -> dict[str, float]:
        return prm_values(self.prm)

    @property
    def parent(self) -> str | None:
        """The first of its parents, None for a program that was not edited."""
        return self.parents[0] if self.parents else None

    def besides(self, *parts: Part) -> str:
        """The other parts as one text, equal for programs that differ in `parts` alone."""
        return intern(json.dumps({name: text for name, text in self.parts.items() if name not in parts}))

    def edited(self, part: Part, text: str) -> Program:
        """This program with one part replaced, and this program as its parent.

        Hyperparameters that a new `net` declares and this program lacks get their usual values. A transform without
        operations is none: the part is absent. Hyperparameters are written as `prm_text` does.
        """
        more = assumed(text, self.hyperparameters) if part == "net" else {}
        prm = {"prm": prm_text({**self.hyperparameters, **more})} if more else {}
        return Program({**self.parts, **prm, part: _settled(part, text)}, (self.id,))


def differing_parts(one: Program, other: Program) -> Iterator[tuple[Part, str, str]]:
    """The parts in which two programs differ, with the text of each: the usual ones first, others by name."""
    for part in dict.fromkeys((*EMPTY, *sorted({*one.parts, *other.parts}))):
        if one.part(part) != other.part(part):
            yield part, one.part(part), other.part(part)


@lru_cache(maxsize=1024)
def _shared(names: tuple[Part, ...]) -> tuple[Part, ...]:
    """One tuple for all programs that have these parts."""
    return names


def _settled(part: Part, text: str) -> str:
    if part == "prm":
        return text if prm_faults(text) else prm_text(prm_values(text))
    if part != "transform":
        return text
    text = re.sub(r"\r(?!\n)", "\n", text.removeprefix("\ufeff"))
    with suppress(TransformError):
        return text if read_transform(text) else ""
    return text


def _form(part: Part, text: str) -> str:
    return _CANONICAL[part](text) if part in _CANONICAL else text


def prm_text(values: Mapping[str, float]) -> str:
    """Hyperparameters as the text that a `Program` holds."""
    return json.dumps(dict(values), sort_keys=True)


def prm_values(text: str) -> dict[str, float]:
    """The hyperparameters that the text holds."""
    values: dict[str, float] = json.loads(text)
    return values
