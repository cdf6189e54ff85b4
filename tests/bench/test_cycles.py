"""Cycles of tuning: what teaches is split, each edit to one cycle; the report compares cycles in pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cycles import HELD, report, shared_out
from deltanas.learn.sources import gains_edits

GAINS = Path(__file__).parents[2] / "benchmarks" / "gains"


def test_no_cycle_learns_from_a_family_that_is_held_out_or_an_edit_twice() -> None:
    cycles = shared_out(gains_edits(GAINS), "gain", 3)
    edits = [(edit.pair, edit.family) for cycle in cycles for edit in cycle]
    assert len(edits) > 100
    assert not {family for _, family in edits} & set(HELD)
    assert len({(edit.parent.id, edit.edit) for cycle in cycles for edit in cycle}) == len(edits)
    assert max(map(len, cycles)) - min(map(len, cycles)) <= 1


def row(writing: str, cycle: int, reached: list[str], length: int) -> dict[str, object]:
    order = ["applied", "valid", "effective"]
    steps = [{"step": one, "n": sum(order.index(each) >= place for each in reached)} for place, one in enumerate(order)]
    steps.append({"step": "distinct", "n": steps[-1]["n"]})
    return {
        "model": "m",
        "writing": writing,
        "cycle": cycle,
        "reached": reached,
        "reply_lengths": [length] * len(reached),
        "steps": steps,
        "tokens_of_code": None,
        "seconds": 1.0,
    }


def test_the_report_pairs_proposals_and_sets_lengths_beside_validity(capsys: pytest.CaptureFixture[str]) -> None:
    before = ["applied"] * 20
    after = ["applied"] * 5 + ["effective"] * 15
    report(
        [row("free", 1, after, 40), row("free", 0, before, 40), row("full", 0, before, 600), row("full", 1, after, 600)]
    )
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if line.startswith("| m | free")]
    assert [line.split(" | ")[2] for line in lines] == ["0", "1"]
    assert "75.0 [53.1, 88.8]" in lines[1]
    assert "+75.0 [" in lines[1]
    assert "- m, cycle 1:" in told
