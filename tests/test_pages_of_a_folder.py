"""The list of the runs of a folder: what it says of each, when it reads one, and what is broken."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deltanas.archive import DATABASE, Overview, RunArchive, begin_run, read_folder
from deltanas.pages import FollowedFolder, folder, holds_runs
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Attempt, Candidate, Draft

BASE = Program.of("x = 1")
OPENED = (Attempt("", None, "", None),)
CONFIG = {"dataset": "digits", "strategy": "random", "cycles": 2, "candidates": 2, "model": {"spec": "smollm2"}}


def trained(score: float, seconds: float = 2.0) -> Trained:
    return Trained(score, 100, 0, seconds, seconds, "A")


def begun(
    path: Path,
    *scores: float,
    finished: bool = True,
    archive: str | None = None,
    data: dict[str, object] | None = None,
    **config: object,
) -> Path:
    """A run with one baseline, and a candidate of each score."""
    _, run = begin_run(path, archive, {"config": CONFIG | config, **({"data": data} if data else {})})
    with run:
        run.open([Candidate(0, 0, "baseline", None, Draft(BASE), OPENED, name="one")])
        run.record(0, 0, trained(0.5), trained(0.5))
        for place, score in enumerate(scores):
            run.open([Candidate(1, place, "random", BASE.id, Draft(BASE.edited("net", f"x = {score}")), OPENED)])
            run.record(1, place, trained(score), trained(score))
        if finished:
            run.finish()
    return path


def row(followed: FollowedFolder, name: str) -> str:
    """The text of a run's row."""
    rows = followed.draw().parts["runs"].split("<tr")
    return next(each for each in rows if f">{name}</a>" in each)


def test_runs_are_compared_by_their_best_with_its_interval(tmp_path: Path) -> None:
    begun(tmp_path / "a", 0.7, 0.8)
    begun(tmp_path / "b", 0.6, finished=False, strategy="delta", model={"spec": "openai:http://h:1/v1#some/model"})
    begun(tmp_path / "c", 0.31, dataset="cifar10")
    (tmp_path / "notes").mkdir()
    followed = FollowedFolder(tmp_path)
    followed.stamp()
    first, second, third = (row(followed, name) for name in "abc")
    for text in ("finished", "80.0%", "71.1% to 86.7%", "digits", "random", "2 trained", "6.0 s", "best</span>"):
        assert text in first
    assert "smollm2" not in first, "no model was asked"
    for text in ("stopped", "60.0%", "delta", "some/model", ">model</small>", "1 <span>of 4</span>"):
        assert text in second
    assert "best</span>" not in second
    assert "31.0%" in third
    assert "best</span>" not in third, "it is alone on its data"
    top = followed.draw().parts["top"]
    for text in (
        "2 finished",
        "1 stopped",
        "Best accuracy on digits",
        "the best of 2 runs",
        "Best accuracy on cifar10",
        "the only run on it",
    ):
        assert text in top
    followed.close()


def test_runs_are_compared_on_the_same_content_whatever_it_is_called(tmp_path: Path) -> None:
    for name, dataset, sha256, score in (
        ("a", "folder:photos", "1", 0.7),
        ("b", "folder:/mnt/photos", "1", 0.8),
        ("c", "folder:photos", "2", 0.9),
    ):
        begun(tmp_path / name, score, data={"sha256": sha256}, dataset=dataset)
    followed = FollowedFolder(tmp_path)
    followed.stamp()
    assert ["best</span>" in row(followed, name) for name in "abc"] == [False, True, False]
    followed.close()


