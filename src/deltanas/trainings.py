"""A table of trainings of a grid: networks x losses x optimizers x data sets x seeds, from JSON lines or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from io import StringIO
from math import inf, isfinite, nan
from pathlib import Path
from shlex import quote

from deltanas.errors import DataError, UsageError, unused

ARMS = ("fixed", "tuned")
PHASES = ("tune", "score")
NEEDED = ("network", "dataset", "loss", "optimizer", "arm", "phase", "rate", "seed", "score")
OTHERS = ("scale", "decay", "n", "chance", "failure", "seconds", "program")
"""Columns that may be lacking; the last two are not read."""
_BLANK = {"", "nan", "na", "none", "null"}
_WRITTEN = "`deltanas recipes run` writes such a table"


@dataclass(frozen=True, slots=True, order=True)
class Recipe:
    """A loss, times a constant, and an optimizer."""

    loss: str
    optimizer: str
    scale: float = 1.0

    def __str__(self) -> str:
        times = "" if self.scale == 1 else f" x {self.scale:g}"
        return f"{self.loss}{times} + {self.optimizer}"


Block = tuple[str, str]
"""A network on a data set: (data set, network)."""


@dataclass(frozen=True, slots=True)
class Training:
    """A row.

    Attributes:
        block, what: where it was trained, and how. arm: "fixed", "tuned". phase: "tune", "score". rate: learning rate.
        score: accuracy; NaN where it failed. failure: stage and reason, "" where there is none.
        decay: the optimizer's weight decay. n: images that it was scored on. chance: what a guess scores. NaN where not
            known. line: of the file.
    """

    block: Block
    what: Recipe
    arm: str
    phase: str
    rate: float
    seed: str
    score: float
    failure: str
    n: float
    chance: float
    line: int
    decay: float = nan

    @property
    def failed(self) -> bool:
        return self.score != self.score

    @property
    def tried(self) -> bool:
        """False where the recipe could not be put into the network: no training, so none that failed."""
        return not self.failure.startswith("inject")


@dataclass(frozen=True, slots=True)
class GridTable:
    """Rows of a table.

    Attributes:
        ignored: columns that mean nothing here. told_again: number of rows left out that say what an earlier one says.
        cut: number of the last line where it is cut off, else None.
        unended: whether the last line of a CSV is read and has no end, so that its last cell may have lost digits.
    """

    rows: tuple[Training, ...]
    ignored: tuple[str, ...] = ()
    told_again: int = 0
    cut: int | None = None
    unended: bool = False

    def only(
        self, arms: Collection[str] = (), losses: Collection[str] = (), datasets: Collection[str] = ()
    ) -> GridTable:
        """The rows of these; of all where none is named. Raises UsageError for one that the table does not hold."""
        columns: tuple[tuple[str, Collection[str], Callable[[Training], str]], ...] = (
            ("--arm", arms, lambda row: row.arm),
            ("--loss", losses, lambda row: row.what.loss),
            ("--dataset", datasets, lambda row: row.block[0]),
        )
        rows = self.rows
        for option, names, column in columns:
            known = sorted({column(row) for row in self.rows})
            for name in names:
                if name not in known:
                    raise UsageError(f"{option} {name}: the table holds no such row", f"it holds {', '.join(known)}")
            rows = tuple(row for row in rows if not names or column(row) in names)
        if not rows:
            raise UsageError("no row is left of the table", "name fewer of --arm, --loss and --dataset")
        return replace(self, rows=rows)


def read_grid(path: Path) -> GridTable:
    """The table in a file of JSON lines, or of CSV with a header, one row a training.

    A last line that is cut off, as while the table is being written, is left out and told (`GridTable.cut`).

    Raises:
        UsageError: no such file. DataError: not a table, a cell that can't be read, two rows that contradict one
            another, rows of two protocols; it names line and column.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"no file {path}", _WRITTEN) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder", f"name the table in it; {_WRITTEN}") from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}", _WRITTEN) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: byte 0x{error.object[error.start]:02x}", _WRITTEN) from None
    if not text.strip():
        raise DataError(f"{path} is empty", _WRITTEN)
    found = _json_rows if text.lstrip().startswith("{") else _csv_rows
    cut: list[int] = []
    cells = [(line, row) for line, row in found(path, text, cut)]
    if not cells:
        raise DataError(f"{path} has no row", _WRITTEN)
    rows, again = _once(path, [_training(path, line, row) for line, row in cells])
    _one_protocol(path, rows)
    names = dict.fromkeys(name for _, row in cells for name in row)
    ignored = tuple(_told(name) for name in names if name not in NEEDED + OTHERS)
    unended = found is _csv_rows and not cut and not text.endswith(("\n", "\r"))
    return GridTable(rows, ignored, again, cut[0] if cut else None, unended)


