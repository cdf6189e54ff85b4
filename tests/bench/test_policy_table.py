"""What is read off a table of policies whose truth is known, and searches replayed on it."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from benchmarks.augmentation.finals import compared, finalists
from benchmarks.augmentation.own import Table, arms, boards, given_by, given_effects, numbers, picked, read_own, worth
from benchmarks.augmentation.replay import counted, drawn, replayed, times_fewer
from benchmarks.augmentation.spread import against_none, best, chosen_by_others, errors, noise, transfer, trust
from benchmarks.policies import policies, some_of
from deltanas.errors import DataError
from deltanas.task import CLASSIFY

NOISE, SPREAD, SEEDS = 0.01, 0.03, 4
POLICIES = policies(1)
OPERATIONS = sorted({step.name for policy in POLICIES for step in policy.steps})


def write_table(path: Path, seed: int = 0, wanted: int = SEEDS) -> Path:
    """Operations add up, so much on average as nothing at all; each seed moves all policies; noise on each training."""
    rng = np.random.default_rng(seed)
    effect = dict(zip(OPERATIONS, np.random.default_rng(5).normal(0, SPREAD / 2**0.5, len(OPERATIONS)), strict=True))
    rows = []
    for number in range(wanted):
        moved = rng.normal(0, 0.005)
        for policy in POLICIES:
            score = 0.7 + moved + sum(effect[step.name] for step in policy.steps) + rng.normal(0, NOISE)
            rows.append({"policy": policy.name, "kind": policy.kind, "seed": number, "score": score, "failure": None,
                         "transform": policy.text})  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path.with_suffix(".json").write_text(json.dumps({"policies": [policy.name for policy in POLICIES]}), "utf-8")
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_own(write_table(tmp_path_factory.mktemp("table") / "resnet-500x20.jsonl"))


def test_seeds_that_are_not_whole_and_policies_that_failed_are_left_out(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.jsonl", wanted=2)
    lines = path.read_text("utf-8").splitlines()
    failed = json.dumps({**json.loads(lines[3]), "score": None, "failure": "out of memory"})
    path.write_text("\n".join([*lines[:3], failed, *lines[4:-1]]) + "\n", "utf-8")
    found = read_own(path)
    assert (found.seeds, found.failed, found.scores.shape) == ((0,), 1, (len(POLICIES) - 1, 1))
    assert POLICIES[3].name not in found.names
    path.write_text("\n".join(lines[:5]) + "\n", "utf-8")
    with pytest.raises(DataError, match="no seed with which all"):
        read_own(path)


def test_noise_and_signal_are_those_that_were_put_in(table: Table) -> None:
    found = noise(table)
    assert [quarter["sd_at_equal_seeds"] for quarter in found["quarters"]] == pytest.approx([NOISE] * 4, rel=0.15)
    assert found["sd"]["value"] > NOISE
    truth = np.var(table.scores.mean(1), ddof=1) / NOISE**2
    assert found["snr_bootstrap_at_equal_seeds"]["low"] < truth < found["snr_bootstrap_at_equal_seeds"]["high"]
    assert found["snr_bootstrap"]["value"] == pytest.approx(found["snr"]["value"])
    assert found["better_half"]["snr_at_equal_seeds"]["high"] < truth
    assert trust(table)["all, mean of 4"]["spearman_predicted"]["value"] > 0.9


def test_what_is_better_than_none_and_the_best_do_not_rest_on_luck(table: Table) -> None:
    found = against_none(table)
    assert 0 < found["better"] < found["above"]["value"] * found["policies"]
    assert found["share"]["low"] < found["share"]["value"] < found["share"]["high"]
    first, second, *_ = best(table)
    assert first["mean"] >= second["mean"]
    assert first["level"]["value"] < first["mean"]
    assert {"none", "TrivialAugment"} <= {row["policy"] for row in best(table)}
    others = chosen_by_others(table)
    assert others["best 1"]["value"] > others["best 10"]["value"] > 0


def test_a_winner_whose_seeds_agree_by_luck_is_as_uncertain_as_its_neighbours(table: Table) -> None:
    steady = table.scores.copy()
    steady[table.row("RandAugment middle")] = steady[table.row("none")] + 0.3
    found = chosen_by_others(replace(table, scores=steady))["best 1"]
    assert found["value"] == pytest.approx(0.3)
    assert found["high"] - found["low"] > 2 * NOISE


def test_policies_that_scatter_more_are_not_taken_for_steady_ones(table: Table) -> None:
    worst = table.scores.mean(1) < np.quantile(table.scores.mean(1), 0.25)
    noisy = table.scores + np.random.default_rng(2).normal(0, 5 * NOISE, table.scores.shape) * worst[:, None]
    scatter, _ = errors(replace(table, scores=noisy - 0.2 * worst[:, None]))
    assert scatter[worst].min() > 4 * NOISE > 2 * scatter[~worst].max()


def test_a_table_of_noise_has_nothing_to_find(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.jsonl")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rng = np.random.default_rng(1)
    path.write_text("".join(json.dumps({**row, "score": rng.normal(0.7, NOISE)}) + "\n" for row in rows), "utf-8")
    found = read_own(path)
    assert noise(found)["snr"]["low"] == 0
    assert against_none(found)["better"] == 0
    assert abs(chosen_by_others(found)["best 10"]["value"]) < 0.02


def test_random_needs_what_counting_says_and_models_less(table: Table) -> None:
    searched = table.enumerated
    seen = boards(searched, "other seeds")
    known = arms(searched, {"itself": searched.scores.mean(1)})
    found = {name: replayed(seen, arm, name, 300 if arm is drawn else 40)["mean"] for name, arm in known.items()}
    hits = int(seen[0].hits.sum())
    assert hits == round(0.01 * len(searched.names)) == 3
    assert found["random"] == pytest.approx((len(searched.names) + 1) / (hits + 1), rel=0.15)
    for name in ("bandit", "evolution", "additive surrogate", "ridge"):
        assert found[name] < 0.8 * found["random"]
    assert found["given itself"] < 4
    few, many = (counted(seen, known[name], name, 40) for name in ("additive surrogate", "random"))
    ratio = times_fewer(many, few)
    assert 1 < ratio["times_low"] < many.mean() / few.mean() == ratio["times_fewer"] < ratio["times_high"]
    assert not any("Augment" in name for name in searched.names)


def test_every_arm_trains_each_policy_once(table: Table) -> None:
    board = boards(table, "all seeds")[0]
    for arm in arms(table, {"few": numbers(table, table.operations).sum(1)}).values():
        walk = list(arm(board, np.random.default_rng(0)))
        assert sorted(walk) == list(range(len(table.names)))


def test_a_pick_is_worth_what_other_seeds_say(table: Table) -> None:
    seen = boards(table, "all seeds")
    few, many = worth(table, seen, drawn, "random", 40, (2, 200)).values()
    most = float((table.scores - table.scores[table.row("none")]).mean(1).max())
    assert few["mean"] < many["mean"] < most + NOISE
    [place] = picked(seen[0], drawn, "random", 0, (len(table.names),))
    assert seen[0].accuracy[place] == seen[0].accuracy.max()


def test_another_table_orders_the_policies_of_this_one(table: Table, tmp_path: Path) -> None:
    other = read_own(write_table(tmp_path / "vgg-500x20.jsonl", seed=9, wanted=2))
    wanted = {policy.name for policy in some_of(POLICIES, 60)}
    few = other.only([place for place, name in enumerate(other.names) if name in wanted])
    found = transfer(table, few)
    assert (found["policies"], found["seeds"]) == (60, [4, 2])
    assert 0.8 < found["spearman"]["low"] < found["spearman"]["value"] < 1
    assert np.corrcoef(given_by(few, table), table.scores.mean(1))[0, 1] > 0.8
    assert given_effects({"RandomInvert": -0.5}, table)[table.row("RandomInvert weak")] == -0.5


def test_the_drawn_part_has_the_usual_policies_and_is_always_the_same() -> None:
    found = some_of(POLICIES, 60)
    assert found == some_of(POLICIES, 60)
    assert len(found) == 60
    assert [policy for policy in POLICIES if policy.kind == "usual"] == found[:7]
    assert some_of(POLICIES, 0) == some_of(POLICIES, 10_000) == POLICIES


def test_finals_hold_the_references_and_a_pick_of_each_arm(table: Table) -> None:
    found = finalists(table)
    assert {"none", "crop+flip", "TrivialAugment", "RandAugment middle"} <= found.keys()
    picks = [why for reasons in found.values() for why in reasons if why != "reference"]
    assert {"random", "bandit", "evolution", "additive surrogate", "ridge", "highest mean of the table"} <= {*picks}
    assert len(picks) == len({*picks})


def test_finals_are_compared_over_images_and_over_seeds() -> None:
    rng = np.random.default_rng(0)
    easy = rng.random(2_000)
    rows = []
    for seed, (name, level) in enumerate([("none", 0.70), ("pick", 0.74)] * 6):
        right = easy + rng.normal(0, 0.02, len(easy)) < level
        bits = np.packbits(right)
        rows.append(
            {"policy": name, "seed": seed // 2, "n": len(easy), "per_image": b64encode(bits.tobytes()).decode()}
        )
    rows.append({"policy": "pick", "seed": 99, "n": 0, "per_image": None})
    found = compared(CLASSIFY, rows, {"none": ["reference"], "pick": ["random"], "to come": ["ridge"]})
    over = found["pick"]["over"]["none"]
    assert (found["pick"]["seeds"], over["won"]) == (6, 6)
    for interval in (over["images"], over["seeds"]):
        assert interval["low"] < 0.04 < interval["high"]
        assert interval["value"] == pytest.approx(over["images"]["value"])
    assert found["none"]["over"] == {}
    assert "to come" not in found


def test_every_ordered_pair_is_enumerated_once() -> None:
    pairs = {tuple(step.name for step in policy.steps) for policy in POLICIES if len(policy.steps) == 2}
    single = [name for name in OPERATIONS if name not in ("TrivialAugmentWide", "RandAugment")]
    assert pairs == {*permutations(single, 2)}
