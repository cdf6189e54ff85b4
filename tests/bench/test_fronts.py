"""The benchmark of fronts: whose parents are chosen, and what is found within the bytes of a network made by hand."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from random import Random

import pytest

from benchmarks import fronts
from deltanas.config import read_config
from deltanas.journal import Journal
from deltanas.objective import TRAFFIC
from deltanas.program import Program, Trained
from deltanas.records import Candidate, Draft, Measurement, RunView
from deltanas.seams import Slot
from deltanas.wiring.choosing import require_objectives
from deltanas.wiring.proposing import parent_rule_of


def _row(cycle: int, index: int, score: float, moved: float, name: str = "") -> Candidate:
    program = Program.of(f"place = {cycle}, {index}")
    outcome = Trained(score, 4, 0, 1.0, 1.0, "A")
    told = (Measurement(TRAFFIC, moved, n=1),)
    return Candidate(
        cycle, index, "random", None, Draft(program), (), outcome, (outcome,), name=name, measurements=told
    )


BASELINES = (_row(0, 0, 33.0, 1e8, "half"), _row(0, 1, 34.0, 1e9, "lite"))


def _view(*rows: Candidate) -> RunView:
    return RunView("run", True, {}, (*BASELINES, *rows), {})


def test_parents_that_are_not_chosen_are_drawn_evenly_whatever_they_scored() -> None:
    rows = [*BASELINES, _row(1, 0, 40.0, 1e6)]
    journal = Journal(rows)
    asked = {"task": "denoise", "dataset": "photos", "objectives": "psnr,macs"}
    for arm, among in (("uniform", rows[:2]), ("walk", rows)):
        config = read_config({**asked, "strategy": fronts.ARMS[arm]})
        require_objectives(config)
        rule = parent_rule_of(config)
        drawn = [rule(Slot(2, 0), journal, Random(f"{n}:parent")).id for n in range(600)]
        assert {one.program.id for one in among if one.program} == set(drawn)
        assert all(abs(drawn.count(one) / 600 - 1 / len(among)) < 0.1 for one in set(drawn))


def test_the_table_pairs_searches_and_trainings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    for seed in range(3):
        best = _row(1, 0, 35.0 + 0.1 * seed, 1e8)
        runs.append(("front", seed, _view(best, _row(1, 1, 36.0, 5e8))))
        runs.append(("uniform", seed, _view(_row(1, 2, 34.0, 1e8))))
    monkeypatch.setattr(fronts, "runs_of", lambda folder: iter(runs))
    (tmp_path / "noisy.jsonl").write_text(json.dumps({"psnr": 32.0}) + "\n")
    ids = [row.program.id for row in (BASELINES[0], _row(1, 0, 0, 0), _row(1, 2, 0, 0)) if row.program]
    rows = [{"program": one, "seed": n, "psnr": 33 + gain + 0.1 * n} for n in range(2)
            for one, gain in zip(ids, (0, 2, -0.5), strict=True)]  # fmt: skip
    (tmp_path / "again.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = tmp_path / "rows.jsonl"
    kept.write_text("of another table\n")
    fronts.table(Namespace(out=tmp_path, student="half", rows=kept))
    written = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(written) == 3 * (4 + 3)
    assert written[2] == {"arm": "front", "seed": 0, "name": "1.0", "psnr": 35.0, "bytes": 1e8}
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "reference: 32.00 dB (noisy images), 1,000 MB (baseline that moves most)"
    # 3 dB x 1 decade of the first three networks of each; the fourth, which the other arm has no training for, is out
    assert told[1] == "seed 0: front 3.0000, uniform 2.0000 dB x decades; 3 trainings each"
    assert told[4].startswith("front less uniform: +1.1000 [")
    assert told[5] == "front 0: 1.0, 100 MB: over half +2.00 [+2.00, +2.00] dB; 2 seeds"
    assert told[-1] == "uniform: over half -0.50 [-0.50, -0.50] dB over 3 searches"
