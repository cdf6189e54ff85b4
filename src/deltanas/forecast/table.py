"""Measured edits as a forecast reads them: their features and gains, and the small file that holds them."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from deltanas.errors import DataError, EditError
from deltanas.learn.measured import MeasuredEdit
from deltanas.program import Part, text_of
from deltanas.program.features import edit_features
from deltanas.whole import write_whole

FORM = "deltanas forecast 1"
BUILTIN = "builtin"
NO_TABLES = frozenset(("off", BUILTIN))
"""Values of the setting `screen` that name no place."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured edit.

    Attributes:
        family, parent: what it descends from, and the program that was edited. part: name of the space of edits.
        features: as `edit_features` names them.
        gain: in units of the metric; better is positive. noise: its standard error, None if not known.
    """

    family: str
    parent: str
    part: Part
    features: Mapping[str, int]
    gain: float
    noise: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Measured edits. origin: where they come from: data set, epochs, commit, digest and so on."""

    rows: tuple[Row, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of the rows, 16 hexadecimal digits."""
        return sha256(json.dumps([_packed(row) for row in self.rows]).encode()).hexdigest()[:16]


def rows_of(edits: Iterable[MeasuredEdit]) -> list[Row]:
    """The rows of measured edits; one that does not apply to its parent gives none."""
    found = []
    for edit in edits:
        try:
            child = edit.child
        except EditError:
            continue
        old, new = (program.editable(text_of(edit.part)) for program in (edit.parent, child))
        space = edit.space or edit.part
        features = edit_features(old, new, edit.kind, space)
        found.append(Row(edit.family, edit.parent.id, space, features, edit.gain, edit.noise))
    return found


def write_table(path: Path, table: Table) -> None:
    """Write it compressed, whole or not at all; equal tables give equal bytes."""
    held = {"form": FORM, "origin": dict(table.origin), "rows": [_packed(row) for row in table.rows]}
    write_whole(path, gzip.compress(json.dumps(held, separators=(",", ":")).encode(), mtime=0))


def read_table(path: Path) -> Table:
    """Raises DataError where the file can't be read or is none."""
    try:
        held = json.loads(gzip.decompress(path.read_bytes()))
        if held["form"] != FORM:
            raise ValueError(f"its form is {held['form']!r}")
        rows = tuple(_unpacked(row) for row in held["rows"])
        origin = dict(held["origin"])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no table of measured edits: {error}",
            "`python -m benchmarks forecast --write FILE` writes one of the folder of `python -m benchmarks gains`",
        ) from None
    return Table(rows, origin)


def builtin() -> Table:
    """The table that comes with deltanas."""
    return read_table(Path(str(files("deltanas.forecast"))) / "builtin.json.gz")


def _packed(row: Row) -> list[object]:
    noise = None if row.noise is None else round(row.noise, 6)
    return [row.family, row.parent, row.part, dict(row.features), round(row.gain, 6), noise]


def _unpacked(row: list[Any]) -> Row:
    family, parent, part, features, gain, noise = row
    texts = all(isinstance(one, str) for one in (family, parent, part))
    counts = all(isinstance(count, int) for count in features.values())
    numbers = [gain] if noise is None else [gain, noise]
    if not texts or not counts or not all(isinstance(one, int | float) and math.isfinite(one) for one in numbers):
        raise ValueError(f"a row holds {row!r}")
    return Row(family, parent, part, features, float(gain), noise)
