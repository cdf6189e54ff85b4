"""Files that appear whole or not at all, and tables that grow row by row."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from deltanas.whole import append_rows, read_rows, write_whole


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    place = tmp_path / "file"
    before = os.umask(0o027)
    try:
        write_whole(place, "ä", lasting=True)
        write_whole(place, b"\0\xff")
    finally:
        os.umask(before)
    assert place.read_bytes() == b"\0\xff"
    assert place.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [place]


def test_what_can_not_be_written_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "file"
    write_whole(place, "old")
    write_whole(place, "\ud800")
    assert place.read_text() == "\\ud800", "a lone surrogate is written as its escape"
    write_whole(place, "old")
    taken = tmp_path / "folder"
    taken.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(taken, "new")
    assert place.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [place, taken]


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
