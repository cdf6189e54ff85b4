"""A table of trainings: the columns that the diagnostics read, from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite, nan
from pathlib import Path

import numpy as np

from deltanas.errors import DataError, UsageError
from deltanas.study.estimate import Floats

Texts = tuple[str, ...]
COLUMNS = ("program", "seed", "proxy", "target", "cycle", "elite", "tokens", "valid", "generator")
_TEXTS = ("program", "seed", "generator")
_BLANK = {"", "nan", "na", "none", "null"}
_FLAGS = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, "false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0}


@dataclass(frozen=True)
class Trials:
    """One row a training, or a candidate that was never trained. A column that is None is not there.

    Attributes:
        program, seed, generator: names; "" where not known. proxy, target: scores after the short and the long
            training. cycle: whole numbers. elite, valid: 1 or 0. tokens: length of the answer. NaN where not known.
        ignored: columns of the file that mean nothing here.
    """

    program: Texts | None = None
    seed: Texts | None = None
    proxy: Floats | None = None
    target: Floats | None = None
    cycle: Floats | None = None
    elite: Floats | None = None
    tokens: Floats | None = None
    valid: Floats | None = None
    generator: Texts | None = None
    ignored: Texts = ()

    def candidates(self) -> list[list[int]]:
        """Rows that are trainings of one candidate: same program, cycle and generator, other seeds."""
        found: list[list[int]] = []
        if self.program is None or self.seed is None:
            return [[row] for row in range(self._rows())]
        open_: dict[tuple[object, ...], tuple[list[int], set[str]]] = {}
        for row, (program, seed) in enumerate(zip(self.program, self.seed, strict=True)):
            key = (program, *(None if c is None else str(c[row]) for c in (self.cycle, self.generator)))
            rows, seeds = open_.get(key, ([], set()))
            if not program or not seed or not rows or seed in seeds:
                rows, seeds = [], set()
                found.append(rows)
                open_[key] = rows, seeds
            rows.append(row)
            seeds.add(seed)
        return found

    def trainings(self) -> list[int]:
        """Rows of trainings, each once: equal in program, seed, proxy and target, a row is one told again."""
        seen, rows = set(), []
        for row in range(self._rows()):
            told = tuple(None if c is None else str(c[row]) for c in (self.program, self.seed, self.proxy, self.target))
            if self.seed is None or not self.seed[row] or told not in seen:
                rows.append(row)
            seen.add(told)
        return rows

    def _rows(self) -> int:
        return next((len(c) for name in COLUMNS if (c := getattr(self, name)) is not None), 0)


def read_trials(path: Path) -> Trials:
    """The table in a CSV file: a header with some of `COLUMNS`, one row a training.

    Empty cells, `nan`, `NA` and the like are missing values.

    Raises:
        UsageError: no such file. DataError: not a table, or a cell that can't be read; it names line and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                return _read(path, reader)
            except csv.Error as error:
                raise DataError(f"{path}, line {reader.line_num}: {error}") from None
    except FileNotFoundError:
        raise UsageError(f"no file {path}", f"give a run's folder or a CSV file with {', '.join(COLUMNS)}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: byte 0x{error.object[error.start]:02x}") from None


def _read(path: Path, reader: Iterator[list[str]]) -> Trials:
    header = [name.strip().lower() for name in next(reader, [])]
    known = [name for name in header if name in COLUMNS]
    if not known:
        raise DataError(f"{path}, line 1: no column that is known", f"known columns: {', '.join(COLUMNS)}")
    for name in known:
        if known.count(name) > 1:
            raise DataError(f"{path}, line 1: the column `{name}` is there twice")
    cells: dict[str, list[str]] = {name: [] for name in known}
    lines = []
    for row in reader:
        if not row:
            continue
        line = reader.line_num  # type: ignore[attr-defined]
        if len(row) != len(header):
            raise DataError(f"{path}, line {line}: {len(row)} cells under {len(header)} columns")
        lines.append(line)
        for name, cell in zip(header, row, strict=True):
            if name in cells:
                cells[name].append(cell.strip())
    texts = {name: tuple("" if c.lower() in _BLANK else c for c in cells[name]) for name in known if name in _TEXTS}
    numbers = {name: _numbers(path, name, cells[name], lines) for name in known if name not in _TEXTS}
    ignored = tuple(name for name in header if name not in COLUMNS)
    return Trials(**texts, **numbers, ignored=tuple(map(_named, ignored)))  # type: ignore[arg-type]


def _named(column: str) -> str:
    close = get_close_matches(column, COLUMNS, 1)
    return f"`{column}` (did you mean `{close[0]}`?)" if close else f"`{column}`"


def _numbers(path: Path, name: str, cells: Sequence[str], lines: Sequence[int]) -> Floats:
    read, what = _READERS[name]
    values = []
    for cell, line in zip(cells, lines, strict=True):
        value = nan if cell.lower() in _BLANK else read(cell)
        if value is None:
            raise DataError(f"{path}, line {line}, column `{name}`: {cell[:60]!r} is no {what}")
        values.append(value)
    return np.array(values, float)


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _whole(cell: str) -> float | None:
    value = _number(cell)
    return value if value is not None and value.is_integer() else None


def _length(cell: str) -> float | None:
    value = _number(cell)
    return value if value is not None and value > 0 else None


def _flag(cell: str) -> float | None:
    return _FLAGS.get(cell.lower())


_READERS: dict[str, tuple[Callable[[str], float | None], str]] = {
    "proxy": (_number, "number"),
    "target": (_number, "number"),
    "cycle": (_whole, "whole number"),
    "elite": (_flag, "0 or 1"),
    "tokens": (_length, "number above 0"),
    "valid": (_flag, "0 or 1"),
}
