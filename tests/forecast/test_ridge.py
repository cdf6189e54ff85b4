from __future__ import annotations

from random import Random

import numpy as np
import pytest

from deltanas.forecast import Row, fitted
from deltanas.forecast.ridge import SHRINK, WIDEST, centred


def rows(
    effects: dict[str, float], each: int = 200, noise: float = 0.02, own: float = 0.01, seed: int = 0
) -> list[Row]:
    """Edits of 20 parents, each with its own luck; every feature brings its effect."""
    chance = Random(seed)
    luck = [chance.gauss(0, 0.01) for _ in range(20)]
    found = []
    for number in range(each * len(effects)):
        name = list(effects)[number % len(effects)]
        gain = effects[name] + luck[number % 20] + chance.gauss(0, own) + chance.gauss(0, noise)
        found.append(Row("f", str(number % 20), "net", {name: 1}, gain, noise))
    return found


def test_what_gained_elsewhere_is_expected_to_gain() -> None:
    model = fitted(rows({"good": 0.02, "nothing": 0.0, "bad": -0.02}))
    good, nothing, bad, unknown = model.expected([{"good": 1}, {"nothing": 1}, {"bad": 1}, {"never seen": 1}])
    assert (good.mean, nothing.mean, bad.mean) == pytest.approx((0.02, 0.0, -0.02), abs=0.006)
    assert abs(unknown.mean) < 0.002
    assert model.expected([]) == []


def test_deviations_cover_true_gains() -> None:
    effects = {str(n): Random(n).gauss(0, 0.01) for n in range(30)}
    model = fitted(rows(effects, each=40))
    chance = Random(1)
    expected = model.expected([{name: 1} for name in effects for _ in range(20)])
    truths = [effect + chance.gauss(0, 0.01) for effect in effects.values() for _ in range(20)]
    wrong = [abs(truth - one.mean) / one.deviation for one, truth in zip(expected, truths, strict=True)]
    assert 0.9 < np.mean([one < 1.96 for one in wrong]) < 0.99


def test_an_edit_seen_seldom_is_less_sure() -> None:
    model = fitted([*rows({"often": 0.01}, each=800), *rows({"seldom": 0.01}, each=10)])
    often, seldom = model.expected([{"often": 1}, {"seldom": 1}])
    assert seldom.deviation > often.deviation > 0


def test_without_any_edit_nothing_is_expected() -> None:
    (one,) = fitted([]).expected([{"good": 1}])
    assert (one.mean, one.deviation) == (0.0, 0.0)


def test_gains_are_compared_within_parents_and_outliers_are_cut() -> None:
    both = [Row("f", parent, "net", {}, gain) for parent, gain in [("a", 0.1), ("a", 0.3), ("b", 0.0), ("b", 0.0)]]
    assert centred(both) == pytest.approx([0.0 - 0.1 / 2, 0.2 - 0.1 / 2, -0.1 + 0.1 / 2, -0.1 + 0.1 / 2])
    assert SHRINK == 2.0
    wild = [Row("f", str(n), "net", {}, gain) for n, gain in enumerate([0.0] * 99 + [1.0])]
    assert max(centred(wild)) < WIDEST * np.std([0.0] * 99 + [1.0])
