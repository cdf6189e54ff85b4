"""A run as the live page reads it: not there, empty, under way, damaged."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from deltanas.archive import DATABASE, begin_run, read_folder, sqlite_url
from deltanas.errors import ArchiveError, UsageError
from deltanas.pages import Followed, current_report, write_report
from deltanas.program import Program, Refused, Trained
from deltanas.records import Attempt, Candidate, Draft, Final
from hinted import code_in

BASE = Program.of("x = 1")
SCORE = Trained(0.5, 100, 0, 1.0, 1.0, "A")


def test_each_state_of_a_run_is_told(tmp_path: Path) -> None:
    followed = Followed(tmp_path / "run")
    waiting = followed.draw().parts["top"]
    assert "there is no run at" in waiting
    assert "not finished" not in waiting
    stamps = [followed.stamp()]
    folder, run = begin_run(tmp_path / "run", None, {"version": "1"})
    stamps.append(followed.stamp())
    assert "No network has been trained yet" in followed.draw().parts["progress"]
    refused, opened = Refused("build", "no"), (Attempt("", None, "", None),)
    with run:
        # Every write is noticed.
        writes: tuple[Callable[[], None], ...] = (
            lambda: run.open([Candidate(0, 0, "baseline", None, Draft(BASE), opened, name="one")]),
            lambda: run.record(0, 0, SCORE, SCORE),
            lambda: run.open([Candidate(1, 0, "random", BASE.id, Draft(BASE.edited("net", "x = 2")))]),
            lambda: run.record(1, 0, SCORE, None),
            lambda: run.record(1, 0, SCORE, SCORE),
            lambda: run.open([Candidate(1, 1, "random", BASE.id, None, (Attempt("", None, "", refused),), refused)]),
            lambda: run.add_final(Final(BASE.id, SCORE)),
            run.finish,
        )
        for write in writes:
            write()
            stamps.append(followed.stamp())
    assert len(set(stamps)) == len(stamps)
    page = followed.draw()
    assert '<span class="pill done">finished</span>' in page.parts["top"]
    found = page.candidate("1.0")
    assert found is not None
    assert ["edited from", "one"] in [list(fact) for fact in found["facts"]]  # type: ignore[attr-defined]
    assert page.candidate("7.7") is None
    again = Followed(tmp_path / "run")
    for file in folder.path.glob(f"{DATABASE}*"):
        file.unlink()
    assert "missing" in again.draw().parts["top"]
    assert "missing" in str(again.stamp())


@pytest.mark.parametrize("is_shared", [False, True], ids=["own file", "shared file"])
def test_a_run_that_is_removed_is_gone_and_the_next_one_is_followed(tmp_path: Path, is_shared: bool) -> None:
    def begun(number: int) -> None:
        """Runs with as many rows, each with a name of its own for its network."""
        url = sqlite_url(tmp_path / f"{number}.db") if is_shared else None
        _, run = begin_run(tmp_path / "run", url, {"version": "1"})
        with run:
            run.open(
                [Candidate(0, 0, "baseline", None, Draft(BASE), (Attempt("", None, "", None),), name=f"n{number}")]
            )
            run.record(0, 0, SCORE, SCORE)

    def name_of(page: Followed) -> object:
        found = page.draw().candidate("0.0")
        return found and found["name"]

    begun(1)
    followed = Followed(tmp_path / "run")
    first = followed.stamp()
    assert name_of(followed) == "n1"
    shutil.rmtree(tmp_path / "run")
    gone = followed.stamp()
    page = followed.draw()
    assert "is gone: this page waits for another one" in page.parts["top"]
    assert page.candidate("0.0") is not None, "what was read last stands"
    begun(2)
    second = followed.stamp()
    assert name_of(followed) == "n2"
    shutil.rmtree(tmp_path / "run")
    begun(3)
    third = followed.stamp()
    assert name_of(followed) == "n3", "nobody looked between the two"
    assert len({first, gone, second, third}) == 4
    followed.close()


def test_a_folder_in_place_of_the_page_is_told_and_is_no_page(tmp_path: Path) -> None:
    folder, run = begin_run(tmp_path / "run", None, {"version": "1"})
    with run:
        run.finish()
        folder.report.mkdir()
        assert current_report(folder, run) is None
        with pytest.raises(UsageError, match=r"report\.html is a folder"):
            write_report(folder, run.view())
    assert [file.name for file in folder.path.iterdir() if file.name.startswith(".")] == []


def test_a_page_named_by_its_user_takes_the_place_of_no_other_file(tmp_path: Path) -> None:
    folder, run = begin_run(tmp_path / "run", None, {"version": "1"})
    own = tmp_path / "mine.py"
    own.write_text("of value")
    with run:
        for place in (own, tmp_path):
            with pytest.raises(UsageError, match=r"no page of ours|is a folder") as caught:
                write_report(folder, run.view(), place)
            (code,) = code_in(caught.value.hint)
            page = Path(code.removeprefix("--out "))
            assert not page.exists()
            assert write_report(folder, run.view(), page) == write_report(folder, run.view(), page) == page
    assert own.read_text() == "of value"


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 200_000], ids=["cut", "list", "null", "deep"])
def test_a_damaged_manifest_is_told_with_its_row(tmp_path: Path, text: str) -> None:
    folder, run = begin_run(tmp_path / "run", None, {"version": "1"})
    run.close()
    connection = sqlite3.connect(tmp_path / "run" / DATABASE)
    with connection:
        connection.execute("UPDATE runs SET manifest = ?", (text,))
    connection.close()
    with pytest.raises(ArchiveError, match="table runs, key 1: the stored manifest is damaged"):
        read_folder(folder.path).open()
    assert "the stored manifest is damaged" in Followed(folder.path).draw().parts["top"]
