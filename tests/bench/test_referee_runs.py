"""The simulated runs of the referee: few, resumable row by row, and a table that says what the rows do."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from benchmarks import referee
from benchmarks.referee_nothing import IDLE, mirrored
from deltanas.nets import baselines
from deltanas.novelty import SeedGate
from deltanas.program import Program, Refused
from deltanas.records import Draft
from deltanas.referee.evidence import BETS, ERROR, SKEW


def test_the_noise_is_that_of_real_trainings() -> None:
    found = referee.residuals()
    assert len(found) == 320
    assert 0.005 < referee.Noise(found).true < 0.007


@pytest.mark.parametrize("scatter", [1.0, 2.0, 3.0, 10.0])
def test_the_skew_of_real_trainings_is_within_the_margin(scatter: float) -> None:
    """Of a candidate that gains nothing, whatever the referee takes for the noise of a training."""
    known = referee.residuals()
    found = np.array(known)
    gains = (scatter * found[:, None] - found[None, :]).ravel()
    for noise in referee.Noise(known).true * np.linspace(1, scatter, 5):
        factors = np.array([2 / (1 + np.exp(-2 * bet * gains / noise)) for bet in BETS])
        assert factors.mean(axis=1).max() < 1 + SKEW


def test_a_run_keeps_by_score_what_the_referee_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referee, "CANDIDATES", 60)
    found = [referee.played(f"test:{number}", referee.Noise(referee.residuals()), 1.0, 0.0) for number in range(5)]
    assert sum(run.wrong for run in found) == 0
    assert sum(run.kept > 0 for run in found) >= 4, "unless the champion's own training was a lucky one"
    assert 0 < max(run.spent for run in found) < ERROR


def test_rows_are_written_one_by_one_and_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.jsonl"
    with (
        mock.patch.multiple(referee, CANDIDATES=20, GROUP=20, SLOTS=(16,), GAINS=(3.0,)),
        mock.patch("sys.argv", ["referee", "--runs", "2", "--out", str(out)]),
    ):
        referee.main()
        first, told = out.read_text("utf-8"), capsys.readouterr().out
        out.write_text(first[:-30], "utf-8")  # a kill cut the last row short
        referee.main()
        assert out.read_text("utf-8") == first
        assert capsys.readouterr().out == told
    keys = [json.loads(line)["key"] for line in first.splitlines()]
    kinds = ("even", "noisier", "noisiest", "worse")
    assert keys == [*(f"{kind}:{number}" for kind in kinds for number in (0, 1)), "power:16:3"]
    assert "wrong: higher score kept" in told
    assert "/20" in told


def test_mirrors_are_sixty_programs_that_no_gate_can_know() -> None:
    parent = baselines()["convmixer"]
    assert len({mirrored(parent, number) for number in range(63)} - {parent}) == 63


@pytest.mark.parametrize("made", IDLE, ids=lambda made: made.__name__)
def test_edits_that_do_nothing_are_edits(made: object) -> None:
    parent = Program.of(net=baselines()["convmixer"])
    child = parent.edited("net", made(parent.net, 3))  # type: ignore[operator]
    assert child.net != parent.net
    gate = SeedGate()
    gate.remember([Draft(parent)])
    (verdict,) = gate.judge([Draft(child)])
    assert isinstance(verdict, Refused) == (made.__name__ == "seeded")  # type: ignore[attr-defined]
