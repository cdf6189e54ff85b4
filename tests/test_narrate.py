"""What a search tells while nothing ends."""

from __future__ import annotations

from time import monotonic, sleep

import pytest

from deltanas import narrate
from deltanas.narrate import Narrator
from deltanas.program import Failed
from deltanas.records import Final
from deltanas.seams import Scored


def test_after_a_long_wait_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """89 seconds have passed, for which a machine at full load left it no time to speak."""
    clock = [0.0]
    monkeypatch.setattr(narrate, "monotonic", lambda: clock[0])
    narrator, told, deadline = Narrator(), "", monotonic() + 30
    clock[0] = 89.0
    with narrator:
        while "still" not in told and monotonic() < deadline:
            sleep(0.05)
            told += capfd.readouterr().err
        sleep(1.0)
    assert (told + capfd.readouterr().err).split("\n").count("  still loading (89 s)") == 1


def test_a_final_training_that_failed_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with Narrator() as narrator:
        narrator(Scored(Final("abc", Failed("timeout", "took longer than 300 s\nand more", 300.0, 1.0, "A"))))
    assert "  abc failed (timeout) took longer than 300 s\n" in capfd.readouterr().err