def _json_rows(path: Path, text: str, cut: list[int]) -> Iterator[tuple[int, Mapping[str, object]]]:
    lines = text.split("\n")
    for line, content in enumerate(lines, 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError):
            if line == len(lines):
                cut.append(line)
                return
            raise DataError(f"{path}, line {line} is no JSON: {content[:60]!r}", _without(path, line)) from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {line} is no JSON object: {content[:60]!r}", _without(path, line))
        yield line, row


def _csv_rows(path: Path, text: str, cut: list[int]) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not set(header) & set(NEEDED):
            apart = next((f"separate cells by commas, not by {one!r}; " for one in ";\t|" if one in header[0]), "")
            hint = f"{apart}such a table has the columns {', '.join(NEEDED)}"
            raise DataError(f"{path}, line 1 names no column of such a table", hint)
        twice = next((name for name in header if header.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{path}, line 1: the column `{twice}` is there twice", "keep one of the two")
        ends = text.endswith(("\n", "\r"))
        last = len(text.splitlines())
        for row in reader:
            if not row:
                continue
            line = reader.line_num
            if len(row) < len(header) and line == last and not ends:
                cut.append(line)
                return
            if len(row) != len(header):
                cells = f"{len(row)} cells under {len(header)} columns"
                raise DataError(f"{path}, line {line}: {cells}", _without(path, line))
            yield line, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}", _without(path, reader.line_num)) from None


def _without(path: Path, line: int) -> str:
    free = unused(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(1, 1000))
    return f"mend the line, or leave it out: `sed {line}d {quote(str(path))} > {quote(str(free))}`"


def _told(column: str) -> str:
    close = get_close_matches(column, NEEDED + OTHERS, 1)
    return f"`{column}` (did you mean `{close[0]}`?)" if close else f"`{column}`"


def _training(path: Path, line: int, row: Mapping[str, object]) -> Training:
    cell = _Cells(path, line, row)
    failure = cell.text("failure", needed=False)
    score = cell.number("score", 0.0, 1.0, blank=True)
    if score == score and failure:
        raise DataError(
            f"{path}, line {line} has both a score and a failure", "a training that failed has none: mend the line"
        )
    arm, phase = cell.one_of("arm", ARMS), cell.one_of("phase", PHASES)
    if arm == "fixed" and phase == "tune":
        raise DataError(f"{path}, line {line}: the arm `fixed` tunes nothing", "its rows are of phase `score`")
    scale = cell.number("scale", 1e-12, needed=False)
    return Training(
        block=(cell.text("dataset"), cell.text("network")),
        what=Recipe(cell.text("loss").lower(), cell.text("optimizer").lower(), 1.0 if scale != scale else scale),
        arm=arm,
        phase=phase,
        rate=cell.number("rate", 1e-300),
        seed=cell.text("seed"),
        score=score,
        failure=failure or ("not said why" if score != score else ""),
        n=cell.number("n", 1, needed=False),
        chance=cell.number("chance", 0.0, 1.0, needed=False),
        decay=cell.number("decay", 0.0, needed=False),
        line=line,
    )


@dataclass(frozen=True, slots=True)
class _Cells:
    """A row whose cells are checked; what is wrong names file, line and column."""

    path: Path
    line: int
    row: Mapping[str, object]

    def _wrong(self, name: str, what: str) -> DataError:
        shown = json.dumps(self.row.get(name), ensure_ascii=False)[:60]
        hint = _without(self.path, self.line)
        if name == "score":
            hint += "; a score is a share, as .917, and null (empty in a CSV) where the training failed"
        return DataError(f"{self.path}, line {self.line}, column `{name}`: {shown} is no {what}", hint)

    def _given(self, name: str, needed: bool) -> bool:
        value = self.row.get(name)
        if name not in self.row and needed:
            close = get_close_matches(name, list(self.row), 1)
            hint = f"rename `{close[0]}`" if close else f"each row has {', '.join(NEEDED)}"
            raise DataError(f"{self.path}, line {self.line}: no column `{name}`", f"{hint}; {_WRITTEN}")
        return value is not None and not (isinstance(value, str) and value.strip().lower() in _BLANK)

    def text(self, name: str, *, needed: bool = True) -> str:
        if not self._given(name, needed):
            if needed:
                raise self._wrong(name, "name")
            return ""
        value = self.row[name]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self._wrong(name, "name")
        return str(value).strip()

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        value = self.text(name).lower()
        if value not in known:
            raise self._wrong(name, f"{name}: {' or '.join(known)}")
        return value

    def number(
        self, name: str, least: float = -inf, most: float = inf, *, needed: bool = True, blank: bool = False
    ) -> float:
        if not self._given(name, needed):
            if name in self.row and needed and not blank:
                raise self._wrong(name, "number")
            return nan
        value = self.row[name]
        try:
            number = nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = nan
        if not isfinite(number) or not least <= number <= most:
            raise self._wrong(name, "number" if most == inf else f"number from {least:g} to {most:g}")
        return number


def _once(path: Path, rows: list[Training]) -> tuple[tuple[Training, ...], int]:
    """Each training once. Two rows of one training that differ contradict one another."""
    seen: dict[tuple[object, ...], Training] = {}
    kept, again = [], 0
    for row in rows:
        key = (row.block, row.what, row.arm, row.phase, row.rate, row.seed)
        first = seen.setdefault(key, row)
        if first is row:
            kept.append(row)
            continue
        again += 1
        if (first.failed, first.failed or first.score) != (row.failed, row.failed or row.score):
            raise DataError(
                f"{path}, lines {first.line} and {row.line} tell one training twice, with two scores: {row.what}",
                f"one of them is wrong; {_without(path, row.line)}, or line {first.line}",
            )
    return tuple(kept), again


def _one_protocol(path: Path, rows: tuple[Training, ...]) -> None:
    """Scores of trainings that were made or scored in two ways are not compared."""
    checks: tuple[tuple[str, Callable[[Training], object], Callable[[Training], float]], ...] = (
        ("n", lambda row: row.block[0], lambda row: row.n),
        ("chance", lambda row: row.block[0], lambda row: row.chance),
        ("rate", lambda row: (row.block, row.what, row.arm), lambda row: row.rate if row.phase == "score" else nan),
        ("decay", lambda row: (row.block, row.what), lambda row: row.decay),
    )
    for name, group, value in checks:
        seen: dict[object, Training] = {}
        for row in rows:
            if value(row) != value(row):
                continue
            first = seen.setdefault(group(row), row)
            if value(first) != value(row):
                of = f"{row.block[0]}" if name in ("n", "chance") else f"{row.what} of {' on '.join(row.block[::-1])}"
                raise DataError(
                    f"{path}, lines {first.line} and {row.line}: two protocols in one table, "
                    f"`{name}` of {of} is {value(first):g} and {value(row):g}",
                    "keep the rows of one of them in a table of its own",
                )
