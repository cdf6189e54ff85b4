"""What a list of runs says of one, from either database."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deltanas.archive import begin_run
from deltanas.pages import FollowedFolder, folder
from deltanas.program import Program, Trained
from deltanas.records import Attempt, Candidate, Draft

BASE = Program.of("x = 1")
OPENED = (Attempt("", None, "", None),)


@pytest.mark.parametrize("place", ["sqlite", "postgres"])
def test_states_counts_and_the_best(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres") if place == "postgres" else None
    made, run = begin_run(tmp_path / "run", url, {})
    with made.open() as read:
        assert read.is_written
        first = read.overview()
        assert (first.state, first.best, first.seconds, first.ended) == ("running", None, 0.0, None)
        run.open([Candidate(0, 0, "baseline", None, Draft(BASE), OPENED, name="one")])
        for index, score in enumerate((0.5, 0.75, 0.75, 0.25)):
            run.open([Candidate(1, index, "random", BASE.id, Draft(BASE.edited("net", f"x = {index}.5")), OPENED)])
            trained = Trained(score, 100, 0, 2.0, 2.0, "A")
            run.record(1, index, trained, trained)
        run.open([Candidate(1, 4, "random", BASE.id, Draft(BASE.edited("net", "x = 9")), OPENED)])
        now = read.overview()
        assert now.best is not None
        assert (now.best.label, now.best.score, len(now.best.trainings)) == ("1.1", 0.75, 1)
        assert now.counts == {"open": 1, "refused": 0, "failed": 0, "trained": 4}
        assert now.seconds == 8.0
        run.close()
        until = time.monotonic() + 20  # a database server frees a lock when it sees that the connection has ended
        while read.is_written and time.monotonic() < until:
            time.sleep(0.05)
        assert not read.is_written
        assert read.overview().state == "stopped"
        with made.open(writer=True) as again:
            assert read.overview().state == "running"
            again.finish()
        assert read.overview().state == "finished"


def test_a_run_in_postgres_is_asked_now_and_then(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(folder, "monotonic", lambda: now)
    _, run = begin_run(tmp_path / "run", postgres, {})
    followed = FollowedFolder(tmp_path)
    first = followed.stamp()
    run.open([Candidate(0, 0, "baseline", None, Draft(BASE), OPENED, name="one")])
    assert followed.stamp() == first
    now += folder.REMOTE
    second = followed.stamp()
    assert second != first
    run.finish()
    run.close()
    now += folder.REMOTE
    assert "finished" in (followed.stamp(), followed.draw().parts["top"])[1]
    third = followed.stamp()
    now += folder.REMOTE
    assert followed.stamp() == third, "it has ended"
    followed.close()
