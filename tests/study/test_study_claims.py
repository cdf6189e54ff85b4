"""What a control says of a table in which there is nothing to find."""

from __future__ import annotations

from math import nan

import numpy as np

from deltanas.study.claims import HOLDS, NOT, UNKNOWN, verdicts
from deltanas.trainings import Block, GridTable, Recipe, Training


def table(seed: int, *, shared: float = 0.0, networks: int = 10, seeds: int = 4) -> GridTable:
    """Combinations that differ in nothing. A seed has its luck in each network, and `shared` in all of them."""
    rng = np.random.default_rng(seed)
    everywhere = rng.normal(0, shared, seeds) if shared else np.zeros(seeds)
    rows = []
    for network in range(networks):
        luck = rng.normal(0, 0.01, seeds) + everywhere
        for optimizer in ("adam", "adamw", "sgd"):
            rows += [
                training(f"n{network}", optimizer, which, 0.8 + one + rng.normal(0, 0.004))
                for which, one in enumerate(luck)
            ]
    return GridTable(tuple(rows))


def training(network: str, optimizer: str, seed: int, score: float) -> Training:
    block: Block = ("digits", network)
    return Training(block, Recipe("ce", optimizer), "fixed", "score", 0.01, str(seed), score, "", 360, 0.1, 1)


def test_trainings_that_all_failed_tell_nothing_of_one_another() -> None:
    """As where a time limit was too short: what failed counts as a guess, so two that failed would be equal."""
    lines = [("ce", "adam"), ("ce", "adamw"), ("ce", "adadelta"), ("ce", "adagrad"), ("ce", "sgd"), ("ngl", "sgd")]
    lines += [("ngl", "adam"), ("ngl", "adagrad")]
    told = dict.fromkeys(("ce_adam_robust", "ngl_sgd_bad", "ngl_adaptive", "adadelta_bad", "adam_is_adamw"), UNKNOWN)

    def found(score: float) -> dict[str, str]:
        failure = "" if score == score else "timeout: 60 s"
        rows = [
            Training(("digits", f"n{n}"), Recipe(*what), arm, "score", 0.01, "1", score, failure, 360, 0.1, 1)
            for n in range(6)
            for what in lines
            for arm in ("fixed", "tuned")
        ]
        return {one.name: one.verdict for one in verdicts(GridTable(tuple(rows)), ["fixed", "tuned"])}

    assert found(nan) | told == found(nan)
    assert found(0.8)["ngl_sgd_bad"] == NOT
    assert found(0.8)["adam_is_adamw"] == HOLDS


def itself(found: GridTable) -> str:
    (one,) = (each for each in verdicts(found, ["fixed"]) if each.name == "itself")
    return one.verdict


def test_a_combination_against_itself_raises_an_alarm_in_no_more_than_5_of_100_tables() -> None:
    assert sum(itself(table(seed)) == NOT for seed in range(60)) <= 3


def test_luck_that_all_networks_share_raises_one() -> None:
    assert [itself(table(seed, shared=0.05, networks=17, seeds=6)) for seed in range(2)] == [NOT, NOT]
    assert [itself(table(seed, networks=17, seeds=6)) for seed in (1, 2)] == [HOLDS, HOLDS]
