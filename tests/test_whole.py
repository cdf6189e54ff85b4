"""A file that appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deltanas.whole import write_whole


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
