"""Networks that searches hand over, trained longer: the rival is chosen without a test image."""

from __future__ import annotations

import numpy as np

from benchmarks.compare import mean
from benchmarks.table import Row
from benchmarks.transfer import Searched, crossed, rival_of, told
from deltanas.program import Program

SLOW, FAST, FOUND, WORSE = (Program.of(f"NAME = '{name}'\n") for name in ("slow", "fast", "found", "worse"))
BASELINES = {"slow": SLOW, "fast": FAST}


def row(program: Program, split: str, repeat: int, score: float, flops: int = 100) -> Row:
    return {
        "program": program.id, "split": split, "repeat": repeat, "score": score, "flops": flops, "params": 10,
        "seconds": 2.0,
    }  # fmt: skip


def test_gains_are_over_the_best_baseline_of_the_validation_images() -> None:
    rows = [
        row(SLOW, "validation", 0, 0.9), row(FAST, "validation", 0, 0.8),
        *(row(SLOW, "test", repeat, score) for repeat, score in enumerate((0.86, 0.88))),
        *(row(FAST, "test", repeat, 0.95) for repeat in range(2)),
        *(row(FOUND, "test", repeat, 0.90, 150) for repeat in range(2)),
        *(row(WORSE, "test", repeat, 0.85, 50) for repeat in range(2)),
    ]  # fmt: skip
    assert rival_of(rows, BASELINES) == "slow", "though the other is better on the test images"
    searches = [Searched("a", "digits", FOUND, "fast", BASELINES), Searched("b", "digits", WORSE, "slow", BASELINES)]
    found = told(rows, searches, "slow")
    runs = found["runs"]
    assert isinstance(runs, list)
    assert [(one["gain"]["value"], one["gain_over_own"]["value"], one["flops"]) for one in runs] == [
        (0.03, -0.05, 1.5),
        (-0.02, -0.02, 0.5),
    ]
    gain = found["gain"]
    assert isinstance(gain, dict)
    assert (gain["value"], gain["n"]) == (0.005, 2)
    assert gain["low"] < 0 < gain["high"]


def test_the_interval_of_the_mean_gain_holds_the_luck_of_the_seeds_that_all_runs_share() -> None:
    """Twelve runs that gain nothing, beside a rival whose few trainings move all their gains together."""
    rng = np.random.default_rng(0)
    held: list[bool] = []
    alone: list[bool] = []
    for _ in range(400):
        gains = rng.normal(0, 0.001, (12, 1)) + rng.normal(0, 0.005, (12, 4)) - rng.normal(0, 0.005, 4)
        for found, covered in ((crossed(gains), held), (mean(gains.mean(1).tolist()), alone)):
            covered.append(found["low"] <= 0 <= found["high"])
    assert np.mean(held) > 0.9
    assert np.mean(alone) < 0.75, "the runs alone know nothing of the rival's luck"
    assert crossed(gains[:, :1]) == mean(gains[:, 0].tolist())
