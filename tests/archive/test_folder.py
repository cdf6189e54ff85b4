"""A run's folder: what a kill at any moment of its making leaves is taken up, and nothing foreign is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltanas.archive import POINTER, begin_run, create_run, list_folders, read_folder, sqlite_url
from deltanas.errors import ArchiveError, UsageError
from deltanas.records import Candidate


def test_a_folder_knows_its_run_and_can_be_moved(tmp_path: Path) -> None:
    folder, run = begin_run(tmp_path / "one", None, {"seed": 1})
    run.close()
    assert read_folder(tmp_path / "one") == folder
    (tmp_path / "one").rename(tmp_path / "moved")
    with read_folder(tmp_path / "moved").open() as again:
        assert again.manifest == {"seed": 1}
        assert again.name == "one"


def test_a_run_killed_before_its_pointer_was_written_is_taken_up(tmp_path: Path) -> None:
    _, run = begin_run(tmp_path / "one", None, {"seed": 1})
    run.close()
    (tmp_path / "one" / POINTER).unlink()
    (tmp_path / "one" / "archive.db.new-1").write_bytes(b"half")
    folder, run = begin_run(tmp_path / "one", None, {"seed": 2})
    with run:
        assert run.manifest == {"seed": 1}
    assert json.loads((folder.path / POINTER).read_text())["name"] == "one"


def test_a_shared_archive_takes_up_an_empty_run_and_protects_a_begun_one(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "shared.db")
    create_run(url, "one", {}).close()
    _, run = begin_run(tmp_path / "one", url, {})
    with run:
        run.open([Candidate(0, 0, "baseline", None, None)])
    (tmp_path / "one" / POINTER).unlink()
    with pytest.raises(ArchiveError, match="holds a run 'one' already"):
        begin_run(tmp_path / "one", url, {})


def test_a_folder_with_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(UsageError, match="exists and is not a run"):
        begin_run(tmp_path, None, {})
    with pytest.raises(UsageError, match="exists and is not a run"):
        begin_run(tmp_path / "thesis.txt", None, {})
    with pytest.raises(UsageError, match="is not a run"):
        read_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "null",
        '{"format": 1, "name": 5, "archive": null}',
        '{"format": 1, "name": null, "archive": null}',
        '{"format": 1, "name": "one", "archive": 5}',
    ],
    ids=["deep", "null", "number for a name", "no name", "number for an archive"],
)
def test_a_pointer_of_another_form_is_damaged(tmp_path: Path, text: str) -> None:
    begin_run(tmp_path / "one", None, {})[1].close()
    (tmp_path / "one" / POINTER).write_text(text)
    with pytest.raises(ArchiveError, match=r"run\.json is damaged"):
        read_folder(tmp_path / "one")


def test_the_runs_of_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a"):
        begin_run(tmp_path / name, None, {})[1].close()
    (tmp_path / "other").mkdir()
    assert {folder.name for folder in list_folders(tmp_path)} == {"a", "b"}
    with pytest.raises(UsageError, match="no folder"):
        list_folders(tmp_path / "absent")
