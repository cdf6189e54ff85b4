"""Hints about spoilt files, carried out: what is in the way is put aside, and nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deltanas.archive import create_run, open_run, sqlite_url
from deltanas.errors import ArchiveError, DataError, aside
from deltanas.learn.measured import MeasuredEdit, read_measured, write_measured
from hinted import code_in, run


@pytest.mark.parametrize("name", ["plain", "with spaces", "it's", "-dash", "$HOME;ls", "dätä"])
def test_what_is_put_aside_is_kept_under_a_free_name(name: str, tmp_path: Path) -> None:
    for content in ("first", "second", "third"):
        (tmp_path / name).write_text(content)
        run(aside(tmp_path / name).strip("`"), tmp_path)
    kept = [(tmp_path / f"{name}.{number}").read_text() for number in (1, 2, 3)]
    assert (kept, (tmp_path / name).exists()) == (["first", "second", "third"], False)


def test_an_empty_archive_is_put_aside_to_start_anew(tmp_path: Path) -> None:
    path = tmp_path / "my archive.db"
    path.touch()
    with pytest.raises(ArchiveError, match="is empty") as caught:
        open_run(sqlite_url(path), "run")
    run(code_in(caught.value.hint)[0], tmp_path)
    create_run(sqlite_url(path), "run", {}).close()
    assert (tmp_path / "my archive.db.1").is_file()


def test_a_broken_line_is_left_out_of_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "my edits.jsonl"
    edits = [MeasuredEdit("mlp", "width = 8\n", "<<<", gain, 0.1, 0.5) for gain in (0.1, 0.2, 0.3)]
    write_measured(path, edits)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "broken\n", lines[2]]))
    before = path.read_bytes()
    with pytest.raises(DataError, match="line 3: not JSON") as caught:
        read_measured(path)
    run(code_in(caught.value.hint)[0], tmp_path)
    named = re.search(r"line, (.+?): `", caught.value.hint)
    assert named
    assert read_measured(Path(named[1])) == edits
    assert path.read_bytes() == before
