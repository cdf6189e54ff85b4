"""Tables that grow row by row."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from benchmarks.table import append_rows, read_rows, stamp
from deltanas.errors import UsageError


def write(path: Path, writer: int) -> None:
    for number in range(60):
        append_rows(path, [{"writer": writer, "number": number, "pad": "x" * 3_000}])


def test_rows_of_two_writers_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with ProcessPoolExecutor(2) as writers:
        list(writers.map(partial(write, path), (0, 1)))
    kept = {(row["writer"], row["number"]) for row in read_rows(path)}
    assert kept == {(writer, number) for writer in (0, 1) for number in range(60)}


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_rows(path, [{"number": 0}])
    with path.open("a") as file:
        file.write('{"number": 1, "sc')
    assert read_rows(path) == [{"number": 0}]
    append_rows(path, [{"number": 2}])
    assert read_rows(path) == [{"number": 0}, {"number": 2}]


def test_a_version_that_says_more_of_the_data_goes_on_with_the_same_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    stamp(path, {"size": 10, "data": {"sha256": "a", "span": None}}, "A")
    stamp(path, {"size": 10, "data": {"sha256": "a", "before": None}}, "A")
    for other in ({"sha256": "b"}, {"sha256": "a", "before": 0.5}):
        with pytest.raises(UsageError, match="measured otherwise"):
            stamp(path, {"size": 10, "data": other}, "A")