def test_a_state_is_that_of_the_moment(tmp_path: Path) -> None:
    folder, run = begin_run(tmp_path / "run", None, {"config": CONFIG})
    followed = FollowedFolder(tmp_path)
    stamps = [followed.stamp()]
    assert "running" in row(followed, "run")
    refused, late = Refused("build", "no"), Failed("timeout", "60 s are over", 60.0, 50.0, "A")
    writes: tuple[Callable[[], object], ...] = (
        lambda: run.open([Candidate(0, 0, "baseline", None, Draft(BASE), OPENED, name="one")]),
        lambda: run.record(0, 0, trained(0.5), trained(0.5)),
        lambda: run.open([Candidate(1, 0, "random", BASE.id, Draft(BASE.edited("net", "x = 2")), OPENED)]),
        lambda: run.record(1, 0, trained(0.4), None),
        lambda: run.record(1, 0, trained(0.6), trained(0.5)),
        lambda: run.open([Candidate(1, 1, "random", BASE.id, None, (Attempt("", None, "", refused),), refused)]),
        lambda: run.open([Candidate(1, 2, "random", BASE.id, Draft(BASE.edited("net", "x = 3")), OPENED)]),
        lambda: run.record(1, 2, late, late),
    )
    for write in writes:
        write()
        stamps.append(followed.stamp())
    assert len(set(stamps)) == len(stamps), "every write is noticed"
    assert "1 trained, 1 refused, 1 failed" in row(followed, "run")
    run.close()
    followed.stamp()
    assert "stopped" in row(followed, "run")
    with folder.open(writer=True) as run:  # it is not kept from going on by who looks
        followed.stamp()
        assert "running" in row(followed, "run")
        run.finish()
    followed.stamp()
    assert "finished" in row(followed, "run")
    begun(tmp_path / "another", 0.7)
    assert len(followed.stamp()) == 2  # type: ignore[arg-type]
    assert "70.0%" in row(followed, "another")
    shutil.rmtree(tmp_path / "run")
    followed.stamp()
    assert ">run</a>" not in followed.draw().parts["runs"]
    followed.close()


def test_a_run_that_has_ended_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(5):
        begun(tmp_path / f"run-{place}", 0.7)
    read: list[str] = []
    usual = RunArchive.overview

    def noted(run: RunArchive) -> Overview:
        read.append(run.name)
        return usual(run)

    monkeypatch.setattr(RunArchive, "overview", noted)
    followed = FollowedFolder(tmp_path)
    stamps = {followed.stamp() for _ in range(20)}
    assert len(stamps) == 1
    assert sorted(read) == [f"run-{place}" for place in range(5)]
    with read_folder(tmp_path / "run-3").open(writer=True) as run:
        run.amend({"config": CONFIG | {"cycles": 9}}, reopen=True)
        assert followed.stamp() not in stamps
        assert "of 18" in row(followed, "run-3")
    assert set(read[5:]) == {"run-3"}
    followed.close()


def test_what_is_written_while_a_run_is_read_is_seen_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = begin_run(tmp_path / "run", None, {"config": CONFIG})
    followed = FollowedFolder(tmp_path)
    followed.stamp()
    usual = RunArchive.overview

    def overtaken(read: RunArchive) -> Overview:
        found = usual(read)
        if not run.finished:
            run.finish()
        return found

    monkeypatch.setattr(RunArchive, "overview", overtaken)
    run.open([Candidate(0, 0, "baseline", None, Draft(BASE), OPENED, name="one")])
    first = followed.stamp()
    assert "running" in row(followed, "run")
    assert followed.stamp() != first
    assert "finished" in row(followed, "run")
    run.close()
    followed.close()


def test_a_write_is_noticed_where_the_times_of_files_stand_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run = begin_run(tmp_path / "run", None, {"config": CONFIG})
    monkeypatch.setattr(folder, "_changed", lambda path: (0, 0))
    followed = FollowedFolder(tmp_path)
    followed.stamp()
    stamps = [followed.stamp(), followed.stamp()]
    assert len(set(stamps)) == 1
    run.open([Candidate(0, 0, "baseline", None, Draft(BASE), OPENED, name="one")])
    assert followed.stamp() not in stamps
    run.close()
    followed.close()


