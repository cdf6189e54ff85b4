"""Four askers in processes of their own, two of them killed: no slot is lost or trained twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from deltanas.archive import RunFolder
from deltanas.program import Trained
from deltanas.referee import Referee
from scripted_referee import Levels, begun, plan_of, referee

SLOTS = {(cycle, index) for cycle in (1, 2, 3) for index in range(8)}


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    archive = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return begun(tmp_path / "run", plan_of(3, 8), archive)


def asker(folder: RunFolder, name: str) -> subprocess.Popen[bytes]:
    here = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, str(here / "scripted_referee.py"), str(folder.path), name, "0.05"],
        env={**os.environ, "PYTHONPATH": str(here)},
    )


def settled(folder: RunFolder) -> int:
    with folder.open() as run:
        return run.tally()["trained"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_slot_is_lost_or_trained_twice(folder: RunFolder) -> None:
    rng = Random(folder.archive or "")
    playing = [asker(folder, name) for name in ("ann", "bob", "cy", "dee")]
    try:
        for victim, after in ((playing[0], 3), (playing[1], 8)):
            while settled(folder) < after and victim.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.random() * 0.1)
            victim.send_signal(signal.SIGKILL)
        assert [each.wait(110) for each in playing[2:]] == [0, 0]
    finally:
        for each in playing:
            each.kill()
            each.wait()
    held: Referee = referee(folder, plan_of(3, 8))
    with folder.open() as run:
        rows = {(row.cycle, row.index): row for row in run.candidates() if row.cycle}
        leases = run.ledger.leases()
    assert rows.keys() == SLOTS
    assert {(lease.cycle, lease.index) for lease in leases} == SLOTS
    scripted = Levels()
    for place, row in rows.items():
        assert row.program is not None
        assert len(row.attempts) == 1
        if row.outcome is None:  # its teller was killed last of all: a search trains it
            held.train(place)
            continue
        assert len(row.trainings) == 1, "trained once"
        (training,) = row.trainings
        assert isinstance(training, Trained)
        expected = scripted.outcome(row.program, training.seed)
        assert training.score == expected.score if isinstance(expected, Trained) else False
    assert held.ask().reason.startswith("all slots are told")
