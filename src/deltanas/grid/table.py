"""The table of a grid: JSON lines, a row a training, and beside it how they were measured. One writer; it goes on."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Any, NotRequired, TypedDict, cast

from deltanas.archive.lock import FileLock
from deltanas.errors import DataError, DeltanasError, UsageError, aside, unused
from deltanas.grid.cells import Arm, Key, Phase
from deltanas.settings import flat
from deltanas.whole import write_whole

MADE = "made"
"""What a description tells of the machine and the version: the grid may go on with others, and lists all of them."""


class Row(TypedDict):
    """One training. score: on the validation split, None where `failure` says why there is none.

    n: number of images that are scored. chance: score of always naming the largest class. decay: the optimizer's weight
    decay, None where the program does not tell one number; rows of earlier versions lack it. program: its identity,
    None where the recipe could not be put into the network.
    """

    network: str
    dataset: str
    loss: str
    optimizer: str
    scale: float
    arm: Arm
    phase: Phase
    rate: float
    seed: int
    score: float | None
    n: int
    chance: float
    decay: NotRequired[float | None]
    failure: str | None
    seconds: float
    program: str | None


_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("network", "dataset", "loss", "optimizer", "arm", "phase"), (str,)),
    **dict.fromkeys(("scale", "rate", "chance", "seconds"), (int, float)),
    **dict.fromkeys(("seed", "n"), (int,)),
    "score": (int, float, type(None)),
    "decay": (int, float, type(None)),
    **dict.fromkeys(("failure", "program"), (str, type(None))),
}
_LATER = {"decay"}
"""Columns that rows of earlier versions lack."""


def key_of(row: Row) -> Key:
    rate = row["rate"] if row["phase"] == "tune" else None
    recipe = (row["loss"], row["optimizer"], row["scale"])
    return (row["network"], row["dataset"], *recipe, row["arm"], row["phase"], rate, row["seed"])


def description_of(path: Path) -> Path:
    """The file beside a table that says how its rows were measured."""
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.meta.json")


class Table:
    """The rows of a grid, by their keys."""

    def __init__(self, path: Path, rows: Mapping[Key, Row], end: int) -> None:
        """end: number of bytes of the file that are whole rows; what follows them is overwritten."""
        self.path = path
        self.rows = dict(rows)
        self._end = end
        self._file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")

    def add(self, row: Row) -> None:
        """Write a row, whole or not at all. Raises DeltanasError where the disk is full or gone."""
        line = _line(row)
        try:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            rest = line
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise _unwritten(self.path, error) from error
        self._end += len(line)
        self.rows[key_of(row)] = row

    def sort(self, keys: Sequence[Key]) -> None:
        """Put the rows into the order of `keys`, that of a grid that nothing disturbed; no row is added after it."""
        ordered = [self.rows[key] for key in keys if key in self.rows]
        if list(map(key_of, ordered)) != list(self.rows):
            try:
                write_whole(self.path.resolve(), b"".join(map(_line, ordered)), lasting=True)
            except OSError as error:
                raise _unwritten(self.path, error) from error

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def open_table(path: Path, description: Mapping[str, Any], keys: Sequence[Key]) -> Iterator[Table]:
    """The table at `path`, begun or taken up, for one writer. A row that was cut short at its end is made again.

    description: how its rows are measured, in sections of plain data. keys: of all rows that the grid has.

    Raises:
        UsageError: it is of another grid, or was measured otherwise. DataError: a line in it is no row.
        DeltanasError: another process writes it, or it can't be written.
    """
    require_lines(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{path.name}.lock"))
    except BlockingIOError:
        owner = path.with_name(f"{path.name}.lock").read_text(encoding="ascii").strip()
        raise DeltanasError(
            f"{path} is being written by {f'process {owner}' if owner else 'another process'}",
            "wait for it or stop it, then run the command again; a lock never outlives its process",
        ) from None
    except OSError as error:
        raise _unwritten(path, error) from error
    try:
        rows, end = known_rows(path, description, keys)
        _describe(path, description, goes_on=bool(rows))
        table = Table(path, rows, end)
        try:
            yield table
        finally:
            table.close()
    finally:
        lock.release()


def require_lines(path: Path) -> None:
    """Raises UsageError where a grid writes no table of such a name."""
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder, and a grid writes one file", f"give --out {quote(str(path / 'grid.jsonl'))}"
        )
    if path.suffix == ".csv":
        raise UsageError(f"{path}: a grid writes JSON lines", f"give --out {quote(str(path.with_suffix('.jsonl')))}")


def known_rows(path: Path, description: Mapping[str, Any], keys: Sequence[Key]) -> tuple[dict[Key, Row], int]:
    """The rows of a table, and the number of bytes that they take; what was cut short at the end is left out.

    Raises:
        UsageError: they were measured otherwise than `description` says, or of another grid; or no grid writes such a
            file.
        DataError: a line is no row, stands there twice, or is of no training of the grid.
    """
    require_lines(path)
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    if lines:
        _require_same(path, description)
    rows: dict[Key, Row] = {}
    known = frozenset(keys)
    for number, line in enumerate(lines, 1):
        row = _row(line)
        fault = _fault(row, rows, known)
        if row is None or fault:
            copy = unused(path.with_name(f"{path.name}.{n}") for n in count(1))
            raise DataError(
                f"{path}: line {number} {fault}",
                f"`cp -n {quote(str(path))} {quote(str(copy))} && sed -i {number}d {quote(str(path))}` keeps a copy and"
                " takes the line out; its training is made again",
            )
        rows[key_of(row)] = row
    return rows, sum(map(len, lines))


def _fault(row: Row | None, rows: Mapping[Key, Row], known: frozenset[Key]) -> str:
    """Of a row that follows `rows`; "" if it is as it should be."""
    if row is None:
        return "is no row of a grid"
    if key_of(row) in rows:
        return "stands there twice"
    if key_of(row) not in known:
        where = f"{row['network']} on {row['dataset']}, {row['loss']} + {row['optimizer']}"
        return f"is of no training of this grid: {where}, arm {row['arm']}, seed {row['seed']}"
    return ""


def _require_same(path: Path, now: Mapping[str, Any]) -> None:
    hint = f"name another --out, or give this table another name: {aside(path)}"
    try:
        then = json.loads(description_of(path).read_text("utf-8"))
    except (OSError, ValueError):
        then = None
    if not isinstance(then, dict):
        raise UsageError(f"{path} holds rows, and {description_of(path)} does not say how they were measured", hint)
    if differs := _difference(then, _plain(now)):
        raise UsageError(f"{path} holds another grid: {differs}", hint)


def _describe(path: Path, now: Mapping[str, Any], goes_on: bool) -> None:
    """Write how the rows are measured, in place of what is written of no rows, or of those of a smaller grid.

    Where the rows that are there came from stays; a description of an earlier version names one such place.
    """
    place, said = description_of(path), _plain(now)
    try:
        if MADE in said:
            then = json.loads(place.read_text("utf-8")).get(MADE, []) if goes_on else []
            known = then if isinstance(then, list) else [then]
            said[MADE] = known if said[MADE] in known else [*known, said[MADE]]
        text = json.dumps(said, indent=1) + "\n"
        if not place.exists() or place.read_text("utf-8") != text:
            write_whole(place, text, lasting=True)
    except OSError as error:
        raise _unwritten(place, error) from error


def _plain(description: Mapping[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(json.dumps(description)))


def _difference(then: dict[str, Any], now: dict[str, Any]) -> str:
    """What forbids to go on, "" if nothing does. A grid may grow: by networks, recipes, data sets, arms and seeds."""
    old = flat({section: value for section, value in then.items() if section != MADE})
    new = flat(now)
    for key, value in old.items():
        if key not in new:
            return f"it has `{key}`, which this command leaves out"
        grows = key == "recipes" or key.startswith("seeds.")
        if (missing := [one for one in value if one not in new[key]] if grows else []) or (
            not grows and value != new[key]
        ):
            return f"`{key}` has {missing[0]}" if grows else f"`{key}` was {value}, and is {new[key]}"
    for key in new.keys() - old.keys():
        if key == "decay" or key.startswith("train."):
            return f"`{key}` was not set, and is {new[key]}"
    return ""


def _row(line: bytes) -> Row | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    sound = isinstance(found, dict) and found.keys() | _LATER == _TYPES.keys()
    if not sound or any(not isinstance(value, _TYPES[name]) for name, value in found.items()):
        return None
    return cast(Row, found)


def _line(row: Row) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _unwritten(path: Path, error: OSError) -> DeltanasError:
    hint = "make room or name another --out; the same command goes on, and makes no row again that is written"
    return DeltanasError(f"{path} can't be written: {error.strerror}", hint)