def test_a_run_that_was_removed_and_begun_again_is_read_anew(tmp_path: Path) -> None:
    begun(tmp_path / "run", 0.7, finished=False)
    followed = FollowedFolder(tmp_path)
    followed.stamp()
    assert "70.0%" in row(followed, "run")
    shutil.rmtree(tmp_path / "run")
    begun(tmp_path / "run", 0.6, finished=False)
    followed.stamp()
    assert "60.0%" in row(followed, "run")
    followed.close()


def newer(path: Path) -> None:
    (path / "run.json").write_text(json.dumps({"format": 99, "name": "x", "archive": None}))


def unknown_task(path: Path) -> None:
    shutil.rmtree(path)
    _, run = begin_run(path, None, {"config": CONFIG | {"task": "translate"}})
    run.close()


def changed(path: Path, values: str) -> None:
    """Put other values in the row of the run."""
    with closing(sqlite3.connect(path / DATABASE)) as connection, connection:
        connection.execute(f"UPDATE runs SET {values}")


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pointer": (lambda path: (path / "run.json").write_text("{"), "run.json is damaged"),
    "not text": (lambda path: (path / "run.json").write_bytes(b"\xff\xfe"), "can&#39;t be read"),
    "deep pointer": (lambda path: (path / "run.json").write_text("[" * 200_000), "run.json is damaged"),
    "manifest": (lambda path: changed(path, "manifest = 'null'"), "the stored manifest is damaged"),
    "newer": (newer, "written in run format 99"),
    "no archive": (lambda path: (path / DATABASE).unlink(), "it is missing"),
    "empty archive": (lambda path: (path / DATABASE).write_bytes(b""), "is empty"),
    "cut archive": (lambda path: (path / DATABASE).write_bytes((path / DATABASE).read_bytes()[:5000]), "damaged"),
    "no database": (lambda path: (path / DATABASE).write_bytes(b"notes" * 2000), "not a SQLite database"),
    "task": (unknown_task, "the run&#39;s task is &#39;translate&#39;"),
    "server": (
        lambda path: (path / "run.json").write_text(
            json.dumps({"format": 1, "name": "x", "archive": "postgresql://127.0.0.1:1/none"})
        ),
        "PostgreSQL can&#39;t be reached",
    ),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_run_is_told_and_the_others_stand(tmp_path: Path, kind: str) -> None:
    broken, reason = BREAKS[kind]
    begun(tmp_path / "whole", 0.7)
    begun(tmp_path / "hurt", 0.7)
    followed = FollowedFolder(tmp_path)
    broken(tmp_path / "hurt")
    followed.stamp()
    told = row(followed, "hurt")
    assert "broken" in told
    assert reason in told
    assert "70.0%" in row(followed, "whole")
    assert "1 broken" in followed.draw().parts["top"]
    opened = followed.run("hurt")
    assert opened is not None
    assert 'class="notice"' in opened.draw().parts["top"]
    followed.close()


def test_names_are_no_markup_and_lead_nowhere_else(tmp_path: Path) -> None:
    begun(tmp_path / "a <b> & é?#%", 0.7, dataset="<script>")
    begun(tmp_path / "inner" / "deep", 0.7)
    followed = FollowedFolder(tmp_path)
    followed.stamp()
    html = followed.draw().page(nonce="n", script="", revision="1")
    assert 'href="runs/a%20%3Cb%3E%20%26%20%C3%A9%3F%23%25/"' in html
    assert "<script>" not in html.replace("<script nonce", "")
    assert followed.run("a <b> & é?#%") is not None
    for name in ("..", ".", "inner", "inner/deep", str(tmp_path / "inner" / "deep"), ""):
        assert followed.run(name) is None
    followed.close()


def test_what_is_a_folder_of_runs(tmp_path: Path) -> None:
    assert not holds_runs(tmp_path / "nowhere")
    assert not holds_runs(tmp_path)
    run = begun(tmp_path / "runs" / "run", 0.7)
    assert holds_runs(tmp_path / "runs")
    assert not holds_runs(run)
    assert not holds_runs(run / "run.json")
