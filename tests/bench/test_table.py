"""Tables that grow row by row."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.table import append_rows, read_rows


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
