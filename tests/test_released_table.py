"""The benchmark of the released table: pairs, replays, and the table that it reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.augmentation.model import Ranking
from benchmarks.augmentation.replay import (
    BLIND,
    THRESHOLD,
    best_of,
    board_of,
    drawn,
    idle_board,
    needed,
    repeated,
    replayed,
)
from benchmarks.augmentation.table import RULES, Entry, parameters, presence, read_table, right_pairs
from deltanas.errors import UsageError
from deltanas.learn import Tuning
from lemur_transforms import files, text
from lemur_wheels import write_wheel


def entries(count: int) -> list[Entry]:
    """Flips do well and one in ten of them reaches the threshold; all else does badly."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        flip = f"RandomHorizontalFlip(p=0.{number % 9 + 1})"
        blur = "GaussianBlur(kernel_size=3, sigma=(0.5, 1.5))"
        calls = [[flip], [blur], ["RandomInvert(p=0.5)"], [blur, "RandomInvert(p=0.5)"]][number % 4]
        reached = THRESHOLD + 0.01 if number % 40 == 0 else 0.57
        found.append(Entry(f"T{number}", text(*calls), reached if calls == [flip] else 0.4 + 0.001 * rng.random()))
    return found


def test_the_table_is_read_with_its_failures_apart(tmp_path: Path) -> None:
    found, counts = read_table(write_wheel(tmp_path / "w.whl", files()))
    assert {entry.name: entry.accuracy for entry in found} == {"Pad": 0.5654, "Pad_2": 0.57, "ColorJitter": 0.39}
    assert counts == {"brute_force_files": 4, "other_files": 3, "by_a_model": 2, "refused": 0, "one_epoch": 4,
                      "failed": 1, "five_epochs": 1}  # fmt: skip
    assert [entry.family for entry in found] == ["ColorJitter", "", "Pad"]
    assert (presence(found).sum(), parameters(found).shape) == (3, (3, 61))


def test_pairs_within_noise_do_not_count_and_ties_count_half() -> None:
    truth, errors = np.array([0.1, 0.2, 0.5]), np.full(3, 0.1)
    assert right_pairs(truth, truth, errors) == (2.0, 2)
    assert right_pairs(-truth, truth, errors) == (0.0, 2)
    assert right_pairs(np.zeros(3), truth, errors) == (1.0, 2)


def test_rules_rank_what_they_did_not_see() -> None:
    some = entries(200)
    for rule in ("ridge", "additive"):
        found = RULES[rule](some[:150], some[150:])
        right, pairs = right_pairs(found, np.array([e.accuracy for e in some[150:]]), np.full(50, 0.02))
        assert right / pairs > 0.95


def test_replays_count_the_trainings_until_one_reaches_the_threshold() -> None:
    some = entries(400)
    idle = [Entry("none", text("Pad(padding=0)"), accuracy) for accuracy in (0.5, 0.5, 0.5, 0.6)]
    board = board_of(some)
    found = {name: replayed([board], arm, name, 300 if arm is drawn else 40) for name, arm in BLIND.items()}
    found["identity"] = replayed([idle_board(idle)], repeated, "identity", 300)
    assert found["random"]["mean"] == pytest.approx(401 / 11, rel=0.15)  # 10 of 400 reach it
    assert found["identity"]["mean"] == pytest.approx(4, rel=0.15)
    assert found["random"]["mean_low"] < found["random"]["mean"] < found["random"]["mean_high"]
    for name in ("bandit", "evolution", "additive surrogate"):
        assert found[name]["mean"] < found["random"]["mean"]
    perfect = replayed([board], best_of(board.accuracy, len(some)), "perfect", 20)
    assert (perfect["mean"], perfect["median"]) == (1.0, 1.0)
    useless = replayed([board], best_of(np.zeros(len(some)), 6), "useless", 300)
    assert useless["mean"] == pytest.approx(401 / 11, rel=0.2)


def test_how_often_few_trainings_reach_the_threshold_leaves_much_open() -> None:
    some = [Entry("none", text("Pad(padding=0)"), 0.6 if number < 4 else 0.5) for number in range(72)]
    found = needed(idle_board(some))
    assert (found["trainings"], found["reaching"], found["needed"]) == (72, 4, 18.0)
    assert found["needed_low"] == pytest.approx(7.4, abs=0.1)
    assert found["needed_high"] == pytest.approx(45.8, abs=0.1)
    assert needed(idle_board(some[4:]))["needed"] == np.inf


@pytest.mark.parametrize(
    ("spec", "pairs", "rate"), [("smollm2-360m", 400, 2e-4), ("smollm2", 1_000, 2e-4), ("smollm2", 400, 1e-3)]
)
def test_what_another_tuning_gave_is_not_taken_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, pairs: int, rate: float
) -> None:
    def loaded(_: object) -> None:
        raise LookupError("it goes on to the model")

    monkeypatch.setattr("benchmarks.augmentation.model.model_of", loaded)
    with pytest.raises(LookupError):
        Ranking(tmp_path, "smollm2", 400, Tuning(rate=2e-4)).scores([], [])
    with pytest.raises(UsageError, match="measured otherwise"):
        Ranking(tmp_path, spec, pairs, Tuning(rate=rate)).scores([], [])
