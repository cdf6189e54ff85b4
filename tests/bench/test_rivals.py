"""What arms hand over after equal seconds, and the parametric network that a hyperparameter optimizer tunes."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import pytest

from benchmarks.parametric import best_of, score_of, text_of, tuned
from benchmarks.rivals import PLAIN, Contest, arm_of, cycles_of, growth_of, names_of, within
from benchmarks.rivals_report import compared, shared_luck
from deltanas.archive import begin_run
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.program import Program, Trained
from deltanas.records import Candidate
from deltanas.seams import Built
from deltanas.whole import read_rows
from deltanas.wiring import open_dataset_pool, open_shape_pool, program_of

SMALL: dict[str, Any] = {
    "stages": 1, "blocks": 1, "width0": 8, "kernel": 3, "norm": "none", "activation": "ReLU", "down": "MaxPool2d",
    "end": "AdaptiveAvgPool2d", "grid": 1, "dropout": 0.0,
}  # fmt: skip
LARGE = SMALL | {"stages": 4, "blocks": 3, "width1": 16, "width2": 24, "width3": 64, "kernel": 7, "grid": 4}


def test_every_value_of_the_space_builds_on_small_images_of_either_kind() -> None:
    named = {
        "norm": ("none", "batch", "group"),
        "activation": ("ReLU", "GELU", "SiLU", "Mish"),
        "down": ("MaxPool2d", "AvgPool2d", "stride"),
        "end": ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d"),
    }
    changed = [LARGE | {key: value} for key, values in named.items() for value in values]
    programs = [program_of(text_of(values)) for values in (SMALL, LARGE | {"dropout": 0.5}, *changed)]
    for shape in ((1, 8, 8), (3, 32, 32)):
        with open_shape_pool(shape, 10, TrainConfig(workers=1)) as pool:
            built = pool.build(programs)
        assert all(isinstance(each, Built) for each in built), built
        assert len({each.trace for each in built if isinstance(each, Built)}) > 10


def test_the_estimator_chooses_what_fits_and_every_score_is_told() -> None:
    with open_dataset_pool("digits", TrainConfig(size=64, workers=1, epochs=1)) as pool:
        rounds = tuned(pool, 0, 1, 2, lambda built: built.params < 20_000)
        found = [one for some in itertools.islice(rounds, 2) for one in some]
    assert len(found) == 4
    assert all(one.params < 20_000 and isinstance(one.outcome, Trained) for one in found)
    assert len({one.program.id for one in found}) > 1
    best = best_of([*found, *found], 2)
    assert len({one.program.id for one in best}) == 2
    assert score_of(best[0]) == max(map(score_of, found))


def test_arms_are_names_or_settings() -> None:
    assert names_of('none,mine={"a": 1, "b": {"c": 2}},tpe') == ["none", 'mine={"a": 1, "b": {"c": 2}}', "tpe"]
    assert arm_of("random").settings == PLAIN
    assert arm_of("tpe").settings is arm_of("whole").settings is arm_of("none@5").settings is None
    for unknown in ("best", "none@0", "none@five"):
        with pytest.raises(UsageError, match=f"no arm '{unknown}'"):
            arm_of(unknown)
    for wrong in ("mine={", "mine=[1]"):
        with pytest.raises(UsageError, match="no JSON object"):
            arm_of(wrong)
    assert arm_of('mine={"growth": 2}').settings == {"growth": 2}, "what the hint says"


def test_searches_have_one_epoch_but_for_the_default_and_those_that_say_otherwise(tmp_path: Path) -> None:
    contest = Contest(tmp_path, argparse.Namespace(train_size=64, workers=1), ())
    for arm, epochs in (("random", 1), ('mine={"growth": 2}', 1), ("default", None), ('two={"rungs": "1,5"}', None)):
        assert contest._trainings(arm_of(arm)).get("epochs") == epochs


def test_a_search_that_was_lengthened_and_killed_goes_on_from_there(tmp_path: Path) -> None:
    """A run may be lengthened and never shortened."""
    assert cycles_of(tmp_path / "run") == 1
    with begin_run(tmp_path / "run", None, {"config": {"cycles": 5}})[1]:
        pass
    assert cycles_of(tmp_path / "run") == 5


def test_what_stands_after_whole_trainings_is_trained_once_for_all_seeds(tmp_path: Path) -> None:
    given = argparse.Namespace(
        dataset="digits", train_size=64, final_size=128, final_epochs=2, workers=1, fresh=1, seconds=1.0
    )
    contest = Contest(tmp_path, given, ("mlp", "nin"))
    for seed in (0, 1):
        contest.handed(arm_of("whole"), seed)
    trained = read_rows(tmp_path / "whole.jsonl")
    assert [row["seed"] for row in trained] == [0, 0]
    rows = contest.rows()
    assert [(row["seed"], row["place"]) for row in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert rows[0]["score"] == max(float(str(row["score"])) for row in trained)
    assert rows[0]["spent_on_baselines"] == pytest.approx(sum(float(str(row["seconds"])) for row in trained), abs=0.1)
    assert contest.tested(["whole"]).keys() == {(row["program"], 2) for row in rows}


def test_baselines_are_ranked_by_each_length_of_its_own(tmp_path: Path) -> None:
    given = argparse.Namespace(dataset="digits", train_size=64, workers=1, seconds=1.0)
    contest = Contest(tmp_path, given, ("mlp", "nin"))
    for name in ("none", "none@3"):
        contest.handed(arm_of(name), 0)
    rows = contest.rows()
    assert [(row["arm"], row["place"]) for row in rows] == [("none", 0), ("none", 1), ("none@3", 0), ("none@3", 1)]
    short, long = (read_rows(tmp_path / f"{name}.jsonl") for name in ("baselines", "baselines-3"))
    assert [row["baseline"] for row in short] == [row["baseline"] for row in long] == ["mlp", "nin"]
    assert [row["score"] for row in short] != [row["score"] for row in long]


def test_the_limit_of_growth_is_that_of_all_arms() -> None:
    assert (growth_of("2"), growth_of("off")) == (2.0, "off")
    assert PLAIN.keys() == {"strategy"}, "an arm has no limit of its own"


def test_a_search_is_cut_at_its_seconds() -> None:
    def row(cycle: int, index: int, cpu: float) -> Candidate:
        done = Trained(0.5, 10, 0, 99.0, cpu, "A")
        return Candidate(cycle, index, "random", None, None, outcome=done, trainings=(done,))

    rows = [row(0, 0, 50.0), row(1, 0, 3.0), row(1, 1, 3.0), row(1, 2, 3.0)]
    assert within(rows, 6.5) == rows[:3]
    assert within(rows, 2.0) == rows[:1]


def test_a_cut_knows_of_longer_trainings_what_was_chosen_and_done_before_it() -> None:
    def row(index: int, *lengths: int) -> Candidate:
        made = tuple(Trained(0.5, 10, 0, 1.0, float(epochs), "A", epochs=epochs) for epochs in lengths)
        return Candidate(1, index, "random", None, None, outcome=made[-1], trainings=made)

    rows = [row(0, 1, 5), row(1, 1), row(2, 1, 5)]
    short = [each.at(1) for each in rows]
    assert within(rows, 13.0) == rows
    assert within(rows, 12.9) == [*rows[:2], short[2]]
    assert within(rows, 7.9) == short
    assert within(rows, 2.9) == short[:2], "none was chosen while a first training is left"


def test_the_luck_of_a_training_that_searches_share_is_in_no_interval_of_searches_alone() -> None:
    def row(arm: str, seed: int, program: str) -> dict[str, object]:
        return {"arm": arm, "seed": seed, "place": 0, "program": program}

    tests = {("a", 5): [0.80, 0.82], ("b", 5): [0.84, 0.86], ("c", 5): [0.9], ("d", 5): [0.9]}
    shared = [row("none", seed, "a") for seed in (0, 1)]
    signs = {"none": 1.0, "random": -1.0}
    assert shared_luck(shared, signs, tests) == pytest.approx((1 - 0.5) * 0.0002 / 2)
    assert shared_luck([row("none", 0, "a"), row("none", 1, "b")], signs, tests) == 0, "each search has its own"
    assert shared_luck([*shared, *(row("random", seed, "a") for seed in (0, 1))], signs, tests) == 0, "it cancels out"
    assert shared_luck(shared, signs, {("a", 5): [0.8]}) == 0
    rows = [*shared, row("random", 0, "c"), row("random", 1, "b")]
    known = {"flops": 1, "params": 1, "trained": 1, "spent": 1.0, "spent_on_baselines": 1.0}
    wide, narrow = (compared([each | known for each in rows], {**tests, ("a", 5): [0.81 - off, 0.81 + off]})
                    for off in (0.01, 0.0))  # fmt: skip
    pair: list[Any] = [told["random"]["over_none"] for told in (wide, narrow)]  # type: ignore[index]
    assert pair[0]["value"] == pair[1]["value"]
    assert pair[0]["high"] - pair[0]["low"] > pair[1]["high"] - pair[1]["low"]


def test_arms_are_compared_search_by_search_at_the_length_of_their_finals() -> None:
    def row(arm: str, seed: int, place: int, program: str, flops: int = 10) -> dict[str, object]:
        known = {"flops": flops, "params": 4, "trained": 7, "spent": 3.0, "spent_on_baselines": 1.0}
        return {"arm": arm, "seed": seed, "place": place, "program": program, **known}

    rows = [
        *(row("none", seed, 0, "a") for seed in (0, 1)),
        *(row("longer", seed, 0, "a") for seed in (0, 1)),
        row("random", 0, 1, "c", 30), row("random", 0, 0, "b", 20), row("random", 1, 0, "b", 20),
    ]  # fmt: skip
    tests = {("a", 5): [0.8, 0.82], ("a", 40): [0.9], ("b", 5): [0.85], ("c", 5): [0.83]}
    told: Any = compared(rows, tests)
    assert told["none"]["transfer"]["value"] == 0.81
    assert told["longer"]["transfer"]["value"] == 0.9
    assert told["random"]["by_search"] == {0: 0.84, 1: 0.85}
    assert told["random"]["first"]["value"] == 0.85
    assert told["random"]["over_none"] == {"value": 0.035, "low": pytest.approx(-0.0315, abs=1e-4),
                                           "high": pytest.approx(0.1015, abs=1e-4), "n": 2}  # fmt: skip
    assert told["random"]["flops_ratio"] == 2.0


def test_the_program_of_the_text_is_the_one_that_was_handed_over() -> None:
    program = program_of(text_of(SMALL))
    assert Program.of(program.net, prm=program.prm).id == program.id
